//! Recorded failures, read and compared with what the language itself said of them.
//!
//! Each folder of `tests/data` holds the bytes that a real runtime wrote (`input.txt` or `input.json`), the record that its own
//! frame objects give (`expected.json`: one record or an array), the same with the text of the source lines
//! (`expected.with-sources.json`) and the sources themselves. `meta.json` says how all that was made, and what cannot be
//! judged: `ambiguous` (the text alone cannot decide), `unscored` (members that the text does not hold), `unordered`.
#![expect(clippy::unwrap_used, reason = "a test that cannot read its data has failed")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use trace_record::source::{NoSource, SourceText};
use trace_record::{Completion, Policy, Record, complete, normalize, render};

/// Samples of which something is not exact, with the members that differ and the reason.
const NOT_EXACT: [(&str, &str, &str); 3] = [
    (
        "cpp-backtrace-symbols-segv",
        "function",
        "its mangled names are the agent's to read: this crate knows no symbols",
    ),
    (
        "rust-release-index-full-stderr",
        "function",
        "one address has two names in the C library; the text prints the other",
    ),
    (
        "node20-winpath-stderr",
        "source",
        "the text prints the line of the throw, as it does for other paths; the expectation leaves it out",
    ),
];

/// The share of frames whose source text must be right where the sources are at hand. Everything else must be exact.
const SOURCE_FLOOR: f64 = 0.99;

/// The smallest number of samples that makes a comparison worth its name.
const SAMPLES_MIN: usize = 300;

struct Sample {
    name: String,
    folder: PathBuf,
    meta: Value,
    input: String,
}

impl Sample {
    fn says(&self, member: &str) -> bool {
        self.meta[member] == true
    }

    /// The record or records that the language itself gives.
    fn expected(&self, file: &str) -> Option<Vec<Value>> {
        let expected: Value = serde_json::from_slice(&fs::read(self.folder.join(file)).ok()?).unwrap();
        Some(expected.as_array().cloned().unwrap_or_else(|| vec![expected]))
    }

    fn records(&self, sources: &mut dyn SourceText) -> Vec<Value> {
        completed(&self.input, sources).iter().map(|record| serde_json::to_value(record).unwrap()).collect()
    }
}

fn samples() -> Vec<Sample> {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    let mut folders: Vec<PathBuf> = fs::read_dir(data).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.sort();
    assert!(folders.len() >= SAMPLES_MIN, "the data is there");
    let sample = |folder: PathBuf| {
        let meta: Value = serde_json::from_slice(&fs::read(folder.join("meta.json")).unwrap()).unwrap();
        let input = fs::read(folder.join(meta["input"].as_str().unwrap())).unwrap();
        Sample {
            name: folder.file_name().unwrap().to_str().unwrap().to_owned(),
            meta,
            input: String::from_utf8_lossy(&input).into_owned(),
            folder,
        }
    };
    folders.into_iter().map(sample).collect()
}

fn completed(input: &str, sources: &mut dyn SourceText) -> Vec<Record> {
    let with = Completion {
        seen_ms: Some(1_795_419_012_532),
        function_name: Some("checkout".into()),
        origin: "test".into(),
        ..Completion::default()
    };
    let mut records: Vec<Record> = normalize::text(input).into_iter().map(|reading| reading.record).collect();
    records.iter_mut().for_each(|record| complete(record, &with, &Policy::default(), sources));
    records
}

/// The lines of the files below a sample's `sources`, whose tree is that of the function's machine.
struct Sources(PathBuf);

impl SourceText for Sources {
    fn line(&mut self, file: &str, line: u32) -> Option<String> {
        let path = self.0.join(file.strip_prefix('/')?);
        let text = fs::read_to_string(path).ok()?;
        text.lines().nth(usize::try_from(line).ok()?.checked_sub(1)?).map(|line| line.trim().to_owned())
    }
}

