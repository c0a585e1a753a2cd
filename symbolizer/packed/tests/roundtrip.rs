//! What was put in comes out.

#![expect(clippy::unwrap_used, reason = "in a test, what cannot be unwrapped is a failure")]

mod common;

use common::{OwnedFrame, Range, header, pack, program};
use trace_packed::{Frame, Header, NameSource, Packed, Packer, Scratch};

/// The frames that are expected: what the packer was not asked to keep is gone.
fn expected(chain: &[OwnedFrame], everything: bool) -> Vec<OwnedFrame> {
    let mut chain = chain.to_vec();
    if !everything {
        for frame in &mut chain {
            frame.linkage_name = None;
            frame.column = 0;
        }
    }
    chain
}

fn owned(frame: Frame<'_>) -> OwnedFrame {
    OwnedFrame {
        function: frame.function.map(Into::into),
        linkage_name: frame.linkage_name.map(Into::into),
        file: frame.file.map(Into::into),
        line: frame.line,
        column: frame.column,
        source: frame.source,
    }
}

fn found(packed: &Packed<'_>, address: u64, scratch: &mut Scratch) -> Vec<OwnedFrame> {
    packed.lookup(address, scratch).map(|frames| frames.map(owned).collect()).unwrap_or_default()
}

fn verify(ranges: &[Range], bytes: &[u8], everything: bool) {
    let packed = Packed::open(bytes).unwrap();
    packed.check().unwrap();
    for blocks in [1, 1000] {
        let mut scratch = Scratch::with_blocks(blocks);
        for (start, end, chain) in ranges {
            let expected = expected(chain, everything);
            for address in [*start, (start + end) / 2, end - 1] {
                assert!(found(&packed, address, &mut scratch) == expected, "at {address:#x}");
            }
        }
        let (low, high) = packed.bounds();
        assert!(found(&packed, low.wrapping_sub(1), &mut scratch).is_empty());
        assert!(found(&packed, high, &mut scratch).is_empty());
        assert!(found(&packed, u64::MAX, &mut scratch).is_empty());
    }
}

#[test]
fn random_programs_come_back() {
    for seed in 1..60 {
        let ranges = program(seed * 7919, 20 + seed as usize * 40);
        for everything in [false, true] {
            verify(&ranges, &pack(&ranges, header(everything)), everything);
        }
    }
}

#[test]
fn equal_input_gives_equal_bytes() {
    let ranges = program(77, 2000);
    assert_eq!(pack(&ranges, header(true)), pack(&ranges, header(true)));
}

#[test]
fn the_header_comes_back() {
    let bytes = pack(&program(5, 50), header(true));
    let packed = Packed::open(&bytes).unwrap();
    assert_eq!(packed.build_id(), header(true).build_id);
    assert_eq!(packed.architecture(), 62);
    assert!(packed.complete_inlines() && packed.has_columns() && packed.has_linkage_names());
    assert_eq!(packed.text().collect::<Vec<_>>(), header(true).text);
}

#[test]
fn an_empty_file_knows_nothing() {
    let bytes = Packer::new(Header::default()).finish();
    let packed = Packed::open(&bytes).unwrap();
    let mut scratch = Scratch::default();
    assert!(packed.lookup(0, &mut scratch).is_none());
    packed.for_each(&mut scratch, |_, _, _| panic!("there is no range"));
}

#[test]
fn the_first_of_overlapping_ranges_wins_and_equal_neighbours_merge() {
    let mut packer = Packer::new(Header::default());
    let names = ["a", "b"].map(|name| Frame { function: Some(name), line: 1, ..Frame::default() });
    let [a, b] = names.map(|frame| packer.intern(&frame, None));
    packer.range(10, 20, a);
    packer.range(20, 30, a);
    packer.range(15, 40, b);
    packer.range(5, 40, b);
    packer.range(50, 50, b);
    assert_eq!(packer.range_count(), 2);
    let bytes = packer.finish();
    let packed = Packed::open(&bytes).unwrap();
    let mut list = Vec::new();
    packed.for_each(&mut Scratch::default(), |start, end, frames| {
        list.push((start, end, frames.and_then(|mut frames| frames.next()?.function.map(str::to_owned))));
    });
    assert_eq!(list, [(10, 30, Some("a".to_owned())), (30, 40, Some("b".to_owned()))]);
}

