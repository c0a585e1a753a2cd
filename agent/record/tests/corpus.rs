//! Recorded failures, read and compared with what the language itself said of them.
//!
//! Each folder of `tests/data` holds the bytes that a real runtime wrote (`input.txt` or `input.json`) and the record that
//! its own frame objects give (`expected.json`, one record or an array).
#![expect(clippy::unwrap_used, reason = "a test that cannot read its data has failed")]

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use trace_record::source::NoSource;
use trace_record::{Completion, Record, complete, normalize, render};

/// What this version reads not yet, named with the members that differ: everything else must be exact.
const NOT_YET: [(&str, &[&str]); 1] = [
    // The members of a group are counted, not read.
    ("python311-group-stderr", &["causes"]),
];

fn samples() -> Vec<(String, PathBuf)> {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    let mut samples: Vec<(String, PathBuf)> = fs::read_dir(data)
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name().into_string().unwrap(), entry.path()))
        .collect();
    samples.sort();
    assert!(samples.len() >= 12, "the data is there");
    samples
}

fn input(folder: &Path) -> String {
    let path = ["input.txt", "input.json"]
        .map(|name| folder.join(name))
        .into_iter()
        .find(|path| path.exists())
        .unwrap();
    String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned()
}

fn completed(input: &str) -> Vec<Record> {
    let with = Completion {
        seen_ms: Some(1_795_419_012_532),
        function_name: Some("checkout".into()),
        origin: "test".into(),
        ..Completion::default()
    };
    let mut records = normalize::text(input);
    records.iter_mut().for_each(|record| complete(record, &with, &mut NoSource));
    records
}

/// The four members that the corpus speaks of.
fn scored(record: &Value, relations: bool) -> Value {
    let causes = record["causes"].as_array().cloned().unwrap_or_default();
    let mut scored = json!({
        "errorType": record["errorType"], "errorMessage": record["errorMessage"], "stackTrace": record["stackTrace"],
        "causes": causes.iter().map(|cause| scored(cause, true)).collect::<Vec<_>>(),
    });
    if relations {
        scored["relation"] = record["relation"].clone();
    }
    scored
}

#[test]
fn recorded_failures_become_what_the_language_says_of_them() {
    for (name, folder) in samples() {
        let expected: Value =
            serde_json::from_slice(&fs::read(folder.join("expected.json")).unwrap()).unwrap();
        let expected = expected.as_array().cloned().unwrap_or_else(|| vec![expected]);
        let records = completed(&input(&folder));
        assert_eq!(records.len(), expected.len(), "{name}");
        let not_yet =
            NOT_YET.iter().find(|(sample, _)| *sample == name).map_or(&[][..], |(_, members)| members);
        for (record, expected) in records.iter().zip(&expected) {
            let record = scored(&serde_json::to_value(record).unwrap(), false);
            let expected = scored(expected, false);
            for member in ["errorType", "errorMessage", "stackTrace", "causes"] {
                let equal = record[member] == expected[member];
                assert_eq!(
                    equal,
                    !not_yet.contains(&member),
                    "{name}: {member}\n{}\n{}",
                    record[member],
                    expected[member]
                );
            }
        }
    }
}

#[test]
fn every_record_is_valid_under_the_published_schema() {
    let schema = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/record.schema.json");
    let schema: Value = serde_json::from_slice(&fs::read(schema).unwrap()).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let mut seen = 0;
    for (name, folder) in samples() {
        for record in completed(&input(&folder)) {
            let line: Value =
                serde_json::from_str(&render::line(&record, render::STDOUT_LINE_BYTES_MAX)).unwrap();
            if let Err(error) = validator.validate(&line) {
                panic!("{name}: {error} at {}\n{line}", error.instance_path());
            }
            seen += 1;
        }
    }
    assert!(seen >= 12);
    // The check can fail.
    assert!(
        !validator.is_valid(&json!({"errorMessage": "x", "stackTrace": [["f", 1, "g"]], "errorType": "E"}))
    );
}
