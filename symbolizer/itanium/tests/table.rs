//! Names with what the tools printed for them: `c++filt -i` of the binutils 2.40 and `llvm-cxxfilt` 19.

use trace_itanium::{Demangler, Dialect, Form, demangle};

/// In `names.txt`: a mangled name, what each tool prints (`-` where it gives the name back), and an empty line.
fn recorded() -> impl Iterator<Item = (&'static str, [(Dialect, Option<&'static str>); 2])> {
    include_str!("names.txt").split("\n\n").map(|record| {
        let mut lines = record.trim_matches('\n').lines();
        let mangled = lines.next().expect("a mangled name");
        let mut printed = || lines.next().filter(|line| *line != "-");
        let (gnu, llvm) = (printed(), printed());
        (mangled, [(Dialect::Gnu, gnu), (Dialect::Llvm, llvm)])
    })
}

#[test]
fn names_are_what_the_tools_print() {
    let mut count = 0;
    for (mangled, expected) in recorded() {
        for (dialect, readable) in expected {
            let found = demangle(mangled, dialect, Form::Full);
            assert_eq!(found.as_deref(), readable, "{mangled} in {dialect:?}");
        }
        count += 1;
    }
    assert!(count > 150, "only {count} names");
}

#[test]
fn memory_that_is_used_again_changes_nothing() {
    let mut demangler = Demangler::new();
    let mut out = String::from("left over");
    for (mangled, expected) in recorded() {
        for (dialect, readable) in expected {
            let found = demangler.demangle_into(mangled, dialect, Form::Full, &mut out);
            assert_eq!(found.then_some(out.as_str()), readable);
            assert!(found || out.is_empty());
        }
    }
}

#[test]
fn short_names_are_the_path_alone() {
    for (mangled, gnu, llvm) in [
        ("_ZNSt6vectorIiSaIiEE9push_backEOi", "std::vector::push_back", "std::vector::push_back"),
        ("_Z3maxIiET_S0_S0_", "max", "max"),
        ("_ZZN1A1fEiENKUlvE_clEv", "A::f::{lambda#1}::operator()", "A::f::'lambda'::operator()"),
        ("_ZN1AIiEC2Ev", "A::A", "A::A"),
        ("_ZN1AIiED2Ev", "A::~A", "A::~A"),
        ("_ZNSsC1Ev", "std::basic_string::basic_string", "std::basic_string::basic_string"),
        ("_ZN1Acv1BIiEEv", "A::operator B", "A::operator B"),
        ("_ZTV1AIiE", "vtable for A", "vtable for A"),
        ("_Z1fIiEPFvT_EPKc.cold", "f", "f"),
        ("_ZNK1A1fEv", "A::f", "A::f"),
    ] {
        assert_eq!(demangle(mangled, Dialect::Gnu, Form::Short).as_deref(), Some(gnu), "{mangled}");
        assert_eq!(demangle(mangled, Dialect::Llvm, Form::Short).as_deref(), Some(llvm), "{mangled}");
    }
}