#[test]
fn iterating_gives_all_ranges() {
    let ranges = program(123, 3000);
    let bytes = pack(&ranges, header(true));
    let packed = Packed::open(&bytes).unwrap();
    let mut merged: Vec<Range> = Vec::new();
    for (start, end, chain) in ranges {
        match merged.last_mut() {
            Some(last) if last.2 == chain => last.1 = end,
            None if chain.is_empty() => {}
            _ => merged.push((start, end, chain)),
        }
    }
    if merged.last().is_some_and(|last| last.2.is_empty()) {
        merged.pop();
    }
    let mut list = Vec::new();
    packed.for_each(&mut Scratch::default(), |start, end, frames| {
        list.push((start, end, frames.map(|frames| frames.map(owned).collect()).unwrap_or_default()));
    });
    assert!(list == merged);
}

#[test]
fn one_scratch_serves_several_files() {
    let programs = [program(1, 300), program(2, 300)];
    let files: Vec<Vec<u8>> = programs.iter().map(|ranges| pack(ranges, header(true))).collect();
    let mut scratch = Scratch::with_blocks(2);
    for round in 0..20 {
        let ranges = &programs[round % 2];
        let packed = Packed::open(&files[round % 2]).unwrap();
        let (start, _, chain) = &ranges[round * 10];
        assert_eq!(&found(&packed, *start, &mut scratch), chain);
    }
}

#[test]
fn limits_cut_what_is_too_deep_or_too_long() {
    let mut packer = Packer::new(Header::default());
    let long = "é".repeat(trace_packed::MAX_STRING);
    let frame = Frame { function: Some(&long), source: NameSource::Symtab, ..Frame::default() };
    let mut node = None;
    for line in 0..1000 {
        node = Some(packer.intern(&Frame { line, ..frame }, node));
    }
    packer.range(u64::MAX - 16, u64::MAX, node.unwrap());
    let bytes = packer.finish();
    let packed = Packed::open(&bytes).unwrap();
    let mut scratch = Scratch::default();
    let frames: Vec<Frame<'_>> = packed.lookup(u64::MAX - 1, &mut scratch).unwrap().collect();
    assert_eq!(frames.len(), usize::from(trace_packed::MAX_DEPTH));
    assert!(frames.iter().all(|frame| frame.function.unwrap().len() == trace_packed::MAX_STRING));
}

/// Names that share ever longer beginnings and ends make rules that nest as deeply as rules can.
#[test]
fn deeply_nested_rules_can_be_expanded() {
    let words: Vec<String> = (0..300).map(|number| format!("w{number}_")).collect();
    let mut names = Vec::new();
    for length in 1..words.len() {
        for copy in 0..4 {
            names.push(format!("{}{copy}x{length}", words[..length].concat()));
            names.push(format!("{copy}y{length}+{}", words[length..].concat()));
            names.push("ab::".repeat(length));
        }
    }
    let mut packer = Packer::new(Header::default());
    for (address, name) in (0..).zip(&names) {
        let node = packer.intern(&Frame { function: Some(name), ..Frame::default() }, None);
        packer.range(address, address + 1, node);
    }
    let bytes = packer.finish();
    let packed = Packed::open(&bytes).unwrap();
    let mut scratch = Scratch::default();
    for (address, name) in (0..).zip(&names) {
        let frame = packed.lookup(address, &mut scratch).unwrap().next().unwrap();
        assert_eq!(frame.function, Some(name.as_str()));
    }
}

#[test]
fn many_addresses_in_any_order_get_their_own_answers() {
    let ranges = program(31, 2000);
    let bytes = pack(&ranges, header(true));
    let packed = Packed::open(&bytes).unwrap();
    let mut addresses: Vec<u64> = ranges.iter().flat_map(|range| [range.1 - 1, range.0]).collect();
    addresses.reverse();
    addresses.push(0);
    let mut answers = vec![None; addresses.len()];
    let mut scratch = Scratch::default();
    packed.lookup_many(&addresses, &mut scratch, |index, frames| {
        assert!(answers[index].replace(frames.map(|frames| frames.map(owned).collect())).is_none());
    });
    for (address, answer) in addresses.iter().zip(answers) {
        let alone = packed.lookup(*address, &mut scratch).map(|frames| frames.map(owned).collect::<Vec<_>>());
        assert!(answer.unwrap() == alone);
    }
}
