//! Finds the rules of a grammar: while a pair of neighbouring symbols occurs often enough, the most frequent pair
//! becomes a new symbol everywhere.
//!
//! The sequence is a linked list of places, and the occurrences of each pair are a linked list through the places where
//! they begin. Replacing an occurrence touches only its neighbours, so the whole work is proportional to the length
//! of the sequence, not to its length times the number of rules.

use std::collections::HashMap;

use crate::hash::FastHashing;
use crate::strings::MAX_PENDING;

/// Separates strings; no pair contains it.
pub(crate) const SEPARATOR: u32 = u32::MAX;

/// No place, no pair.
const NONE: u32 = u32::MAX;

/// Occurrences that make a pair a rule. With fewer a rule costs more than it saves.
const MIN_COUNT: usize = 4;

/// Pairs with more occurrences than this are taken in the order in which they were found, which bounds the table of
/// counts.
const MAX_COUNT: usize = 1 << 12;

/// A pair of symbols and where it occurs.
struct Pair {
    symbols: (u32, u32),
    count: usize,
    head: u32,
    tail: u32,
}

/// A place of the sequence.
#[derive(Clone, Copy)]
struct Place {
    symbol: u32,
    before: u32,
    after: u32,
    /// The pair that begins here, and its occurrences before and after this one.
    pair: u32,
    pair_before: u32,
    pair_after: u32,
}

/// The state of the work.
pub(crate) struct PairFinder {
    places: Vec<Place>,
    pairs: Vec<Pair>,
    /// Pairs by count. A pair whose count has fallen since is moved when it is met.
    by_count: Vec<Vec<u32>>,
    /// The pair of a symbol and the newest rule, for symbols that have been seen before it or after it: the rule and
    /// the pair.
    before_rule: Vec<(u32, u32)>,
    after_rule: Vec<(u32, u32)>,
    rules: Vec<(u32, u32)>,
    /// Symbols that wait while a rule is expanded from left to right.
    depths: Vec<usize>,
    first_rule: u32,
}

impl PairFinder {
    /// Finds the rules for a sequence of symbols below `first_rule`: the rules, the first of which is symbol `first_rule`,
    /// and the sequence that remains.
    pub(crate) fn run(sequence: &[u32], first_rule: u32) -> (Vec<(u32, u32)>, Vec<u32>) {
        let mut finder = Self::new(sequence, first_rule);
        for count in (MIN_COUNT..=MAX_COUNT).rev() {
            let mut next = 0;
            while let Some(&pair) = finder.by_count[count].get(next) {
                next += 1;
                let now = finder.pairs[pair as usize].count;
                if now.min(MAX_COUNT) == count {
                    finder.replace(pair);
                } else {
                    finder.enlist(pair);
                }
            }
            finder.by_count[count] = Vec::new();
        }
        let mut remaining = Vec::new();
        let mut at = if finder.places.is_empty() { NONE } else { 0 };
        while let Some(place) = finder.places.get(at as usize) {
            remaining.push(place.symbol);
            at = place.after;
        }
        (finder.rules, remaining)
    }

    /// Counts all pairs.
    fn new(sequence: &[u32], first_rule: u32) -> Self {
        let last = sequence.len().saturating_sub(1);
        let places = sequence
            .iter()
            .enumerate()
            .map(|(at, &symbol)| Place {
                symbol,
                before: (at as u32).wrapping_sub(1),
                after: if at == last { NONE } else { at as u32 + 1 },
                pair: NONE,
                pair_before: NONE,
                pair_after: NONE,
            })
            .collect();
        let mut finder = Self {
            places,
            pairs: Vec::new(),
            by_count: vec![Vec::new(); MAX_COUNT + 1],
            before_rule: vec![(NONE, NONE); first_rule as usize],
            after_rule: vec![(NONE, NONE); first_rule as usize],
            rules: Vec::new(),
            depths: Vec::new(),
            first_rule,
        };
        let mut known: HashMap<u64, u32, FastHashing> = HashMap::default();
        for (at, pair) in sequence.windows(2).enumerate() {
            if let &[left, right] = pair
                && left != SEPARATOR
                && right != SEPARATOR
            {
                let key = (u64::from(left) << 32) | u64::from(right);
                let number = *known.entry(key).or_insert_with(|| finder.pairs.push_pair((left, right)));
                finder.link(at as u32, number);
            }
        }
        for pair in 0..finder.pairs.len() as u32 {
            finder.enlist(pair);
        }
        finder
    }

