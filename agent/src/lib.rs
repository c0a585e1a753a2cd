//! The pipeline around the record: receive, symbolize, spool, ship, and the command line.
//!
//! Modules stand in the order in which a failure meets them. The same middle runs at every end: in the extension's
//! worker, in the sidecar (`trace-agent run`) and offline (`trace-agent normalize`, `trace-agent symbolize`).

pub mod clock;
pub mod private;
pub mod spool;
pub mod receive;
pub mod symbols;
pub mod symbolize;
pub mod pipeline;
pub mod sink;
pub mod read;
pub mod config;
pub mod choose;
pub mod ship;
pub mod sidecar;
pub mod cli;
