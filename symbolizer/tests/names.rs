//! Readable names against those that the tools print: recorded from `c++filt` of the binutils and `llvm-cxxfilt`.

use trace_symbolizer::{Dialect, Spelling, demangle_as};

const NAMES: &str = include_str!("data/names.tsv");

/// Mangled, as the binutils print it, as LLVM prints it.
fn recorded() -> impl Iterator<Item = [&'static str; 3]> {
    let lines = NAMES.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| {
        let mut parts = line.split('\t');
        Some([parts.next()?, parts.next()?, parts.next()?])
    })
}

#[test]
fn a_name_is_what_its_tool_prints() {
    let mut compared = 0;
    for [name, gnu, llvm] in recorded() {
        for (expected, dialect) in [(gnu, Dialect::Gnu), (llvm, Dialect::Llvm)] {
            assert_eq!(demangle_as(name, Spelling::Of(dialect)), expected, "{name}, {dialect:?}");
            compared += 1;
        }
    }
    assert!(compared > 500, "{compared}");
}
