//! Writes ranges in the form that [`crate::ranges`] describes.

use crate::model::{Model, Tokens, zigzag};
use crate::order::FunctionOrder;
use crate::packer::{MAX_DEPTH, Node, Packer};
use crate::ranges::{
    BLOCK_RANGES, BLOCK_RANGES_WANTED, FUNCTION_AGAIN, FUNCTION_BACK, FUNCTION_LOCAL, FUNCTION_NEXT,
    FUNCTION_SHARED, MAX_BLOCK_NODES, OP_CHANGE, OP_GAP, OP_MANY, OP_RECALL, kind,
};

/// A run of ranges that is coded by itself: indexes into the packer's changes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Block {
    pub(crate) first: usize,
    pub(crate) end: usize,
}

/// The alignment of all addresses at which something changes, as a number of bits.
pub(crate) fn alignment(changes: &[(u64, u32)]) -> u32 {
    let all = changes.iter().fold(0, |bits, change| bits | change.0);
    all.trailing_zeros().min(12)
}

/// Cuts the ranges into blocks. The last change, which begins no range, is in none.
pub(crate) fn cut_blocks(packer: &Packer, shift: u32) -> Vec<Block> {
    let changes = &packer.changes;
    let ranges = changes.len().saturating_sub(1);
    let mut blocks = Vec::new();
    let (mut first, mut nodes, mut outermost) = (0, 0, u32::MAX);
    for index in 0..ranges {
        let mut depth = 0;
        let mut root = u32::MAX;
        for node in chain(packer, changes[index].1) {
            depth += 1;
            root = node.1.function;
        }
        let count = index - first;
        let long = (changes[index].0 - changes[first].0) >> shift > u64::from(u32::MAX);
        let full = count >= BLOCK_RANGES || nodes + depth > MAX_BLOCK_NODES;
        if count > 0 && (full || long || (count >= BLOCK_RANGES_WANTED && root != outermost)) {
            blocks.push(Block { first, end: index });
            (first, nodes) = (index, 0);
        }
        nodes += depth;
        outermost = root;
    }
    if first < ranges {
        blocks.push(Block { first, end: ranges });
    }
    blocks
}

/// The nodes of a chain, innermost first, each with its number.
pub(crate) fn chain(packer: &Packer, leaf: u32) -> impl Iterator<Item = (u32, &Node)> {
    let mut next = leaf;
    std::iter::from_fn(move || {
        let number = next.checked_sub(1)?;
        let node = packer.nodes.get(number as usize)?;
        next = node.parent;
        Some((number, node))
    })
    .take(usize::from(MAX_DEPTH))
}

/// The state of one block while it is written.
pub(crate) struct RangeEncoder<'a> {
    packer: &'a Packer,
    order: &'a FunctionOrder,
    shift: u32,
    /// The next function that only one block has.
    next_own: u32,
    /// The kind of the last operation.
    kind: usize,
    /// The previous chain, outermost first.
    chain: Vec<u32>,
    wanted: Vec<u32>,
    /// Leaves, latest last.
    leaves: Vec<u32>,
    /// Functions that the block has had, latest last, with the line last seen.
    functions: Vec<(u32, u32)>,
    /// For every function the last one put directly into it, and the block that did it.
    inner: Vec<(usize, u32)>,
    block: usize,
}

impl<'a> RangeEncoder<'a> {
    /// An encoder before the first block.
    pub(crate) fn new(packer: &'a Packer, order: &'a FunctionOrder, shift: u32) -> Self {
        Self {
            packer,
            order,
            shift,
            next_own: order.shared_count(),
            kind: kind(OP_GAP),
            chain: Vec::new(),
            wanted: Vec::new(),
            leaves: Vec::new(),
            functions: Vec::new(),
            inner: vec![(0, 0); order.listed().len()],
            block: 0,
        }
    }

    /// The function that code 1 means at this point.
    pub(crate) fn next_own(&self) -> u32 {
        self.next_own
    }

    /// Writes a block.
    pub(crate) fn block(&mut self, block: Block, tokens: &mut Tokens) {
        self.kind = kind(OP_GAP);
        self.chain.clear();
        self.leaves.clear();
        self.functions.clear();
        self.block += 1;
        tokens.put(Model::BlockRanges, (block.end - block.first) as u32);
        for index in block.first..block.end {
            self.leaf(self.packer.changes[index].1, tokens);
            // The last range ends where the next block begins, which may be beyond 32 bits.
            if index + 1 < block.end {
                let length = self.packer.changes[index + 1].0 - self.packer.changes[index].0;
                tokens.put(Model::LENGTH[self.kind], (length >> self.shift) as u32);
            }
        }
    }

