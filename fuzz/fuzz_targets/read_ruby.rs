//! Hostile bytes for the reader of `ruby`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| trace_agent_fuzz::reader("ruby", bytes));
