//! Every line that carries metrics is one that CloudWatch takes them out of. What it does not understand it drops without a word.
#![expect(clippy::unwrap_used, reason = "a test that cannot read its data has failed")]

use jsonschema::Validator;
use serde_json::Value;
use trace_record::failure::{Kind, Phase, StackEntry};
use trace_record::metrics::dimensions::ErrorTypes;
use trace_record::metrics::emf::{self, Metric, Unit, VALUES_MAX};
use trace_record::metrics::{self, NAMESPACE};
use trace_record::storm::{Repeats, Storm, read_repeat};
use trace_record::{Record, render};

use numbers::Numbers;

mod numbers;

/// The documented rules: the schema, and that every target is a root member of the right type.
struct Rules(Validator);

impl Rules {
    fn read() -> Self {
        Self(
            jsonschema::validator_for(&serde_json::from_str(include_str!("emf.schema.json")).unwrap())
                .unwrap(),
        )
    }

    fn check(&self, line: &str) {
        let document: Value = serde_json::from_str(line).unwrap();
        if let Some(problem) = self.0.iter_errors(&document).next() {
            panic!("{problem}: {line}");
        }
        let directive = &document["_aws"]["CloudWatchMetrics"][0];
        for metric in directive["Metrics"].as_array().unwrap() {
            let name = metric["Name"].as_str().unwrap();
            let is_number =
                |value: &Value| value.as_f64().is_some_and(|value| value.abs() <= 2_f64.powi(360));
            let is_fit = match &document[name] {
                Value::Array(values) => {
                    (1..=VALUES_MAX).contains(&values.len()) && values.iter().all(is_number)
                }
                value => is_number(value),
            };
            assert!(is_fit, "{name} in {line}");
        }
        for name in directive["Dimensions"].as_array().unwrap().iter().flat_map(|set| set.as_array().unwrap())
        {
            let value = document[name.as_str().unwrap()].as_str().unwrap_or_default();
            assert!((1..=1_024).contains(&value.chars().count()), "{name} in {line}");
        }
    }
}

fn text(numbers: &mut Numbers) -> Option<String> {
    let length = [0, 1, 10, 300, 3_000][numbers.below(5)];
    (numbers.below(4) > 0).then(|| {
        (0..length)
            .map(|_| ['a', 'Z', ' ', '\n', '\0', 'ß', '€', '"', '\u{fdd0}'][numbers.below(9)])
            .collect()
    })
}

#[test]
fn metrics_of_any_name_number_and_value_are_valid() {
    let rules = Rules::read();
    let numbers = &mut Numbers(7);
    let units = [Unit::Count, Unit::Bytes, Unit::Milliseconds];
    let odd = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MAX, f64::MIN_POSITIVE, -0.0, 1e300, 9.1e15];
    let (mut lines, mut dropped) = (0, 0);
    for _ in 0..400 {
        let metrics: Vec<Metric> = (0..numbers.below(260))
            .map(|number| Metric {
                name: format!("M{}", number % 230),
                unit: units[numbers.below(3)],
                values: (0..[0, 1, 3, 250][numbers.below(4)])
                    .map(|_| {
                        if numbers.below(9) == 0 {
                            odd[numbers.below(8)]
                        } else {
                            numbers.below(1_000) as f64 / 8.0
                        }
                    })
                    .collect(),
            })
            .collect();
        let dimensions: Vec<(&str, String)> = [("functionName", text(numbers)), ("kind", text(numbers))]
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?)))
            .collect();
        let given: usize = metrics.iter().map(|metric| metric.values.len()).sum();
        let written = emf::lines(NAMESPACE, 1_795_419_012_532, &dimensions, &metrics);
        let mut told = 0;
        for line in &written.lines {
            rules.check(&Value::Object(line.clone()).to_string());
            let values = line.iter().filter(|(name, _)| name.starts_with('M'));
            told += values.map(|(_, value)| value.as_array().map_or(1, Vec::len)).sum::<usize>();
        }
        assert_eq!(told + written.dropped, given, "every value is told or counted");
        lines += written.lines.len();
        dropped += written.dropped;
    }
    assert!(lines > 400 && dropped > 1_000, "{lines} lines, {dropped} dropped: the inputs were hard");
}

#[test]
fn metrics_of_any_failure_are_valid_in_full_shortened_and_as_a_sum() {
    let rules = Rules::read();
    let numbers = &mut Numbers(11);
    let everything =
        "none functionName functionName,kind phase runtime errorType functionVersion".parse().unwrap();
    let (mut error_types, mut storm, mut repeats) =
        (ErrorTypes::default(), Storm::new(1), Repeats::default());
    let mut failures = 0;
    for now_ms in 0..500 {
        let kinds = [Kind::Timeout, Kind::Oom, Kind::Signal, Kind::Panic, Kind::Other("größe".into())];
        let mut record = Record {
            error_message: text(numbers).unwrap_or_default(),
            error_type: text(numbers),
            kind: kinds.get(numbers.below(6)).cloned(),
            phase: [None, Some(Phase::Init), Some(Phase::Invoke)][numbers.below(3)],
            runtime: text(numbers),
            function_name: text(numbers),
            function_version: text(numbers),
            stack_trace: vec![
                StackEntry { source: text(numbers), ..StackEntry::default() };
                numbers.below(90)
            ],
            fingerprint: Some(numbers.below(9).to_string()),
            ..Record::default()
        };
        metrics::add(&mut record, &everything, &mut error_types, now_ms);
        failures += 1;
        let line = render::line(&record, render::CLOUDWATCH_LINE_BYTES_MAX);
        rules.check(&line);
        rules.check(&render::shorten(&line, 64 * 1024));
        storm.calm(&mut record, now_ms);
        let line = render::line(&record, render::CLOUDWATCH_LINE_BYTES_MAX);
        rules.check(&line);
        if let Some(repeat) = read_repeat(&line) {
            repeats.add(repeat, now_ms, ());
        } else {
            failures -= 1;
        }
    }
    let mut sum = 0;
    for (event, counted) in repeats.take() {
        rules.check(&event.message);
        let document: Value = serde_json::from_str(&event.message).unwrap();
        assert_eq!(document["Failures"].as_u64().unwrap(), counted.len() as u64);
        sum += counted.len();
    }
    assert_eq!(sum, failures, "every failure is in a sum");
    let warning = metrics::logs_dropped(text(numbers).as_deref(), 7, "slow", 7);
    if warning.get("_aws").is_some() {
        rules.check(&warning.to_string());
    }
    rules.check(&metrics::logs_dropped(Some(""), 7, "slow", 7).to_string());
}
