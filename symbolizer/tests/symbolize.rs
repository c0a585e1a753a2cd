//! Programs are compiled here and asked about. The judges are `addr2line` and `nm` of binutils, which come with
//! the C compiler that Rust needs to link, and facts known by construction.

#![expect(clippy::unwrap_used, reason = "in a test, what cannot be unwrapped is a failure")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;
use trace_symbolizer::{
    Answer, BuildId, ErrorKind, Frame, Missing, Module, ModuleAddress, Options, Origin, Refusal, Search,
};

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

/// Runs a tool and returns what it prints.
fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// A directory of compiled programs.
struct Workshop(TempDir);

impl Workshop {
    fn new() -> Workshop {
        Workshop(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Compiles `tests/data/SOURCE`.
    fn cc(&self, name: &str, source: &str, options: &[&str]) -> PathBuf {
        let program = self.path(name);
        run(Command::new("cc").args(options).arg("-o").arg(&program).arg(data(source)));
        program
    }

    /// `inline.c` as a program with a build-id.
    fn inlined(&self) -> PathBuf {
        self.cc("inline", "inline.c", &["-g", "-O2", "-Wl,--build-id=sha1"])
    }

    fn rustc(&self, name: &str, options: &[&str]) -> PathBuf {
        let program = self.path(name);
        let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
        run(Command::new(rustc).args(options).arg("-o").arg(&program).arg(data("names.rs")));
        program
    }

    /// Moves the debug information of `program` to `debug`.
    fn split_debug(&self, program: &Path, debug: &Path) {
        fs::create_dir_all(debug.parent().unwrap()).unwrap();
        run(Command::new("objcopy").arg("--only-keep-debug").args([program, debug]));
        run(Command::new("strip").arg(program));
    }

    fn add_debuglink(&self, program: &Path, debug: &Path) {
        run(Command::new("objcopy").arg(format!("--add-gnu-debuglink={}", debug.display())).arg(program));
    }
}

/// Looks nowhere but beside the module.
fn nowhere() -> Search {
    Search::default()
}

fn open(path: &Path) -> Module {
    Module::open(path, &nowhere()).unwrap()
}

/// Address and size of each sized function, from `nm`.
fn functions(program: &Path) -> BTreeMap<String, (u64, u64)> {
    run(Command::new("nm").args(["--print-size", "--defined-only"]).arg(program))
        .lines()
        .filter_map(|line| match line.split(' ').collect::<Vec<_>>()[..] {
            [address, size, "t" | "T" | "W", name] => {
                let number = |digits| u64::from_str_radix(digits, 16).unwrap();
                Some((name.to_owned(), (number(address), number(size))))
            }
            _ => None,
        })
        .collect()
}

fn frames(module: &Module, address: u64) -> Vec<Frame> {
    module.symbolize(ModuleAddress(address)).frames
}

fn name(frame: &Frame) -> &str {
    frame.function.as_deref().unwrap_or("??")
}

/// Frames of `addresses` in the form that `addr2line -a -f -i -C` prints them.
fn as_addr2line_prints(module: &Module, addresses: &[u64]) -> String {
    let mut text = String::new();
    for address in addresses {
        text += &format!("0x{address:016x}\n");
        for frame in frames(module, *address) {
            let file = frame.file.as_deref().unwrap_or("??");
            let line = frame.line.map_or("?".to_owned(), |line| line.to_string());
            text += &format!("{}\n{file}:{line}\n", name(&frame));
        }
    }
    text
}

fn addr2line(program: &Path, addresses: &[u64]) -> String {
    let addresses = addresses.iter().map(|address| format!("{address:#x}"));
    let output =
        run(Command::new("addr2line").args(["-a", "-f", "-i", "-C", "-e"]).arg(program).args(addresses));
    // binutils tells apart several blocks of one line; we do not.
    let lines = output.lines().map(|line| line.split(" (discriminator").next().unwrap());
    lines.map(|line| format!("{line}\n")).collect()
}

/// Each byte of the functions named.
fn bytes_of(program: &Path, wanted: impl Fn(&str) -> bool) -> Vec<u64> {
    let addresses: Vec<u64> = functions(program)
        .into_iter()
        .filter(|(name, _)| wanted(name))
        .flat_map(|(_, (start, size))| start..start + size)
        .collect();
    assert!(!addresses.is_empty());
    addresses
}

#[test]
fn a_c_program_has_the_inline_chains_that_addr2line_prints() {
    let workshop = Workshop::new();
    for options in [&["-g", "-O2"][..], &["-g", "-O0"], &["-gdwarf-4", "-O2"], &["-g", "-O2", "-gz=zlib"]] {
        let program = workshop.cc("inline", "inline.c", options);
        let module = open(&program);
        let addresses = bytes_of(&program, |name| ["entry", "twice", "main"].contains(&name));
        assert_eq!(as_addr2line_prints(&module, &addresses), addr2line(&program, &addresses), "{options:?}");
        let deepest = addresses.iter().map(|address| frames(&module, *address)).max_by_key(Vec::len).unwrap();
        assert_eq!(deepest.iter().map(name).collect::<Vec<_>>(), ["rotate", "mix", "hash", "entry"]);
        assert_eq!(deepest.iter().map(|frame| frame.inlined).collect::<Vec<_>>(), [true, true, true, false]);
        assert!(deepest.iter().all(|frame| frame.origin == Origin::Dwarf && frame.column.is_some()));
        // C has one name for a function; the linker's is looked up on request.
        assert_eq!(deepest[3].linkage_name, None);
        let start = ModuleAddress(functions(&program)["entry"].0);
        let options = Options { linkage_names: true, ..Options::default() };
        let answers = module.symbolize_within(&[start], options);
        assert_eq!(answers.frames(0).last().unwrap().linkage_name(), Some("entry"));
    }
}

#[test]
fn a_rust_program_has_demangled_names_without_hashes() {
    let workshop = Workshop::new();
    for options in [&["-g"][..], &["-g", "-O"], &["-g", "-O", "-Csymbol-mangling-version=v0"]] {
        let program = workshop.rustc("names", options);
        let module = open(&program);
        let addresses = bytes_of(&program, |name| name.contains("names"));
        assert_eq!(as_addr2line_prints(&module, &addresses), addr2line(&program, &addresses), "{options:?}");

        let price = bytes_of(&program, |name| name.contains("5price"));
        let price = frames(&module, price[0]).pop().unwrap();
        assert_eq!(price.function.as_deref(), Some("<names::Order as names::Price>::price"));
        assert!(price.linkage_name.unwrap().starts_with("_"));
        assert_eq!(price.file, Some(data("names.rs").display().to_string()));
    }
}

#[test]
fn a_debug_file_is_found_beside_the_module_by_its_debug_link() {
    for place in ["inline.debug", ".debug/inline.debug"] {
        let workshop = Workshop::new();
        let program = workshop.inlined();
        let addresses = bytes_of(&program, |name| name == "entry");
        let expected = addr2line(&program, &addresses);
        let debug = workshop.path(place);
        workshop.split_debug(&program, &debug);
        workshop.add_debuglink(&program, &debug);

        let module = open(&program);
        assert_eq!(module.debug_file(), Some(&*debug.canonicalize().unwrap()));
        assert_eq!(as_addr2line_prints(&module, &addresses), expected, "{place}");
    }
}

#[test]
fn a_debug_file_is_found_below_a_root_by_build_id_or_by_directory() {
    let workshop = Workshop::new();
    let program = workshop.inlined();
    let addresses = bytes_of(&program, |name| name == "entry");
    let expected = addr2line(&program, &addresses);
    let root = workshop.path("root");
    let digits = open(&program).build_id().unwrap().to_string();
    assert!(run(Command::new("readelf").arg("--notes").arg(&program)).contains(&digits));
    let by_id = root.join(".build-id").join(&digits[..2]).join(format!("{}.debug", &digits[2..]));
    workshop.split_debug(&program, &by_id);
    let search = Search { debug_dirs: vec![workshop.path("absent"), root.clone()], ..Search::default() };

    let module = Module::open(&program, &search).unwrap();
    assert_eq!(module.debug_file(), Some(&*by_id));
    assert_eq!(as_addr2line_prints(&module, &addresses), expected);
    let refused: Vec<_> = module.refused().iter().map(ToString::to_string).collect();
    let absent = workshop.path("absent").join(by_id.strip_prefix(&root).unwrap());
    assert_eq!(refused, [format!("debug file: no such file: {}", absent.display())]);

    let directory = program.canonicalize().unwrap().parent().unwrap().to_owned();
    let by_directory = root.join(directory.strip_prefix("/").unwrap()).join("inline.debug");
    fs::create_dir_all(by_directory.parent().unwrap()).unwrap();
    fs::rename(&by_id, &by_directory).unwrap();
    workshop.add_debuglink(&program, &by_directory);
    let module = Module::open(&program, &search).unwrap();
    assert_eq!(module.debug_file(), Some(&*by_directory));
    assert_eq!(as_addr2line_prints(&module, &addresses), expected);
}

#[test]
fn a_debug_file_of_another_build_is_refused_and_reported() {
    let workshop = Workshop::new();
    let program = workshop.inlined();
    let other = workshop.cc("other", "inline.c", &["-g", "-O0", "-Wl,--build-id=0xfeedface"]);
    let entry = functions(&program)["entry"].0;
    let id = open(&program).build_id().unwrap().clone();
    workshop.split_debug(&program, &workshop.path("inline.debug"));
    workshop.add_debuglink(&program, &workshop.path("inline.debug"));
    workshop.split_debug(&other, &workshop.path("inline.debug"));

    let module = open(&program);
    assert_eq!(module.debug_file(), None);
    let [beside, hidden] = module.refused() else { panic!("{:?}", module.refused()) };
    let path = workshop.path("inline.debug").canonicalize().unwrap();
    assert_eq!(
        beside.to_string(),
        format!("debug file {} has build-id feedface, the module has {id}", path.display())
    );
    assert!(matches!(&hidden.refusal, Refusal::Unusable(error) if error.kind() == ErrorKind::NotFound));
    assert_eq!(module.symbolize(ModuleAddress(entry)).missing, Some(Missing::NoSymbols));
}

#[test]
fn without_build_ids_the_checksum_of_the_debug_link_decides() {
    let workshop = Workshop::new();
    let program = workshop.cc("inline", "inline.c", &["-g", "-O2", "-Wl,--build-id=none"]);
    let entry = functions(&program)["entry"].0;
    let debug = workshop.path("inline.debug");
    workshop.split_debug(&program, &debug);
    workshop.add_debuglink(&program, &debug);
    assert_eq!(open(&program).build_id(), None);
    assert_eq!(frames(&open(&program), entry).pop().unwrap().function.as_deref(), Some("entry"));

    let mut bytes = fs::read(&debug).unwrap();
    bytes.push(0);
    fs::write(&debug, bytes).unwrap();
    let module = open(&program);
    assert!(matches!(module.refused()[0].refusal, Refusal::Crc32 { .. }), "{:?}", module.refused());
    assert_eq!(frames(&module, entry), []);
}

#[test]
fn a_debug_link_that_leads_back_to_the_module_or_to_a_stripped_copy_is_refused() {
    let workshop = Workshop::new();
    let program = workshop.inlined();
    run(Command::new("strip").arg(&program));
    workshop.add_debuglink(&program, &program);
    fs::create_dir(workshop.path(".debug")).unwrap();
    fs::copy(&program, workshop.path(".debug/inline")).unwrap();
    let module = open(&program);
    let [itself, copy] = module.refused() else { panic!("{:?}", module.refused()) };
    assert!(matches!(itself.refusal, Refusal::SameFile), "{itself}");
    assert!(matches!(copy.refusal, Refusal::Stripped), "{copy}");
}

#[test]
fn a_debug_link_with_a_directory_in_it_is_refused() {
    let workshop = Workshop::new();
    let program = workshop.inlined();
    workshop.split_debug(&program, &workshop.path("inline.debug"));
    let section = workshop.path("link");
    fs::write(&section, b"../../inline.debug\0\0\0\0\0\0").unwrap();
    let add = format!("--add-section=.gnu_debuglink={}", section.display());
    run(Command::new("objcopy").arg(add).arg(&program));
    let module = open(&program);
    let refused: Vec<_> = module.refused().iter().map(ToString::to_string).collect();
    assert_eq!(refused, ["debug link ../../inline.debug is no plain file name"]);
}

#[test]
fn symbols_alone_name_functions_without_lines() {
    let workshop = Workshop::new();
    let program = workshop.inlined();
    run(Command::new("strip").arg("--strip-debug").arg(&program));
    let module = open(&program);
    let (start, size) = functions(&program)["entry"];
    for address in [start, start + size - 1] {
        let [frame] = &frames(&module, address)[..] else { panic!() };
        assert_eq!((name(frame), frame.origin), ("entry", Origin::SymbolTable));
        assert_eq!((&frame.file, frame.line, frame.inlined), (&None, None, false));
    }
}

#[test]
fn a_symbol_covers_exactly_what_it_may() {
    let workshop = Workshop::new();
    let library = workshop.cc("labels.so", "labels.s", &["-shared", "-nostdlib"]);
    let start = functions(&library)["sized"].0;
    let module = open(&library);
    let at = |offset| {
        let answer = module.symbolize(ModuleAddress(start + offset));
        answer
            .frames
            .first()
            .map(|frame| (name(frame).to_owned(), frame.origin))
            .ok_or_else(|| answer.missing.unwrap())
    };
    let named = |name: &str, origin| Ok((name.to_owned(), origin));
    assert_eq!(at(0), named("sized", Origin::SymbolTable));
    assert_eq!(at(20), named("sized", Origin::SymbolTable));
    assert_eq!(at(31), named("sized", Origin::SymbolTable));
    assert_eq!(at(32), Err(Missing::NotCovered));
    assert_eq!(at(63), Err(Missing::NotCovered));
    assert_eq!(at(64), named("handwritten", Origin::SymbolTable));
    assert_eq!(at(65), named("handwritten", Origin::NearestSymbol));
    assert_eq!(at(95), named("handwritten", Origin::NearestSymbol));
    assert_eq!(at(96), Err(Missing::NotCovered));
    assert_eq!(at(128), named("strong", Origin::SymbolTable));
    assert_eq!(at(159), named("last", Origin::NearestSymbol));
    assert_eq!(at(160), Err(Missing::NotCode));

    // Only .dynsym is left, where a symbol without a size covers its own address.
    run(Command::new("strip").arg(&library));
    let module = open(&library);
    let at =
        |offset| frames(&module, start + offset).first().map(|frame| (name(frame).to_owned(), frame.origin));
    assert_eq!(at(31), Some(("sized".to_owned(), Origin::SymbolTable)));
    assert_eq!(at(64), Some(("handwritten".to_owned(), Origin::SymbolTable)));
    assert_eq!(at(65), None);
}

#[test]
fn an_address_that_is_no_code_has_no_frames_and_a_reason() {
    let workshop = Workshop::new();
    let program = workshop.inlined();
    let module = open(&program);
    for address in [0, 1, u64::MAX, u64::MAX - 1, 1 << 47] {
        let answer = module.symbolize(ModuleAddress(address));
        assert_eq!(answer, Answer { frames: vec![], missing: Some(Missing::NotCode) });
    }
    let entry = functions(&program)["entry"].0;
    run(Command::new("strip").arg(&program));
    let answer = open(&program).symbolize(ModuleAddress(entry));
    assert_eq!(answer.missing.unwrap().to_string(), "module has no symbols and no debug file was found");
}

#[test]
fn what_is_no_program_is_refused_with_its_path() {
    let workshop = Workshop::new();
    let refused = |path: &Path| {
        let error = Module::open(path, &nowhere()).unwrap_err();
        assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
        assert_eq!(error.path(), path);
        error.kind()
    };
    assert_eq!(refused(&workshop.path("absent")), ErrorKind::NotFound);
    assert_eq!(refused(&workshop.path("")), ErrorKind::NotRegular);
    assert_eq!(refused(&data("inline.c")), ErrorKind::NotElf);
    fs::write(workshop.path("empty"), b"").unwrap();
    assert_eq!(refused(&workshop.path("empty")), ErrorKind::NotElf);
    fs::write(workshop.path("magic"), b"\x7fELF\x02\x01").unwrap();
    assert_eq!(refused(&workshop.path("magic")), ErrorKind::Corrupt);
    run(Command::new("mkfifo").arg(workshop.path("fifo")));
    assert_eq!(refused(&workshop.path("fifo")), ErrorKind::NotRegular);
}

/// Numbers that look random and are the same on every run (Knuth's MMIX generator).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % limit
    }
}

