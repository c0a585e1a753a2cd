//! The wire format, judged by recorded bytes.

use trace_capture::wire::{
    DATAGRAM_BYTES_MAX, DecodeError, FRAMES_MAX, Flags, Frame, Kind, Location, MODULES_MAX, Module, Report,
    decode, encode, split_record,
};

/// Version 1, packed with Python's `struct` from the table in the documentation of `wire`. Handlers that write it are
/// deployed: this file never changes, and stays readable when there are newer versions.
const PANIC_V1: &[u8] = include_bytes!("data/panic-v1.bin");

/// What `PANIC_V1` says.
fn panic_v1() -> Report<'static> {
    const MODULES: &[Module<'static>] = &[
        Module {
            path: b"/var/task/bootstrap",
            build_id: &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19],
            load_bias: 0x5555_5555_4000,
        },
        Module { path: b"/lib64/libc.so.6", build_id: b"", load_bias: 0x7fff_f7d8_e000 },
    ];
    const FRAMES: &[Frame] = &[
        Frame { return_address: 0x5555_5555_c1a5, module: Some(0) },
        Frame { return_address: 0x5555_5555_c0f2, module: Some(0) },
        Frame { return_address: 0x7fff_f7db_724a, module: Some(1) },
        Frame { return_address: 0x7fff_e000_1000, module: None },
    ];
    Report {
        kind: Kind::Panic,
        flags: Flags::FRAMES_CUT,
        process_id: 4242,
        thread_id: 4243,
        time_us: 1_700_000_000_123_456,
        lost: 2,
        request_id: Some("8476a536-e9f4-11e8-9739-2dfe598c3fcd".into()),
        thread_name: Some("tokio-rt-worker".into()),
        message: "no price for sku \"Ü-9\"".into(),
        location: Some(Location { file: "src/main.rs".into(), line: 41, column: 9 }),
        modules: MODULES.to_vec(),
        frames: FRAMES.to_vec(),
    }
}

/// Where the fields stand that the tests below change.
const VERSION_AT: usize = 4;
const KIND_AT: usize = 5;
const FRAME_COUNT_AT: usize = 40;

#[test]
fn version_1_stays_readable() {
    assert_eq!(decode(PANIC_V1), Ok(panic_v1()));
}

#[test]
fn what_is_written_today_is_version_1() {
    assert_eq!(encode(&panic_v1(), &mut [0; DATAGRAM_BYTES_MAX]), PANIC_V1);
}

#[test]
fn the_example_in_the_documentation_reads_as_it_says() {
    let (_, example) = include_str!("../src/wire.rs").split_once("//! ```text\n").unwrap();
    let (example, _) = example.split_once("//! ```\n").unwrap();
    // The bytes end at the first two spaces in a row, and a nested line starts with two.
    let datagram: Vec<u8> = example
        .lines()
        .map(|line| line.trim_start_matches("//!").trim_start())
        .filter_map(|line| line.split("  ").next())
        .flat_map(|bytes| bytes.split([' ', '|']).filter(|byte| !byte.is_empty()))
        .map(|byte| u8::from_str_radix(byte, 16).unwrap())
        .collect();

    let report = decode(&datagram).unwrap();

    assert_eq!((report.process_id, report.thread_id, report.time_us), (4242, 4243, 1_000_000));
    assert_eq!(report.message, "no price");
    assert_eq!(report.location, Some(Location { file: "src/main.rs".into(), line: 41, column: 9 }));
    let module = Module { path: b"/vf", build_id: &[0xbe, 0xef], load_bias: 0x5555_5555_0000 };
    assert_eq!(report.modules, [module]);
    assert_eq!(report.frames, [Frame { return_address: 0x5555_5555_1234, module: Some(0) }]);
}

#[test]
fn a_report_cut_at_any_byte_is_refused() {
    for length in 0..PANIC_V1.len() {
        let error = decode(&PANIC_V1[..length]).unwrap_err();
        let DecodeError::CutShort { offset, .. } = error else { panic!("{length} bytes: {error}") };
        assert!(offset <= length, "{length} bytes: {error}");
    }
}

#[test]
fn bytes_of_a_later_minor_version_are_ignored() {
    let later = [PANIC_V1, b"a field that is not known here"].concat();
    assert_eq!(decode(&later), Ok(panic_v1()));
}

#[test]
fn a_report_of_a_kind_that_is_not_known_is_kept() {
    let mut datagram = PANIC_V1.to_vec();
    datagram[KIND_AT] = 9;
    assert_eq!(decode(&datagram), Ok(Report { kind: Kind::Unknown(9), ..panic_v1() }));
}

#[test]
fn another_version_is_refused_by_its_number() {
    let mut datagram = PANIC_V1.to_vec();
    datagram[VERSION_AT] = 2;
    let error = decode(&datagram).unwrap_err();
    assert_eq!(error, DecodeError::Version(2));
    assert_eq!(error.to_string(), "capture report of version 2, this program reads 1; update the agent");
}

