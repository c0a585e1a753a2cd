//! Everything that a runtime may write: bodies, logs, batches of telemetry. A record that comes out is completed and rendered,
//! and its line must be JSON within the bound.
#![no_main]

use libfuzzer_sys::fuzz_target;
use trace_record::source::NoSource;
use trace_record::{Completion, Record, complete, normalize, render};

fuzz_target!(|bytes: &[u8]| {
    let mut records: Vec<Record> = normalize::text(&String::from_utf8_lossy(bytes));
    records.push(normalize::posted(bytes));
    for mut record in records {
        let with = Completion { seen_ms: Some(0), function_name: Some("f".to_owned()), ..Completion::default() };
        complete(&mut record, &with, &mut NoSource);
        let line = render::line(&record, 64 * 1024);
        assert!(line.len() <= 64 * 1024);
        serde_json::from_str::<Record>(&line).expect("a rendered record can be read");
    }
});
