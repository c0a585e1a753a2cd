//! `cargo layer`: builds the programs of the layer and packs them into `dist/trace-agent-layer-<arch>.zip`.
//!
//! A layer is unpacked at `/opt`, on Amazon Linux 2, 2023, or whatever image a function brings. So its programs are static, and for the oldest
//! processors that Lambda has. The same sources give the same bytes: no path of the machine that built it and no time is in them.

mod arch;
mod build;
mod pack;

pub use arch::Arch;
pub use build::{Programs, build};
pub use pack::{Packed, pack};
