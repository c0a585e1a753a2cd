//! What the tools say, what we say, and the classes of differences that are none:
//!
//! - An address in no symbol is padding. Tools name it after what stands before it, or give it a line.
//! - A symbol has aliases. All names of one address are one.
//! - Names are compared by their last part, without parameters, template arguments, the suffix of a clone and the hash
//!   of Rust. Files are compared without folders.
//! - Where nobody has a line, a symbol with a size beats the label in it that LLVM prefers.
//! - A name of one side only: `-g1` has plain names, and a tool may not have a name where we have, not the other way.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};

use trace_symbolizer::{Module, ModuleAddress, Search};

use crate::build::is_there;
use crate::cases::Judge;

/// Function, file, line.
pub(crate) type Frame = (String, String, u32);
/// Innermost first, by address.
pub(crate) type Answers = BTreeMap<u64, Vec<Frame>>;

/// Sized symbols of code: start, size, name.
fn symbols(program: &Path) -> Vec<(u64, u64, String)> {
    let output = Command::new("readelf").args(["--syms", "--wide"]).arg(program).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let symbol = |line: &str| {
        let mut parts = line.split_whitespace().skip(1);
        let start = u64::from_str_radix(parts.next()?, 16).ok()?;
        let size = parts.next()?;
        let size = match size.strip_prefix("0x") {
            Some(digits) => u64::from_str_radix(digits, 16).ok()?,
            None => size.parse().ok()?,
        };
        let (kind, _bind, _visibility, section) =
            (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        (kind == "FUNC" && section != "UND" && size > 0)
            .then(|| (start, size, parts.next().unwrap_or_default().to_owned()))
    };
    text.lines().filter_map(symbol).collect()
}

/// Addresses in code: starts, ends and places within functions, chosen evenly, the same on each run.
pub(crate) fn addresses(program: &Path, count: usize) -> Vec<u64> {
    let symbols = symbols(program);
    let mut addresses = Vec::new();
    let mut state = 1_u64;
    let mut below = |limit: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % limit
    };
    if symbols.is_empty() {
        return addresses;
    }
    let total: u64 = symbols.iter().map(|(_, size, _)| size).sum();
    for _ in 0..count {
        let mut at = below(total);
        let symbol = symbols.iter().find(|(_, size, _)| {
            let is_here = at < *size;
            at = at.saturating_sub(if is_here { 0 } else { *size });
            is_here
        });
        let (start, size, _) = symbol.unwrap_or(&symbols[0]);
        addresses.push(match below(4) {
            0 => *start,
            1 => start + size - 1,
            _ => start + below(*size),
        });
    }
    addresses.sort_unstable();
    addresses.dedup();
    addresses
}

/// What the tool says of `program`.
pub(crate) fn theirs(judge: Judge, program: &Path, addresses: &[u64]) -> Result<Answers, String> {
    let names = match judge {
        Judge::Gnu => &["addr2line"][..],
        Judge::Elfutils => &["eu-addr2line"],
        _ => &["llvm-addr2line-19", "llvm-addr2line"],
    };
    let flags = ["-a", "-f", "-i"];
    let tool = names.iter().find(|name| is_there(name)).ok_or_else(|| format!("no {}", names[0]))?;
    let mut child = Command::new(tool)
        .args(flags)
        .arg("-e")
        .arg(program)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let text: String = addresses.iter().map(|address| format!("{address:#x}\n")).collect();
    let mut input = child.stdin.take().unwrap();
    let writer = std::thread::spawn(move || std::io::Write::write_all(&mut input, text.as_bytes()));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    Ok(parse(&String::from_utf8_lossy(&output.stdout)))
}

