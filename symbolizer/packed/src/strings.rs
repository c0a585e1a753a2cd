//! Strings as they are coded, and their expansion.
//!
//! A string is its number of symbols \[`StringLength`\] and the symbols \[`StringSymbol`\]; [`STRING_GROUP`]
//! strings stand behind one entry of the index. A symbol is twice the number of a word, or twice the number of a rule
//! plus one.
//!
//! The index of words begins with the number of words; then come the offsets of every [`WORD_GROUP`]th word (4 bytes each)
//! and the offsets of all words from there (2 bytes each), both with one entry more than there are words. A rule is two
//! symbols of equal width. So words and rules are found by their numbers alone.

use crate::bits::BitReader;
use crate::format::{u16_at, u32_at, u64_at};
use crate::model::{Decoder, Model};
use crate::packer::MAX_STRING;

/// Strings in a group: what a reader skips at most to get at one.
pub(crate) const STRING_GROUP: usize = 8;

/// Words in a group: as many as two-byte offsets reach, a word being at most 255 bytes long.
pub(crate) const WORD_GROUP: usize = 256;

/// Bytes after the rules, so that reading eight bytes at any rule stays within the section.
pub(crate) const RULE_PADDING: usize = 8;

/// The widest symbol in bits: two of them after up to seven other bits fit in eight bytes.
pub(crate) const MAX_SYMBOL_BITS: u32 = 28;

/// Symbols that wait while a symbol is expanded; rules that would need more are not made.
pub(crate) const MAX_PENDING: usize = 64;

/// The sections that strings are made of.
#[derive(Clone, Copy)]
pub(crate) struct Strings<'a> {
    pub(crate) index: &'a [u8],
    pub(crate) strings: &'a [u8],
    pub(crate) word_index: &'a [u8],
    pub(crate) words: &'a [u8],
    pub(crate) rules: &'a [u8],
}

impl Strings<'_> {
    /// How many strings are names; files are numbered from there on.
    pub(crate) fn name_count(&self) -> u32 {
        u32_at(self.index, 0).unwrap_or(0)
    }

    /// Appends the text of a string. Every step is taken from `budget`, which ends the work in a damaged file.
    /// `None` if there is no such string or it does not make sense.
    pub(crate) fn expand(
        &self,
        decoder: &Decoder,
        number: u32,
        out: &mut Vec<u8>,
        budget: &mut u32,
    ) -> Option<()> {
        if number >= u32_at(self.index, 4)? {
            return None;
        }
        let group = number as usize / STRING_GROUP;
        let mut reader = BitReader::at_bit(self.strings, u32_at(self.index, 8 + 4 * group)? as usize);
        for _ in 0..number as usize % STRING_GROUP {
            let length = decoder.get(&mut reader, Model::StringLength);
            *budget = budget.checked_sub(length.saturating_add(1))?;
            for _ in 0..length {
                decoder.get(&mut reader, Model::StringSymbol);
            }
        }
        let length = decoder.get(&mut reader, Model::StringLength);
        *budget = budget.checked_sub(length.saturating_add(1))?;
        let limit = out.len().saturating_add(MAX_STRING);
        for _ in 0..length {
            let symbol = decoder.get(&mut reader, Model::StringSymbol);
            self.symbol(symbol, limit, out, budget)?;
        }
        Some(())
    }

    /// Appends the text of a symbol.
    fn symbol(&self, symbol: u32, limit: usize, out: &mut Vec<u8>, budget: &mut u32) -> Option<()> {
        let mut pending = [0_u32; MAX_PENDING];
        let mut count = 0_usize;
        let mut symbol = symbol;
        loop {
            *budget = budget.checked_sub(1)?;
            if symbol & 1 == 1 {
                let (left, right) = self.rule(symbol >> 1)?;
                *pending.get_mut(count)? = right;
                count += 1;
                symbol = left;
                continue;
            }
            out.extend_from_slice(self.word(symbol >> 1)?);
            if out.len() > limit {
                return None;
            }
            let Some(rest) = count.checked_sub(1) else { return Some(()) };
            count = rest;
            symbol = *pending.get(count)?;
        }
    }

    /// The two symbols of a rule.
    #[inline]
    fn rule(&self, number: u32) -> Option<(u32, u32)> {
        let width = u32_at(self.rules, 0)?.min(MAX_SYMBOL_BITS);
        let bit = number as usize * 2 * width as usize;
        let both = u64_at(self.rules, 4 + bit / 8)? >> (bit % 8);
        let mask = (1_u64 << width) - 1;
        Some(((both & mask) as u32, ((both >> width) & mask) as u32))
    }

    /// The text of a word.
    #[inline]
    fn word(&self, number: u32) -> Option<&[u8]> {
        let count = u32_at(self.word_index, 0)?;
        if number >= count {
            return None;
        }
        let bases = count as usize / WORD_GROUP + 1;
        let offset = |word: usize| {
            let base = u32_at(self.word_index, 4 + 4 * (word / WORD_GROUP))?;
            let offset = u16_at(self.word_index, 4 + 4 * bases + 2 * word)?;
            Some(base as usize + usize::from(offset))
        };
        self.words.get(offset(number as usize)?..offset(number as usize + 1)?)
    }
}
