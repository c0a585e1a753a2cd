//! Datagrams of the capture hook. What decodes must decode again from what it is encoded to.
#![no_main]

use libfuzzer_sys::fuzz_target;
use trace_capture::wire::{self, DATAGRAM_BYTES_MAX};

fuzz_target!(|bytes: &[u8]| {
    let _ = wire::split_record(bytes);
    if let Ok(report) = wire::decode(bytes) {
        let mut buffer = [0; DATAGRAM_BYTES_MAX];
        assert!(wire::decode(wire::encode(&report, &mut buffer)).is_ok());
    }
});