/// Opens the bytes as a module and asks for addresses all over its code. Returns whether it could be opened.
fn ask_all_over(path: &Path, bytes: &[u8], addresses: &[u64]) -> bool {
    fs::write(path, bytes).unwrap();
    let Ok(module) = Module::open(path, &nowhere()) else { return false };
    for address in addresses {
        let answer = module.symbolize(ModuleAddress(*address));
        assert_eq!(answer.frames.is_empty(), answer.missing.is_some());
    }
    true
}

#[test]
fn a_truncated_file_costs_names_and_nothing_else() {
    let workshop = Workshop::new();
    let program = workshop.inlined();
    let addresses = bytes_of(&program, |_| true);
    let bytes = fs::read(&program).unwrap();
    for length in (0..bytes.len()).step_by(61).chain(0..100) {
        ask_all_over(&workshop.path("cut"), &bytes[..length], &addresses);
    }
}

#[test]
fn a_corrupt_file_costs_names_and_nothing_else() {
    let workshop = Workshop::new();
    let program = workshop.inlined();
    let addresses: Vec<u64> = bytes_of(&program, |_| true).into_iter().step_by(5).collect();
    let sound = fs::read(&program).unwrap();
    let mut numbers = Numbers(1);
    let mut opened = 0;
    for _ in 0..1_000 {
        let mut bytes = sound.clone();
        for _ in 0..1 + numbers.below(15) {
            let place = numbers.below(bytes.len());
            bytes[place] ^= 1 << numbers.below(8);
        }
        opened += usize::from(ask_all_over(&workshop.path("bent"), &bytes, &addresses));
    }
    assert!(opened > 500, "only {opened} of 1,000 were opened, so the test tests little");
}