/// How much of what was expected came out.
#[derive(Default)]
struct Score(BTreeMap<&'static str, (u32, u32)>);

impl Score {
    fn count(&mut self, field: &'static str, is_right: bool) {
        let (right, all) = self.0.entry(field).or_default();
        *right += u32::from(is_right);
        *all += 1;
    }

    fn share(&self, field: &str) -> f64 {
        self.0.get(field).map_or(1.0, |(right, all)| f64::from(*right) / f64::from(*all))
    }
}

/// Compares a failure and, below it, its causes.
fn compare(score: &mut Score, got: &Value, expected: &Value, unscored: &[Value]) {
    for member in ["errorType", "errorMessage", "relation"] {
        if !unscored.iter().any(|unscored| unscored == member) && !expected[member].is_null() {
            score.count(member, got[member] == expected[member]);
        } else if member == "errorType" && expected[member].is_null() && unscored.is_empty() {
            score.count(member, got[member].is_null());
        }
    }
    let length = |value: &Value, member: &str| value[member].as_array().map_or(0, Vec::len);
    for list in ["stackTrace", "causes"] {
        score.count(list, length(got, list) == length(expected, list));
    }
    for index in 0..length(expected, "stackTrace") {
        for (position, field) in ["file", "line", "function", "source"].into_iter().enumerate() {
            let value = |record: &Value| record["stackTrace"][index][position].clone();
            score.count(field, value(got) == value(expected));
        }
    }
    for index in 0..length(expected, "causes") {
        compare(score, &got["causes"][index], &expected["causes"][index], &[]);
    }
}

/// Scores every sample against the expectation in `file`, and prints a line for each runtime and for each sample that is not exact.
fn score(file: &str, sources: fn(&Sample) -> Box<dyn SourceText>) -> Score {
    let mut runtimes: BTreeMap<String, Score> = BTreeMap::new();
    let mut all = Score::default();
    for sample in samples().iter().filter(|sample| !sample.says("ambiguous")) {
        let Some(mut expected) = sample.expected(file) else { continue };
        let mut got = sample.records(&mut *sources(sample));
        if sample.says("unordered") {
            let key = |record: &Value| (record["errorType"].to_string(), record["errorMessage"].to_string());
            expected.sort_by_key(key);
            got.sort_by_key(key);
        }
        let unscored = sample.meta["unscored"].as_array().cloned().unwrap_or_default();
        let runtime = runtimes.entry(sample.meta["runtime"].as_str().unwrap().to_owned()).or_default();
        let mut own = Score::default();
        own.count("records", got.len() == expected.len());
        for (index, expected) in expected.iter().enumerate() {
            compare(&mut own, got.get(index).unwrap_or(&Value::Null), expected, &unscored);
        }
        let wrong: Vec<&str> =
            own.0.iter().filter(|(_, (right, all))| right < all).map(|(field, _)| *field).collect();
        let known = NOT_EXACT.iter().find(|(name, ..)| *name == sample.name);
        if !wrong.is_empty() {
            println!("  not exact: {} {:?}", sample.name, own.0);
        }
        let excused: Vec<&str> =
            known.iter().map(|(_, field, _)| *field).filter(|field| own.0.contains_key(field)).collect();
        assert_eq!(wrong, excused, "{}", sample.name);
        own.count("whole", own.0.values().all(|(right, all)| right == all));
        for total in [runtime, &mut all] {
            for (field, (right, of)) in &own.0 {
                let (sum, count) = total.0.entry(field).or_default();
                *sum += right;
                *count += of;
            }
        }
    }
    for (runtime, score) in &runtimes {
        let fields: Vec<String> =
            score.0.iter().map(|(field, (right, all))| format!("{field} {right}/{all}")).collect();
        println!("{file}: {runtime:<9} {}", fields.join("  "));
    }
    all
}

#[test]
fn recorded_failures_become_what_the_language_says_of_them() {
    let score = score("expected.json", |_| Box::new(NoSource));
    assert!(score.share("whole") > 0.99, "{}", score.share("whole"));
}

#[test]
fn source_text_is_read_where_the_sources_are() {
    let score =
        score("expected.with-sources.json", |sample| Box::new(Sources(sample.folder.join("sources"))));
    assert!(score.share("source") >= SOURCE_FLOOR, "source: {}", score.share("source"));
}

#[test]
fn every_record_is_valid_under_the_published_schema() {
    let schema = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/record.schema.json");
    let schema: Value = serde_json::from_slice(&fs::read(schema).unwrap()).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let mut seen = 0;
    for sample in samples() {
        for record in completed(&sample.input, &mut NoSource) {
            let line: Value =
                serde_json::from_str(&render::line(&record, render::STDOUT_LINE_BYTES_MAX)).unwrap();
            if let Err(error) = validator.validate(&line) {
                panic!("{}: {error} at {}\n{line}", sample.name, error.instance_path());
            }
            seen += 1;
        }
    }
    assert!(seen >= SAMPLES_MIN);
    // The check can fail.
    assert!(
        !validator.is_valid(&json!({"errorMessage": "x", "stackTrace": [["f", 1, "g"]], "errorType": "E"}))
    );
}
