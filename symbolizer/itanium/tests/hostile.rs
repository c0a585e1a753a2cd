//! No name makes the demangler panic, or takes it long.

use std::time::{Duration, Instant};
use trace_itanium::{Demangler, Dialect, Form, NAME_BYTES_MAX, demangle};

/// For one name, in an unoptimized build on a machine that is busy: each takes a few milliseconds, or would take for ever.
const TIME_MAX: Duration = Duration::from_secs(1);

/// A generator of numbers that is the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        // Xorshift.
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end.max(1) as u64) as usize
    }
}

fn names() -> Vec<&'static str> {
    include_str!("names.txt")
        .split("\n\n")
        .filter_map(|record| record.trim_matches('\n').lines().next())
        .collect()
}

fn try_all(demangler: &mut Demangler, mangled: &str, out: &mut String) -> Duration {
    let mut longest = Duration::ZERO;
    for dialect in [Dialect::Gnu, Dialect::Llvm] {
        for form in [Form::Full, Form::Short] {
            let start = Instant::now();
            let found = demangler.demangle_into(mangled, dialect, form, out);
            longest = longest.max(start.elapsed());
            assert_eq!(found, !out.is_empty(), "{mangled}");
            assert!(out.len() <= NAME_BYTES_MAX);
        }
    }
    longest
}

fn try_name(demangler: &mut Demangler, mangled: &str, out: &mut String) {
    let longest = try_all(demangler, mangled, out);
    assert!(longest < TIME_MAX, "{longest:?}: {}", mangled.get(..200).unwrap_or(mangled));
}

#[test]
fn mutations_neither_panic_nor_take_long() {
    const PIECES: [&str; 24] = [
        "S_",
        "T_",
        "I",
        "E",
        "J",
        "Dp",
        "N",
        "Z",
        "K",
        "R",
        "O",
        "F",
        "A_",
        "M",
        "X",
        "L",
        "cl",
        "sr",
        "Ul",
        "9999999999",
        "é",
        "_",
        "TL0__",
        "DO",
    ];
    let names = names();
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    let mut demangler = Demangler::new();
    let mut out = String::new();
    for _ in 0..30_000 {
        let mut name = names[numbers.below(names.len())].to_owned();
        for _ in 0..=numbers.below(3) {
            let at =
                (0..=numbers.below(name.len() + 1)).rev().find(|at| name.is_char_boundary(*at)).unwrap_or(0);
            match numbers.below(4) {
                0 => name.truncate(at),
                1 => name.insert_str(at, PIECES[numbers.below(PIECES.len())]),
                2 => {
                    let other = names[numbers.below(names.len())];
                    let from = numbers.below(other.len());
                    name.insert_str(at, other.get(from..).unwrap_or_default());
                }
                _ if at < name.len() => {
                    name.remove(at);
                }
                _ => {}
            }
        }
        try_name(&mut demangler, &name, &mut out);
    }
}

#[test]
fn all_truncations_are_tried() {
    let mut demangler = Demangler::new();
    let mut out = String::new();
    for name in names() {
        for end in 0..name.len() {
            if let Some(cut) = name.get(..end) {
                try_name(&mut demangler, cut, &mut out);
            }
        }
    }
}

#[test]
fn names_that_explode_or_are_too_deep_or_long_stay_mangled() {
    // Each parameter's type holds the one before twice: f(A<int, int>, A<A<int, int>, A<int, int>>, ...).
    let doubling = |levels: usize| {
        let numbers = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ".chars().take(levels);
        numbers.fold("_Z1f1AIiiE".to_owned(), |name, number| name + &format!("S_IS{number}_S{number}_E"))
    };
    assert!(demangle(&doubling(3), Dialect::Gnu, Form::Full).is_some());
    // Each level is twice an empty pack, so nothing is written that would end it.
    let empty = {
        let numbers = "123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ".chars();
        numbers.fold("_Z1fIJEEv1AIDpT_E".to_owned(), |name, number| name + &format!("S0_IDpS{number}_Dp1BE"))
    };
    let nested = |open: &str, close: &str, levels: usize| {
        format!("_Z1f{}i{}", open.repeat(levels), close.repeat(levels))
    };
    let mut demangler = Demangler::new();
    let mut out = String::new();
    for name in [
        doubling(30),
        empty,
        nested("P", "", 50_000),
        nested("1AI", "E", 16_000),
        nested("F", "vE", 20_000),
        nested("N1AI", "EE", 10_000),
        nested("M1A", "", 20_000),
        nested("K", "", 60_000),
        nested("Dp", "", 30_000),
        format!("_Z1fI{}Evv", "J".repeat(50_000)),
        format!("_Z1fIX{}EEvv", "nt".repeat(30_000)),
        format!("_Z1fIX{}EEvv", "nx".repeat(30_000)),
        format!("_Z{}1fv", "Z".repeat(60_000)),
        format!("_Z1f{}", "P".repeat(399) + &"S0_".repeat(20_000)),
        format!("_Z{}{}v", 70_000, "a".repeat(70_000)),
        format!("_Z1f{}", "A_".repeat(30_000)),
        format!("_Z1fIiEvDT{}", "sr1A".repeat(15_000)),
        format!("_Z1fUlT_E{}", "Ul".repeat(20_000)),
        // Arguments that are read twice, in each other.
        format!("_ZN1Acv{}i{}", "T_I".repeat(200), "E".repeat(203)),
        format!("_ZN1Acv{}i{}", "T_I".repeat(12_000), "E".repeat(12_003)),
        // Two meanings, of which none fits.
        format!("_Z1fI{}Evv", "Xsr1A1BE".repeat(7_000)),
    ] {
        try_name(&mut demangler, &name, &mut out);
    }
    assert_eq!(demangle(&doubling(30), Dialect::Llvm, Form::Full), None);
    assert_eq!(demangle(&nested("P", "", 50_000), Dialect::Gnu, Form::Full), None);
}
