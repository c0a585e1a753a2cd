//! The wire format: one failure, one datagram.
//!
//! A handler and the agent beside it are upgraded apart, so the format says its version and every published version
//! stays readable. It is fixed by the bytes in `tests/data`, not by this code.
//!
//! # Layout of version 1
//!
//! Integers are unsigned and little-endian. Lengths count bytes. Nothing is aligned or padded.
//!
//! | offset | size | field |
//! |-------:|-----:|-------|
//! | 0  | 4 | magic, the letters `TCAP` |
//! | 4  | 1 | version, 1 |
//! | 5  | 1 | kind: 1 is a panic, the others are reserved; [`Kind`] |
//! | 6  | 2 | flags: what was cut to fit; [`Flags`] |
//! | 8  | 4 | process id |
//! | 12 | 4 | thread id, the kernel's (`gettid`) |
//! | 16 | 8 | time of the failure in microseconds since 1970-01-01 UTC |
//! | 24 | 4 | failures of this process that were lost since its last report that got through |
//! | 28 | 4 | line of the location, from 1; 0: the location is not known |
//! | 32 | 4 | column of the location, from 1; 0: not known |
//! | 36 | 2 | length of the file name |
//! | 38 | 2 | length of the message |
//! | 40 | 2 | number of frames |
//! | 42 | 1 | number of modules |
//! | 43 | 1 | length of the request id; 0: not known |
//! | 44 | 1 | length of the thread name; 0: none |
//! | 45 |   | modules, frames, request id, thread name, file name, message, in this order |
//!
//! A module, for those only that a frame lies in:
//!
//! | offset | size | field |
//! |-------:|-----:|-------|
//! | 0  | 8 | load bias: address in the process minus address in the file, modulo 2^64 |
//! | 8  | 2 | length of the path; 0: not known |
//! | 10 | 1 | length of the build-id; 0: the module has none |
//! | 11 |   | path, build-id |
//!
//! A frame, innermost first:
//!
//! | offset | size | field |
//! |-------:|-----:|-------|
//! | 0 | 8 | the return address, as captured |
//! | 8 | 1 | index of its module; 255: in none |
//!
//! A return address is where the frame goes on *after* its call, so it may already belong to the next line or the next
//! function. The reader subtracts one before it looks anything up; the writer never does.
//!
//! Texts are UTF-8. A path is bytes: Linux asks no more of a file name. The message stands last because it alone has no
//! natural size and takes what room the others leave.
//!
//! A minor addition is appended after the message and needs no new version: a reader ignores the bytes that it has no
//! field for. The version changes only when bytes that exist change their meaning.
//!
//! # Example
//!
//! A panic with the message `no price` at `src/main.rs:41:9` in thread 4243 of process 4242, one frame, one module:
//!
//! ```text
//! 54 43 41 50 | 01 | 01 | 00 00                  TCAP, version 1, panic, nothing cut
//! 92 10 00 00 | 93 10 00 00                      process 4242, thread 4243
//! 40 42 0f 00 00 00 00 00                        one second after the epoch
//! 00 00 00 00                                    none lost
//! 29 00 00 00 | 09 00 00 00                      line 41, column 9
//! 0b 00 | 08 00 | 01 00 | 01 | 00 | 00           lengths and numbers
//! 00 00 55 55 55 55 00 00 | 03 00 | 02           module: load bias, lengths
//!   2f 76 66 | be ef                               /vf, its build-id
//! 34 12 55 55 55 55 00 00 | 00                   frame: return address, in module 0
//! 73 72 63 2f 6d 61 69 6e 2e 72 73               src/main.rs
//! 6e 6f 20 70 72 69 63 65                        no price
//! ```
//!
//! # The capture file
//!
//! Where no datagram gets through, the same bytes are appended to a file, each datagram after its length in four bytes.
//! [`split_record`] takes such a file apart.
//!
//! # History
//!
//! - 1: first version.

use std::borrow::Cow;

mod decode;
mod encode;

pub use decode::{DecodeError, Record, decode, split_record};
pub use encode::encode;

/// The address of the agent's socket where `TRACE_AGENT_SOCKET` names no other.
pub const SOCKET_PATH: &str = "/tmp/.trace-agent/capture.sock";

