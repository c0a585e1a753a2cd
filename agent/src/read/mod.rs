//! Reading back what a sink stored: the trait that every place is behind, and the one that needs nothing but this crate.

pub mod file;

use std::future::Future;
use std::pin::Pin;

use crate::sink::Error;

/// What is wanted of a log group.
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// The log group.
    pub group: String,
    /// The log streams; all of them if there are none.
    pub streams: Vec<String>,
    /// The beginning of the streams' names, if only those are wanted.
    pub stream_prefix: Option<String>,
    /// From when on, in milliseconds since 1970.
    pub start_ms: Option<i64>,
    /// Up to when.
    pub end_ms: Option<i64>,
    /// What the place itself may leave out, in CloudWatch's filter syntax. One that has no such syntax hands over everything.
    pub pattern: Option<String>,
}

/// A line that was stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Names it among all that one reader hands over.
    pub id: String,
    /// When it stands there, in milliseconds since 1970.
    pub timestamp_ms: i64,
    /// The line.
    pub message: String,
}

/// Some lines, and what to ask for to get more.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// The lines; there may be none although more follow.
    pub events: Vec<Stored>,
    /// What continues the query, if it is not at its end.
    pub next: Option<String>,
}

/// A page, when it comes.
pub type Reading<'a> = Pin<Box<dyn Future<Output = Result<Page, Error>> + Send + 'a>>;

/// Somewhere that lines can be read back from.
pub trait Reader: Send + Sync {
    /// Tries once to read a page, the first without `next`. Trying again is the caller's. A query that is asked again from its
    /// beginning may leave out what this reader has handed over before.
    fn page<'a>(&'a self, query: &'a Query, next: Option<&'a str>) -> Reading<'a>;
}
