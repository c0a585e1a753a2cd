//! Hostile bytes for the reader of events.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Some(trigger) = trace_record::trigger::of(bytes, 0) {
        // Ids and names only, each bounded.
        assert!(serde_json::to_string(&trigger).expect("a map of JSON values").len() <= 32 * 1024);
    }
});
