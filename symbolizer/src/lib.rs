//! Addresses of a native program in, named frames with file, line and source out.
//!
//! [`Module::open`] reads one ELF program or shared object, finds its separate debug file if it needs one, and
//! [`Module::symbolize`] answers for an address with the chain of frames that the compiler inlined there,
//! innermost first. [`SourceRoots`] then reads the text of a frame's line.
//!
//! Everything read here was written by somebody else. A file may be truncated, corrupt or made to hurt: it may
//! cost names, never a panic, an endless loop or a read outside the given directories. A frame without a name
//! is better than a frame with a wrong one, so each frame says where its name comes from ([`Origin`]), and an
//! answer without frames says why ([`Missing`]).
//!
//! No network, no clock, no environment: the answer depends on the files and the arguments alone.

mod error;
mod address;
mod frame;
mod build_id;
mod text;
mod regular;
mod mmap;
mod relocate;
mod elf;
mod locate;
mod demangle;
mod answers;
mod dwarf;
mod core_file;
mod symbols;
mod plt;
mod go;
mod packed;
mod elf_module;
mod pack;
mod module;
mod source;

pub use address::{LoadBias, ModuleAddress, ReturnAddress, RuntimeAddress};
pub use answers::{Answers, FrameRef};
pub use build_id::{BuildId, BuildIdError};
pub use core_file::CoreFile;
pub use demangle::{Dialect, Spelling, demangle, demangle_as};
pub use elf_module::Options;
pub use error::{Error, ErrorKind};
pub use frame::{Answer, Frame, Missing, Origin};
pub use locate::{Refusal, Refused, Search};
pub use module::Module;
pub use pack::{Keep, Packing};
pub use packed::{is_packed, packed_build_id};
pub use source::SourceRoots;
