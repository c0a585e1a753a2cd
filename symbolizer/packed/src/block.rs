//! Reads one block of ranges, in the form that [`crate::ranges`] describes, into tables to be searched.

use crate::bits::BitReader;
use crate::model::{Decoder, Model, unzigzag};
use crate::packer::MAX_DEPTH;
use crate::ranges::{
    FUNCTION_AGAIN, FUNCTION_BACK, FUNCTION_LOCAL, FUNCTION_NEXT, FUNCTION_SHARED, MAX_BLOCK_NODES,
    MAX_BLOCK_RANGES, OP_CHANGE, OP_GAP, OP_MANY, OP_RECALL, kind,
};

/// A node of a block.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BlockNode {
    /// The function's number in the file.
    pub(crate) function: u32,
    /// 0 for no line, else 1 + the distance from the function's lowest line.
    pub(crate) line: u32,
    pub(crate) column: u32,
    /// The node around it: its number plus one, zero for none. Always a lower number than the node's own.
    pub(crate) parent: u16,
    /// The function's place among the block's functions.
    slot: u16,
}

/// A decoded block.
#[derive(Default)]
pub(crate) struct Block {
    /// Starts of the ranges in units of the alignment, relative to the block's start.
    starts: Vec<u32>,
    /// The leaf of every range: a node's number plus one, zero for none.
    leaves: Vec<u16>,
    nodes: Vec<BlockNode>,
}

/// What is only needed while a block is decoded, kept for its memory.
#[derive(Default)]
pub(crate) struct Workspace {
    /// Leaves so far, the latest last.
    recent_leaves: Vec<u16>,
    /// Functions so far: the line last seen.
    lines: Vec<u32>,
    /// The numbers of these functions.
    functions: Vec<u32>,
    /// The places of the functions that were last put into them.
    inner: Vec<u16>,
    /// Their places, the latest last.
    recent_functions: Vec<u16>,
}

impl Block {
    /// The index of the range that covers an address (in units of the alignment, relative to the block); the
    /// last range has no end here.
    pub(crate) fn find(&self, relative: u64) -> Option<usize> {
        self.starts.partition_point(|start| u64::from(*start) <= relative).checked_sub(1)
    }

    /// The number of ranges.
    pub(crate) fn len(&self) -> usize {
        self.starts.len()
    }

    /// The start of a range and, unless it is the last one, its end.
    pub(crate) fn bounds(&self, range: usize) -> (u32, Option<u32>) {
        (self.starts.get(range).copied().unwrap_or(0), self.starts.get(range + 1).copied())
    }

    /// The nodes of a range, innermost first; as many as a packer makes at most.
    pub(crate) fn chain(&self, range: usize) -> impl Iterator<Item = &BlockNode> {
        let mut next = self.leaves.get(range).copied().unwrap_or(0);
        std::iter::from_fn(move || {
            let node = self.nodes.get(usize::from(next).checked_sub(1)?)?;
            next = node.parent;
            Some(node)
        })
        .take(usize::from(MAX_DEPTH))
    }

    /// Decodes the block that begins at this bit. What does not make sense ends the block early.
    pub(crate) fn decode(&mut self, source: &Source<'_>, work: &mut Workspace) {
        self.starts.clear();
        self.leaves.clear();
        self.nodes.clear();
        work.recent_leaves.clear();
        work.lines.clear();
        work.functions.clear();
        work.inner.clear();
        work.recent_functions.clear();
        let mut run = Run {
            decoder: source.decoder,
            reader: BitReader::at_bit(source.bytes, source.bit),
            next_own: source.next_own,
            columns: source.columns,
            nodes: &mut self.nodes,
            work,
            leaf: 0,
            kind: kind(OP_GAP),
        };
        let ranges = (run.get(Model::BlockRanges) as usize).min(MAX_BLOCK_RANGES);
        let mut start = 0_u32;
        for range in 0..ranges {
            let Some(leaf) = run.range() else { break };
            self.starts.push(start);
            self.leaves.push(leaf);
            if range + 1 < ranges {
                let length = run.get(run.length_model());
                let Some(end) = start.checked_add(length) else { break };
                start = end;
            }
        }
    }
}

/// Where a block comes from.
pub(crate) struct Source<'a> {
    pub(crate) decoder: &'a Decoder,
    pub(crate) bytes: &'a [u8],
    pub(crate) bit: usize,
    pub(crate) next_own: u32,
    pub(crate) columns: bool,
}

