//! The metrics that ride on a record, in CloudWatch's embedded metric format.
//!
//! A line that CloudWatch Logs receives is a metric too if it holds an `_aws` directive; no call, no periodic work and no
//! further permission is needed.

pub mod emf;
pub mod dimensions;

use serde_json::{Value, json};

use crate::failure::{Kind, Phase, Record};
use crate::text;
use dimensions::{Dimensions, ErrorTypes};
use emf::{DIMENSION_CHARS_MAX, Unit, dimension, directive};

/// The CloudWatch namespace of every metric.
pub const NAMESPACE: &str = "TraceAgent";

/// Adds the directive and the values. A record that only completes an earlier one carries none: it would count twice.
pub fn add(record: &mut Record, dimensions: &Dimensions, error_types: &mut ErrorTypes, now_ms: i64) {
    if record.amends.is_some() {
        return;
    }
    record.function_name = record.function_name.take().map(|name| dimension(&name));
    let sets = dimensions.of(record, error_types);
    if sets.is_empty() {
        return;
    }
    let names: Vec<(&str, Unit)> =
        std::iter::once("Failures").chain(special(record)).map(|name| (name, Unit::Count)).collect();
    record.metrics.extend(names.iter().map(|(name, _)| ((*name).to_owned(), json!(1))));
    record.aws = Some(directive(NAMESPACE, now_ms, &sets, &names));
}

/// The line that warns of `records` lines of the log that the platform threw away before anybody saw them: no record of a failure, but one
/// may have been among them. It carries the metric `LogsDropped`.
#[must_use]
pub fn logs_dropped(function: Option<&str>, records: u64, reason: &str, now_ms: i64) -> Value {
    let reason = text::prefix(reason, DIMENSION_CHARS_MAX);
    let mut line = json!({
        "warning": format!("Lambda dropped {records} records of the log before trace-agent saw them: {reason}"),
        "LogsDropped": records,
    });
    if let Some(function) = function {
        line["functionName"] = dimension(function).into();
        line["_aws"] = directive(NAMESPACE, now_ms, &[vec!["functionName"]], &[("LogsDropped", Unit::Count)]);
    }
    line
}

/// The metric that counts failures of this sort by themselves.
fn special(record: &Record) -> Option<&'static str> {
    if record.phase == Some(Phase::Init) {
        return Some("InitFailures");
    }
    match record.kind.as_ref()? {
        Kind::Timeout => Some("Timeouts"),
        Kind::Oom => Some("OutOfMemory"),
        Kind::Signal | Kind::Abort | Kind::Exit => Some("Crashes"),
        Kind::Init => Some("InitFailures"),
        Kind::Exception | Kind::Panic | Kind::Extension | Kind::PartialBatch | Kind::Other(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add_default(record: &mut Record) {
        add(record, &Dimensions::default(), &mut ErrorTypes::default(), 1_795_419_012_532);
    }

    #[test]
    fn a_failure_counts_once_under_each_set_of_dimensions() {
        let mut record =
            Record { function_name: Some("checkout".into()), kind: Some(Kind::Timeout), ..Record::default() };
        add_default(&mut record);
        assert_eq!(record.metrics["Failures"], 1);
        assert_eq!(record.metrics["Timeouts"], 1);
        assert_eq!(
            record.aws.unwrap()["CloudWatchMetrics"][0]["Dimensions"],
            json!([["functionName"], ["functionName", "kind"]])
        );
    }

    #[test]
    fn an_amendment_and_a_nameless_failure_carry_no_metrics() {
        let mut amendment =
            Record { function_name: Some("f".into()), amends: Some("1".into()), ..Record::default() };
        add_default(&mut amendment);
        assert_eq!((amendment.aws, amendment.metrics.len()), (None, 0));
        let mut nameless = Record::default();
        add_default(&mut nameless);
        assert_eq!(nameless.aws, None);
    }

    #[test]
    fn what_the_platform_dropped_is_a_warning_and_a_metric() {
        let line = logs_dropped(Some("checkout"), 123, "slow", 7);
        assert_eq!((&line["LogsDropped"], &line["functionName"]), (&json!(123), &json!("checkout")));
        assert_eq!(line["_aws"]["CloudWatchMetrics"][0]["Metrics"][0]["Name"], "LogsDropped");
        assert_eq!(
            line["warning"],
            "Lambda dropped 123 records of the log before trace-agent saw them: slow"
        );
        assert_eq!(logs_dropped(None, 1, "", 7).get("_aws"), None);
    }
}
