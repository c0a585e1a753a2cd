//! Makes the sections of a file.

use crate::bits::BitWriter;
use crate::encode_functions::FunctionEncoder;
use crate::encode_ranges::{RangeEncoder, alignment, cut_blocks};
use crate::format::{
    self, COMPLETE_INLINES, FileHeader, HAS_COLUMNS, HAS_LINKAGE_NAMES, SECTION_COUNT, Section,
};
use crate::functions::FUNCTION_GROUP;
use crate::grammar::Grammar;
use crate::model::{Codes, Model, Tokens};
use crate::order::{FunctionOrder, StringOrder};
use crate::packer::Packer;
use crate::strings::{MAX_SYMBOL_BITS, RULE_PADDING, STRING_GROUP, WORD_GROUP};

/// Makes the whole file.
pub(crate) fn file(packer: &Packer) -> Vec<u8> {
    let shift = alignment(&packer.changes);
    let blocks = cut_blocks(packer, shift);
    let functions = FunctionOrder::new(packer, &blocks);
    let strings = StringOrder::new(packer, &functions);
    let grammar = Grammar::new(strings.listed.iter().map(|&string| &*packer.strings[string as usize]));

    let mut range_tokens = Tokens::default();
    let (mut range_marks, mut next_own) = (Vec::new(), Vec::new());
    let mut encoder = RangeEncoder::new(packer, &functions, shift);
    for &block in &blocks {
        range_marks.push(range_tokens.len());
        next_own.push(encoder.next_own());
        encoder.block(block, &mut range_tokens);
    }

    let mut function_tokens = Tokens::default();
    let (mut function_marks, mut next_name) = (Vec::new(), Vec::new());
    let mut encoder = FunctionEncoder::new(packer, &functions, &strings);
    for group in functions.listed().chunks(FUNCTION_GROUP) {
        function_marks.push(function_tokens.len());
        next_name.push(encoder.next_name());
        encoder.group(group, &mut function_tokens);
    }

    let mut string_tokens = Tokens::default();
    let mut string_marks = Vec::new();
    for (number, symbols) in grammar.strings.iter().enumerate() {
        if number % STRING_GROUP == 0 {
            string_marks.push(string_tokens.len());
        }
        string_tokens.put(Model::StringLength, symbols.len() as u32);
        symbols.iter().for_each(|&symbol| string_tokens.put(Model::StringSymbol, symbol));
    }

    let codes = Codes::for_tokens(&[&range_tokens, &function_tokens, &string_tokens]);
    let mut sections: [Vec<u8>; SECTION_COUNT] = Default::default();
    sections[Section::Text as usize] = text_section(&packer.text);
    sections[Section::Models as usize] = codes.section();

    let starts: Vec<u64> = blocks
        .iter()
        .map(|block| packer.changes[block.first].0)
        .chain(packer.changes.last().map(|last| last.0))
        .collect();
    let (bytes, positions) = range_tokens.write(&codes, &range_marks);
    sections[Section::Ranges as usize] = bytes;
    sections[Section::RangeIndex as usize] = range_index(&starts, shift, &positions, &next_own);

    let (bytes, positions) = function_tokens.write(&codes, &function_marks);
    sections[Section::Functions as usize] = bytes;
    let mut index = (functions.listed().len() as u32).to_le_bytes().to_vec();
    for (position, name) in positions.iter().zip(next_name) {
        index.extend((*position as u32).to_le_bytes());
        index.extend(name.to_le_bytes());
    }
    sections[Section::FunctionIndex as usize] = index;

    let (bytes, positions) = string_tokens.write(&codes, &string_marks);
    sections[Section::Strings as usize] = bytes;
    let mut index = strings.name_count.to_le_bytes().to_vec();
    index.extend((strings.listed.len() as u32).to_le_bytes());
    index.extend(positions.iter().flat_map(|position| (*position as u32).to_le_bytes()));
    sections[Section::StringIndex as usize] = index;
    let (index, words) = word_sections(&grammar.words);
    sections[Section::WordIndex as usize] = index;
    sections[Section::Words as usize] = words;
    sections[Section::Rules as usize] = rule_section(&grammar);

    let mut flags = 0;
    for (flag, set) in [
        (COMPLETE_INLINES, packer.complete_inlines),
        (HAS_COLUMNS, packer.keep_columns),
        (HAS_LINKAGE_NAMES, packer.keep_linkage_names),
    ] {
        flags |= if set { flag } else { 0 };
    }
    let header = FileHeader {
        architecture: packer.architecture,
        flags,
        low: starts.first().copied().unwrap_or(0),
        high: starts.last().copied().unwrap_or(0),
        shift: shift as u8,
        build_id: packer.build_id.clone(),
    };
    format::assemble(&header, &sections)
}

/// Start and length of every code section.
fn text_section(text: &[(u64, u64)]) -> Vec<u8> {
    text.iter().flat_map(|&(start, length)| [start.to_le_bytes(), length.to_le_bytes()]).flatten().collect()
}

/// The index of blocks: the count, the width of a start in bytes, the starts (relative to the lowest
/// address, in units of the alignment) and the end, then per block its bit position and its next own function.
fn range_index(starts: &[u64], shift: u32, positions: &[usize], next_own: &[u32]) -> Vec<u8> {
    let base = starts.first().copied().unwrap_or(0);
    let relative = |start: u64| (start - base) >> shift;
    let wide = starts.last().is_some_and(|&end| relative(end) > u64::from(u32::MAX));
    let mut index = (positions.len() as u32).to_le_bytes().to_vec();
    index.extend(if wide { 8_u32 } else { 4 }.to_le_bytes());
    for &start in starts {
        let bytes = relative(start).to_le_bytes();
        index.extend(if wide { &bytes[..] } else { &bytes[..4] });
    }
    for (position, function) in positions.iter().zip(next_own) {
        index.extend((*position as u32).to_le_bytes());
        index.extend(function.to_le_bytes());
    }
    index
}

/// The index of words, and the words.
fn word_sections(words: &[Box<str>]) -> (Vec<u8>, Vec<u8>) {
    let (mut bases, mut offsets, mut bytes) = (Vec::new(), Vec::new(), Vec::new());
    let mut base = 0;
    for number in 0..=words.len() {
        if number % WORD_GROUP == 0 {
            base = bytes.len();
            bases.extend((base as u32).to_le_bytes());
        }
        offsets.extend(((bytes.len() - base) as u16).to_le_bytes());
        bytes.extend(words.get(number).map_or(&[][..], |word| word.as_bytes()));
    }
    let mut index = (words.len() as u32).to_le_bytes().to_vec();
    index.extend(bases);
    index.extend(offsets);
    (index, bytes)
}

/// The width of a symbol in bits, then the rules, two symbols each.
fn rule_section(grammar: &Grammar) -> Vec<u8> {
    let largest = 2 * grammar.words.len().max(grammar.rules.len()) as u32;
    let width = (32 - largest.leading_zeros()).clamp(1, MAX_SYMBOL_BITS);
    let mut bytes = width.to_le_bytes().to_vec();
    let mut writer = BitWriter::default();
    for &(left, right) in &grammar.rules {
        writer.put(left, width);
        writer.put(right, width);
    }
    bytes.extend(writer.finish());
    bytes.extend([0; RULE_PADDING]);
    bytes
}
