//! What the reader asks of the program that it reads: bytes by virtual address, the sections where the
//! runtime's `moduledata` may be, and the words which the dynamic loader would write.

use crate::bytes::Format;

/// Byte order of the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endian {
    /// Least significant byte first.
    Little,
    /// Most significant byte first.
    Big,
}

/// The program's memory as the file describes it, by the virtual addresses of the file.
pub trait Memory {
    /// The `length` bytes at `address`, if one loaded segment holds all of them.
    fn read(&self, address: u64, length: usize) -> Option<&[u8]>;

    /// The `index`th section that may hold `moduledata`, as its address and bytes; `None` past the last.
    ///
    /// In order of hope: `.go.module`, then `.noptrdata`, `.data`, `.data.rel.ro`. All writable segments
    /// do as well.
    fn data_section(&self, index: usize) -> Option<(u64, &[u8])>;

    /// The word that the loader writes at `address` because of a relative relocation.
    ///
    /// Go's own linker writes the same word into the file, the system's linkers do not: a
    /// position-independent program with cgo needs this. [`Rela`] answers from the file's table. Packed
    /// relocations (`.relr.dyn`) need no answer, their words are in the file.
    fn relocated_word(&self, address: u64) -> Option<u64> {
        let _ = address;
        None
    }

    /// The `index`th address where the loader writes `word` because of a relative relocation.
    fn relocated_to(&self, word: u64, index: usize) -> Option<u64> {
        let _ = (word, index);
        None
    }
}

/// A table of ELF relocations with addends (`.rela.dyn`), to answer the questions of [`Memory`].
///
/// The relative relocations, which have no symbol, must come first and in order of their addresses, as
/// linkers sort them.
#[derive(Clone, Copy, Debug)]
pub struct Rela<'a> {
    bytes: &'a [u8],
    format: Format,
}

impl<'a> Rela<'a> {
    /// Bytes of a table of a 64-bit or a 32-bit program.
    #[must_use]
    pub fn new(bytes: &'a [u8], endian: Endian, is_64: bool) -> Rela<'a> {
        Rela { bytes, format: Format { endian, pointer: if is_64 { 8 } else { 4 } } }
    }

    /// See [`Memory::relocated_word`].
    #[must_use]
    pub fn relocated_word(&self, address: u64) -> Option<u64> {
        let (mut low, mut high) = (0, self.bytes.len() / self.size());
        while low < high {
            let middle = low + (high - low) / 2;
            match self.relative(middle) {
                Some((place, word)) if place == address => return Some(word),
                Some((place, _)) if place < address => low = middle + 1,
                _ => high = middle,
            }
        }
        None
    }

    /// See [`Memory::relocated_to`].
    #[must_use]
    pub fn relocated_to(&self, word: u64, index: usize) -> Option<u64> {
        let all = (0..self.bytes.len() / self.size()).map_while(|entry| self.relative(entry));
        all.filter(|&(_, value)| value == word).nth(index).map(|(place, _)| place)
    }

    /// Bytes of an entry.
    fn size(&self) -> usize {
        3 * self.format.pointer
    }

    /// Place and word of an entry, if it is a relative relocation.
    fn relative(&self, index: usize) -> Option<(u64, u64)> {
        let entry = self.bytes.get(index.checked_mul(self.size())?..)?;
        let symbol_shift = if self.format.pointer == 8 { 32 } else { 8 };
        if self.format.word(entry, self.format.pointer)? >> symbol_shift != 0 {
            return None;
        }
        Some((self.format.word(entry, 0)?, self.format.word(entry, 2 * self.format.pointer)?))
    }
}

#[cfg(test)]
mod tests {
    use super::{Endian, Rela};

    #[test]
    fn relative_relocations_are_found() {
        let words = [0x10_u64, 8, 0x500, 0x20, 8, 0x600, 0x28, 8, 0x500, 0x18, 7 << 32 | 1, 0x500];
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        let rela = Rela::new(&bytes, Endian::Little, true);
        let answers = [0x10, 0x20, 0x28, 0x18, 0x30].map(|address| rela.relocated_word(address));
        assert_eq!(answers, [Some(0x500), Some(0x600), Some(0x500), None, None]);
        let places = [0, 1, 2].map(|index| rela.relocated_to(0x500, index));
        assert_eq!(places, [Some(0x10), Some(0x28), None]);
    }
}
