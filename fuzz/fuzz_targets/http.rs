//! HTTP messages that the proxy passes on: the same in whatever pieces they come, and passed on as they came.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((length, bytes)) = data.split_first() else { return };
    trace_extension::fuzz_messages(bytes, usize::from(*length));
});