#[test]
fn any_flipped_bit_is_an_error_or_another_report() {
    for bit in 0..PANIC_V1.len() * 8 {
        let mut datagram = PANIC_V1.to_vec();
        datagram[bit / 8] ^= 1 << (bit % 8);
        // Text may be read with U+FFFD, so nothing more can be asked of what is read than that it differs.
        assert_ne!(decode(&datagram), Ok(panic_v1()), "bit {bit}");
    }
}

#[test]
fn a_count_without_its_bytes_is_refused() {
    let mut datagram = PANIC_V1.to_vec();
    datagram[FRAME_COUNT_AT..][..2].fill(0xff);
    decode(&datagram).unwrap_err();
}

#[test]
fn a_frame_in_a_module_that_is_not_described_is_refused() {
    let mut datagram = PANIC_V1.to_vec();
    let frame = 0x7fff_f7db_724a_u64.to_le_bytes();
    let at = datagram.windows(8).position(|bytes| bytes == frame).unwrap();
    datagram[at + 8] = 2;
    assert_eq!(decode(&datagram), Err(DecodeError::ModuleIndex { frame: 2, module: 2 }));
}

#[test]
fn text_that_is_not_utf8_is_read_as_far_as_it_is() {
    let mut datagram = PANIC_V1.to_vec();
    let last = datagram.len() - 1;
    datagram[last] = 0xff;
    assert_eq!(decode(&datagram).unwrap().message, "no price for sku \"Ü-9\u{fffd}");
}

#[test]
fn a_report_with_every_part_too_long_is_cut_and_says_so() {
    let long = "ä".repeat(5_000);
    let module = Module { path: &[b'p'; 256], build_id: &[7; 32], load_bias: 1 };
    let report = Report {
        flags: Flags::default(),
        request_id: Some(long.as_str().into()),
        thread_name: Some(long.as_str().into()),
        message: long.as_str().into(),
        location: Some(Location { file: long.as_str().into(), line: u32::MAX, column: u32::MAX }),
        modules: vec![module; MODULES_MAX + 1],
        frames: vec![Frame { return_address: u64::MAX, module: Some(MODULES_MAX as u8) }; FRAMES_MAX + 1],
        ..panic_v1()
    };

    let mut buffer = [0; DATAGRAM_BYTES_MAX];
    let read = decode(encode(&report, &mut buffer)).unwrap();

    for flag in [Flags::MESSAGE_CUT, Flags::FRAMES_CUT, Flags::MODULES_CUT, Flags::TEXT_CUT] {
        assert!(read.flags.contains(flag), "{:?} lacks {flag:?}", read.flags);
    }
    assert_eq!(read.modules, [module; MODULES_MAX]);
    // The module of these frames is the one that found no room.
    assert_eq!(read.frames, [Frame { return_address: u64::MAX, module: None }; FRAMES_MAX]);
    assert!(read.message.len() >= 1024 && long.starts_with(&*read.message), "{} bytes", read.message.len());
    assert!(long.starts_with(&*read.location.unwrap().file));
}

#[test]
fn a_panic_with_35_frames_takes_less_than_a_kibibyte() {
    let frame = Frame { return_address: u64::MAX, module: Some(0) };
    let report = Report { frames: vec![frame; 35], ..panic_v1() };
    assert!(encode(&report, &mut [0; DATAGRAM_BYTES_MAX]).len() < 1024);
}

#[test]
fn a_path_that_is_too_long_is_left_out_whole() {
    let module = Module { path: &[b'p'; 257], build_id: &[7; 33], load_bias: 1 };
    let report = Report { modules: vec![module; 2], ..panic_v1() };

    let mut buffer = [0; DATAGRAM_BYTES_MAX];
    let read = decode(encode(&report, &mut buffer)).unwrap();

    assert_eq!(read.modules, [Module { path: b"", build_id: b"", load_bias: 1 }; 2]);
    assert!(read.flags.contains(Flags::MODULES_CUT));
}

#[test]
fn a_capture_file_is_taken_apart_up_to_a_record_that_is_not_complete() {
    let file = b"\x02\x00\x00\x00ab\x01\x00\x00\x00c\x04\x00\x00\x00def";

    let first = split_record(file).unwrap().unwrap();
    assert_eq!(first.datagram, b"ab");
    let second = split_record(first.rest).unwrap().unwrap();
    assert_eq!(second.datagram, b"c");
    assert_eq!(split_record(second.rest), Ok(None));
    assert_eq!(split_record(b""), Ok(None));
    assert_eq!(split_record(b"\x02\x00\x00"), Ok(None));
}

#[test]
fn a_record_longer_than_any_report_ends_a_capture_file() {
    assert_eq!(split_record(b"\x01\x20\x00\x00"), Err(DecodeError::RecordLength(8193)));
}