/// The state while a block is decoded.
struct Run<'a> {
    decoder: &'a Decoder,
    reader: BitReader<'a>,
    next_own: u32,
    columns: bool,
    nodes: &'a mut Vec<BlockNode>,
    work: &'a mut Workspace,
    /// The previous range's leaf that is not a gap: a node's number plus one.
    leaf: u16,
    /// The kind of the last operation.
    kind: usize,
}

impl Run<'_> {
    #[inline]
    fn get(&mut self, model: Model) -> u32 {
        self.decoder.get(&mut self.reader, model)
    }

    /// The model of the length that follows.
    #[inline]
    fn length_model(&self) -> Model {
        Model::LENGTH[self.kind]
    }

    /// Reads what one range does to the chain; the leaf it ends with.
    fn range(&mut self) -> Option<u16> {
        let operation = self.get(Model::OPERATION[self.kind]);
        self.kind = kind(operation);
        match operation {
            OP_GAP => return Some(0),
            OP_RECALL => {
                let place = self.get(Model::Recall) as usize;
                self.leaf = to_front(&mut self.work.recent_leaves, place)?;
            }
            _ => self.change(operation - OP_CHANGE)?,
        }
        Some(self.leaf)
    }

    /// Removes and adds frames.
    fn change(&mut self, operation: u32) -> Option<()> {
        let (mut removed, mut added, same) = (operation >> 4, (operation >> 1) & 7, operation & 1 == 1);
        if removed == OP_MANY {
            removed = removed.saturating_add(self.get(Model::MoreFrames));
        }
        if added == OP_MANY {
            added = added.saturating_add(self.get(Model::MoreFrames));
        }
        let mut old = None;
        for _ in 0..removed {
            let node = self.nodes.get(usize::from(self.leaf).checked_sub(1)?)?;
            self.leaf = node.parent;
            old = Some(*node);
        }
        for index in 0..added {
            let around = usize::from(self.leaf)
                .checked_sub(1)
                .and_then(|leaf| self.nodes.get(leaf))
                .map(|node| node.slot);
            let old = old.filter(|_| same && index == 0);
            let (slot, line) = match old {
                Some(old) => (old.slot, unzigzag(old.line, self.get(Model::LineDelta))),
                None => self.function(around)?,
            };
            let place = usize::from(slot);
            *self.work.lines.get_mut(place)? = line;
            if let Some(around) = around {
                *self.work.inner.get_mut(usize::from(around))? = slot;
            }
            let function = *self.work.functions.get(place)?;
            let column = if self.columns { self.get(Model::Column) } else { 0 };
            if self.nodes.len() >= MAX_BLOCK_NODES {
                return None;
            }
            self.nodes.push(BlockNode { function, line, column, parent: self.leaf, slot });
            self.leaf = self.nodes.len() as u16;
        }
        if added > 0 {
            self.work.recent_leaves.push(self.leaf);
        }
        Some(())
    }

    /// Reads the function (its place in the block) and line of a new frame.
    fn function(&mut self, around: Option<u16>) -> Option<(u16, u32)> {
        let number = match self.get(Model::Function) {
            FUNCTION_LOCAL => {
                let place = self.get(Model::LocalFunction) as usize;
                let slot = to_front(&mut self.work.recent_functions, place)?;
                let last = *self.work.lines.get(usize::from(slot))?;
                return Some((slot, unzigzag(last, self.get(Model::LineLocal))));
            }
            FUNCTION_AGAIN => {
                let slot = *self.work.inner.get(usize::from(around?))?;
                let last = *self.work.lines.get(usize::from(slot))?;
                return Some((slot, unzigzag(last, self.get(Model::LineLocal))));
            }
            FUNCTION_NEXT => {
                self.next_own = self.next_own.wrapping_add(1);
                self.next_own.wrapping_sub(1)
            }
            FUNCTION_SHARED => self.get(Model::SharedFunction),
            FUNCTION_BACK => self.next_own.wrapping_sub(self.get(Model::BackFunction)),
            _ => return None,
        };
        let slot = u16::try_from(self.work.functions.len()).ok()?;
        self.work.functions.push(number);
        self.work.inner.push(u16::MAX);
        let line = self.get(Model::LineFirst);
        self.work.lines.push(line);
        self.work.recent_functions.push(slot);
        Some((slot, line))
    }
}

/// Moves the entry that is `place` entries before the latest one to the latest place.
#[inline]
fn to_front(list: &mut [u16], place: usize) -> Option<u16> {
    let tail = list.len().checked_sub(place.checked_add(1)?)?;
    let tail = list.get_mut(tail..)?;
    if tail.len() > 1 {
        tail.rotate_left(1);
    }
    tail.last().copied()
}
