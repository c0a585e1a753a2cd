//! Where lines go: the trait that every sink is behind, and the two sinks that need nothing but this crate.
//!
//! A sink does one thing: it tries to store one batch once, and says what came of it. Waiting and trying again is
//! decided by `trace_record::retry` and carried out by `crate::ship`, the same for every sink.

pub mod file;
pub mod stdout;

use std::future::Future;
use std::pin::Pin;

use trace_record::batch::Batch;
use trace_record::retry::Fault;

/// A log group and a log stream in it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Destination {
    /// The log group, such as `/aws/lambda/checkout`.
    pub group: String,
    /// The log stream.
    pub stream: String,
}

/// What became of a batch that the sink took.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Receipt {
    /// How many events are stored.
    pub stored: usize,
    /// The events that the sink refused while it stored the others, in the order of the batch.
    pub rejected: Vec<Rejection>,
}

/// One event that the sink refused; sending it again as it is is of no use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// Its index in the batch.
    pub index: usize,
    /// Why, in the sink's words.
    pub reason: String,
    /// If only its time was refused: a time that the sink would take, in milliseconds since 1970.
    pub accepts_ms: Option<i64>,
}

/// A batch that the sink did not take, or may not have taken.
#[derive(Debug, thiserror::Error)]
#[error("{sink}: {message}")]
pub struct Error {
    /// What it means for the next try.
    pub fault: Fault,
    /// The sink, as [`Sink::name`] gives it.
    pub sink: String,
    /// What went wrong, with what to do about it.
    pub message: String,
}

/// The answer to a batch, when it comes.
pub type Put<'a> = Pin<Box<dyn Future<Output = Result<Receipt, Error>> + Send + 'a>>;

/// Somewhere that batches can be stored.
pub trait Sink: Send + Sync {
    /// The sink in a form that a person can go to, such as `file:/tmp/records` or `cloudwatch (eu-central-1)`.
    fn name(&self) -> String;

    /// The longest line that the sink takes as one event, in bytes.
    fn line_bytes_max(&self) -> usize;

    /// Tries once to store `batch`. Several tries may be under way at a time. Dropping the future gives the try up: then nobody
    /// knows whether it was stored.
    fn put<'a>(&'a self, to: &'a Destination, batch: &'a Batch) -> Put<'a>;
}
