//! The symbol tables of a module and of its debug file as one map from address to name.
//!
//! The rules are those that give no wrong names. A symbol with a size covers exactly that. A `.symtab` symbol
//! without one is hand-written code (`_start`, `_init`): it reaches to the next symbol of any kind or the end of
//! its section, and such a name is marked as a guess. A `.dynsym` symbol without a size covers only its own
//! address, because the symbols after it may have been stripped. Only what is defined in an executable section
//! names code, so `_end`, `_edata`, absolute and data symbols never do. Where several symbols cover an address the
//! one that starts last wins; of several at one start, the global before the weak before the local, then the
//! first in byte order.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::HashMap;
use std::ops::Range;

use object::read::SectionIndex;
use object::{Object, ObjectSection, ObjectSymbol, SymbolKind, SymbolSection};

use crate::address::ModuleAddress;
use crate::demangle::NAME_BYTES_MAX;
use crate::elf::{self, Elf};
use crate::mmap::Bytes;

/// Symbols taken from one file at most. Browsers have some 2 million; the rest of a longer table is left out.
const SYMBOLS_MAX: usize = 1 << 22;

/// Names of code by address.
pub(crate) struct SymbolTable {
    /// The files that hold the names.
    files: Vec<Bytes>,
    /// Pieces of the address space, sorted and disjoint, each with the symbol that owns it by its size.
    sized: Vec<Piece>,
    /// The same for symbols without a size, which are asked only where no sized one covers.
    labels: Vec<Piece>,
}

/// A name for an address.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Symbol<'a> {
    /// As it stands in the table, not demangled.
    pub(crate) name: Cow<'a, str>,
    /// Where the symbol starts.
    pub(crate) start: ModuleAddress,
    /// The symbol has no size, and that it reaches as far as the address is a guess.
    pub(crate) nearest: bool,
}

struct Piece {
    range: Range<u64>,
    symbol: Entry,
}

#[derive(Clone, Copy)]
struct Entry {
    start: u64,
    /// Where its claim ends.
    end: u64,
    name: Name,
    rank: Rank,
}

/// Where the name stands: which file, and the bytes in it.
#[derive(Clone, Copy)]
struct Name {
    file: usize,
    offset: usize,
    length: usize,
}

/// The better the greater.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Local,
    Weak,
    Global,
}

impl SymbolTable {
    /// The union of the symbols of `files`. Damaged tables and symbols are left out.
    pub(crate) fn of<'a>(files: impl Iterator<Item = &'a Elf>) -> SymbolTable {
        let mut table = SymbolTable { files: Vec::new(), sized: Vec::new(), labels: Vec::new() };
        let mut sized = Vec::new();
        let mut labels = Vec::new();
        let mut starts = Vec::new();
        for elf in files {
            let Ok(view) = elf.view() else { continue };
            let mut collect = Collect {
                bytes: elf.bytes(),
                file: table.files.len(),
                code: executable_sections(&view),
                sized: &mut sized,
                labels: &mut labels,
                starts: &mut starts,
            };
            view.symbols().take(SYMBOLS_MAX).for_each(|symbol| collect.add(&symbol, Table::Static));
            view.dynamic_symbols().take(SYMBOLS_MAX).for_each(|symbol| collect.add(&symbol, Table::Dynamic));
            table.files.push(elf.bytes().clone());
        }
        starts.sort_unstable();
        for symbol in &mut labels {
            let next = starts.partition_point(|start| *start <= symbol.start);
            symbol.end = starts.get(next).map_or(symbol.end, |next| symbol.end.min(*next));
        }
        table.sized = table.disjoint(sized);
        // A label inside a sized function says nothing about what follows that function.
        labels.retain(|symbol| find(&table.sized, symbol.start).is_none());
        table.labels = table.disjoint(labels);
        table
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.sized.is_empty() && self.labels.is_empty()
    }

    /// Where the symbol of exactly this name starts, mangled as in the table. Several files may have local ones of one name: then there
    /// is no answer.
    pub(crate) fn start_of(&self, name: &str) -> Option<ModuleAddress> {
        let pieces = self.sized.iter().chain(&self.labels);
        let mut starts =
            pieces.map(|piece| &piece.symbol).filter(|symbol| self.name(symbol) == name.as_bytes());
        let start = starts.next()?.start;
        starts.all(|other| other.start == start).then_some(ModuleAddress(start))
    }

    /// The symbol that names the code at `address`.
    pub(crate) fn find(&self, address: ModuleAddress) -> Option<Symbol<'_>> {
        let sized = find(&self.sized, address.0);
        let entry = sized.or_else(|| find(&self.labels, address.0))?;
        Some(Symbol {
            name: String::from_utf8_lossy(self.name(entry)),
            start: ModuleAddress(entry.start),
            nearest: sized.is_none() && entry.start != address.0,
        })
    }

    fn name(&self, entry: &Entry) -> &[u8] {
        let Name { file, offset, length } = entry.name;
        self.files.get(file).and_then(|bytes| bytes.get(offset..offset + length)).unwrap_or_default()
    }

    /// Cuts overlapping claims into disjoint pieces: the claim that starts last owns what it covers, then the one
    /// around it goes on.
    fn disjoint(&self, mut symbols: Vec<Entry>) -> Vec<Piece> {
        // At one address the best comes last, on top of the others.
        symbols.sort_by(|a, b| {
            (a.start, a.rank)
                .cmp(&(b.start, b.rank))
                .then_with(|| Reverse(self.name(a)).cmp(&Reverse(self.name(b))))
        });
        let mut pieces: Vec<Piece> = Vec::with_capacity(symbols.len());
        let mut open: Vec<Entry> = Vec::new();
        let mut position = 0;
        let mut advance = |open: &mut Vec<Entry>, to: u64| {
            while let Some(symbol) = open.last() {
                let end = symbol.end.min(to);
                if position < end {
                    pieces.push(Piece { range: position..end, symbol: *symbol });
                    position = end;
                }
                if symbol.end > to {
                    break;
                }
                open.pop();
            }
            position = to;
        };
        for symbol in symbols {
            advance(&mut open, symbol.start);
            open.push(symbol);
        }
        advance(&mut open, u64::MAX);
        pieces
    }
}

