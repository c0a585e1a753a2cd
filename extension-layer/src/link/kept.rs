//! The failures that the worker was given and has not acknowledged: what a bare record needs of each, and no more.
//!
//! Each leaves in one of two ways. Acknowledged, it is forgotten. Settled, because the worker died or stalled or the
//! process ends, it is written bare.

use std::collections::VecDeque;

use crate::bare::{self, RAW_BYTES_MAX, Source};

/// Bytes of failures that are kept, at least 32 of them. When it is full, the oldest is written bare: twice is better than
/// never.
const KEPT_BYTES_MAX: usize = 1024 * 1024;

/// What a bare record needs of a failure.
#[derive(Debug)]
pub(crate) struct Failure {
    source: Source,
    request_id: Option<String>,
    raw: Vec<u8>,
}

impl Failure {
    /// Of the original `raw`, copied only as far as it is written.
    pub(crate) fn new(source: Source, request_id: Option<String>, raw: &[u8]) -> Failure {
        // One byte more, so that the record says that there was more.
        Failure { source, request_id, raw: raw[..raw.len().min(RAW_BYTES_MAX + 1)].to_vec() }
    }

    /// The bare record, with its line end.
    pub(crate) fn line(&self) -> String {
        bare::line(self.source, self.request_id.as_deref(), &self.raw)
    }
}

/// The failures that are kept, by the sequence number of the frame that brought each, lowest first.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    failures: VecDeque<(u64, Failure)>,
    bytes: usize,
}

impl Kept {
    /// Keeps `failure`. `lines` gets the bare records of those that must make room.
    pub(crate) fn keep(&mut self, sequence: u64, failure: Failure, lines: &mut Vec<String>) {
        self.bytes += failure.raw.len();
        self.failures.push_back((sequence, failure));
        while self.bytes > KEPT_BYTES_MAX {
            let Some(oldest) = self.pop(u64::MAX) else { break };
            lines.push(oldest.line());
        }
    }

    /// Drops the failures up to `sequence`: the worker has dealt with them.
    pub(crate) fn forget(&mut self, sequence: u64) {
        while self.pop(sequence).is_some() {}
    }

    /// Drops the failures up to `sequence` and gives their bare records to `lines`: nobody else will deal with them.
    pub(crate) fn settle(&mut self, sequence: u64, lines: &mut Vec<String>) {
        while let Some(failure) = self.pop(sequence) {
            lines.push(failure.line());
        }
    }

    fn pop(&mut self, up_to: u64) -> Option<Failure> {
        self.failures.front().filter(|(sequence, _)| *sequence <= up_to)?;
        let (_, oldest) = self.failures.pop_front()?;
        self.bytes -= oldest.raw.len();
        Some(oldest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(raw: &str) -> Failure {
        Failure::new(Source::Capture, Some("1".to_owned()), raw.as_bytes())
    }

    #[test]
    fn a_failure_is_written_unless_it_is_acknowledged() {
        let (mut kept, mut lines) = (Kept::default(), Vec::new());
        for (sequence, raw) in [(3, "first"), (5, "second"), (6, "third")] {
            kept.keep(sequence, failure(raw), &mut lines);
        }
        kept.forget(4);
        kept.settle(5, &mut lines);
        assert_eq!(lines, [failure("second").line()]);
        kept.settle(u64::MAX, &mut lines);
        assert_eq!(lines, [failure("second").line(), failure("third").line()]);
        assert_eq!(kept.bytes, 0);
    }

    #[test]
    fn when_it_is_full_the_oldest_is_written() {
        let (mut kept, mut lines) = (Kept::default(), Vec::new());
        let raw = "x".repeat(2 * RAW_BYTES_MAX);
        for sequence in 1..=1000 {
            kept.keep(sequence, failure(&raw), &mut lines);
        }
        assert!(kept.bytes <= KEPT_BYTES_MAX);
        assert_eq!(kept.failures.len() + lines.len(), 1000);
        assert_eq!(kept.failures.back().map(|(sequence, _)| *sequence), Some(1000));
    }
}
