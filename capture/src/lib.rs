//! What a handler links: the panic hook, raw frames, and the wire format that carries them out.
//!
//! ```no_run
//! # #[cfg(feature = "hook")]
//! trace_capture::install(); // The first line of `main`.
//! ```
//!
//! From then on each panic leaves the process as one datagram of raw addresses to the agent, before std prints its
//! message as always. Nothing is resolved here: naming a frame means reading megabytes of debug information, which
//! takes a Rust handler tens of milliseconds of its invocation; the agent does it beside it. The file to symbolize is
//! found by path and build-id, so the deployed binary may be stripped.
//!
//! - A handler that succeeds pays nothing: no system call, no thread, no allocation.
//! - A handler that panics pays microseconds, never waits, and goes on exactly as without this crate.
//! - What cannot be sent goes into a file (`TRACE_AGENT_CAPTURE_FILE`), and what finds no room there is counted in the
//!   next report that gets through.
//!
//! Linux on 64 bits only, as Lambda is; elsewhere [`install`] does nothing, so that a handler also builds on a desk. A
//! build with `panic = "abort"` is served as well: the hook runs before the end.
//!
//! Without the feature `hook` only [`wire`] remains, which is all that the agent needs, and it depends on nothing.

pub mod wire;

#[cfg(all(feature = "hook", target_os = "linux", target_pointer_width = "64"))]
mod stack;

#[cfg(all(feature = "hook", target_os = "linux", target_pointer_width = "64"))]
mod modules;

#[cfg(all(feature = "hook", target_os = "linux", target_pointer_width = "64"))]
mod outlet;

#[cfg(all(feature = "hook", target_os = "linux", target_pointer_width = "64"))]
mod hook;

#[cfg(all(feature = "hook", target_os = "linux", target_pointer_width = "64"))]
pub use hook::install;

/// Does nothing on this platform: the loader, the sockets and Lambda itself are Linux's.
#[cfg(all(feature = "hook", not(all(target_os = "linux", target_pointer_width = "64"))))]
pub fn install() {}
