//! The tree of calls that the compiler inlined into a function.
//!
//! Every instruction has the number of the innermost inlined call that it belongs to, or none. The
//! call's entry names the function that was inlined and gives an instruction of the caller: its file
//! and line are those of the call, its own number is that of the next call outwards.

use crate::header::{Header, Version};
use crate::module::{Module, Words};
use crate::record::{FunctionData, Record};

/// Functions of a Go 1.12 to 1.15 table among which a tree is looked for, to tell those releases apart.
const LAYOUT_SEARCH: usize = 1 << 14;

/// An entry of a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Call {
    /// Offset of the inlined function's name in the names.
    pub(crate) name: u32,
    /// Distance of an instruction of the caller from the start of the outermost function.
    pub(crate) parent: u64,
    /// Which of the functions that the runtime treats specially it is.
    pub(crate) kind: u8,
    /// First line of the inlined function, zero where the format has none.
    pub(crate) start_line: u32,
}

/// Where a release puts the trees, and how it writes their entries.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layout {
    /// Number of the per-instruction data that holds the number of a call.
    pub(crate) values: usize,
    /// Number of the function data that is the tree.
    tree: usize,
    /// Whether entries have 16 bytes, with the function's first line, in place of 20.
    short: bool,
}

/// Go 1.12.
const OLDEST: Layout = Layout { values: 1, tree: 2, short: false };
/// Go 1.13 to 1.15.
const OLD: Layout = Layout { values: 2, tree: 4, short: false };
/// Go 1.16 to 1.19.
const LONG: Layout = Layout { values: 2, tree: 3, short: false };
/// Go 1.20 and later.
const SHORT: Layout = Layout { values: 2, tree: 3, short: true };

impl Layout {
    /// The layout of a table; `None` if it has no trees that can be read (before Go 1.12).
    pub(crate) fn of(header: &Header<'_>, table: u64, words: Words<'_>) -> Option<Layout> {
        match header.version {
            Version::Go116 | Version::Go118 => Some(LONG),
            Version::Go120 => Some(SHORT),
            Version::Go12 => (0..header.count.min(LAYOUT_SEARCH)).find_map(|index| {
                let record = Record::new(header, index)?;
                [OLD, OLDEST].into_iter().find(|layout| {
                    let tree = layout.tree(&record, &Module::default(), table, words);
                    tree.is_some_and(|tree| starts_tree(words, tree))
                })
            }),
        }
    }

    /// Address of the tree of a function, in a table at an address.
    pub(crate) fn tree(
        self,
        record: &Record<'_>,
        module: &Module,
        table: u64,
        words: Words<'_>,
    ) -> Option<u64> {
        match record.function_data(self.tree)? {
            FunctionData::Offset(offset) => module.function_data?.checked_add(offset),
            FunctionData::Pointer { place, stored } => {
                let place = table.checked_add(place as u64)?;
                Some(words.memory.relocated_word(place).unwrap_or(stored)).filter(|&tree| tree != 0)
            }
        }
    }

    /// The entry of the tree at `tree` with a number.
    pub(crate) fn call(self, words: Words<'_>, tree: u64, number: u32) -> Option<Call> {
        let (size, kind, name, parent) = if self.short { (16, 0, 4, 8) } else { (20, 2, 12, 16) };
        let address = tree.checked_add(u64::from(number).checked_mul(size as u64)?)?;
        let entry = words.memory.read(address, size)?;
        Some(Call {
            name: words.format.u32(entry, name)?,
            parent: u64::from(words.format.u32(entry, parent)?),
            kind: *entry.get(kind)?,
            start_line: if self.short { words.format.u32(entry, 12)? } else { 0 },
        })
    }
}

/// Whether a tree of 20-byte entries starts at an address: the first entry has no parent, a padding
/// byte, and the line of the call. The other function data start with small counts.
fn starts_tree(words: Words<'_>, address: u64) -> bool {
    let Some(entry) = words.memory.read(address, 20) else { return false };
    let line = words.format.u32(entry, 8).unwrap_or(0);
    matches!(entry, [0xff, 0xff, _, 0, ..]) && line != 0
}