    /// Writes the change to a leaf (a node's number plus one, or zero).
    fn leaf(&mut self, leaf: u32, tokens: &mut Tokens) {
        let Some(number) = leaf.checked_sub(1) else {
            self.operation(OP_GAP, tokens);
            return;
        };
        self.wanted.clear();
        self.wanted.extend(chain(self.packer, leaf).map(|node| node.0));
        self.wanted.reverse();
        let kept = self.chain.iter().zip(&self.wanted).take_while(|(old, new)| old == new).count();
        if kept < self.wanted.len() {
            if let Some(place) = self.leaves.iter().rposition(|known| *known == number) {
                self.operation(OP_RECALL, tokens);
                tokens.put(Model::Recall, (self.leaves.len() - 1 - place) as u32);
                self.leaves.remove(place);
                self.leaves.push(number);
                std::mem::swap(&mut self.chain, &mut self.wanted);
                return;
            }
            self.leaves.push(number);
        }
        self.change(kept, tokens);
        std::mem::swap(&mut self.chain, &mut self.wanted);
    }

    /// Writes an operation.
    fn operation(&mut self, operation: u32, tokens: &mut Tokens) {
        tokens.put(Model::OPERATION[self.kind], operation);
        self.kind = kind(operation);
    }

    /// Writes frames removed and added.
    fn change(&mut self, kept: usize, tokens: &mut Tokens) {
        let removed = (self.chain.len() - kept) as u32;
        let added = (self.wanted.len() - kept) as u32;
        let old = self.chain.get(kept).map(|number| self.node(*number));
        let new = self.wanted.get(kept).map(|number| self.node(*number));
        let same = matches!((old, new), (Some(old), Some(new)) if old.function == new.function);
        let (many_removed, many_added) = (removed.min(OP_MANY), added.min(OP_MANY));
        self.operation(OP_CHANGE + 16 * many_removed + 2 * many_added + u32::from(same), tokens);
        if many_removed == OP_MANY {
            tokens.put(Model::MoreFrames, removed - OP_MANY);
        }
        if many_added == OP_MANY {
            tokens.put(Model::MoreFrames, added - OP_MANY);
        }
        let mut around =
            kept.checked_sub(1).map(|place| self.order.number(self.node(self.wanted[place]).function));
        for place in kept..self.wanted.len() {
            let node = self.node(self.wanted[place]);
            let number = self.order.number(node.function);
            let line = self.order.relative_line(&node);
            match old {
                Some(old) if same && place == kept => {
                    tokens.put(Model::LineDelta, zigzag(self.order.relative_line(&old), line));
                    self.note_line(number, line);
                }
                _ => self.function(number, line, around, tokens),
            }
            if self.packer.keep_columns {
                tokens.put(Model::Column, node.column);
            }
            if let Some(around) = around {
                self.inner[around as usize] = (self.block, number);
            }
            around = Some(number);
        }
    }

    /// Writes the function and line of a new frame.
    fn function(&mut self, number: u32, line: u32, around: Option<u32>, tokens: &mut Tokens) {
        if around.is_some_and(|around| self.inner[around as usize] == (self.block, number)) {
            tokens.put(Model::Function, FUNCTION_AGAIN);
            if let Some(known) = self.functions.iter_mut().rev().find(|known| known.0 == number) {
                tokens.put(Model::LineLocal, zigzag(known.1, line));
                known.1 = line;
            }
            return;
        }
        if let Some(place) = self.functions.iter().rposition(|known| known.0 == number) {
            let last = self.functions.remove(place);
            tokens.put(Model::Function, FUNCTION_LOCAL);
            tokens.put(Model::LocalFunction, (self.functions.len() - place) as u32);
            tokens.put(Model::LineLocal, zigzag(last.1, line));
            self.functions.push((number, line));
            return;
        }
        self.functions.push((number, line));
        if number < self.order.shared_count() {
            tokens.put(Model::Function, FUNCTION_SHARED);
            tokens.put(Model::SharedFunction, number);
        } else if number < self.next_own {
            tokens.put(Model::Function, FUNCTION_BACK);
            tokens.put(Model::BackFunction, self.next_own - number);
        } else {
            tokens.put(Model::Function, FUNCTION_NEXT);
            self.next_own = number + 1;
        }
        tokens.put(Model::LineFirst, line);
    }

    /// Remembers the line that the block last had in a function.
    fn note_line(&mut self, number: u32, line: u32) {
        if let Some(known) = self.functions.iter_mut().rev().find(|known| known.0 == number) {
            known.1 = line;
        }
    }

    /// A node by its number.
    fn node(&self, number: u32) -> Node {
        self.packer.nodes[number as usize]
    }
}
