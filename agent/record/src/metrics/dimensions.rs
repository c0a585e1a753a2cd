//! Under which dimensions the metrics of a failure stand.
//!
//! Each combination of values is a metric that somebody pays for, so there are few sets, an id is never a dimension, and of the
//! error types only the first ones that are met get metrics of their own.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use crate::failure::{Phase, Record};

use super::emf;

/// The most sets: each multiplies what the metrics cost.
const SETS_MAX: usize = 8;

/// The most error types that get metrics of their own. Languages let anybody make up more at any time.
const ERROR_TYPES_MAX: usize = 50;

/// The word for the set without any dimension.
const NONE: &str = "none";

/// A member of the record that metrics can stand under.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Dimension {
    /// The function, or the service of a sidecar.
    FunctionName,
    /// Its version.
    FunctionVersion,
    /// The sort of failure.
    Kind,
    /// The phase in which it happened.
    Phase,
    /// The language.
    Runtime,
    /// The error's type: of the first fifty that are met.
    ErrorType,
}

impl Dimension {
    const ALL: [Self; 6] =
        [Self::FunctionName, Self::FunctionVersion, Self::Kind, Self::Phase, Self::Runtime, Self::ErrorType];

    /// The member's name, which is the dimension's.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::FunctionName => "functionName",
            Self::FunctionVersion => "functionVersion",
            Self::Kind => "kind",
            Self::Phase => "phase",
            Self::Runtime => "runtime",
            Self::ErrorType => "errorType",
        }
    }

    /// The member's value, if the record has it.
    fn value(self, record: &Record) -> Option<&str> {
        match self {
            Self::FunctionName => record.function_name.as_deref(),
            Self::FunctionVersion => record.function_version.as_deref(),
            Self::Kind => record.kind.as_ref().map(|kind| kind.as_str()),
            Self::Phase => record.phase.map(Phase::as_str),
            Self::Runtime => record.runtime.as_deref(),
            Self::ErrorType => record.error_type.as_deref(),
        }
    }

    /// Whether the record's value can be a dimension as it is: the member is what it is, and is not changed for a metric.
    fn is_fit(self, record: &Record) -> bool {
        self.value(record).is_some_and(|value| emf::dimension(value) == value)
    }
}

/// The sets of dimensions: `functionName` and `functionName,kind` unless the user says otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dimensions {
    sets: Vec<Vec<Dimension>>,
}

impl fmt::Display for Dimensions {
    /// The form that [`FromStr`] reads.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |set: &Vec<Dimension>| match set[..] {
            [] => NONE.to_owned(),
            _ => set.iter().map(|dimension| dimension.name()).collect::<Vec<_>>().join(","),
        };
        f.write_str(&self.sets.iter().map(text).collect::<Vec<_>>().join(" "))
    }
}

impl Default for Dimensions {
    fn default() -> Self {
        Self { sets: vec![vec![Dimension::FunctionName], vec![Dimension::FunctionName, Dimension::Kind]] }
    }
}

/// Why a word is no set of dimensions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// It is a member that has another value for each failure.
    HighCardinality(String),
    /// It is nothing that metrics can stand under.
    Unknown(String),
    /// There are more than eight sets.
    TooMany,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::HighCardinality(name) => {
                write!(
                    f,
                    "{name:?} has another value for each failure, and each would be a metric to pay for"
                )
            }
            Self::Unknown(name) => {
                let names: Vec<&str> = Dimension::ALL.iter().map(|dimension| dimension.name()).collect();
                write!(f, "{name:?} is none of {}, {NONE}", names.join(", "))
            }
            Self::TooMany => write!(f, "there are more than {SETS_MAX} sets"),
        }
    }
}

/// Members that tell failures apart.
const HIGH_CARDINALITY: [&str; 9] =
    ["id", "requestId", "traceId", "amends", "fingerprint", "errorMessage", "timestamp", "raw", "culprit"];

impl FromStr for Dimensions {
    type Err = Problem;

    /// Sets stand apart by blanks, their members by commas: `functionName functionName,kind`. `none` is the empty set. Nothing at
    /// all is the default.
    fn from_str(text: &str) -> Result<Self, Problem> {
        let mut sets: Vec<Vec<Dimension>> = text.split_whitespace().map(set).collect::<Result<_, _>>()?;
        sets.sort();
        sets.dedup();
        match sets.len() {
            0 => Ok(Self::default()),
            1..=SETS_MAX => Ok(Self { sets }),
            _ => Err(Problem::TooMany),
        }
    }
}

