//! From what runtimes write to records.
//!
//! A reader takes one form and gives `None` for everything else, so that readers can be tried in turn:
//!
//! - [`body`]: the JSON that a runtime posts to `/invocation/{id}/error` or `/init/error`, and the JSON log line of the
//!   same failure.
//! - [`python`]: a printed Python traceback, as the interpreter prints it and as Lambda's client logs it.
//! - [`native`]: a native report, whose frames are addresses.
//! - [`platform`]: what the platform says when nobody else can (exits, signals, timeouts).
//! - [`telemetry`]: batches of the Telemetry API, which carry log lines and what the platform says.
//! - [`lines`]: where in a stream of lines such a text begins and ends.
//!
//! What a reader gives is a bare record: it is completed later, once, by [`crate::complete()`].

pub mod python;
pub mod body;
pub mod native;
pub mod platform;
pub mod telemetry;
pub mod lines;

use crate::failure::{Record, Witness};
use crate::text;
use lines::Detector;
use telemetry::What;

/// The most frames that one record keeps. Deeper than any runtime's own limit (CPython prints 1,000 and the last
/// line's repeats), and what remains after it is counted in `truncated`.
pub const FRAMES_MAX: usize = 4_096;

/// The longest `raw` that a record keeps of an input which no reader takes, in bytes.
pub const RAW_BYTES_MAX: usize = 8 * 1024;

/// Reads a whole text: a posted body, a log, or one printed failure. Gives a record for each failure in it.
///
/// A text that opens with a traceback and holds nothing else is read as one failure, so that a message of several
/// lines stays whole. Anything else is read line by line, as a stream would be.
#[must_use]
pub fn text(input: &str) -> Vec<Record> {
    if let Some(record) = body::read(input.as_bytes()) {
        return vec![record];
    }
    if let Some(record) = python::whole(input) {
        return vec![record];
    }
    match telemetry::events(input.as_bytes()) {
        Some(events) => log(events.iter().filter_map(|event| match &event.what {
            What::Function(line) => Some(line.as_str()),
            What::Extension(_) | What::Platform { .. } => None,
        })),
        None => log(std::iter::once(input)),
    }
}

/// Reads the lines of one log, which come in pieces: a piece ends a line.
fn log<'a>(pieces: impl Iterator<Item = &'a str>) -> Vec<Record> {
    let mut detector = Detector::default();
    let mut records = Vec::new();
    for line in pieces.flat_map(|piece| piece.split_inclusive('\n')) {
        records.extend(detector.line(line).into_iter().filter_map(|block| self::block(&block.text)));
    }
    records.extend(detector.finish().and_then(|block| self::block(&block.text)));
    records
}

/// Reads one block that a [`Detector`] cut out of a stream.
#[must_use]
pub fn block(block: &str) -> Option<Record> {
    body::read(block.trim().as_bytes())
        .or_else(|| python::read(block))
        .or_else(|| platform::line(block.trim()))
}

/// Reads a body that was posted as an error: one that no reader takes is kept, bounded, in `raw`.
#[must_use]
pub fn posted(bytes: &[u8]) -> Record {
    let mut record = body::read_posted(bytes).unwrap_or_else(|| {
        let lossy = String::from_utf8_lossy(bytes);
        Record { raw: Some(text::prefix(&lossy, RAW_BYTES_MAX).to_owned()), ..Record::default() }
    });
    record.witnesses = vec![Witness::RuntimeApi];
    record
}
