//! Damaged files: no panic, no slow lookup, no memory beyond the limits.

mod common;

use common::{Random, header, pack, program};
use std::time::{Duration, Instant};
use trace_packed::{Packed, Scratch};

/// The longest that any lookup may take: the goal is 10 ms, and tests may be built without optimization.
const PATIENCE: Duration = Duration::from_millis(if cfg!(debug_assertions) { 30 } else { 10 });

/// Attempts at a lookup before it counts as slow: the machine may have been busy with something else.
const ATTEMPTS: usize = 8;

/// Asks a file that may be damaged whatever can be asked.
fn ask(bytes: &[u8], addresses: &[u64]) {
    let Ok(packed) = Packed::open(bytes) else { return };
    let _ = packed.check();
    let mut scratch = Scratch::with_blocks(2);
    for &address in addresses {
        let mut elapsed = look_up(&packed, address, &mut scratch);
        for _ in 0..ATTEMPTS {
            if elapsed >= PATIENCE {
                elapsed = look_up(&packed, address, &mut Scratch::with_blocks(2));
            }
        }
        assert!(elapsed < PATIENCE, "lookup of {address:#x} took {elapsed:?}");
    }
}

/// The time of one lookup.
fn look_up(packed: &Packed<'_>, address: u64, scratch: &mut Scratch) -> Duration {
    let start = Instant::now();
    if let Some(frames) = packed.lookup(address, scratch) {
        for frame in frames {
            std::hint::black_box((frame.function.map(str::len), frame.file.map(str::len)));
        }
    }
    start.elapsed()
}

/// Makes the header's checksum fit again.
fn mend(bytes: &mut [u8]) {
    let sections = usize::from(u16::from_le_bytes([bytes[42], bytes[43]]));
    let end = 112 + 32 * sections;
    if let Some(slot) = bytes.get(..end).map(crc32fast::hash).zip(bytes.get_mut(end..end + 4)) {
        slot.1.copy_from_slice(&slot.0.to_le_bytes());
    }
}

fn file() -> (Vec<u8>, Vec<u64>) {
    let ranges = program(99, 1500);
    let addresses = ranges.iter().step_by(40).map(|range| range.0).chain([0, u64::MAX]).collect();
    (pack(&ranges, header(true)), addresses)
}

#[test]
fn changed_bytes() {
    let (good, addresses) = file();
    let random = &mut Random(4711);
    for round in 0..4000 {
        let mut bytes = good.clone();
        for _ in 0..1 + random.below(8) {
            let at = random.below(bytes.len() as u64) as usize;
            bytes[at] = if random.below(4) == 0 { 0xff } else { random.below(256) as u8 };
        }
        if round % 2 == 0 {
            mend(&mut bytes);
        }
        ask(&bytes, &addresses);
    }
}

#[test]
fn every_byte_of_the_header_changed() {
    let (good, addresses) = file();
    for at in 0..112 + 32 * 11 {
        for value in [0, 1, 0x7f, 0xff] {
            let mut bytes = good.clone();
            bytes[at] = value;
            assert!(bytes == good || Packed::open(&bytes).is_err(), "a change at {at} goes unnoticed");
            mend(&mut bytes);
            ask(&bytes, &addresses);
        }
    }
}

#[test]
fn a_change_anywhere_is_noticed_by_check() {
    let (good, _) = file();
    for at in 0..good.len() {
        let mut bytes = good.clone();
        bytes[at] ^= 0x10;
        assert!(
            Packed::open(&bytes).and_then(|packed| packed.check()).is_err(),
            "a change at {at} goes unnoticed"
        );
    }
}

#[test]
fn truncation() {
    let (good, addresses) = file();
    for length in (0..good.len()).step_by(97).chain(0..600) {
        assert!(Packed::open(&good[..length]).is_err());
        let mut bytes = good[..length].to_vec();
        if length > 600 {
            // Pretend that the file was meant to be that long: sections then end too early.
            bytes[32..40].copy_from_slice(&(length as u64).to_le_bytes());
            mend(&mut bytes);
            ask(&bytes, &addresses);
        }
    }
}

/// Sections full of one byte: the extremes of every count and code.
#[test]
fn uniform_sections() {
    let (good, addresses) = file();
    for section in 0..11 {
        let entry = 112 + 32 * section;
        let start = u64::from_le_bytes(good[entry + 8..entry + 16].try_into().unwrap()) as usize;
        let length = u64::from_le_bytes(good[entry + 16..entry + 24].try_into().unwrap()) as usize;
        for value in 0..=255 {
            let mut bytes = good.clone();
            bytes[start..start + length].fill(value);
            ask(&bytes, &addresses);
        }
    }
}

/// An unknown section is skipped, unless it says that it must be known.
#[test]
fn unknown_sections() {
    let (mut bytes, _) = file();
    let sections = usize::from(u16::from_le_bytes([bytes[42], bytes[43]]));
    let end = 112 + 32 * sections;
    let mut entry = [0; 32];
    entry[..4].copy_from_slice(b"XTRA");
    entry[24..28].copy_from_slice(&crc32fast::hash(&[]).to_le_bytes());
    for index in 0..sections {
        let at = 112 + 32 * index + 8;
        let offset = u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap()) + 32;
        bytes[at..at + 8].copy_from_slice(&offset.to_le_bytes());
    }
    bytes.splice(end..end, entry);
    let length = bytes.len() as u64;
    bytes[32..40].copy_from_slice(&length.to_le_bytes());
    bytes[42..44].copy_from_slice(&(sections as u16 + 1).to_le_bytes());
    mend(&mut bytes);
    Packed::open(&bytes).unwrap().check().unwrap();
    bytes[end + 4] = 1;
    mend(&mut bytes);
    assert!(Packed::open(&bytes).is_err());
}
