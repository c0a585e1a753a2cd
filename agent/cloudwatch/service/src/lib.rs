//! A strict stand-in of CloudWatch Logs on loopback: what a shipper meets there, and can be made to meet there.
//!
//! It speaks AWS JSON 1.1, checks signatures, enforces every documented limit of `PutLogEvents`, and keeps what arrived so that
//! a test can count what was lost, doubled or out of order. On cue it throttles, fails, hangs, resets, answers half or
//! garbage, or stores a batch and never says so. Other emulators enforce few of the limits, so what passes there may
//! still be refused by AWS.
//!
//! It is honest about what it is not: there is no encryption on the wire, no metric filter, no subscription, no query
//! language; a retention policy refuses what is expired and deletes nothing. Quotas on rates are played by
//! [`Faults`], never counted. Where AWS does not document the order of its checks, the one here is a guess: the shape of a
//! request, then whether its group and stream exist, then the rules for its events.
//!
//! ```
//! use trace_logs_service::{Fault, Faults, Options, Service};
//!
//! # fn main() -> std::io::Result<()> {
//! let service = Service::start(Options::default())?;
//! service.set_faults(Faults { shares: vec![(Fault::Throttle { retry_after: None }, 0.3)], ..Faults::default() });
//! println!("AWS_ENDPOINT_URL_CLOUDWATCH_LOGS={}", service.endpoint());
//! assert_eq!(service.state().tally().events, 0);
//! # Ok(())
//! # }
//! ```

mod refusal;
mod clock;
mod limits;
mod pattern;
mod state;
mod put;
mod read;
mod operations;
mod signature;
mod fault;
mod http;
mod options;
mod connection;
mod service;

pub use fault::{Fault, Faults};
pub use limits::{
    BATCH_BYTES_MAX, BATCH_EVENTS_MAX, BATCH_SPAN_MS_MAX, BODY_BYTES_MAX, EVENT_AGE_MS_MAX,
    EVENT_AHEAD_MS_MAX, EVENT_BYTES_MAX, EVENT_BYTES_MAX_BEFORE_2025, EVENT_OVERHEAD_BYTES,
};
pub use options::{Keep, Options};
pub use service::Service;
pub use signature::Key;
pub use state::{Event, Group, Request, State, Stream, Tally};
