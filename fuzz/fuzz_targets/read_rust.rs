//! Hostile bytes for the reader of `rust`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| trace_agent_fuzz::reader("rust", bytes));
