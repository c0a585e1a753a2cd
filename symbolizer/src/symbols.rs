//! The symbol tables of a module, of its debug file and of its MiniDebugInfo, asked for many addresses at once.
//!
//! The rules are those that give no wrong names. A symbol with a size covers exactly that. A `.symtab` symbol
//! without one is hand-written code (`_start`, `_init`): it reaches to the next symbol of any kind or the end of
//! its section, and such a name is marked as a guess. A `.dynsym` symbol without a size covers only its own
//! address, because the symbols after it may have been stripped. Only what is defined in an executable section
//! names code, so `_end`, `_edata`, absolute and data symbols never do. Where several symbols cover an address the
//! one that starts last wins; of several at one start, the global before the weak before the local, then the
//! first in byte order.
//!
//! No table is sorted: each symbol is looked up among the sorted addresses, in one pass.

use std::cmp::Reverse;
use std::ops::Range;

use object::elf as sh;
use object::read::StringTable;
use object::read::elf::{ElfFile, FileHeader, Sym, SymbolTable};
use object::{Architecture, Endianness, Object, ObjectKind, ObjectSection};

use crate::address::ModuleAddress;
use crate::demangle::NAME_BYTES_MAX;
use crate::elf::{self, Elf};
use crate::relocate;

/// Symbols read of one table at most. Browsers have some 2 million; the rest of a longer table is left out.
const SYMBOLS_MAX: usize = 1 << 23;

/// Addresses that symbols cover at most, counted again for each symbol. Honest tables have a few aliases of each.
const COVERED_MAX: usize = 1 << 26;

/// A name for an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Symbol {
    /// As it stands in the table, not demangled.
    pub(crate) name: Box<str>,
    /// Where the symbol starts.
    pub(crate) start: u64,
    /// How far it reaches.
    pub(crate) reach: Reach,
}

/// Why a symbol names an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// Its size covers the address.
    Size,
    /// It has no size and starts at the address.
    Start,
    /// It names a slot that the stub at the address jumps through.
    Stub,
    /// It has no size, and that it reaches as far as the address is a guess.
    Nearest,
}

/// The better the greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Local,
    Weak,
    Global,
}

/// A symbol that may name an address. The better the greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Claim<'a> {
    start: u64,
    rank: Rank,
    name: Reverse<&'a [u8]>,
    end: u64,
}

/// The symbol that names each of `addresses`, which are sorted and distinct, in any of `files`. Damaged tables and
/// symbols are left out.
pub(crate) fn find(files: &[&Elf], addresses: &[u64]) -> Vec<Option<Symbol>> {
    let views: Vec<_> = files.iter().filter_map(|elf| elf.view().ok()).collect();
    let scan = Scan::of(&views, addresses);
    let labels = scan.labels();
    // A label inside a sized function says nothing about what follows that function.
    let mut starts: Vec<u64> = labels.iter().flatten().map(|label| label.start).collect();
    starts.sort_unstable();
    starts.dedup();
    let around = if starts.is_empty() { Vec::new() } else { Scan::of(&views, &starts).sized };
    let stands_free = |label: &Claim<'_>| {
        starts.binary_search(&label.start).is_ok_and(|index| around.get(index).is_none_or(Option::is_none))
    };
    let name = |claim: Claim<'_>, reach| {
        let name = claim.name.0;
        let name = String::from_utf8_lossy(&name[..name.len().min(NAME_BYTES_MAX)]).into();
        Symbol { name, start: claim.start, reach }
    };
    let symbol = |((sized, label), address): ((&Option<Claim<'_>>, Option<Claim<'_>>), &u64)| {
        let sized = sized.map(|claim| name(claim, Reach::Size));
        sized.or_else(|| {
            let label = label.filter(stands_free)?;
            let reach = if label.start == *address { Reach::Start } else { Reach::Nearest };
            Some(name(label, reach))
        })
    };
    scan.sized.iter().zip(labels).zip(addresses).map(symbol).collect()
}

/// Whether any of `files` names any code.
pub(crate) fn any(files: &[&Elf]) -> bool {
    files.iter().filter_map(|elf| elf.view().ok()).any(|view| {
        let mut found = false;
        each_symbol(&view, &mut |symbol| found |= symbol.code.is_some());
        found
    })
}

/// Appends where symbols of any kind start and those with a size end, in no order.
pub(crate) fn boundaries(files: &[&Elf], boundaries: &mut Vec<u64>) {
    for view in files.iter().filter_map(|elf| elf.view().ok()) {
        each_symbol(&view, &mut |symbol| {
            boundaries.extend([symbol.start, symbol.start.saturating_add(symbol.size.max(1))]);
        });
    }
}

