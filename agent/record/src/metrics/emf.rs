//! CloudWatch's embedded metric format: lines of a log that are metrics, too.
//!
//! The limits are those of the format's specification. What is beyond them makes CloudWatch drop the whole line
//! without a word, so what does not fit into one line goes into further ones, and a value that is no number is left out
//! and counted.

use serde_json::{Map, Value, json};

/// The most metrics of one directive.
pub const METRICS_MAX: usize = 100;

/// The most values of one metric in one line.
pub const VALUES_MAX: usize = 100;

/// The longest dimension value, in characters (the format's own limit is 1,024; metrics refuse more than 255 anyway).
pub const DIMENSION_CHARS_MAX: usize = 250;

/// The greatest magnitude of a value is two to this.
const VALUE_EXPONENT_MAX: i32 = 360;

/// What a value counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Things.
    Count,
    /// Bytes.
    Bytes,
    /// Milliseconds.
    Milliseconds,
}

impl Unit {
    /// The unit as the format spells it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Count => "Count",
            Self::Bytes => "Bytes",
            Self::Milliseconds => "Milliseconds",
        }
    }
}

/// A metric and what was measured of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Metric {
    /// Its name, such as `ShipLatency`.
    pub name: String,
    /// What the values count.
    pub unit: Unit,
    /// What was measured.
    pub values: Vec<f64>,
}

/// Lines of metrics, and what could not be said in them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Lines {
    /// One JSON object for each line.
    pub lines: Vec<Map<String, Value>>,
    /// How many values are no finite number, or greater than CloudWatch takes.
    pub dropped: usize,
}

/// The `_aws` member for metrics of these names under these sets of dimensions, each at most [`METRICS_MAX`] long.
#[must_use]
pub fn directive(
    namespace: &str,
    timestamp_ms: i64,
    dimensions: &[Vec<&str>],
    metrics: &[(&str, Unit)],
) -> Value {
    let metrics: Vec<Value> =
        metrics.iter().map(|(name, unit)| json!({"Name": name, "Unit": unit.as_str()})).collect();
    json!({
        "Timestamp": timestamp_ms,
        "CloudWatchMetrics": [{"Namespace": namespace, "Dimensions": dimensions, "Metrics": metrics}],
    })
}

/// Writes `metrics` down in as few lines as the format allows. `dimensions` are the names and values under which they
/// stand; without any they stand alone.
#[must_use]
pub fn lines(namespace: &str, timestamp_ms: i64, dimensions: &[(&str, String)], metrics: &[Metric]) -> Lines {
    let mut written = Lines::default();
    let mut open: Vec<Metric> = Vec::new();
    for metric in metrics {
        let fit: Vec<f64> = metric.values.iter().copied().filter(|value| is_value(*value)).collect();
        written.dropped += metric.values.len() - fit.len();
        for values in fit.chunks(VALUES_MAX) {
            // One line has one member of a name.
            if open.len() == METRICS_MAX || open.iter().any(|other| other.name == metric.name) {
                written.lines.push(line(namespace, timestamp_ms, dimensions, &std::mem::take(&mut open)));
            }
            open.push(Metric { values: values.to_vec(), ..metric.clone() });
        }
    }
    if !open.is_empty() {
        written.lines.push(line(namespace, timestamp_ms, dimensions, &open));
    }
    written
}

fn line(
    namespace: &str,
    timestamp_ms: i64,
    dimensions: &[(&str, String)],
    metrics: &[Metric],
) -> Map<String, Value> {
    let names: Vec<(&str, Unit)> = metrics.iter().map(|metric| (metric.name.as_str(), metric.unit)).collect();
    let set = dimensions.iter().map(|(name, _)| *name).collect();
    let mut line = Map::new();
    line.insert("_aws".to_owned(), directive(namespace, timestamp_ms, &[set], &names));
    for (name, value) in dimensions {
        line.insert((*name).to_owned(), dimension(value).into());
    }
    for metric in metrics {
        let value = match metric.values[..] {
            [value] => number(value),
            _ => metric.values.iter().copied().map(number).collect(),
        };
        line.insert(metric.name.clone(), value);
    }
    line
}

fn is_value(value: f64) -> bool {
    value.is_finite() && value.abs() <= 2_f64.powi(VALUE_EXPONENT_MAX)
}

/// A number without a fraction is written without one.
fn number(value: f64) -> Value {
    /// Up to here every whole number has a form of its own.
    const WHOLE_MAX: f64 = 9_007_199_254_740_992.0;
    if value.fract() == 0.0 && value.abs() < WHOLE_MAX { json!(value as i64) } else { json!(value) }
}

/// A value that is fit to be a dimension: printable ASCII, not empty, not too long.
#[must_use]
pub fn dimension(value: &str) -> String {
    let fit = |c: char| if c.is_ascii_graphic() || c == ' ' { c } else { '?' };
    let value: String = value.chars().take(DIMENSION_CHARS_MAX).map(fit).collect();
    if value.trim().is_empty() { "?".to_owned() } else { value }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metric(name: &str, values: Vec<f64>) -> Metric {
        Metric { name: name.to_owned(), unit: Unit::Milliseconds, values }
    }

    #[test]
    fn a_line_holds_its_metrics_and_their_dimensions_as_root_members() {
        let lines =
            lines("N", 7, &[("functionName", "größe".to_owned())], &[metric("ShipLatency", vec![1.0, 2.5])]);
        assert_eq!(
            Value::Object(lines.lines[0].clone()),
            json!({
                "_aws": {"Timestamp": 7, "CloudWatchMetrics": [{
                    "Namespace": "N",
                    "Dimensions": [["functionName"]],
                    "Metrics": [{"Name": "ShipLatency", "Unit": "Milliseconds"}],
                }]},
                "functionName": "gr??e",
                "ShipLatency": [1, 2.5],
            })
        );
    }

    #[test]
    fn more_than_a_hundred_metrics_or_values_go_into_further_lines() {
        let many: Vec<Metric> = (0..250).map(|index| metric(&format!("M{index}"), vec![1.0])).collect();
        let sizes = |lines: &Lines| {
            let named = |line: &Map<String, Value>| {
                line["_aws"]["CloudWatchMetrics"][0]["Metrics"].as_array().map_or(0, Vec::len)
            };
            lines.lines.iter().map(named).collect::<Vec<_>>()
        };
        assert_eq!(sizes(&lines("N", 0, &[], &many)), [100, 100, 50]);
        let values = metric("V", (0..250).map(f64::from).collect());
        let written = lines("N", 0, &[], &[values, metric("W", vec![1.0])]);
        let counts: Vec<usize> =
            written.lines.iter().map(|line| line["V"].as_array().map_or(0, Vec::len)).collect();
        assert_eq!(counts, [100, 100, 50]);
        assert_eq!(sizes(&written), [1, 1, 2]);
    }

    #[test]
    fn what_is_no_number_is_left_out_and_counted() {
        let odd = vec![f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 2_f64.powi(361), 3.0];
        let written = lines("N", 0, &[], &[metric("V", odd), metric("W", vec![f64::NAN])]);
        assert_eq!((written.dropped, written.lines.len(), &written.lines[0]["V"]), (5, 1, &json!(3)));
        assert!(!written.lines[0].contains_key("W"));
    }

    #[test]
    fn a_dimension_is_ascii_and_bounded() {
        assert_eq!(dimension("größe\n"), "gr??e?");
        assert_eq!(dimension(" "), "?");
        assert_eq!(dimension(&"x".repeat(1_000)).len(), DIMENSION_CHARS_MAX);
    }
}
