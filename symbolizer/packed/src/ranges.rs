//! Ranges as they are coded: blocks of consecutive ranges, each block readable by itself.
//!
//! Within a block a range says how its chain of frames differs from the previous range's chain. Most often only
//! the line of the innermost frame changes, or the chain is one that the block had before.
//!
//! A block is a sequence of numbers (the model of each in brackets):
//!
//! - the number of ranges \[`BlockRanges`\];
//! - per range an operation, in the model for the kind of the operation before it \[`OperationAfter...`\] (a
//!   gap before the first one), with what belongs to it, and then its length in units of the file's address
//!   alignment, in the model for the operation's kind \[`LengthOf...`\]. The last range has no length: it ends where
//!   the next block begins. Operations:
//!   - 0: nothing is known here. The previous chain remains the one to compare with.
//!   - 1: the leaf (innermost node) is one that the block had before: its place in the list of leaves, latest
//!     first \[`Recall`\]. The leaf moves to the front.
//!   - 2 + 16 p + 2 n + s: `p` frames are removed from the inner end of the previous chain, `n` new ones are
//!     added, outer ones first. `p` = 7 and `n` = 7 are followed by the rest of the count \[`MoreFrames`\], that
//!     of `p` first. If `n` is not 0, the new innermost node goes to the front of the list of leaves.
//!     If `s`, the first new frame is in the same function as the outermost removed one, and its line is given
//!     as a zigzag difference from that frame's \[`LineDelta`\].
//!   - Any other new frame names its function and line: see below. With columns, every new frame ends with
//!     its column \[`Column`\].
//!
//! Functions \[`Function`\]: 0 is one that the block has had \[`LocalFunction`\]: its place among them, latest
//! first, after which it is the latest; the line follows as a zigzag difference from the line that the block last
//! had in it \[`LineLocal`\]. 1 is the next function that only this block has (functions are numbered so that this is
//! one more than the last such one). 2 is a function that several blocks have \[`SharedFunction`\]: its number. 3 is a
//! function that the previous block also has: the distance back from the next one \[`BackFunction`\]. After
//! 1, 2 and 3 the line follows as it is \[`LineFirst`\]. 4 is the function of the last new frame that the block put
//! directly into the function of the frame around; the line follows as after 0, but it does not become the latest.
//!
//! "Line" here is 0 for none, else 1 + the line's distance from the lowest line of the function record.

/// Ranges in a block when nothing suggests a better place to cut.
pub(crate) const BLOCK_RANGES: usize = 256;

/// After so many ranges a block is cut where the outermost function changes.
pub(crate) const BLOCK_RANGES_WANTED: usize = 208;

/// Ranges in a block that a reader accepts.
pub(crate) const MAX_BLOCK_RANGES: usize = 512;

/// Nodes in a block: what bounds a reader's memory and time for one block.
pub(crate) const MAX_BLOCK_NODES: usize = 4096;

/// Operation: nothing is known.
pub(crate) const OP_GAP: u32 = 0;
/// Operation: a leaf of before.
pub(crate) const OP_RECALL: u32 = 1;
/// The first of the operations that change the chain.
pub(crate) const OP_CHANGE: u32 = 2;
/// The count in an operation that says that more follows.
pub(crate) const OP_MANY: u32 = 7;

/// Function: one that the block has had.
pub(crate) const FUNCTION_LOCAL: u32 = 0;
/// Function: the next one that is this block's own.
pub(crate) const FUNCTION_NEXT: u32 = 1;
/// Function: one of many blocks.
pub(crate) const FUNCTION_SHARED: u32 = 2;

/// Function: one of a neighbouring block.
pub(crate) const FUNCTION_BACK: u32 = 3;

/// Function: the one that was last put into the function around.
pub(crate) const FUNCTION_AGAIN: u32 = 4;

/// The kind of an operation, which chooses models: 0 gap, 1 recall, 2 a new line in the innermost function,
/// 3 any other change.
pub(crate) const fn kind(operation: u32) -> usize {
    match operation {
        OP_GAP => 0,
        OP_RECALL => 1,
        OP_LINE => 2,
        _ => 3,
    }
}

/// The operation that replaces the innermost frame by one in the same function.
const OP_LINE: u32 = OP_CHANGE + 16 + 2 + 1;
