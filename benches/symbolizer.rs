//! What naming addresses costs.
//!
//! - `symbolizer/cold`: opening a program and naming one address in it, as `trace-agent symbolize` does.
//! - `symbolizer/stack`: opening a program and naming a thousand addresses, spread over it.
//! - `symbolizer/warm`: naming the same thousand in a program that is open already and has named each of them before.
//! - `symbolizer/packed`: opening the packed symbols of the program and naming one address.
//!
//! The program is this bench itself. The addresses lie in the middle of functions of its symbol table that have DWARF as
//! `addr2line` sees it. The peer is `addr2line::Loader`, which keeps what it parsed of each unit; ours keeps nothing of
//! units and asks all addresses of a question together, as records of failures do.
//!
//! Bias: both demangle and hand out owned names. The files are in the page cache for both. Whole processes, and peers that
//! are programs, are compared by `benches/symbolizers.py`.
#![expect(clippy::unwrap_used, reason = "a step of a bench that fails ends the bench")]

use std::path::{Path, PathBuf};

use addr2line::Loader;
use criterion::Criterion;
use object::elf::FileHeader64;
use object::read::elf::ElfFile;
use object::{Endianness, Object as _, ObjectSymbol as _, SymbolKind};
use trace_symbolizer::{Answer, Keep, Module, ModuleAddress, Search};

use beside::Comparison;

mod beside;

const ADDRESSES: usize = 1_000;

fn main() {
    beside::run(&[cold, stack, warm, packed]);
}

fn cold(criterion: &mut Criterion) {
    let (program, addresses) = program();
    let address = addresses[ADDRESSES / 2];
    let mut comparison = Comparison::new(criterion, "symbolizer/cold");
    comparison.time(
        "trace-symbolizer",
        || (),
        |()| Module::open(&program, &Search::default()).unwrap().symbolize(ModuleAddress(address)),
    );
    comparison.time("addr2line::Loader", || (), |()| names(&Loader::new(&program).unwrap(), address));
    comparison.finish();
}

fn stack(criterion: &mut Criterion) {
    let (program, addresses) = program();
    let mut comparison = Comparison::new(criterion, "symbolizer/stack");
    comparison.time(
        "trace-symbolizer",
        || (),
        |()| all_names(&Module::open(&program, &Search::default()).unwrap(), &addresses),
    );
    comparison.time(
        "addr2line::Loader",
        || (),
        |()| {
            let loader = Loader::new(&program).unwrap();
            addresses.iter().map(|&address| names(&loader, address)).collect::<Vec<_>>()
        },
    );
    comparison.finish();
}

fn packed(criterion: &mut Criterion) {
    let (program, addresses) = program();
    let address = ModuleAddress(addresses[ADDRESSES / 2]);
    let module = Module::open(&program, &Search::default()).unwrap();
    let (bytes, _) = module.pack(Keep::default(), &mut |_, _| {}).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("packed");
    std::fs::write(&file, bytes).unwrap();
    let mut comparison = Comparison::new(criterion, "symbolizer/packed");
    comparison.time(
        "packed symbols",
        || (),
        |()| Module::open(&file, &Search::default()).unwrap().symbolize(address),
    );
    comparison.time(
        "the program",
        || (),
        |()| Module::open(&program, &Search::default()).unwrap().symbolize(address),
    );
    comparison.finish();
}

/// What we say of all addresses, as owned names.
fn all_names(module: &Module, addresses: &[u64]) -> Vec<Answer> {
    let addresses: Vec<ModuleAddress> = addresses.iter().map(|address| ModuleAddress(*address)).collect();
    let answers = module.symbolize_all(&addresses);
    (0..addresses.len()).map(|index| answers.answer(index)).collect()
}

fn warm(criterion: &mut Criterion) {
    let (program, addresses) = program();
    let module = Module::open(&program, &Search::default()).unwrap();
    let loader = Loader::new(&program).unwrap();
    let same_depth = |&&address: &&u64| {
        module.symbolize(ModuleAddress(address)).frames.len() == names(&loader, address).len()
    };
    let agreed = addresses.iter().filter(same_depth).count();
    println!("both give the same number of frames for {agreed} of {} addresses", addresses.len());

    let mut comparison = Comparison::new(criterion, "symbolizer/warm");
    comparison.time("trace-symbolizer", || (), |()| all_names(&module, &addresses));
    comparison.time(
        "addr2line::Loader",
        || (),
        |()| addresses.iter().map(|&address| names(&loader, address)).collect::<Vec<_>>(),
    );
    comparison.finish();
}

/// This program, and addresses in it.
fn program() -> (PathBuf, Vec<u64>) {
    let program = std::env::current_exe().unwrap();
    let loader = Loader::new(&program).unwrap();
    let mut addresses = middles_of_functions(&program);
    addresses.retain(|&address| !names(&loader, address).is_empty());
    let step = addresses.len() / ADDRESSES;
    assert!(step > 0, "only {} functions have DWARF", addresses.len());
    (program, addresses.into_iter().step_by(step).take(ADDRESSES).collect())
}

fn middles_of_functions(program: &Path) -> Vec<u64> {
    let bytes = std::fs::read(program).unwrap();
    let file = ElfFile::<FileHeader64<Endianness>>::parse(&*bytes).unwrap();
    let functions = file.symbols().filter(|symbol| symbol.kind() == SymbolKind::Text && symbol.size() > 0);
    let mut addresses: Vec<u64> = functions.map(|symbol| symbol.address() + symbol.size() / 2).collect();
    addresses.sort_unstable();
    addresses.dedup();
    addresses
}

/// What the peer says of an address: name, file and line of each frame.
fn names(loader: &Loader, address: u64) -> Vec<(Option<String>, Option<String>, Option<u32>)> {
    let mut frames = loader.find_frames(address).unwrap();
    let mut named = Vec::new();
    while let Some(frame) = frames.next().unwrap() {
        let function = frame.function.and_then(|function| Some(function.demangle().ok()?.into_owned()));
        let location = frame.location.as_ref();
        let file = location.and_then(|location| location.file).map(str::to_owned);
        named.push((function, file, location.and_then(|location| location.line)));
    }
    named
}