/// Where the symbol of exactly this name starts. Several files may have local ones of one name: then there is no
/// answer.
pub(crate) fn start_of(files: &[&Elf], name: &str) -> Option<ModuleAddress> {
    let mut starts = Vec::new();
    for view in files.iter().filter_map(|elf| elf.view().ok()) {
        each_symbol(&view, &mut |symbol| {
            if symbol.code.is_some() && symbol.name() == name.as_bytes() && !starts.contains(&symbol.start) {
                starts.push(symbol.start);
            }
        });
    }
    match starts[..] {
        [start] => Some(ModuleAddress(start)),
        _ => None,
    }
}

/// The symbol of data that covers `address` by its size, or the last one without a size that starts before it: its name,
/// start and size.
pub(crate) fn data_at(files: &[&Elf], address: u64) -> Option<(String, u64, u64)> {
    let mut best: Option<(u64, u64, Vec<u8>)> = None;
    for view in files.iter().filter_map(|elf| elf.view().ok()) {
        each_symbol(&view, &mut |symbol| {
            let is_better = best.as_ref().is_none_or(|(start, ..)| *start < symbol.start);
            if symbol.is_data
                && is_better
                && symbol.start <= address
                && (symbol.size == 0 || address - symbol.start < symbol.size)
            {
                best = Some((symbol.start, symbol.size, symbol.name().to_vec()));
            }
        });
    }
    best.map(|(start, size, name)| (String::from_utf8_lossy(&name).into_owned(), start, size))
}

/// A defined symbol that has an address.
struct Defined<'a> {
    strings: StringTable<'a>,
    name: u32,
    start: u64,
    size: u64,
    rank: Rank,
    is_dynamic: bool,
    is_data: bool,
    /// The executable section that it names code of.
    code: Option<Range<u64>>,
}

impl<'a> Defined<'a> {
    /// The name, which costs a look at another part of the file: it is asked for only where it matters.
    fn name(&self) -> &'a [u8] {
        self.strings.get(self.name).unwrap_or_default()
    }
}

/// What one pass over all tables found.
struct Scan<'a> {
    addresses: &'a [u64],
    /// For each address, the best symbol whose size covers it.
    sized: Vec<Option<Claim<'a>>>,
    /// For each address, the best label that starts at it or before it, but behind the address before.
    starting: Vec<Option<Claim<'a>>>,
    /// For each address, where the last symbol starts that does so at it or before it, but behind the address before.
    last: Vec<u64>,
    covered: usize,
}

impl<'a> Scan<'a> {
    fn of(views: &'a [object::File<'a>], addresses: &'a [u64]) -> Scan<'a> {
        let mut scan = Scan {
            addresses,
            sized: vec![None; addresses.len()],
            starting: vec![None; addresses.len()],
            last: vec![0; addresses.len()],
            covered: 0,
        };
        if addresses.is_empty() {
            return scan;
        }
        for view in views {
            each_symbol(view, &mut |symbol| scan.add(&symbol));
        }
        scan
    }

    #[inline]
    fn add(&mut self, symbol: &Defined<'a>) {
        let (Some(&first), Some(&last)) = (self.addresses.first(), self.addresses.last()) else { return };
        let end = symbol.start.saturating_add(symbol.size);
        // A symbol of another place entirely: nearly all are.
        if symbol.start > last || (symbol.size > 0 && end <= first && symbol.start < first) {
            if symbol.start <= last {
                self.last[0] = self.last[0].max(symbol.start);
            }
            return;
        }
        let from = self.addresses.partition_point(|address| *address < symbol.start);
        self.last[from] = self.last[from].max(symbol.start);
        let Some(code) = &symbol.code else { return };
        // None of the addresses is reached.
        if symbol.size > 0 && self.addresses.get(from).is_none_or(|address| *address >= end) {
            return;
        }
        let name = symbol.name();
        if name.is_empty() {
            return;
        }
        let claim = |end: u64| Claim { start: symbol.start, rank: symbol.rank, name: Reverse(name), end };
        if symbol.size == 0 {
            let end = if symbol.is_dynamic { symbol.start + 1 } else { code.end };
            let best = &mut self.starting[from];
            *best = (*best).max(Some(claim(end)));
            return;
        }
        let claim = claim(end.min(code.end));
        for (address, best) in self.addresses[from..].iter().zip(&mut self.sized[from..]) {
            if *address >= claim.end || self.covered >= COVERED_MAX {
                break;
            }
            self.covered += 1;
            *best = (*best).max(Some(claim));
        }
    }

