//! A corpus of programs, built here from sources under many compilers and flags, and each of them compared with the tool
//! that is right about it: every function, file, line and inline chain at hundreds of addresses.
//!
//! Which tool is right about a case, and why the others are not, is told in docs/symbolizers.md; no tool is right about
//! all. A difference that is not one of the classes in [`compare`] is a failure. What is missing on a machine is skipped
//! by name and counted; `TRACE_AGENT_TESTS=all` turns a skip into a failure.

#![expect(clippy::unwrap_used, reason = "in a test, what cannot be unwrapped is a failure")]

#[path = "corpus/cases.rs"]
mod cases;
#[path = "corpus/build.rs"]
mod build;
#[path = "corpus/compare.rs"]
mod compare;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use trace_symbolizer::{Module, ModuleAddress, Search};

use build::Workshop;
use cases::{Case, Judge, cases};
use compare::{Answers, addresses, ours, theirs};

/// Addresses asked of each program.
const ADDRESSES: usize = 400;

#[test]
fn every_program_is_answered_as_the_tool_that_is_right_about_it_answers() {
    let workshop = Workshop::new();
    let cases = cases();
    assert!(cases.len() >= 60, "{}", cases.len());
    let mut programs: BTreeMap<&str, PathBuf> = BTreeMap::new();
    let mut judged: BTreeMap<&str, Answers> = BTreeMap::new();
    let (mut skipped, mut failures, mut compared) = (Vec::new(), Vec::new(), 0);
    for case in &cases {
        let program = match workshop.program(case) {
            Ok(program) => program,
            Err(reason) => {
                skipped.push(format!("{}: {reason}", case.name));
                continue;
            }
        };
        programs.insert(case.name, program.clone());
        let (tool, original) = original(case, &cases);
        let Some(original) = programs.get(original) else {
            skipped.push(format!("{}: what it is made of was not built", case.name));
            continue;
        };
        let expected = match judged.get(original.to_str().unwrap()) {
            Some(known) => known.clone(),
            None => match theirs(tool, original, &addresses(original, ADDRESSES)) {
                Ok(answers) => answers,
                Err(reason) => {
                    skipped.push(format!("{}: {reason}", case.name));
                    continue;
                }
            },
        };
        let found = ours(&program, expected.keys());
        let differences = compare::differences(original, &expected, &found);
        compared += expected.len();
        println!("{:24} {:4} addresses, {} differences", case.name, expected.len(), differences.len());
        failures
            .extend(differences.into_iter().take(3).map(|difference| format!("{}: {difference}", case.name)));
        judged.insert(case.name, expected);
    }
    println!("{} programs, {compared} addresses, {} skipped", programs.len(), skipped.len());
    skipped.iter().for_each(|skip| println!("skipped {skip}"));
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    let all = std::env::var_os("TRACE_AGENT_TESTS").is_some_and(|value| value == "all");
    assert!(!all || skipped.is_empty(), "skipped: {}", skipped.join("\n"));
}

/// Copies of each program with some bytes changed, or cut off.
const DAMAGED_COPIES: usize = 8;

/// No answer takes longer, on a machine however busy; it takes some milliseconds.
const HANG: Duration = Duration::from_secs(10);

#[test]
fn a_damaged_program_costs_names_and_nothing_else() {
    let workshop = Workshop::new();
    let mut state = 7_u64;
    let mut below = |limit: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % limit
    };
    let (mut opened, mut tried) = (0, 0);
    for case in cases() {
        let Ok(program) = workshop.program(&case) else { continue };
        let sound = std::fs::read(&program).unwrap();
        let asked: Vec<ModuleAddress> = addresses(&program, 100).into_iter().map(ModuleAddress).collect();
        // Beside the program, where its debug files are.
        let damaged = program.with_file_name("damaged");
        for copy in 0..DAMAGED_COPIES {
            let mut bytes = sound.clone();
            if copy == 0 {
                bytes.truncate(below(sound.len()));
            }
            for _ in 0..1 << below(7) {
                // The front half has the headers and the code, the back half the debug information.
                let place = if below(8) == 0 { below(bytes.len().min(64)) } else { below(bytes.len()) };
                bytes[place] = [0, 0xff, 0x80, below(256) as u8][below(4)];
            }
            std::fs::write(&damaged, &bytes).unwrap();
            tried += 1;
            let started = Instant::now();
            if let Ok(module) = Module::open(&damaged, &Search::default()) {
                let answers = module.symbolize_all(&asked);
                for index in 0..answers.len() {
                    assert_eq!(answers.missing(index).is_some(), answers.frames(index).next().is_none());
                }
                opened += 1;
            }
            assert!(started.elapsed() < HANG, "{}: {:?}", case.name, started.elapsed());
        }
        std::fs::remove_file(&damaged).unwrap();
    }
    assert!(opened * 2 > tried, "only {opened} of {tried} were opened, so the test tests little");
}

/// Prints the table of docs/symbolizers.md: the share of addresses at which each tool differs from the one that is right.
#[test]
#[ignore = "makes a table, tests nothing: cargo test -p trace-symbolizer --test corpus -- --ignored --nocapture"]
fn table() {
    let workshop = Workshop::new();
    let cases = cases();
    println!("| program | right | GNU | LLVM | elfutils | trace-agent |\n|---|---|---|---|---|---|");
    for case in &cases {
        let Ok(program) = workshop.program(case) else { continue };
        let (judge, original) = original(case, &cases);
        let made_of = cases.iter().find(|other| other.name == original).unwrap();
        let Ok(original) = workshop.program(made_of) else { continue };
        let asked = addresses(&original, ADDRESSES);
        let Ok(expected) = theirs(judge, &original, &asked) else { continue };
        let share = |found: &Answers| {
            let differences = compare::differences(&original, &expected, found).len();
            format!("{:.1}", 100.0 * differences as f64 / expected.len().max(1) as f64)
        };
        let of = |tool| theirs(tool, &program, &asked).map_or_else(|_| "-".to_owned(), |found| share(&found));
        let right = match case.judge {
            Judge::As(name) => format!("{judge:?}, of {name}"),
            judge => format!("{judge:?}"),
        };
        let (gnu, llvm, elfutils) = (of(Judge::Gnu), of(Judge::Llvm), of(Judge::Elfutils));
        println!(
            "| {} | {right} | {gnu} | {llvm} | {elfutils} | {} |",
            case.name,
            share(&ours(&program, expected.keys()))
        );
    }
}

/// The tool that is right about a case, and the case that it is asked about.
fn original<'a>(case: &'a Case, cases: &'a [Case]) -> (Judge, &'a str) {
    match case.judge {
        Judge::As(name) => {
            let original = cases.iter().find(|other| other.name == name).unwrap();
            self::original(original, cases)
        }
        judge => (judge, case.name),
    }
}
