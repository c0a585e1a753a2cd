//! A compact symbol file: what frames need (functions, chains of inlined functions, lines, files) at a few
//! per cent of the size of the debug information it was made from, with answers that need no parsing at open.
//!
//! The idea is that code is read in the order of addresses and that neighbours resemble each other. Ranges are coded in
//! blocks as differences from the range before ([`Packer`] makes them, [`Packed`] reads them), functions are numbered so
//! that a block mostly says "the next one", and names are expanded from a grammar of words and pairs that all names of the
//! file share. Every number is prefix-coded with codes made for this very file. A lookup decodes one block of about a
//! hundred ranges, one group of functions per frame, and its names; nothing else is touched.
//!
//! ```
//! use trace_packed::{Frame, Header, Packed, Packer, Scratch};
//!
//! let mut packer = Packer::new(Header { build_id: &[0xab; 20], architecture: 62, ..Header::default() });
//! let outer = packer.intern(&Frame { function: Some("main"), line: 7, ..Frame::default() }, None);
//! let inner = packer.intern(&Frame { function: Some("helper"), line: 3, ..Frame::default() }, Some(outer));
//! packer.range(0x1000, 0x1010, inner);
//! let file = packer.finish();
//!
//! let packed = Packed::open(&file)?;
//! let mut scratch = Scratch::default();
//! let frames = packed.lookup(0x1004, &mut scratch).expect("the range was packed");
//! assert_eq!(frames.map(|frame| frame.line).collect::<Vec<_>>(), [3, 7]);
//! # Ok::<(), trace_packed::PackError>(())
//! ```
//!
//! The module docs in `format`, `ranges`, `functions`, `strings` and `model` say what stands where; `docs/packed-symbols.md`
//! tells the same byte by byte.

mod frame;
mod packer;
mod reader;
mod scratch;
mod error;
mod format;
mod order;
mod encode;
mod ranges;
mod encode_ranges;
mod block;
mod functions;
mod encode_functions;
mod strings;
mod grammar;
mod pairs;
mod model;
mod huffman;
mod bits;
mod hash;

pub use error::PackError;
pub use format::{MAGIC, MAX_BUILD_ID, VERSION};
pub use frame::{Frame, NameSource};
pub use packer::{FunctionId, Header, MAX_DEPTH, MAX_STRING, NodeId, Packer};
pub use reader::Packed;
pub use scratch::{Frames, Scratch};
