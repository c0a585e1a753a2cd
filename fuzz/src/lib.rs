//! What every fuzz target of the readers checks.

use trace_record::source::NoSource;
use trace_record::{Completion, Policy, Record, complete, normalize, render};

/// The longest line that a record may become, in bytes.
const LINE_BYTES_MAX: usize = 64 * 1024;

/// Shows hostile bytes to one reader, alone and behind the detector.
pub fn reader(name: &str, bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    assert!(normalize::readers().any(|reader| reader == name), "there is such a reader");
    normalize::read_as(name, &text).into_iter().for_each(check);
    normalize::text(&text).into_iter().for_each(|reading| check(reading.record));
}

/// Completes and renders a record: its line must be JSON within the bound.
pub fn check(mut record: Record) {
    let with = Completion { seen_ms: Some(0), function_name: Some("f".to_owned()), ..Completion::default() };
    complete(&mut record, &with, &Policy::default(), &mut NoSource);
    let line = render::line(&record, LINE_BYTES_MAX);
    assert!(line.len() <= LINE_BYTES_MAX);
    serde_json::from_str::<Record>(&line).expect("a rendered record can be read");
}
