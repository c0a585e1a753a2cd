//! A grammar for strings: what strings have in common is stored once and can be expanded at any place.
//!
//! Strings are split into words (parts of identifiers, single other characters). Then pairs of neighbours that
//! occur often become rules, and the rules take part in further pairs. So a type that stands in a thousand names
//! ends as one symbol, and a name is a handful of symbols. Unlike a block of a general compressor, a string can be
//! expanded without touching its neighbours.

use std::collections::HashMap;

use crate::hash::FastHashing;
use crate::pairs::{PairFinder, SEPARATOR};

/// The longest word in bytes: its length is a byte in the file.
pub(crate) const MAX_WORD: usize = 255;

/// A grammar. Symbols are words (even, the index doubled) and rules (odd).
pub(crate) struct Grammar {
    /// The words, the most frequent ones first.
    pub(crate) words: Vec<Box<str>>,
    /// The two symbols that a rule stands for; the most frequent ones first.
    pub(crate) rules: Vec<(u32, u32)>,
    /// The symbols of every string.
    pub(crate) strings: Vec<Vec<u32>>,
}

impl Grammar {
    /// A grammar for these strings.
    pub(crate) fn new<'a>(strings: impl Iterator<Item = &'a str>) -> Self {
        let mut words = Words::default();
        let mut sequence = Vec::new();
        for text in strings {
            for_each_word(text, |word| sequence.push(words.number(word)));
            sequence.push(SEPARATOR);
        }
        let first_rule = words.list.len() as u32;
        let (rules, sequence) = PairFinder::run(&sequence, first_rule);
        renumber(words.list, rules, &sequence)
    }
}

/// The distinct words.
#[derive(Default)]
struct Words<'a> {
    list: Vec<&'a str>,
    numbers: HashMap<&'a str, u32, FastHashing>,
}

impl<'a> Words<'a> {
    /// The number of a word.
    fn number(&mut self, word: &'a str) -> u32 {
        let next = self.list.len() as u32;
        *self.numbers.entry(word).or_insert_with(|| {
            self.list.push(word);
            next
        })
    }
}

/// Splits a string into words.
fn for_each_word<'a>(text: &'a str, mut each: impl FnMut(&'a str)) {
    let mut rest = text;
    while !rest.is_empty() {
        let end = word_end(rest.as_bytes());
        let (word, after) = rest.split_at(rest.ceil_char_boundary(end.max(1)));
        each(word);
        rest = after;
    }
}

/// The end of the word at the beginning of these bytes: a part of an identifier, or punctuation.
///
/// What ends a part of a `snake_case` name, of a path or of a scope belongs to the word. That makes for more words, but
/// for half as many symbols to find pairs in.
fn word_end(bytes: &[u8]) -> usize {
    let inner = |byte: &u8| byte.is_ascii_alphanumeric() || *byte >= 0x80;
    let count = bytes.iter().take(MAX_WORD - 4).take_while(|byte| inner(byte)).count();
    let separator = match bytes.get(count..).unwrap_or_default() {
        [b':', b':', ..] => 2,
        [b'_' | b'/' | b'-' | b'.', ..] => 1,
        [_, b' ', ..] if count == 0 => 2,
        [..] => usize::from(count == 0),
    };
    count + separator
}

/// Drops rules that are used once or never, and numbers words and rules by how often strings use them.
fn renumber(words: Vec<&str>, pairs: Vec<(u32, u32)>, sequence: &[u32]) -> Grammar {
    let first_rule = words.len() as u32;
    let kept = useful_rules(first_rule, &pairs, sequence);
    let mut strings = Vec::new();
    let mut uses = vec![0_u32; words.len() + pairs.len()];
    let mut current = Vec::new();
    let mut stack = Vec::new();
    for &symbol in sequence {
        if symbol == SEPARATOR {
            strings.push(std::mem::take(&mut current));
            continue;
        }
        stack.push(symbol);
        while let Some(symbol) = stack.pop() {
            match symbol.checked_sub(first_rule).map(|rule| (pairs[rule as usize], kept[rule as usize])) {
                Some(((left, right), false)) => stack.extend([right, left]),
                _ => {
                    uses[symbol as usize] += 1;
                    current.push(symbol);
                }
            }
        }
    }
    let mut numbers = vec![0_u32; words.len() + pairs.len()];
    let mut rank = |mut symbols: Vec<u32>, odd: u32| {
        symbols.sort_by_key(|&symbol| std::cmp::Reverse(uses[symbol as usize]));
        for (number, &symbol) in symbols.iter().enumerate() {
            numbers[symbol as usize] = (number as u32) << 1 | odd;
        }
        symbols
    };
    let word_list = rank((0..first_rule).collect(), 0);
    let rule_list =
        rank((first_rule..).zip(&kept).filter(|(_, kept)| **kept).map(|(symbol, _)| symbol).collect(), 1);
    for symbol in strings.iter_mut().flatten() {
        *symbol = numbers[*symbol as usize];
    }
    let rules = rule_list
        .iter()
        .map(|&symbol| pairs[(symbol - first_rule) as usize])
        .map(|(left, right)| (numbers[left as usize], numbers[right as usize]))
        .collect();
    Grammar { words: word_list.iter().map(|&word| words[word as usize].into()).collect(), rules, strings }
}

/// Which rules are worth their place: those that several strings use, and those that such rules are made of.
fn useful_rules(first_rule: u32, pairs: &[(u32, u32)], sequence: &[u32]) -> Vec<bool> {
    let mut uses = vec![0_u32; pairs.len()];
    let note = |uses: &mut Vec<u32>, symbol: u32| {
        if let Some(count) = symbol.checked_sub(first_rule).and_then(|rule| uses.get_mut(rule as usize)) {
            *count = count.saturating_add(1);
        }
    };
    for &symbol in sequence.iter().filter(|symbol| **symbol != SEPARATOR) {
        note(&mut uses, symbol);
    }
    let mut needed = vec![false; pairs.len()];
    let mut kept = vec![false; pairs.len()];
    // A rule is made of older symbols only, so one pass from the newest to the oldest sees every use.
    for rule in (0..pairs.len()).rev() {
        let (left, right) = pairs[rule];
        kept[rule] = needed[rule] || uses[rule] >= 2;
        if !kept[rule] && uses[rule] == 0 {
            continue;
        }
        for part in [left, right] {
            note(&mut uses, part);
            if kept[rule]
                && let Some(flag) =
                    part.checked_sub(first_rule).and_then(|part| needed.get_mut(part as usize))
            {
                *flag = true;
            }
        }
    }
    kept
}
