//! The runtime's `moduledata`: the fields without which the table's offsets mean nothing.
//!
//! It has no name in a stripped program. It is the structure in the data that starts with a pointer to
//! the table and goes on with slices of the table's parts; releases added fields in the middle, so the
//! later ones are found by what they point to rather than by their place.

use crate::bytes::Format;
use crate::header::{Header, Version};
use crate::memory::{Endian, Memory};

/// Words before `text`: the pointer, six slices, `findfunctab`, `minpc` and `maxpc`.
const TEXT_WORD: u64 = 22;
/// First and last word that is tried as the start of `textsectmap`.
const TEXT_SECTIONS: std::ops::Range<u64> = 36..52;
/// Most sections of text: the linker splits at 2 MiB at the smallest (ppc64), 4 GiB is the limit of
/// the offsets.
const MAX_SECTIONS: u64 = 2048;
/// Most addresses that are tried for each way of finding the structure.
const MAX_CANDIDATES: usize = 16;
/// Most sections of data that are searched.
const MAX_DATA_SECTIONS: usize = 256;

/// What is used of `moduledata`.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Module {
    /// Address that offsets in the text count from.
    pub(crate) text: u64,
    /// Address that offsets of function data count from.
    pub(crate) function_data: Option<u64>,
    /// Address and number of the sections that the text is split into, if it is.
    sections: Option<(u64, u64)>,
}

/// One of several sections of text: `[start, end)` in offsets, loaded at `base`.
#[derive(Clone, Copy, Debug)]
struct TextSection {
    start: u64,
    end: u64,
    base: u64,
}

/// Reads words of the program's memory.
#[derive(Clone, Copy)]
pub(crate) struct Words<'a> {
    pub(crate) memory: &'a dyn Memory,
    pub(crate) format: Format,
}

impl Words<'_> {
    /// The word at `address` as it is after loading.
    ///
    /// The file's word is the same in programs that Go's linker wrote; the system's linkers leave zero
    /// there (x86-64) or another number (arm64).
    pub(crate) fn at(&self, address: u64) -> Option<u64> {
        self.memory.relocated_word(address).or_else(|| self.stored(address))
    }

    /// The word at `address` as the file has it.
    fn stored(&self, address: u64) -> Option<u64> {
        self.format.word(self.memory.read(address, self.format.pointer)?, 0)
    }

    /// The address of the `index`th word from `base` on.
    fn place(&self, base: u64, index: u64) -> Option<u64> {
        base.checked_add(index.checked_mul(self.format.pointer as u64)?)
    }

    fn field(&self, base: u64, index: u64) -> Option<u64> {
        self.at(self.place(base, index)?)
    }
}

impl Module {
    /// A module of which only the start of the text is known.
    pub(crate) fn bare(text: u64) -> Module {
        Module { text, ..Module::default() }
    }

    /// Finds the structure that belongs to the table at `table_address`.
    ///
    /// Before Go 1.18 the addresses in the tables are absolute, and nothing is missing.
    pub(crate) fn find(header: &Header<'_>, table_address: u64, memory: &dyn Memory) -> Option<Module> {
        if header.version < Version::Go118 {
            return Some(Module::default());
        }
        let words = Words { memory, format: header.format };
        (0..MAX_CANDIDATES)
            .map_while(|index| memory.relocated_to(table_address, index))
            .find_map(|address| Module::read(header, words, address, table_address))
            .or_else(|| {
                (0..MAX_DATA_SECTIONS).map_while(|index| memory.data_section(index)).find_map(
                    |(base, bytes)| {
                        places(bytes, header.format, table_address)
                            .filter_map(|offset| base.checked_add(offset))
                            .take(MAX_CANDIDATES)
                            .find_map(|address| Module::read(header, words, address, table_address))
                    },
                )
            })
    }

    /// Reads the structure at `address` if it is one that goes with the table.
    fn read(header: &Header<'_>, words: Words<'_>, address: u64, table_address: u64) -> Option<Module> {
        let field = |index| words.field(address, index);
        // The function table's slice has an element more than there are functions.
        let count = header.count as u64;
        if field(0)? != table_address || field(17)?.wrapping_sub(count) > 1 || field(18)? < field(17)? {
            return None;
        }
        let (low, high, text, end) = (field(20)?, field(21)?, field(TEXT_WORD)?, field(TEXT_WORD + 1)?);
        if text > low || low >= high || text >= end {
            return None;
        }
        let mut module = Module::bare(text);
        module.read_late(words, address, table_address);
        Some(module)
    }

