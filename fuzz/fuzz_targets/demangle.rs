//! Mangled names: whatever they are, they become readable in every spelling or stay as they are, soon.
#![no_main]

use libfuzzer_sys::fuzz_target;
use trace_symbolizer::{Dialect, Spelling, demangle_as};

fuzz_target!(|name: &str| {
    for spelling in [Spelling::Plain, Spelling::Short, Spelling::Of(Dialect::Gnu), Spelling::Of(Dialect::Llvm)] {
        let readable = demangle_as(name, spelling);
        assert!(readable.len() <= name.len().max(1 << 17));
        demangle_as(&format!("_Z{name}"), spelling);
    }
});
