//! Everything that a runtime may write: bodies, logs, batches of telemetry.
#![no_main]

use libfuzzer_sys::fuzz_target;
use trace_record::normalize;

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    normalize::text(&text).into_iter().for_each(|reading| trace_agent_fuzz::check(reading.record));
    trace_agent_fuzz::check(normalize::posted(bytes));
});
