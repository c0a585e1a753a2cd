//! The CloudWatch Logs sink; the only crate that names an AWS type.
//!
//! [`CloudWatchSink`] sends one batch as one PutLogEvents request and reads the answer. The SDK's own retries are off:
//! when and how often to try again is decided once, for every sink, by `trace_record::retry`, which needs to know what
//! a failure means. Saying that is the larger half of this crate.

mod fault;
mod clock;
mod connector;
mod environment;
mod body;
mod create;
mod receipt;
mod sink;
mod reader;
// The service as the tests play it; the integration test has the same.
#[cfg(test)]
#[path = "../tests/environment/stand_in.rs"]
mod stand_in;

pub use connector::BundleError;
pub use environment::{ConnectError, Environment};
pub use reader::CloudWatchReader;
pub use sink::CloudWatchSink;