#[test]
fn a_file_made_to_exhaust_the_stack_exhausts_nothing() {
    let workshop = Workshop::new();
    let library = workshop.cc("nested.so", "nested.s", &["-shared", "-nostdlib"]);
    let module = open(&library);
    let deep = functions(&library)["deep"].0;
    let frames = frames(&module, deep);
    assert_eq!(name(frames.last().unwrap()), "deep_by_dwarf");
    assert!(frames.len() <= 1_025, "{}", frames.len());
    assert!(module.dwarf_error().is_none());
}

#[test]
fn a_function_that_the_linker_dropped_names_no_code() {
    let workshop = Workshop::new();
    let options = ["-g", "-fPIE", "-pie", "-ffunction-sections", "-Wl,--gc-sections"];
    let program = workshop.cc("dropped", "dropped.c", &options);
    assert!(!functions(&program).contains_key("dropped"));
    let module = open(&program);
    for function in ["kept", "main"] {
        for address in bytes_of(&program, |name| name == function) {
            assert_eq!(name(&frames(&module, address)[0]), function);
        }
    }
    // Code without debug information, which the dropped functions seem to cover.
    let bytes = fs::read(&program).unwrap();
    // Elf64_Ehdr: the entry point.
    let start = u64::from_ne_bytes(bytes[24..32].try_into().unwrap());
    assert_eq!(name(&frames(&module, start)[0]), "_start");
}

