//! Numbers as symbols: every number of the file belongs to one of a few models, each with its own prefix code.
//!
//! A number below 32 is a symbol itself. A larger one is a symbol for its highest four bits and its length,
//! followed by the remaining bits as they are. So one byte-sized alphabet covers all 32-bit numbers, and the code
//! of a model adapts to how that kind of number is distributed in this very file.

use crate::bits::{BitReader, BitWriter};
use crate::huffman::{self, MAX_CODE_BITS, MAX_SYMBOLS, TABLE_SIZE};

/// The kinds of numbers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub(crate) enum Model {
    /// Ranges in a block.
    BlockRanges,
    /// What a range does to the chain, one model for each kind of the operation before.
    OperationAfterGap,
    /// As above.
    OperationAfterRecall,
    /// As above.
    OperationAfterLine,
    /// As above.
    OperationAfterChange,
    /// Length of a range in units of the address alignment, one model for each kind of its operation.
    LengthOfGap,
    /// As above.
    LengthOfRecall,
    /// As above.
    LengthOfLine,
    /// As above.
    LengthOfChange,
    /// Frames removed or added beyond what the operation can say.
    MoreFrames,
    /// Position in the list of leaves, latest first.
    Recall,
    /// How a function is referred to; see [`crate::ranges`].
    Function,
    /// Position of a function that the block has had, latest first.
    LocalFunction,
    /// Number of a function that many blocks have.
    SharedFunction,
    /// Distance from the next function that only one block has.
    BackFunction,
    /// Change of line within a function.
    LineDelta,
    /// Change of line since the block last had the function.
    LineLocal,
    /// Line within a function that is new in this block.
    LineFirst,
    /// A column.
    Column,
    /// Which parts a function record has, and the source of its name.
    RecordKind,
    /// A function's name: 0 the next one, else the distance back.
    RecordName,
    /// A function's file: 0 as before, 1 none, else its number plus two.
    RecordFile,
    /// A function's lowest line, as a change if the file is as before.
    RecordLine,
    /// Symbols of a string.
    StringLength,
    /// A symbol of a string.
    StringSymbol,
}

impl Model {
    /// The models for the operation after one of this kind.
    pub(crate) const OPERATION: [Self; 4] = [
        Self::OperationAfterGap,
        Self::OperationAfterRecall,
        Self::OperationAfterLine,
        Self::OperationAfterChange,
    ];

    /// The models for the length of a range with an operation of this kind.
    pub(crate) const LENGTH: [Self; 4] =
        [Self::LengthOfGap, Self::LengthOfRecall, Self::LengthOfLine, Self::LengthOfChange];

    /// Whether all numbers of this model are symbols themselves.
    #[inline]
    const fn is_direct(self) -> bool {
        self as u8 >= Self::OperationAfterGap as u8 && self as u8 <= Self::OperationAfterChange as u8
    }
}

/// The number of models.
pub(crate) const MODEL_COUNT: usize = Model::StringSymbol as usize + 1;

/// Numbers below this are symbols themselves.
const EXACT: u32 = 32;

/// The symbol of a number, its further bits, and how many they are.
fn split(model: Model, value: u32) -> (u8, u32, u32) {
    if model.is_direct() {
        return (value.min(MAX_SYMBOLS as u32 - 1) as u8, 0, 0);
    }
    if value < EXACT {
        return (value as u8, 0, 0);
    }
    let exponent = value.ilog2();
    let more = exponent - 3;
    let symbol = EXACT + (exponent - 5) * 8 + ((value >> more) & 7);
    (symbol as u8, value & ((1 << more) - 1), more)
}

/// Numbers in the order in which they will be written, kept until the codes are known.
#[derive(Default)]
pub(crate) struct Tokens {
    items: Vec<(Model, u32)>,
}

impl Tokens {
    /// Appends a number.
    pub(crate) fn put(&mut self, model: Model, value: u32) {
        self.items.push((model, value));
    }

    /// How many numbers there are: a mark to be given to [`Tokens::write`].
    pub(crate) fn len(&self) -> usize {
        self.items.len()
    }

    /// Writes the numbers with these codes and returns the bit position of every mark.
    pub(crate) fn write(&self, codes: &Codes, marks: &[usize]) -> (Vec<u8>, Vec<usize>) {
        let mut writer = BitWriter::default();
        let mut positions = Vec::with_capacity(marks.len());
        let mut marks = marks.iter().peekable();
        for (index, &(model, value)) in self.items.iter().enumerate() {
            while marks.next_if(|mark| **mark == index).is_some() {
                positions.push(writer.position());
            }
            codes.put(&mut writer, model, value);
        }
        positions.extend(marks.map(|_| writer.position()));
        (writer.finish(), positions)
    }
}