/// Bytes of the largest datagram of any version: what a reader's buffer must hold. A panic with 35 frames takes less
/// than 1 KiB.
pub const DATAGRAM_BYTES_MAX: usize = 8 * 1024;

/// Frames that are captured. std's own short backtrace stops at 100.
pub const FRAMES_MAX: usize = 128;

/// Modules that are described. A Rust handler's stack touches two or three.
pub const MODULES_MAX: usize = 16;

/// One failure, as it travels. What [`decode`] gives borrows its bytes from the datagram and owns its lists; what
/// [`encode`] takes borrows everything, since a failing handler does not allocate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report<'a, Modules = Vec<Module<'a>>, Frames = Vec<Frame>> {
    /// What kind of failure this is.
    pub kind: Kind,
    /// What was cut to fit.
    pub flags: Flags,
    /// Process id, in the pid namespace of the handler.
    pub process_id: u32,
    /// Thread id, the kernel's. Equal to the process id for the main thread.
    pub thread_id: u32,
    /// When it failed, in microseconds since 1970-01-01 UTC.
    pub time_us: u64,
    /// Failures of the same process that reached nobody since its last report that did.
    pub lost: u32,
    /// The id of the invocation that failed, where the handler knew it. A bare panic hook does not.
    pub request_id: Option<Cow<'a, str>>,
    /// The name of the thread, as the kernel knows it: at most 15 bytes; `main` for the main thread.
    pub thread_name: Option<Cow<'a, str>>,
    /// The text of the panic.
    pub message: Cow<'a, str>,
    /// Where the panic was raised, by the compiler's account. Known without any debug information.
    pub location: Option<Location<'a>>,
    /// The modules that frames lie in, a list of [`Module`].
    pub modules: Modules,
    /// The stack, a list of [`Frame`], innermost first. The first are those of the panic machinery: telling them by
    /// name is the reader's work.
    pub frames: Frames,
}

/// A kind of failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// A Rust panic.
    Panic,
    /// A kind that a newer handler knows. The layout is the same, so the report is worth keeping.
    Unknown(u8),
}

/// What was cut to fit, a set of bits. A reader keeps the bits that it does not know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags(pub u16);

impl Flags {
    /// The message goes on.
    pub const MESSAGE_CUT: Flags = Flags(1 << 0);
    /// The stack goes on: there are outer frames that were not captured.
    pub const FRAMES_CUT: Flags = Flags(1 << 1);
    /// There are modules that are not described, or one whose path or build-id was too long and was left out whole,
    /// since half a path names another file.
    pub const MODULES_CUT: Flags = Flags(1 << 2);
    /// The request id, the thread name or the file name goes on.
    pub const TEXT_CUT: Flags = Flags(1 << 3);

    /// Whether all bits of `other` are set.
    pub const fn contains(self, other: Flags) -> bool {
        self.0 & other.0 == other.0
    }

    /// Sets the bits of `other`.
    pub const fn insert(&mut self, other: Flags) {
        self.0 |= other.0;
    }
}

/// A place in the source, as `core::panic::Location` has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location<'a> {
    /// The file, as it was named to the compiler.
    pub file: Cow<'a, str>,
    /// The line, from 1.
    pub line: u32,
    /// The column, from 1; 0: not known.
    pub column: u32,
}

/// A file that is mapped into the failing process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Module<'a> {
    /// The path, in the mount namespace of the handler; empty: not known.
    pub path: &'a [u8],
    /// The GNU build-id; empty: the module has none.
    pub build_id: &'a [u8],
    /// Address in the process minus address in the file (the ELF's own `p_vaddr` space), modulo 2^64.
    pub load_bias: u64,
}

/// A frame of the stack.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Frame {
    /// The address in the process at which the frame goes on after its call. Subtract one before looking it up.
    pub return_address: u64,
    /// Index into [`Report::modules`]; `None`: no known module has this address.
    pub module: Option<u8>,
}

const MAGIC: [u8; 4] = *b"TCAP";
const VERSION: u8 = 1;
const KIND_PANIC: u8 = 1;
/// The module index of a frame that lies in none.
const MODULE_NONE: u8 = u8::MAX;
/// Bytes before the first module.
const HEADER_BYTES: usize = 45;
/// Bytes of a module before its path.
const MODULE_HEADER_BYTES: usize = 11;
/// Bytes of a frame.
const FRAME_BYTES: usize = 9;
