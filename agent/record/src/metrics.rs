//! The metrics that ride on a record: CloudWatch's embedded metric format.
//!
//! A line that CloudWatch Logs receives is a metric too if it holds an `_aws` directive; no call, no periodic work and no
//! further permission is needed. Each combination of dimension values is a metric that somebody pays for, so the
//! dimensions are few and never an id: `[functionName]` and `[functionName, kind]`.

use serde_json::{Value, json};

use crate::failure::{Kind, Phase, Record};
use crate::text;

/// The CloudWatch namespace of every metric.
pub const NAMESPACE: &str = "TraceAgent";

/// The longest dimension value, in characters (CloudWatch's own limit is 1,024; metrics refuse more than 255 anyway).
const DIMENSION_CHARS_MAX: usize = 250;

/// Adds the directive and the values. A record that only completes an earlier one carries none: it would count twice.
pub fn add(record: &mut Record, now_ms: i64) {
    let (Some(function), None) = (record.function_name.as_deref(), &record.amends) else { return };
    record.function_name = Some(dimension(function));
    let names: Vec<&str> = std::iter::once("Failures").chain(special(record)).collect();
    let metrics: Vec<Value> = names.iter().map(|name| json!({"Name": name, "Unit": "Count"})).collect();
    record.metrics.extend(names.iter().map(|name| ((*name).to_owned(), json!(1))));
    let mut dimensions = vec![json!(["functionName"])];
    if record.kind.is_some() {
        dimensions.push(json!(["functionName", "kind"]));
    }
    record.aws = Some(json!({
        "Timestamp": now_ms,
        "CloudWatchMetrics": [{"Namespace": NAMESPACE, "Dimensions": dimensions, "Metrics": metrics}],
    }));
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
        line["_aws"] = json!({
            "Timestamp": now_ms,
            "CloudWatchMetrics": [{
                "Namespace": NAMESPACE,
                "Dimensions": [["functionName"]],
                "Metrics": [{"Name": "LogsDropped", "Unit": "Count"}],
            }],
        });
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

/// A value that is fit to be a dimension: printable ASCII, not empty, not too long.
fn dimension(value: &str) -> String {
    let fit = |c: char| if c.is_ascii_graphic() || c == ' ' { c } else { '?' };
    value.chars().take(DIMENSION_CHARS_MAX).map(fit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_counts_once_under_each_set_of_dimensions() {
        let mut record =
            Record { function_name: Some("checkout".into()), kind: Some(Kind::Timeout), ..Record::default() };
        add(&mut record, 1_795_419_012_532);
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
        add(&mut amendment, 0);
        assert_eq!((amendment.aws, amendment.metrics.len()), (None, 0));
        let mut nameless = Record::default();
        add(&mut nameless, 0);
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

    #[test]
    fn a_dimension_is_ascii_and_bounded() {
        assert_eq!(dimension("größe\n"), "gr??e?");
        assert_eq!(dimension(&"x".repeat(1_000)).len(), DIMENSION_CHARS_MAX);
    }
}