/// The prefix codes of all models, for writing.
pub(crate) struct Codes {
    lengths: Vec<Vec<u8>>,
    codes: Vec<Vec<u32>>,
}

impl Codes {
    /// The best codes for these numbers.
    pub(crate) fn for_tokens(tokens: &[&Tokens]) -> Self {
        let mut frequencies = vec![vec![0_u32; MAX_SYMBOLS]; MODEL_COUNT];
        for &(model, value) in tokens.iter().flat_map(|list| &list.items) {
            let count = &mut frequencies[model as usize][usize::from(split(model, value).0)];
            *count = count.saturating_add(1);
        }
        let lengths: Vec<Vec<u8>> = frequencies.iter().map(|counts| huffman::code_lengths(counts)).collect();
        let codes = lengths.iter().map(|lengths| huffman::codes(lengths)).collect();
        Self { lengths, codes }
    }

    /// Writes one number.
    fn put(&self, writer: &mut BitWriter, model: Model, value: u32) {
        let (symbol, more, more_bits) = split(model, value);
        let length = self.lengths[model as usize][usize::from(symbol)];
        writer.put(self.codes[model as usize][usize::from(symbol)], u32::from(length));
        writer.put(more, more_bits);
    }

    /// The section that carries the codes: per model the number of symbols, then a nibble for each length.
    pub(crate) fn section(&self) -> Vec<u8> {
        let mut bytes = vec![MODEL_COUNT as u8];
        for lengths in &self.lengths {
            let used = lengths.iter().rposition(|length| *length > 0).map_or(0, |last| last + 1);
            bytes.push(used as u8);
            bytes.extend(
                lengths.get(..used).unwrap_or_default().chunks(2).map(|pair| {
                    pair.first().copied().unwrap_or(0) | (pair.get(1).copied().unwrap_or(0) << 4)
                }),
            );
        }
        bytes
    }
}

/// The prefix codes of all models, for reading.
pub(crate) struct Decoder {
    tables: Vec<[u16; TABLE_SIZE]>,
}

impl Decoder {
    /// Reads the section that [`Codes::section`] writes. Whatever it holds, the result is usable.
    pub(crate) fn new(section: &[u8]) -> Self {
        let mut tables = vec![[0; TABLE_SIZE]; MODEL_COUNT];
        let mut rest = section.get(1..).unwrap_or_default();
        for table in tables.iter_mut() {
            let used = usize::from(rest.first().copied().unwrap_or(0)).min(MAX_SYMBOLS);
            let body = rest.get(1..).unwrap_or_default();
            let (nibbles, after) = body.split_at(used.div_ceil(2).min(body.len()));
            rest = after;
            let lengths: Vec<u8> =
                nibbles.iter().flat_map(|byte| [byte & 15, byte >> 4]).take(used).collect();
            huffman::fill_table(table, &lengths);
        }
        Self { tables }
    }

    /// Reads one number.
    #[inline]
    pub(crate) fn get(&self, reader: &mut BitReader<'_>, model: Model) -> u32 {
        reader.refill();
        let Some(table) = self.tables.get(model as usize) else { return 0 };
        let entry = table[reader.peek() as usize & (TABLE_SIZE - 1)];
        reader.skip(u32::from(entry & 0xff));
        let symbol = u32::from(entry >> 8);
        if symbol < EXACT || model.is_direct() {
            return symbol;
        }
        let more = ((symbol - EXACT) / 8 + 2).min(28);
        let low = (reader.peek() as u32) & ((1 << more) - 1);
        reader.skip(more);
        ((8 + (symbol & 7)) << more) | low
    }
}

/// A signed difference as an unsigned number with small numbers for small differences.
pub(crate) const fn zigzag(from: u32, to: u32) -> u32 {
    let delta = to.wrapping_sub(from) as i32;
    ((delta << 1) ^ (delta >> 31)) as u32
}

/// The inverse of [`zigzag`].
pub(crate) const fn unzigzag(from: u32, code: u32) -> u32 {
    from.wrapping_add((code >> 1) ^ (code & 1).wrapping_neg())
}

const _: () = assert!(MAX_CODE_BITS < 16, "a code length is a nibble");