fn set(text: &str) -> Result<Vec<Dimension>, Problem> {
    if text == NONE {
        return Ok(Vec::new());
    }
    let mut set: Vec<Dimension> = text.split(',').map(dimension).collect::<Result<_, _>>()?;
    set.sort();
    set.dedup();
    Ok(set)
}

fn dimension(name: &str) -> Result<Dimension, Problem> {
    if HIGH_CARDINALITY.contains(&name) {
        return Err(Problem::HighCardinality(name.to_owned()));
    }
    let known = Dimension::ALL.into_iter().find(|dimension| dimension.name() == name);
    known.ok_or_else(|| Problem::Unknown(name.to_owned()))
}

/// The error types that have metrics of their own in this process.
#[derive(Debug, Default)]
pub struct ErrorTypes {
    met: BTreeSet<String>,
}

impl ErrorTypes {
    /// Whether this one has, or gets, metrics of its own.
    fn admit(&mut self, error_type: &str) -> bool {
        if self.met.contains(error_type) {
            return true;
        }
        let is_room = self.met.len() < ERROR_TYPES_MAX;
        if is_room {
            self.met.insert(error_type.to_owned());
        }
        is_room
    }
}

impl Dimensions {
    /// The sets under which the metrics of this record stand: those whose members it has.
    pub(super) fn of(&self, record: &Record, error_types: &mut ErrorTypes) -> Vec<Vec<&'static str>> {
        let mut is_there = |dimension: &Dimension| {
            dimension.is_fit(record)
                && (*dimension != Dimension::ErrorType
                    || error_types.admit(record.error_type.as_deref().unwrap_or_default()))
        };
        let fit = self.sets.iter().filter(|set| set.iter().all(&mut is_there));
        fit.map(|set| set.iter().map(|dimension| dimension.name()).collect()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sets(text: &str, record: &Record) -> Vec<Vec<&'static str>> {
        text.parse::<Dimensions>().unwrap().of(record, &mut ErrorTypes::default())
    }

    #[test]
    fn a_record_stands_under_the_sets_whose_members_it_has() {
        let record = Record {
            function_name: Some("f".into()),
            error_type: Some("größe".into()),
            phase: Some(Phase::Init),
            ..Record::default()
        };
        assert_eq!(sets("", &record), [["functionName"]]);
        assert_eq!(
            sets("phase,functionName none runtime errorType", &record),
            [vec![], vec!["functionName", "phase"]]
        );
    }

    #[test]
    fn sets_are_written_as_they_are_read() {
        for text in ["functionName functionName,kind", "none functionName,kind,errorType"] {
            assert_eq!(text.parse::<Dimensions>().unwrap().to_string(), text);
        }
        assert_eq!(Dimensions::default().to_string(), "functionName functionName,kind");
    }

    #[test]
    fn what_would_cost_a_metric_for_each_failure_is_refused_with_the_reason() {
        let problem = |text: &str| text.parse::<Dimensions>().unwrap_err().to_string();
        assert_eq!(
            problem("functionName,requestId"),
            "\"requestId\" has another value for each failure, and each would be a metric to pay for"
        );
        assert_eq!(
            problem("colour"),
            "\"colour\" is none of functionName, functionVersion, kind, phase, runtime, errorType, none"
        );
        assert_eq!(
            "none functionName kind phase runtime errorType functionVersion functionName,kind kind,phase"
                .parse::<Dimensions>(),
            Err(Problem::TooMany)
        );
    }

    #[test]
    fn only_the_first_error_types_get_metrics_of_their_own() {
        let dimensions: Dimensions = "errorType".parse().unwrap();
        let mut met = ErrorTypes::default();
        let mut count = |name: String| {
            dimensions.of(&Record { error_type: Some(name), ..Record::default() }, &mut met).len()
        };
        let first: usize = (0..60).map(|index| count(format!("E{index}"))).sum();
        assert_eq!((first, count("E1".into()), count("E59".into())), (ERROR_TYPES_MAX, 1, 0));
    }
}
