//! Which records are wanted, and what of that the service can be asked for.

use std::time::Duration;

use trace_record::Record;
use trace_record::complete::parse_rfc3339;

use super::Args;
use crate::cli::Usage;
use crate::read::Query;

/// The most terms that are handed to the service.
const TERMS_MAX: usize = 16;

/// What is wanted.
pub(super) struct Selection {
    pub(super) query: Query,
    fingerprints: Vec<String>,
    error_types: Vec<String>,
    function: Option<String>,
    request_id: Option<String>,
    id: Option<String>,
}

impl Selection {
    pub(super) fn new(args: &Args, now_ms: i64) -> Result<Self, Usage> {
        let mut query = Query {
            group: args.group.clone(),
            streams: args.stream.clone(),
            stream_prefix: args.stream_prefix.clone(),
            start_ms: Some(time("--since", &args.since, now_ms)?),
            end_ms: args.until.as_deref().map(|until| time("--until", until, now_ms)).transpose()?,
            pattern: None,
        };
        let terms = match (&args.id, &args.request_id, &args.fingerprint) {
            (Some(id), ..) => vec![id.clone()],
            (None, Some(id), _) => vec![id.clone()],
            (None, None, fingerprints) => fingerprints.clone(),
        };
        query.pattern = pattern(&terms);
        Ok(Self {
            query,
            fingerprints: args.fingerprint.clone(),
            error_types: args.error_type.clone(),
            function: args.function.clone(),
            request_id: args.request_id.clone(),
            id: args.id.clone(),
        })
    }

    /// Whether this record is wanted. What the service left out is a part of what is not.
    pub(super) fn has(&self, record: &Record) -> bool {
        fn among(wanted: &[String], value: Option<&String>) -> bool {
            wanted.is_empty() || value.is_some_and(|value| wanted.contains(value))
        }
        let is = |wanted: &Option<String>, values: &[&Option<String>]| {
            wanted.is_none() || values.contains(&wanted)
        };
        among(&self.fingerprints, record.fingerprint.as_ref())
            && among(&self.error_types, record.error_type.as_ref())
            && is(&self.function, &[&record.function_name])
            && is(&self.request_id, &[&record.request_id])
            && is(&self.id, &[&record.id, &record.amends])
    }
}

/// One term, or any of several. A quoted term is looked for as it is; what could end the quotes is not handed over.
fn pattern(terms: &[String]) -> Option<String> {
    let is_plain = |term: &String| !term.is_empty() && !term.contains(['"', '\\']);
    match terms {
        [] => None,
        _ if terms.len() > TERMS_MAX || !terms.iter().all(is_plain) => None,
        [term] => Some(format!("\"{term}\"")),
        _ => Some(terms.iter().map(|term| format!("?\"{term}\"")).collect::<Vec<_>>().join(" ")),
    }
}

/// Reads a time, or how long ago it was, in milliseconds since 1970.
fn time(flag: &str, text: &str, now_ms: i64) -> Result<i64, Usage> {
    let ago = |duration: Duration| {
        now_ms.saturating_sub(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)).max(0)
    };
    parse_rfc3339(text).or_else(|| humantime::parse_duration(text).ok().map(ago)).ok_or_else(|| {
        Usage(format!("{flag} is {text:?}; it must be how long ago, such as 10m, 2h or 3days, or a time such as 2026-11-26T10:00:00Z"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_in_both_forms() {
        let now_ms = 1_795_419_012_532;
        assert_eq!(time("", "10m", now_ms).unwrap(), now_ms - 600_000);
        assert_eq!(time("", "2026-11-23T07:30:12Z", now_ms).unwrap(), 1_795_419_012_000);
        assert_eq!(time("", "99999999days", now_ms).unwrap(), 0);
        for wrong in ["", "yesterday", "-5m", "10"] {
            assert!(
                time("--since", wrong, now_ms).unwrap_err().to_string().starts_with("--since is "),
                "{wrong}"
            );
        }
    }

    #[test]
    fn only_plain_terms_are_handed_over() {
        let pattern =
            |terms: &[&str]| pattern(&terms.iter().map(|term| (*term).to_owned()).collect::<Vec<_>>());
        assert_eq!(pattern(&[]), None);
        assert_eq!(pattern(&["ab"]).as_deref(), Some("\"ab\""));
        assert_eq!(pattern(&["ab", "cd"]).as_deref(), Some("?\"ab\" ?\"cd\""));
        assert_eq!((pattern(&["a\"b"]), pattern(&["a\\"]), pattern(&["", "a"])), (None, None, None));
    }
}
