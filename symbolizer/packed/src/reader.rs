//! Answers from a file in memory. Opening reads the header; everything else is found when it is asked for.

use crate::bits::BitReader;
use crate::block::{BlockNode, Source};
use crate::error::PackError;
use crate::format::{
    self, COMPLETE_INLINES, FileHeader, HAS_COLUMNS, HAS_LINKAGE_NAMES, SECTION_COUNT, Section,
};
use crate::format::{u32_at, u64_at};
use crate::frame::NameSource;
use crate::functions::{FILE_AS_BEFORE, FILE_FIRST, FILE_NONE, FUNCTION_GROUP, HAS_LINKAGE, HAS_NAME};
use crate::model::{Decoder, Model, unzigzag};
use crate::scratch::{AnswerFrame, Frames, FunctionText, Scratch, Span, Texts};
use crate::strings::Strings;

/// Steps (symbols read, rules followed) that one lookup may take. A step takes some nanoseconds, so a lookup in a
/// damaged file ends within a few milliseconds; an honest one takes some hundred steps.
const LOOKUP_BUDGET: u32 = 1 << 18;

/// A packed symbol file, borrowed from memory.
pub struct Packed<'a> {
    bytes: &'a [u8],
    header: FileHeader,
    checksum: u32,
    sections: [&'a [u8]; SECTION_COUNT],
}

impl<'a> Packed<'a> {
    /// Opens a file: verifies the header's checksum and finds the sections, without touching them.
    ///
    /// # Errors
    ///
    /// If the bytes are no packed symbol file of a known version, or not the whole file.
    pub fn open(bytes: &'a [u8]) -> Result<Self, PackError> {
        let opened = format::open(bytes)?;
        Ok(Self { bytes, header: opened.header, checksum: opened.checksum, sections: opened.sections })
    }

    /// Verifies the checksums of all sections: reads the whole file.
    ///
    /// # Errors
    ///
    /// Names the first section whose checksum does not fit.
    pub fn check(&self) -> Result<(), PackError> {
        format::check(self.bytes)
    }

    /// The program's build-id, empty if it has none.
    #[must_use]
    pub fn build_id(&self) -> &[u8] {
        &self.header.build_id
    }

    /// The ELF machine number (`e_machine`).
    #[must_use]
    pub fn architecture(&self) -> u16 {
        self.header.architecture
    }

    /// Whether every inlined frame was found when the file was made.
    #[must_use]
    pub fn complete_inlines(&self) -> bool {
        self.header.flags & COMPLETE_INLINES != 0
    }

    /// Whether frames have columns.
    #[must_use]
    pub fn has_columns(&self) -> bool {
        self.header.flags & HAS_COLUMNS != 0
    }

    /// Whether functions have linkage names.
    #[must_use]
    pub fn has_linkage_names(&self) -> bool {
        self.header.flags & HAS_LINKAGE_NAMES != 0
    }

    /// Start and length of every section of the program that holds code.
    pub fn text(&self) -> impl Iterator<Item = (u64, u64)> {
        let text = self.section(Section::Text);
        (0..text.len() / 16)
            .filter_map(|index| Some((u64_at(text, index * 16)?, u64_at(text, index * 16 + 8)?)))
    }

    /// The lowest address that is known and the end of the highest range.
    #[must_use]
    pub fn bounds(&self) -> (u64, u64) {
        (self.header.low, self.header.high)
    }

