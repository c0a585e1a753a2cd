//! ELF files and their DWARF: whatever they hold, an answer comes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use trace_symbolizer::{Keep, Module, ModuleAddress, Search};

fuzz_target!(|bytes: &[u8]| {
    let Ok(file) = tempfile::NamedTempFile::new() else { return };
    if std::fs::write(file.path(), bytes).is_err() {
        return;
    }
    if let Ok(module) = Module::open(file.path(), &Search::default()) {
        for address in [0, 0x1000, 0x1139, 0x40_1136, u64::MAX] {
            let answer = module.symbolize(ModuleAddress(address));
            assert_eq!(answer.missing.is_some(), answer.frames.is_empty());
        }
        // Every address at which an answer can change.
        let _: Result<_, _> = module.pack(Keep::default(), &mut |_, _| {});
    }
});
