//! The Lambda extension: a supervisor that cannot be hurt and a worker that may die.
//!
//! An extension that exits, panics or hangs fails the function it watches, even an invocation that went well. So the
//! process that Lambda starts is a *supervisor*: blocking std, few threads, no TLS, no JSON tree, nothing that reads
//! hostile input further than a substring. It registers, listens, scans, forwards, and asks for the next event. At the
//! first failure it starts a worker, itself again from `/proc/self/exe`, which does everything that can go wrong. The two
//! talk over `link`; if the worker dies, the supervisor writes what it has as a bare record and goes on.
//!
//! The modules stand in the order in which a failure meets them, after what all of them use:
//!
//! - `say`: the few messages for the owner of the function;
//! - `error`, `config`: what can fail, and what the environment asks for;
//! - `http`, `api`: HTTP/1.1 over blocking sockets, and Lambda's Extensions and Telemetry APIs spoken over it;
//! - `bare`: the record that is written when there is no worker to write a better one;
//! - `turn`: what is known of the invocation that runs now;
//! - `link`: supervisor and worker;
//! - `scan`, `telemetry`, `capture`, `proxy`: the three ways in, and what makes a batch of telemetry worth a worker;
//! - `supervisor`: the life cycle that joins them;
//! - `worker`: the other end of the link, where a failure becomes a record and is shipped.

mod say;
mod error;
mod config;
mod http;
mod api;
mod bare;
mod turn;
mod link;
mod scan;
mod telemetry;
mod capture;
mod proxy;
mod supervisor;
mod worker;

pub use error::Error;

use std::process::ExitCode;

use trace_agent_core::choose::Connect;

/// Shows bytes to the parser of HTTP, in pieces of `length`, for the fuzz target alone.
#[cfg(fuzzing)]
pub fn fuzz_messages(bytes: &[u8], length: usize) {
    http::fuzzing::messages(bytes, length);
}

/// The program: the supervisor, or its worker. `connect` opens the CloudWatch sink, at the first failure.
///
/// The exit code of the supervisor is zero after SHUTDOWN, and one if Lambda did not register it.
#[must_use]
pub fn main(connect: Connect) -> ExitCode {
    supervisor::main(|frames, acks| worker::main(frames, &acks, connect))
}