/// Reads blocks of an address, then pairs of a function and a place.
fn parse(text: &str) -> Answers {
    let mut answers = Answers::new();
    let mut lines = text.lines().peekable();
    let address = |line: &str| u64::from_str_radix(line.strip_prefix("0x")?, 16).ok();
    while let Some(start) = lines.next().and_then(address) {
        let frames = answers.entry(start).or_default();
        while let Some(function) = lines.next_if(|line| address(line).is_none()) {
            // elfutils tells on one line what the innermost was inlined into.
            let function = function.split(" inlined at ").next().unwrap_or_default();
            let place = lines.next().unwrap_or_default();
            let place = place.split(" (").next().unwrap_or_default();
            // FILE:LINE, or FILE:LINE:COLUMN.
            let mut parts = place.split(':');
            let file = parts.next().unwrap_or("??");
            let line = parts.next().and_then(|line| line.parse().ok()).unwrap_or(0);
            frames.push((name(function), base(file), line));
        }
        frames.retain(|frame| *frame != ("??".to_owned(), "??".to_owned(), 0));
    }
    answers
}

/// What we say of `program`.
pub(crate) fn ours<'a>(program: &Path, addresses: impl Iterator<Item = &'a u64>) -> Answers {
    let mut search = Search::default();
    search.debug_dirs.push(program.with_file_name("debug"));
    let module = Module::open(program, &search).unwrap();
    let addresses: Vec<ModuleAddress> = addresses.map(|address| ModuleAddress(*address)).collect();
    let answers = module.symbolize_all(&addresses);
    let frames = |index: usize| {
        answers
            .frames(index)
            .map(|frame| {
                let function = name(frame.raw_name().unwrap_or("??"));
                (function, base(frame.file().unwrap_or("??")), frame.line().unwrap_or(0))
            })
            .collect()
    };
    addresses.iter().enumerate().map(|(index, address)| (address.0, frames(index))).collect()
}

/// The differences that are none of the classes that are told above.
pub(crate) fn differences(program: &Path, expected: &Answers, found: &Answers) -> Vec<String> {
    let symbols = symbols(program);
    let aliases = |address: u64| -> Vec<String> {
        let covers = |(start, size, _): &&(u64, u64, String)| (*start..start + size).contains(&address);
        symbols.iter().filter(covers).map(|(.., symbol)| name(symbol)).collect()
    };
    let mut differences = Vec::new();
    for (address, expected) in expected {
        let nothing = Vec::new();
        let found = found.get(address).unwrap_or(&nothing);
        let aliases = aliases(*address);
        if aliases.is_empty() {
            continue;
        }
        let same_name = |ours: &str, theirs: &str| {
            ours == theirs
                || theirs == "??"
                || (aliases.iter().any(|alias| alias == ours) && aliases.iter().any(|alias| alias == theirs))
        };
        let same = |(ours, theirs): (&Frame, &Frame)| {
            let is_symbol = ours.2 == 0 && theirs.2 == 0 && aliases.contains(&ours.0);
            (same_name(&ours.0, &theirs.0) || is_symbol)
                && (ours.1 == theirs.1 || theirs.2 == 0)
                && ours.2 == theirs.2
        };
        if found.len() != expected.len() || !found.iter().zip(expected).all(same) {
            differences.push(format!("{address:#x}: expected {expected:?}, found {found:?}"));
        }
    }
    differences
}

fn base(path: &str) -> String {
    path.rsplit('/').next().unwrap_or(path).to_owned()
}

/// The last part of a name.
fn name(raw: &str) -> String {
    let readable = trace_symbolizer::demangle_as(raw, trace_symbolizer::Spelling::Short);
    let mut plain = &*readable;
    if !raw.starts_with("_Z") && !raw.starts_with("_R") {
        // Clones of C functions, and Go's functions in assembly.
        for suffix in [".constprop", ".isra", ".part", ".cold", ".llvm.", ".abi0"] {
            plain = plain.split(suffix).next().unwrap_or(plain);
        }
    }
    let mut last = String::new();
    let mut depth = 0_usize;
    for part in plain.chars() {
        match part {
            '<' | '(' | '{' => depth += 1,
            '>' | ')' | '}' => depth = depth.saturating_sub(1),
            ':' if depth == 0 => last.clear(),
            part if depth == 0 => last.push(part),
            _ => {}
        }
    }
    last.rsplit(' ').next().unwrap_or_default().to_owned()
}