    /// For each address the label that reaches it.
    fn labels(&self) -> Vec<Option<Claim<'a>>> {
        let (mut label, mut last) = (None, 0);
        let reaching = |((starting, start), address): ((&Option<Claim<'a>>, &u64), &u64)| {
            label = label.max(*starting);
            last = last.max(*start);
            label.filter(|label: &Claim<'_>| label.start == last && *address < label.end)
        };
        self.starting.iter().zip(&self.last).zip(self.addresses).map(reaching).collect()
    }
}

/// Calls `each` with every defined symbol of both tables.
fn each_symbol<'a>(view: &'a object::File<'a>, each: &mut impl FnMut(Defined<'a>)) {
    match view {
        object::File::Elf32(file) => each_of_file(file, each),
        object::File::Elf64(file) => each_of_file(file, each),
        _ => {}
    }
}

fn each_of_file<'a, H: FileHeader<Endian = Endianness>>(
    file: &'a ElfFile<'a, H>,
    each: &mut impl FnMut(Defined<'a>),
) {
    let code = CodeSections::of(file);
    each_of_table(file, file.elf_symbol_table(), false, &code, each);
    each_of_table(file, file.elf_dynamic_symbol_table(), true, &code, each);
}

fn each_of_table<'a, H: FileHeader<Endian = Endianness>>(
    file: &'a ElfFile<'a, H>,
    table: &SymbolTable<'a, H>,
    is_dynamic: bool,
    code: &CodeSections,
    each: &mut impl FnMut(Defined<'a>),
) {
    let endian = file.endian();
    let has_marks = matches!(
        file.architecture(),
        Architecture::Arm | Architecture::Aarch64 | Architecture::Riscv32 | Architecture::Riscv64
    );
    for (index, symbol) in table.symbols().iter().enumerate().take(SYMBOLS_MAX) {
        let kind = symbol.st_type();
        let index = object::SymbolIndex(index);
        let Ok(Some(section)) = table.symbol_section(endian, symbol, index) else { continue };
        // The values of thread-local symbols are offsets, not addresses.
        if kind == sh::STT_TLS {
            continue;
        }
        let start: u64 = symbol.st_value(endian).into();
        let names_code = matches!(kind, sh::STT_NOTYPE | sh::STT_FUNC | sh::STT_GNU_IFUNC);
        let code = if names_code { code.holding(section, start) } else { None };
        let is_data = kind == sh::STT_OBJECT;
        let (strings, name) = (table.strings(), symbol.st_name(endian));
        // Arm marks where code and data begin with `$x` and `$d`, which are no names and end nothing.
        if has_marks && kind == sh::STT_NOTYPE && strings.get(name).is_ok_and(|name| name.starts_with(b"$")) {
            continue;
        }
        let rank = match symbol.st_bind() {
            sh::STB_WEAK => Rank::Weak,
            sh::STB_LOCAL => Rank::Local,
            _ => Rank::Global,
        };
        each(Defined {
            strings,
            name,
            start,
            size: symbol.st_size(endian).into(),
            rank,
            is_dynamic,
            is_data,
            code,
        });
    }
}

/// Where the executable sections lie.
struct CodeSections {
    ranges: Vec<Range<u64>>,
    /// In a relocatable object all sections start at 0: the one whose addresses are meant.
    only: Option<object::SectionIndex>,
}

impl CodeSections {
    fn of<'a, H: FileHeader<Endian = Endianness>>(file: &'a ElfFile<'a, H>) -> CodeSections {
        let only = match file.kind() {
            ObjectKind::Relocatable => relocate::code_section(file),
            _ => None,
        };
        let is_code = |section: &object::read::elf::ElfSection<'_, '_, H>| {
            elf::is_executable(section.flags()) && only.is_none_or(|only| only == section.index())
        };
        let sections = file.sections().filter(is_code);
        CodeSections {
            ranges: sections.map(|section| elf::extent(section.address(), section.size())).collect(),
            only,
        }
    }

    /// The section that holds `address`. Which one a symbol names is no help in a linked file: tools that remove
    /// sections forget to count the symbols of `.dynsym` anew.
    fn holding(&self, named: object::SectionIndex, address: u64) -> Option<Range<u64>> {
        if self.only.is_some_and(|only| only != named) {
            return None;
        }
        self.ranges.iter().find(|range| range.contains(&address)).cloned()
    }
}
