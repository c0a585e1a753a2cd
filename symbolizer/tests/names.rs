//! Readable names against those that the tools print: recorded from `c++filt` of the binutils and `llvm-cxxfilt`.

use std::time::{Duration, Instant};

use trace_symbolizer::{Dialect, Spelling, demangle_as};

const NAMES: &str = include_str!("data/names.tsv");

/// The names that may stay mangled in each spelling: of the recorded ones, which were chosen to be rare.
const MANGLED_MAX: usize = 12;

/// Mangled, as the binutils print it, as LLVM prints it.
fn recorded() -> impl Iterator<Item = [&'static str; 3]> {
    let lines = NAMES.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| {
        let mut parts = line.split('\t');
        Some([parts.next()?, parts.next()?, parts.next()?])
    })
}

#[test]
fn a_name_is_what_its_tool_prints_or_stays_mangled() {
    let mut compared = 0;
    let mut mangled = [0, 0];
    for [name, gnu, llvm] in recorded() {
        for (index, (expected, dialect)) in
            [(gnu, Dialect::Gnu), (llvm, Dialect::Llvm)].into_iter().enumerate()
        {
            let readable = demangle_as(name, Spelling::Of(dialect));
            if readable == name {
                mangled[index] += usize::from(expected != name);
            } else {
                assert_eq!(readable, expected, "{name}, {dialect:?}");
            }
            compared += 1;
        }
    }
    assert!(compared > 500, "{compared}");
    assert!(mangled.iter().all(|mangled| *mangled <= MANGLED_MAX), "{mangled:?} stayed mangled");
}

/// Numbers that look random and are the same on every run (Knuth's MMIX generator).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % limit
    }
}

#[test]
fn a_damaged_name_costs_its_readable_form_and_nothing_else() {
    let alphabet: Vec<u8> = NAMES.bytes().filter(u8::is_ascii_alphanumeric).take(2_000).collect();
    let mut numbers = Numbers(1);
    let started = Instant::now();
    let mut tried = 0_u32;
    for [name, ..] in recorded() {
        for _ in 0..200 {
            let mut damaged = name.as_bytes().to_vec();
            for _ in 0..=numbers.below(4) {
                let place = numbers.below(damaged.len());
                match numbers.below(3) {
                    0 => damaged.truncate(place + 1),
                    1 => damaged[place] = alphabet[numbers.below(alphabet.len())],
                    _ => damaged.insert(place, alphabet[numbers.below(alphabet.len())]),
                }
            }
            let damaged = String::from_utf8_lossy(&damaged);
            for dialect in [Dialect::Gnu, Dialect::Llvm] {
                demangle_as(&damaged, Spelling::Of(dialect));
            }
            tried += 1;
        }
    }
    // No single one hangs: all of them together take some seconds.
    assert!(started.elapsed() < Duration::from_millis(10) * tried, "{:?}", started.elapsed());
}
