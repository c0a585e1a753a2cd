//! Packed symbol files: whatever their bytes are, a lookup ends, and says nothing that it did not find.
#![no_main]

use libfuzzer_sys::fuzz_target;
use trace_packed::{Packed, Scratch};

fuzz_target!(|bytes: &[u8]| {
    let Ok(packed) = Packed::open(bytes) else { return };
    let mut scratch = Scratch::default();
    let (low, high) = packed.bounds();
    for address in [0, low, low / 2 + high / 2, high.saturating_sub(1), u64::MAX] {
        if let Some(frames) = packed.lookup(address, &mut scratch) {
            assert!(frames.count() <= 256);
        }
    }
    let _: Result<(), _> = packed.check();
});