    /// Finds the fields whose places differ between releases.
    fn read_late(&mut self, words: Words<'_>, address: u64, table_address: u64) {
        let text = self.text;
        let found = TEXT_SECTIONS.into_iter().find_map(|index| {
            let sections = words.field(address, index)?;
            let count = words.field(address, index + 1)?;
            let room = words.field(address, index + 2)?;
            let plausible = (1..=MAX_SECTIONS).contains(&count) && room >= count;
            let first = plausible.then(|| TextSection::read(words, sections, 0))??;
            (first.start == 0 && first.base == text).then_some((index, sections, count))
        });
        let Some((index, sections, count)) = found else { return };
        if count > 1 {
            self.sections = Some((sections, count));
        }
        let before = |back| words.field(address, index - back);
        // Since Go 1.26 the function data is inside of the table, and the table's end comes after it.
        self.function_data = match (before(2), before(1)) {
            (Some(data), Some(end)) if table_address < data && data <= end => Some(data),
            (_, data) => data,
        };
    }

    /// Offset in the text of an address, `None` between sections.
    pub(crate) fn offset(&self, words: Words<'_>, pc: u64) -> Option<u64> {
        let Some((sections, count)) = self.sections else { return pc.checked_sub(self.text) };
        for index in 0..count {
            let section = TextSection::read(words, sections, index)?;
            let distance = pc.checked_sub(section.base)?;
            if distance < section.end.checked_sub(section.start)? {
                return distance.checked_add(section.start);
            }
        }
        None
    }

    /// Address of an offset in the text.
    pub(crate) fn address(&self, words: Words<'_>, offset: u64) -> Option<u64> {
        let Some((sections, count)) = self.sections else { return self.text.checked_add(offset) };
        for index in 0..count {
            let section = TextSection::read(words, sections, index)?;
            // The end of the last function is the end of the last section.
            let last = index + 1 == count && offset == section.end;
            if (section.start..section.end).contains(&offset) || last {
                return section.base.checked_add(offset.checked_sub(section.start)?);
            }
        }
        None
    }
}

impl TextSection {
    fn read(words: Words<'_>, sections: u64, index: u64) -> Option<TextSection> {
        let place = words.place(sections, index.checked_mul(3)?)?;
        let base = words.field(place, 2)?;
        Some(TextSection { start: words.stored(place)?, end: words.stored(words.place(place, 1)?)?, base })
    }
}

/// Offsets of the aligned words that are equal to `word`.
fn places(bytes: &[u8], format: Format, word: u64) -> impl Iterator<Item = u64> {
    let wide = match format.endian {
        Endian::Little => word.to_le_bytes(),
        Endian::Big => word.wrapping_shl(if format.pointer == 4 { 32 } else { 0 }).to_be_bytes(),
    };
    let size = format.pointer;
    let chunks = bytes.chunks_exact(size).enumerate();
    chunks
        .filter(move |(_, chunk)| wide.starts_with(chunk))
        .filter_map(move |(index, _)| Some(index.checked_mul(size)? as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three words for each of two sections of text, at address zero.
    struct Sections(Vec<u8>);

    impl Memory for Sections {
        fn read(&self, address: u64, length: usize) -> Option<&[u8]> {
            let start = usize::try_from(address).ok()?;
            self.0.get(start..start.checked_add(length)?)
        }

        fn data_section(&self, _: usize) -> Option<(u64, &[u8])> {
            None
        }
    }

    #[test]
    fn split_text_has_gaps() {
        let words = [0_u64, 0x100, 0x1000, 0x100, 0x180, 0x2000];
        let memory = Sections(words.iter().flat_map(|word| word.to_be_bytes()).collect());
        let words = Words { memory: &memory, format: Format { endian: Endian::Big, pointer: 8 } };
        let module = Module { text: 0x1000, function_data: None, sections: Some((0, 2)) };
        let offsets = [0xfff, 0x1000, 0x10ff, 0x1100, 0x2000, 0x207f, 0x2080];
        assert_eq!(
            offsets.map(|pc| module.offset(words, pc)),
            [None, Some(0), Some(0xff), None, Some(0x100), Some(0x17f), None]
        );
        let addresses = [0, 0xff, 0x100, 0x180, 0x181];
        assert_eq!(
            addresses.map(|offset| module.address(words, offset)),
            [Some(0x1000), Some(0x10ff), Some(0x2000), Some(0x2080), None]
        );
    }

    #[test]
    fn places_are_aligned_words() {
        let format = Format { endian: Endian::Big, pointer: 4 };
        let bytes = [0, 0, 1, 2, 0, 0, 0, 1, 2, 0, 0, 0, 0, 0, 1, 2];
        assert_eq!(places(&bytes, format, 0x102).collect::<Vec<_>>(), [0, 12]);
    }
}
