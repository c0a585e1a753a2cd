//! POSTs of the Telemetry API as they were meant: each once, and records that were cut over two of them in one piece.
//!
//! Lambda sends a batch again if our answer did not reach it, and cuts a record of more than 256 KiB in the middle of a value: the POST ends
//! there, and the next one goes on. In between, another whole batch may come.

use std::collections::VecDeque;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash as _, Hasher as _};

use trace_record::normalize::telemetry::{self, Event};

/// How many batches are remembered. Lambda sends again what it sent a moment ago.
const SEEN_MAX: usize = 64;

/// Bytes of the piece that waits for the next: the longest that a handler can log, which Lambda cuts at 256 KiB, many times over. When it is
/// longer, what is there is read as it is.
const PIECE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The batches that were seen, and the piece that waits.
#[derive(Default)]
pub(super) struct Batches {
    seen: VecDeque<u64>,
    piece: Vec<u8>,
}

/// What a POST comes to.
#[derive(Debug, PartialEq)]
pub(super) enum Taken {
    /// These events.
    Events(Vec<Event>),
    /// Nothing yet: the rest has to come. Or nothing new.
    Nothing,
    /// It cannot be read.
    Unreadable,
}

impl Batches {
    /// Takes a POST.
    pub(super) fn take(&mut self, batch: &[u8]) -> Taken {
        let mut hasher = DefaultHasher::new();
        batch.hash(&mut hasher);
        let hash = hasher.finish();
        if self.seen.contains(&hash) {
            return Taken::Nothing;
        }
        self.seen.push_back(hash);
        if self.seen.len() > SEEN_MAX {
            self.seen.pop_front();
        }
        self.join(batch)
    }

    /// The events of the piece that waits, as far as it goes: its rest does not come.
    pub(super) fn finish(&mut self) -> Vec<Event> {
        let piece = std::mem::take(&mut self.piece);
        telemetry::events(&piece).unwrap_or_default()
    }

    fn join(&mut self, batch: &[u8]) -> Taken {
        let batch = batch.trim_ascii();
        match (batch.starts_with(b"["), batch.ends_with(b"]")) {
            // Pieces with an envelope of their own are one again in the reader.
            (true, true) => read(batch),
            (true, false) => {
                let events = self.finish();
                self.piece = batch.to_vec();
                if self.piece.len() > PIECE_BYTES_MAX {
                    return Taken::Events([events, self.finish()].concat());
                }
                if events.is_empty() { Taken::Nothing } else { Taken::Events(events) }
            }
            (false, _) if self.piece.is_empty() => salvage(batch),
            (false, is_end) => {
                self.piece.extend_from_slice(batch);
                if is_end || self.piece.len() > PIECE_BYTES_MAX {
                    let whole = std::mem::take(&mut self.piece);
                    return read(&whole);
                }
                Taken::Nothing
            }
        }
    }
}

/// What can be read of the second half of a record whose first half is not there: the events that follow it.
fn salvage(batch: &[u8]) -> Taken {
    match memchr::memmem::find(batch, b"{\"time\"") {
        Some(at) => read(&[b"[", &batch[at..]].concat()),
        None => Taken::Unreadable,
    }
}

fn read(batch: &[u8]) -> Taken {
    telemetry::events(batch).map_or(Taken::Unreadable, Taken::Events)
}

#[cfg(test)]
mod tests {
    use trace_record::normalize::telemetry::What;

    use super::*;

    /// The first letters of each line that was logged, and its length.
    fn lines(taken: Taken) -> Vec<(String, usize)> {
        let Taken::Events(events) = taken else { panic!("{taken:?}") };
        let text = |event: Event| match event.what {
            What::Function(text) => (text.chars().take(3).collect(), text.len()),
            what => (format!("{what:?}"), 0),
        };
        events.into_iter().map(text).collect()
    }

    const HEAD: &str = r#"{"time":"2026-11-23T07:27:52.488Z","type":"function","record":""#;

    #[test]
    fn a_batch_that_comes_again_is_nothing_new() {
        let mut batches = Batches::default();
        let batch = format!("[{HEAD}one\"}}]");
        assert_eq!(lines(batches.take(batch.as_bytes())), [("one".to_owned(), 3)]);
        assert_eq!(batches.take(batch.as_bytes()), Taken::Nothing);
        assert_eq!(lines(batches.take(batch.replace("one", "two").as_bytes())).len(), 1);
    }

    #[test]
    fn a_record_that_was_cut_over_posts_is_one() {
        let mut batches = Batches::default();
        let long = "x".repeat(300_000);
        let whole = format!("[{HEAD}{long}\"}},{HEAD}end\"}}]");
        for cuts in [&[262_144][..], &[1_000, 200_000], &[70]] {
            let mut at = 0;
            for cut in cuts {
                // Something else may come in between.
                let other = format!("[{HEAD}{cut}{}\"}}]", cuts.len());
                assert_eq!(batches.take(&whole.as_bytes()[at..*cut]), Taken::Nothing);
                assert_eq!(lines(batches.take(other.as_bytes())).len(), 1);
                at = *cut;
            }
            let expected = [("xxx".to_owned(), 300_000), ("end".to_owned(), 3)];
            assert_eq!(lines(batches.take(&whole.as_bytes()[at..])), expected);
        }
    }

    #[test]
    fn a_piece_whose_rest_does_not_come_is_read_as_far_as_it_goes() {
        let mut batches = Batches::default();
        let piece = format!("[{HEAD}one\"}},{HEAD}tw");
        assert_eq!(batches.take(piece.as_bytes()), Taken::Nothing);
        assert_eq!(lines(Taken::Events(batches.finish()))[0], ("one".to_owned(), 3));
        assert_eq!(batches.finish(), []);
        assert_eq!(batches.take(b"rest\"}]"), Taken::Unreadable);
        let rest = format!("st\"}},{HEAD}two\"}}]");
        assert_eq!(lines(batches.take(rest.as_bytes())), [("two".to_owned(), 3)]);
        assert_eq!(batches.take(b"not JSON"), Taken::Unreadable);
    }

    #[test]
    fn pieces_are_bounded() {
        let mut batches = Batches::default();
        batches.take(format!("[{HEAD}").as_bytes());
        for number in 0..100 {
            batches.take(format!("{number}{}", "x".repeat(100_000)).as_bytes());
            assert!(batches.piece.len() <= PIECE_BYTES_MAX);
        }
    }
}
