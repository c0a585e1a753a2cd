//! What a caller keeps between lookups: decoding tables, decoded blocks, and the texts of functions seen. All of it
//! is bounded.

use std::collections::HashMap;
use std::num::NonZeroU32;

use crate::block::{Block, Workspace};
use crate::frame::{Frame, NameSource};
use crate::hash::FastHashing;
use crate::model::Decoder;

/// Decoded blocks that are kept unless the caller says otherwise. A block takes about 7 KB, in a damaged file up to 90 KB.
const DEFAULT_BLOCKS: usize = 1024;

/// Bytes of text that are kept; when there are more, all are forgotten before the next lookup.
const MAX_TEXT: usize = 8 << 20;

/// Functions that are remembered (32 bytes each); it bounds the memory of nameless ones.
const MAX_FUNCTIONS: usize = 1 << 18;

/// Functions whose places are kept together.
const PAGE: usize = 256;

/// Memory and caches for lookups in one file. It may be used with several files in turn, but forgets everything
/// at each change.
pub struct Scratch {
    pub(crate) file: Option<(u32, usize)>,
    pub(crate) decoder: Option<Decoder>,
    pub(crate) work: Workspace,
    pub(crate) blocks: BlockCache,
    pub(crate) texts: Texts,
    pub(crate) answer: Answer,
}

impl Default for Scratch {
    fn default() -> Self {
        Self::with_blocks(DEFAULT_BLOCKS)
    }
}

impl Scratch {
    /// A scratch that keeps up to `blocks` decoded blocks (at least one) of about 7 KB each. Sorted lookups
    /// need only one.
    #[must_use]
    pub fn with_blocks(blocks: usize) -> Self {
        Self {
            file: None,
            decoder: None,
            work: Workspace::default(),
            blocks: BlockCache { slots: Vec::new(), limit: blocks.max(1), ascending: false },
            texts: Texts::default(),
            answer: Answer::default(),
        }
    }

    /// Makes the scratch ready for a file with this many functions.
    pub(crate) fn prepare(&mut self, file: (u32, usize), models: &[u8], functions: usize) {
        if self.file != Some(file) {
            self.file = Some(file);
            self.decoder = Some(Decoder::new(models));
            self.blocks.slots.clear();
            self.texts.reset(functions);
            self.answer = Answer::default();
        }
        if self.texts.text.len() > MAX_TEXT || self.texts.functions.len() > MAX_FUNCTIONS {
            self.texts.reset(functions);
            self.answer = Answer::default();
        }
    }
}

/// Decoded blocks, each with only one place where it can be.
pub(crate) struct BlockCache {
    slots: Vec<Option<Box<Slot>>>,
    limit: usize,
    /// Whether blocks are asked for in ascending order: then none is needed again, and all use one place.
    pub(crate) ascending: bool,
}

/// A decoded block and its number.
struct Slot {
    number: u32,
    block: Block,
}

impl BlockCache {
    /// The place of a block, and whether the block is there already; if not, the caller decodes it.
    pub(crate) fn place(&mut self, number: u32) -> (&mut Block, bool) {
        let place = if self.ascending { 0 } else { number as usize % self.limit };
        if self.slots.len() <= place {
            self.slots.resize_with(place + 1, || None);
        }
        let empty = || Box::new(Slot { number: u32::MAX, block: Block::default() });
        let slot = self.slots[place].get_or_insert_with(empty);
        let known = slot.number == number;
        slot.number = number;
        (&mut slot.block, known)
    }
}

/// Part of the text arena: start and end. The arena begins with a byte of no meaning, so no end is zero, and an absent
/// part takes no more room than a present one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span(u32, NonZeroU32);

/// A function as lookups need it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct FunctionText {
    pub(crate) name: Option<Span>,
    pub(crate) linkage: Option<Span>,
    pub(crate) file: Option<Span>,
    pub(crate) lowest_line: u32,
    pub(crate) source: NameSource,
}

/// The texts of functions and files seen.
#[derive(Default)]
pub(crate) struct Texts {
    pub(crate) text: String,
    pub(crate) bytes: Vec<u8>,
    /// Functions seen, and for every function of the file its number among them plus one. Pages of these numbers are
    /// made when they are needed, so that a first answer does not pay for all functions of a large program.
    functions: Vec<FunctionText>,
    places: Vec<Option<Box<[u32; PAGE]>>>,
    pub(crate) files: HashMap<u32, Option<Span>, FastHashing>,
}

impl Texts {
    /// A function seen before.
    #[inline]
    pub(crate) fn function(&self, number: u32) -> Option<FunctionText> {
        let page = self.places.get(number as usize / PAGE)?.as_deref()?;
        let place = page[number as usize % PAGE].checked_sub(1)?;
        self.functions.get(place as usize).copied()
    }

    /// Remembers a function.
    pub(crate) fn keep_function(&mut self, number: u32, function: FunctionText) {
        if let Some(page) = self.places.get_mut(number as usize / PAGE) {
            self.functions.push(function);
            let page = page.get_or_insert_with(|| Box::new([0; PAGE]));
            page[number as usize % PAGE] = self.functions.len() as u32;
        }
    }

    /// Appends the bytes collected to the text.
    pub(crate) fn keep(&mut self) -> Option<Span> {
        if self.text.is_empty() {
            self.text.push(' ');
        }
        let start = u32::try_from(self.text.len()).ok()?;
        match str::from_utf8(&self.bytes) {
            Ok(text) => self.text.push_str(text),
            Err(_) => self.text.push_str(&String::from_utf8_lossy(&self.bytes)),
        }
        Some(Span(start, NonZeroU32::new(u32::try_from(self.text.len()).ok()?)?))
    }

    /// Forgets everything, and makes room for this many functions of a file.
    fn reset(&mut self, functions: usize) {
        self.text.clear();
        self.functions.clear();
        self.files.clear();
        self.places.clear();
        self.places.resize_with(functions.div_ceil(PAGE), || None);
    }
}

/// The last answer: the range and its frames.
#[derive(Default)]
pub(crate) struct Answer {
    pub(crate) start: u64,
    pub(crate) end: u64,
    pub(crate) frames: Vec<AnswerFrame>,
}

/// A frame of the last answer.
#[derive(Clone, Copy)]
pub(crate) struct AnswerFrame {
    pub(crate) function: FunctionText,
    pub(crate) line: u32,
    pub(crate) column: u32,
}

/// The frames at an address, innermost first.
#[derive(Clone)]
pub struct Frames<'s> {
    text: &'s str,
    frames: std::slice::Iter<'s, AnswerFrame>,
}

impl<'s> Frames<'s> {
    /// The frames of the answer that a scratch holds.
    pub(crate) fn of(scratch: &'s Scratch) -> Self {
        Self { text: &scratch.texts.text, frames: scratch.answer.frames.iter() }
    }
}

impl<'s> Iterator for Frames<'s> {
    type Item = Frame<'s>;

    fn next(&mut self) -> Option<Frame<'s>> {
        let text = self.text;
        let get = |span: Option<Span>| span.and_then(|span| text.get(span.0 as usize..span.1.get() as usize));
        self.frames.next().map(|frame| Frame {
            function: get(frame.function.name),
            linkage_name: get(frame.function.linkage),
            file: get(frame.function.file),
            line: frame.line,
            column: frame.column,
            source: frame.function.source,
        })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.frames.size_hint()
    }
}

impl ExactSizeIterator for Frames<'_> {}
