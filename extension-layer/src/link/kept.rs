//! The failures that the worker was given and has not acknowledged: the frame that brought each, and what a bare record needs of it.
//!
//! Each leaves in one of three ways. Acknowledged, it is forgotten. When the worker dies or stalls, it goes to the next one: most
//! workers are killed by something else than their last frame. The second time, or if there will be no other worker, it is written bare.

use std::collections::VecDeque;

use crate::bare::{self, RAW_BYTES_MAX, Source};

/// Bytes of failures that are kept. When it is full, the oldest is written bare: twice is better than never.
const KEPT_BYTES_MAX: usize = 2 * 1024 * 1024;

/// Bytes of the longest frame that is kept for another worker. Of a longer one only the bare record's part is.
const FRAME_BYTES_MAX: usize = 512 * 1024;

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

/// A failure that is kept.
#[derive(Debug)]
struct Entry {
    /// The number of the frame that brought it.
    sequence: u64,
    failure: Failure,
    /// The frame, as long as another worker may get it.
    frame: Option<Vec<u8>>,
}

impl Entry {
    fn bytes(&self) -> usize {
        self.failure.raw.len() + self.frame.as_ref().map_or(0, Vec::len)
    }
}

/// The failures that are kept, by the sequence number of the frame that brought each, lowest first.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    entries: VecDeque<Entry>,
    bytes: usize,
}

impl Kept {
    /// Keeps `failure`, which `frame` brings. `lines` gets the bare records of those that must make room.
    pub(crate) fn keep(&mut self, sequence: u64, failure: Failure, frame: &[u8], lines: &mut Vec<String>) {
        let frame = (frame.len() <= FRAME_BYTES_MAX).then(|| frame.to_vec());
        let entry = Entry { sequence, failure, frame };
        self.bytes += entry.bytes();
        self.entries.push_back(entry);
        while self.bytes > KEPT_BYTES_MAX {
            let Some(oldest) = self.pop(u64::MAX) else { break };
            lines.push(oldest.failure.line());
        }
    }

    /// Drops the failures up to `sequence`: the worker has dealt with them.
    pub(crate) fn forget(&mut self, sequence: u64) {
        while self.pop(sequence).is_some() {}
    }

    /// Gives away the frames up to `sequence` that another worker may get, each once, with their numbers; the failures of the others
    /// are dropped, and their bare records go to `lines`.
    pub(crate) fn retry(&mut self, sequence: u64, lines: &mut Vec<String>) -> Vec<(u64, Vec<u8>)> {
        let mut frames = Vec::new();
        let mut entries = std::mem::take(self).entries;
        while let Some(mut entry) = entries.pop_front() {
            match entry.frame.take_if(|_| entry.sequence <= sequence) {
                Some(frame) => frames.push((entry.sequence, frame)),
                None if entry.sequence <= sequence => {
                    lines.push(entry.failure.line());
                    continue;
                }
                None => {}
            }
            self.bytes += entry.bytes();
            self.entries.push_back(entry);
        }
        frames
    }

    /// Drops the failures up to `sequence` and gives their bare records to `lines`: nobody else will deal with them.
    pub(crate) fn settle(&mut self, sequence: u64, lines: &mut Vec<String>) {
        while let Some(entry) = self.pop(sequence) {
            lines.push(entry.failure.line());
        }
    }

    fn pop(&mut self, up_to: u64) -> Option<Entry> {
        self.entries.front().filter(|entry| entry.sequence <= up_to)?;
        let oldest = self.entries.pop_front()?;
        self.bytes -= oldest.bytes();
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
            kept.keep(sequence, failure(raw), b"", &mut lines);
        }
        kept.forget(4);
        kept.settle(5, &mut lines);
        assert_eq!(lines, [failure("second").line()]);
        kept.settle(u64::MAX, &mut lines);
        assert_eq!(lines, [failure("second").line(), failure("third").line()]);
        assert_eq!(kept.bytes, 0);
    }

    #[test]
    fn another_worker_gets_what_the_first_one_left_and_a_third_does_not() {
        let (mut kept, mut lines) = (Kept::default(), Vec::new());
        kept.keep(3, failure("first"), b"one", &mut lines);
        kept.keep(4, failure("long"), &vec![0; FRAME_BYTES_MAX + 1], &mut lines);
        kept.keep(5, failure("not taken"), b"two", &mut lines);
        assert_eq!(kept.retry(4, &mut lines), [(3, b"one".to_vec())]);
        assert_eq!(lines, [failure("long").line()]);
        assert_eq!(kept.retry(5, &mut lines), [(5, b"two".to_vec())]);
        assert_eq!(lines, [failure("long").line(), failure("first").line()]);
        kept.settle(u64::MAX, &mut lines);
        assert_eq!((lines.len(), kept.bytes), (3, 0));
    }

    #[test]
    fn when_it_is_full_the_oldest_is_written() {
        let (mut kept, mut lines) = (Kept::default(), Vec::new());
        let raw = "x".repeat(2 * RAW_BYTES_MAX);
        for sequence in 1..=1000 {
            kept.keep(sequence, failure(&raw), raw.as_bytes(), &mut lines);
        }
        assert!(kept.bytes <= KEPT_BYTES_MAX);
        assert_eq!(kept.entries.len() + lines.len(), 1000);
        assert_eq!(kept.entries.back().map(|entry| entry.sequence), Some(1000));
    }
}
