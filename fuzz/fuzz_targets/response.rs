//! Responses that may hold a failure.
#![no_main]

use libfuzzer_sys::fuzz_target;
use trace_agent_fuzz::check;
use trace_record::response;

fuzz_target!(|bytes: &[u8]| {
    response::batch(bytes).into_iter().chain(response::durable(bytes)).for_each(check);
});