fn find(pieces: &[Piece], address: u64) -> Option<&Entry> {
    let after = pieces.partition_point(|piece| piece.range.start <= address);
    let piece = pieces.get(after.checked_sub(1)?)?;
    piece.range.contains(&address).then_some(&piece.symbol)
}

fn executable_sections(view: &object::File<'_>) -> HashMap<SectionIndex, Range<u64>> {
    view.sections()
        .filter(|section| elf::is_executable(section.flags()))
        .map(|section| (section.index(), elf::extent(section.address(), section.size())))
        .collect()
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Table {
    Static,
    Dynamic,
}

/// Sorts the symbols of one file into those with and those without a size.
struct Collect<'a> {
    bytes: &'a Bytes,
    file: usize,
    code: HashMap<SectionIndex, Range<u64>>,
    sized: &'a mut Vec<Entry>,
    labels: &'a mut Vec<Entry>,
    /// Where any symbol starts, of code or not.
    starts: &'a mut Vec<u64>,
}

impl Collect<'_> {
    fn add<'data>(&mut self, symbol: &impl ObjectSymbol<'data>, table: Table) {
        let SymbolSection::Section(section) = symbol.section() else { return };
        // The values of thread-local symbols are offsets, not addresses.
        if symbol.kind() == SymbolKind::Tls {
            return;
        }
        let start = symbol.address();
        self.starts.push(start);
        // `Unknown` is STT_NOTYPE, `Text` is STT_FUNC or STT_GNU_IFUNC.
        if !matches!(symbol.kind(), SymbolKind::Text | SymbolKind::Unknown) {
            return;
        }
        let Some(code) = self.code.get(&section).filter(|code| code.contains(&start)) else { return };
        let Ok(bytes) = symbol.name_bytes() else { return };
        // Arm marks where code and data begin with `$x` and `$d`, which are no names.
        if bytes.is_empty() || bytes.starts_with(b"$") {
            return;
        }
        let Some(offset) = self.bytes.offset_of(bytes) else { return };
        let name = Name { file: self.file, offset, length: bytes.len().min(NAME_BYTES_MAX) };
        let rank = if symbol.is_weak() {
            Rank::Weak
        } else if symbol.is_local() {
            Rank::Local
        } else {
            Rank::Global
        };
        let entry = |end| Entry { start, end, name, rank };
        match (symbol.size(), table) {
            (0, Table::Static) => self.labels.push(entry(code.end)),
            (0, Table::Dynamic) => self.labels.push(entry(start + 1)),
            (size, _) => self.sized.push(entry(start.saturating_add(size).min(code.end))),
        }
    }
}