#[test]
fn a_section_that_claims_to_decompress_to_terabytes_is_left_out_and_reported() {
    let workshop = Workshop::new();
    let program = workshop.cc("inline", "inline.c", &["-g", "-gz=zlib"]);
    let sections = run(Command::new("readelf").args(["--sections", "--wide"]).arg(&program));
    let debug_info = sections.split(" .debug_info ").nth(1).unwrap();
    // Type, address, offset.
    let offset = usize::from_str_radix(debug_info.split_whitespace().nth(2).unwrap(), 16).unwrap();
    let mut bytes = fs::read(&program).unwrap();
    // Elf64_Chdr: type and padding, then the size.
    bytes[offset + 8..offset + 16].copy_from_slice(&(1_u64 << 42).to_ne_bytes());
    fs::write(&program, bytes).unwrap();

    let module = open(&program);
    let entry = functions(&program)["entry"].0;
    assert_eq!(frames(&module, entry)[0].origin, Origin::SymbolTable);
    let cause = std::error::Error::source(&module.dwarf_error().unwrap()).unwrap().to_string();
    assert!(
        cause.starts_with("section .debug_info: ") && cause.ends_with("claim to hold 4398046511104"),
        "{cause}"
    );
}

#[test]
fn a_build_id_reads_back_what_it_prints() {
    let workshop = Workshop::new();
    let module = open(&workshop.cc("inline", "inline.c", &["-Wl,--build-id=0x0123456789ABCDEF"]));
    assert_eq!(module.build_id(), Some(&"0123456789abcdef".parse::<BuildId>().unwrap()));
}

#[test]
fn what_there_is_no_time_or_memory_for_is_named_by_symbols() {
    let workshop = Workshop::new();
    let program = workshop.cc("inline", "inline.c", &["-g", "-O2", "-gz=zlib"]);
    let start = ModuleAddress(functions(&program)["entry"].0);
    let module = open(&program);
    let over = || false;
    let options = Options { go_on: Some(&over), ..Options::default() };
    let answers = module.symbolize_within(&[start], options);
    let frame = answers.frames(0).next().unwrap();
    assert_eq!((frame.function(), frame.origin(), frame.line()), (Some("entry"), Origin::SymbolTable, None));
    // With time it has a line.
    assert_eq!(frames(&module, start.0)[0].origin, Origin::Dwarf);

    let search = Search { unpacked_bytes_max: Some(1), ..nowhere() };
    let module = Module::open(&program, &search).unwrap();
    assert_eq!(frames(&module, start.0)[0].origin, Origin::SymbolTable);
    assert!(module.dwarf_error().is_some());
}