    /// The frames at an address, innermost first; `None` if nothing is known there.
    pub fn lookup<'s>(&self, address: u64, scratch: &'s mut Scratch) -> Option<Frames<'s>> {
        self.find(address, scratch).then(|| Frames::of(scratch))
    }

    /// Looks up many addresses in ascending order, whatever their order in the slice: then every block is decoded
    /// once, and a scratch for one block suffices. `each` gets the index of the address and its frames.
    pub fn lookup_many(
        &self,
        addresses: &[u64],
        scratch: &mut Scratch,
        mut each: impl FnMut(usize, Option<Frames<'_>>),
    ) {
        let mut sorted: Vec<(u64, usize)> =
            addresses.iter().enumerate().map(|(index, address)| (*address, index)).collect();
        sorted.sort_unstable();
        scratch.blocks.ascending = true;
        for (address, index) in sorted {
            let found = self.find(address, scratch);
            each(index, found.then(|| Frames::of(scratch)));
        }
        scratch.blocks.ascending = false;
    }

    /// Gives every range in ascending order: start, end, and its frames (`None` in a gap).
    ///
    /// The work is proportional to the program that the file describes. Call [`Packed::check`] first: a damaged file
    /// may describe a very large one.
    pub fn for_each(&self, scratch: &mut Scratch, mut each: impl FnMut(u64, u64, Option<Frames<'_>>)) {
        for number in 0..self.block_count() {
            let Some(base) = self.block_start(number) else { return };
            let mut range = 0;
            while let Some(known) =
                self.answer(number, scratch, |block| (range < block.len()).then_some(range), base)
            {
                let (start, end) = (scratch.answer.start, scratch.answer.end);
                if start < end {
                    each(start, end, known.then(|| Frames::of(scratch)));
                }
                range += 1;
            }
        }
    }

    /// Finds the frames at an address, for the scratch to hold.
    fn find(&self, address: u64, scratch: &mut Scratch) -> bool {
        if address < self.header.low || address >= self.header.high {
            return false;
        }
        if scratch.file == Some(self.identity())
            && (scratch.answer.start..scratch.answer.end).contains(&address)
        {
            return !scratch.answer.frames.is_empty();
        }
        let Some((number, base)) = self.find_block(address) else { return false };
        let relative = address.wrapping_sub(base) >> self.header.shift;
        self.answer(number, scratch, |block| block.find(relative), base).unwrap_or(false)
    }

    /// Puts a range of a block into the scratch's answer: whether anything is known there, `None` if there
    /// is no such range.
    fn answer(
        &self,
        number: u32,
        scratch: &mut Scratch,
        choose: impl FnOnce(&crate::block::Block) -> Option<usize>,
        base: u64,
    ) -> Option<bool> {
        scratch.prepare(self.identity(), self.section(Section::Models), self.function_count());
        let Scratch { decoder, work, blocks, texts, answer, .. } = scratch;
        let decoder = decoder.as_ref()?;
        answer.frames.clear();
        (answer.start, answer.end) = (0, 0);
        let (block, known) = blocks.place(number);
        if !known {
            let (bit, next_own) = self.block_position(number)?;
            let columns = self.has_columns();
            let bytes = self.section(Section::Ranges);
            block.decode(&Source { decoder, bytes, bit, next_own, columns }, work);
        }
        let range = choose(block)?;
        let (start, end) = block.bounds(range);
        answer.start = base.wrapping_add(u64::from(start) << self.header.shift);
        answer.end = match end {
            Some(end) => base.wrapping_add(u64::from(end) << self.header.shift),
            None => self.block_start(number.checked_add(1)?)?,
        };
        let mut budget = LOOKUP_BUDGET;
        for node in block.chain(range) {
            answer.frames.push(self.frame(node, decoder, texts, &mut budget));
        }
        Some(!answer.frames.is_empty())
    }

    /// A frame of an answer.
    #[inline]
    fn frame(&self, node: &BlockNode, decoder: &Decoder, texts: &mut Texts, budget: &mut u32) -> AnswerFrame {
        let function = match texts.function(node.function) {
            Some(known) => known,
            None => {
                let found = self.function(node.function, decoder, texts, budget);
                // What the budget cut short is not remembered: it may succeed when asked for first.
                if *budget > 0 {
                    texts.keep_function(node.function, found);
                }
                found
            }
        };
        let line = if node.line == 0 { 0 } else { (node.line - 1).wrapping_add(function.lowest_line) };
        AnswerFrame { function, line, column: node.column }
    }

    /// Reads a function record and its strings.
    fn function(&self, number: u32, decoder: &Decoder, texts: &mut Texts, budget: &mut u32) -> FunctionText {
        let Some(record) = self.record(number, decoder, budget) else { return FunctionText::default() };
        let mut expand =
            |string: Option<u32>| string.and_then(|string| self.string(string, decoder, texts, budget));
        let name = expand(record.name);
        let linkage = expand(record.linkage);
        let file = record.file.and_then(|file| match texts.files.get(&file) {
            Some(known) => *known,
            None => {
                let number = self.strings().name_count().wrapping_add(file);
                let span = self.string(number, decoder, texts, budget);
                texts.files.insert(file, span);
                span
            }
        });
        FunctionText { name, linkage, file, lowest_line: record.line, source: record.source }
    }

    /// Expands a string into the text arena.
    fn string(&self, number: u32, decoder: &Decoder, texts: &mut Texts, budget: &mut u32) -> Option<Span> {
        texts.bytes.clear();
        self.strings().expand(decoder, number, &mut texts.bytes, budget)?;
        texts.keep()
    }

    /// Reads a function record.
    fn record(&self, number: u32, decoder: &Decoder, budget: &mut u32) -> Option<Record> {
        let index = self.section(Section::FunctionIndex);
        if number >= u32_at(index, 0)? {
            return None;
        }
        *budget = budget.saturating_sub(FUNCTION_GROUP as u32);
        let group = number as usize / FUNCTION_GROUP;
        let bit = u32_at(index, 4 + 8 * group)? as usize;
        let mut next_name = u32_at(index, 8 + 8 * group)?;
        let mut reader = BitReader::at_bit(self.section(Section::Functions), bit);
        let mut record = Record::default();
        for _ in 0..=number as usize % FUNCTION_GROUP {
            record.advance(decoder, &mut reader, &mut next_name);
        }
        Some(record)
    }

    fn strings(&self) -> Strings<'a> {
        Strings {
            index: self.section(Section::StringIndex),
            strings: self.section(Section::Strings),
            word_index: self.section(Section::WordIndex),
            words: self.section(Section::Words),
            rules: self.section(Section::Rules),
        }
    }

    /// The block that an address is in, and where the block starts.
    fn find_block(&self, address: u64) -> Option<(u32, u64)> {
        let (mut low, mut high) = (0, self.block_count());
        while low < high {
            let middle = low + (high - low) / 2;
            if self.block_start(middle)? <= address { low = middle + 1 } else { high = middle }
        }
        let number = low.checked_sub(1)?;
        Some((number, self.block_start(number)?))
    }

    fn block_count(&self) -> u32 {
        u32_at(self.section(Section::RangeIndex), 0).unwrap_or(0)
    }

    /// The number of functions, or of those that the index has room for.
    fn function_count(&self) -> usize {
        let index = self.section(Section::FunctionIndex);
        (u32_at(index, 0).unwrap_or(0) as usize).min(index.len() / 8 * FUNCTION_GROUP)
    }

    /// Whether starts of blocks take eight bytes.
    fn wide(&self) -> bool {
        u32_at(self.section(Section::RangeIndex), 4) == Some(8)
    }

    #[inline]
    fn block_start(&self, number: u32) -> Option<u64> {
        let index = self.section(Section::RangeIndex);
        let relative = if self.wide() {
            u64_at(index, 8 + 8 * number as usize)?
        } else {
            u64::from(u32_at(index, 8 + 4 * number as usize)?)
        };
        Some(self.header.low.wrapping_add(relative << self.header.shift))
    }

    /// The bit at which a block begins, and its next own function.
    fn block_position(&self, number: u32) -> Option<(usize, u32)> {
        let index = self.section(Section::RangeIndex);
        let starts = (self.block_count() as usize + 1) * if self.wide() { 8 } else { 4 };
        let at = 8 + starts + 8 * number as usize;
        Some((u32_at(index, at)? as usize, u32_at(index, at + 4)?))
    }

    fn section(&self, section: Section) -> &'a [u8] {
        self.sections[section as usize]
    }

    fn identity(&self) -> (u32, usize) {
        (self.checksum, self.bytes.len())
    }
}

/// A function record; strings are numbers.
#[derive(Default)]
struct Record {
    name: Option<u32>,
    linkage: Option<u32>,
    file: Option<u32>,
    line: u32,
    source: NameSource,
}

impl Record {
    /// Reads the record after this one.
    fn advance(&mut self, decoder: &Decoder, reader: &mut BitReader<'_>, next_name: &mut u32) {
        let kind = decoder.get(reader, Model::RecordKind);
        self.source = NameSource::from_bits(kind as u8);
        let mut name = |flag: u32| {
            (kind & flag != 0).then(|| {
                let back = decoder.get(reader, Model::RecordName);
                let number = next_name.wrapping_sub(back);
                if back == 0 {
                    *next_name = next_name.wrapping_add(1);
                }
                number
            })
        };
        self.name = name(HAS_NAME);
        self.linkage = name(HAS_LINKAGE);
        let file = decoder.get(reader, Model::RecordFile);
        let line = decoder.get(reader, Model::RecordLine);
        if file == FILE_AS_BEFORE {
            self.line = unzigzag(self.line, line);
        } else {
            self.file = if file == FILE_NONE { None } else { Some(file - FILE_FIRST) };
            self.line = line;
        }
    }
}