    /// Puts a pair into the table of counts, if it occurs often enough.
    fn enlist(&mut self, pair: u32) {
        let count = self.pairs[pair as usize].count.min(MAX_COUNT);
        if count >= MIN_COUNT {
            self.by_count[count].push(pair);
        }
    }

    /// How many symbols wait while this one is expanded.
    fn depth(&self, symbol: u32) -> usize {
        let rule = symbol.checked_sub(self.first_rule);
        rule.and_then(|rule| self.depths.get(rule as usize)).copied().unwrap_or(0)
    }

    /// Makes a pair a rule and replaces all its occurrences, unless readers could not expand it.
    fn replace(&mut self, pair: u32) {
        let (left, right) = self.pairs[pair as usize].symbols;
        let depth = self.depth(right).max(self.depth(left) + 1);
        if depth > MAX_PENDING {
            return;
        }
        self.depths.push(depth);
        let rule = self.first_rule + self.rules.len() as u32;
        self.rules.push(self.pairs[pair as usize].symbols);
        self.before_rule.push((NONE, NONE));
        self.after_rule.push((NONE, NONE));
        let first_new = self.pairs.len() as u32;
        let mut at = self.pairs[pair as usize].head;
        while at != NONE {
            let left = self.places[at as usize];
            let right = self.places[left.after as usize];
            if left.before != NONE {
                self.unlink(left.before);
            }
            self.unlink(left.after);
            // Only now: in a run of one symbol the next occurrence may have been the one just unlinked.
            let following = self.places[at as usize].pair_after;
            self.unlink(at);
            self.places[at as usize].symbol = rule;
            self.places[at as usize].after = right.after;
            if right.after != NONE {
                self.places[right.after as usize].before = at;
            }
            if left.before != NONE {
                self.pair_up(left.before, rule);
            }
            self.pair_up(at, rule);
            at = following;
        }
        for new in first_new..self.pairs.len() as u32 {
            self.enlist(new);
        }
    }

    /// Notes the pair that begins at a place and contains the newest rule.
    fn pair_up(&mut self, at: u32, rule: u32) {
        let place = self.places[at as usize];
        let Some(after) = self.places.get(place.after as usize) else { return };
        let symbols = (place.symbol, after.symbol);
        if symbols.0 == SEPARATOR || symbols.1 == SEPARATOR {
            return;
        }
        let slot = if symbols.0 == rule {
            &mut self.after_rule[symbols.1 as usize]
        } else {
            &mut self.before_rule[symbols.0 as usize]
        };
        if slot.0 != rule {
            *slot = (rule, self.pairs.push_pair(symbols));
        }
        let pair = slot.1;
        self.link(at, pair);
    }

    /// Appends a place to a pair's occurrences.
    fn link(&mut self, at: u32, number: u32) {
        let pair = &mut self.pairs[number as usize];
        let place = &mut self.places[at as usize];
        (place.pair, place.pair_before, place.pair_after) = (number, pair.tail, NONE);
        let tail = std::mem::replace(&mut pair.tail, at);
        pair.count += 1;
        match self.places.get_mut(tail as usize) {
            Some(place) => place.pair_after = at,
            None => pair.head = at,
        }
    }

    /// Takes a place from the occurrences of its pair, if it has one.
    fn unlink(&mut self, at: u32) {
        let place = self.places[at as usize];
        let Some(pair) = self.pairs.get_mut(place.pair as usize) else { return };
        pair.count -= 1;
        match self.places.get_mut(place.pair_before as usize) {
            Some(before) => before.pair_after = place.pair_after,
            None => pair.head = place.pair_after,
        }
        match self.places.get_mut(place.pair_after as usize) {
            Some(after) => after.pair_before = place.pair_before,
            None => pair.tail = place.pair_before,
        }
        self.places[at as usize].pair = NONE;
    }
}

/// Appends a pair that does not occur yet.
trait PushPair {
    fn push_pair(&mut self, symbols: (u32, u32)) -> u32;
}

impl PushPair for Vec<Pair> {
    fn push_pair(&mut self, symbols: (u32, u32)) -> u32 {
        self.push(Pair { symbols, count: 0, head: NONE, tail: NONE });
        self.len() as u32 - 1
    }
}
