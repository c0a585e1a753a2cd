//! Damaged tables: whatever bytes change or are missing, there is no panic and no long lookup.

#![expect(clippy::unwrap_used, reason = "in a test, what cannot be unwrapped is a failure")]

mod common;
#[path = "common/go.rs"]
mod go;

use std::time::{Duration, Instant};

use common::Program;
use go::Workshop;

/// Nothing hangs: a lookup may take no longer than this, on a machine however busy. It takes some milliseconds.
const LIMIT: Duration = Duration::from_secs(1);

/// Damages what is read of the table by its address: the trees of inlined calls.
fn damage_memory(program: &mut Program, mut damage: impl FnMut(&mut [u8])) {
    let (start, length) = (program.table.0, program.table.1.len());
    for (base, bytes) in &mut program.segments {
        let offset = start.checked_sub(*base).and_then(|offset| usize::try_from(offset).ok());
        let Some(offset) = offset else { continue };
        if let Some(part) = bytes.get_mut(offset..offset + length) {
            damage(part);
        }
    }
}

struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % limit
    }
}

/// Opens a table and looks up some addresses; gives the time of the slowest lookup.
fn exercise(program: &Program, starts: &[u64], random: &mut Random) -> Duration {
    let opening = Instant::now();
    let table = program.table();
    assert!(opening.elapsed() < 10 * LIMIT, "opening took {:?}", opening.elapsed());
    let Some(table) = table else { return Duration::ZERO };
    let mut slowest = Duration::ZERO;
    for _ in 0..40 {
        let address = starts[random.below(starts.len())] + random.below(200) as u64;
        // The best of three measurements is not one of the scheduler.
        let time = |_| {
            let before = Instant::now();
            let _ = table.frames(address);
            before.elapsed()
        };
        slowest = slowest.max([0, 1, 2].map(time).into_iter().min().unwrap());
    }
    let _ = table.functions().take(50).count();
    slowest
}

#[test]
fn damage_is_survived() {
    for machine in ["amd64", "386", "s390x"] {
        damage(machine);
    }
}

fn damage(machine: &str) {
    let workshop = Workshop::new(&format!("damaged-{machine}"));
    let Some(path) = workshop.build("program", &[], &[("GOARCH", machine)]) else { return };
    let whole = Program::open(&path);
    let starts: Vec<u64> = whole.table().unwrap().functions().map(|function| function.start).collect();
    let mut random = Random(7);
    let mut slowest = Duration::ZERO;
    for round in 0..800 {
        let mut program = Program::open(&path);
        let length = program.table.1.len();
        match round % 5 {
            // The head, and the function table and records, whose offset is the head's last word.
            0 => program.table.1[random.below(72)] = random.below(256) as u8,
            1 => program.table.1.truncate(random.below(length)),
            2 => damage_memory(&mut program, |bytes| {
                let place = random.below(bytes.len());
                bytes[place] = random.below(256) as u8;
            }),
            _ => {
                for _ in 0..1 << random.below(16) {
                    program.table.1[random.below(length)] = random.below(256) as u8;
                }
            }
        }
        slowest = slowest.max(exercise(&program, &starts, &mut random));
    }
    println!("{machine}: slowest lookup: {slowest:?}");
    assert!(slowest < LIMIT, "a lookup took {slowest:?}");
}

/// Tables made to take long: everything is the same step, name or tree entry.
#[test]
fn monotonous_tables_are_quick() {
    let workshop = Workshop::new("monotonous");
    let Some(path) = workshop.build("program", &[], &[]) else { return };
    let whole = Program::open(&path);
    let starts: Vec<u64> = whole.table().unwrap().functions().map(|function| function.start).collect();
    let mut random = Random(9);
    let mut slowest = Duration::ZERO;
    for byte in [0, 1, 2, 3, 0x41, 0x7f, 0x80, 0xff] {
        for part in 0..6 {
            let mut program = Program::open(&path);
            let length = program.table.1.len();
            let (start, end) = (72 + part * (length - 72) / 6, 72 + (part + 1) * (length - 72) / 6);
            program.table.1[start..end].fill(byte);
            damage_memory(&mut program, |bytes| bytes.copy_from_slice(&vec![byte; bytes.len()]));
            slowest = slowest.max(exercise(&program, &starts, &mut random));
        }
    }
    // One step program without an end for all functions, of steps that cover nothing.
    let mut program = Program::open(&path);
    let length = program.table.1.len();
    program.table.1.resize(length + (8 << 20), 0);
    program.table.1[length..].fill_with({
        let mut index = 0;
        move || {
            index += 1;
            [2, 0][index % 2]
        }
    });
    let word = program.table.1[56..64].to_vec();
    assert_ne!(word, [0; 8]);
    program.table.1[56..64].copy_from_slice(&(length as u64).to_le_bytes());
    slowest = slowest.max(exercise(&program, &starts, &mut random));
    println!("slowest lookup: {slowest:?}");
    assert!(slowest < LIMIT, "a lookup took {slowest:?}");
}
