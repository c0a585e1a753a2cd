//! What the function logged last, for the log tail of a failure that has not happened yet.
//!
//! Nothing is parsed here, and nothing copied that is not too long: a batch that was found to be of no interest is kept until newer ones
//! take its place.

use std::collections::VecDeque;

/// Bytes of batches that are kept: the tail of a log is 4 KiB of text, in the telemetry's clothes and among the platform's events. When it
/// is full, the oldest batch goes.
const RECENT_BYTES_MAX: usize = 32 * 1024;

/// The last batches of telemetry.
#[derive(Debug, Default)]
pub(crate) struct Recent {
    batches: VecDeque<Vec<u8>>,
    bytes: usize,
}

impl Recent {
    /// Keeps `batch`; of one that is too long, the last events.
    pub(crate) fn push(&mut self, batch: Vec<u8>) {
        let mut batch = if batch.len() > RECENT_BYTES_MAX { last_events(&batch) } else { batch };
        batch.shrink_to_fit();
        self.bytes += batch.len();
        self.batches.push_back(batch);
        while self.bytes > RECENT_BYTES_MAX {
            let oldest = self.batches.pop_front().unwrap_or_default();
            self.bytes -= oldest.len();
        }
    }

    /// Gives the batches away, oldest first.
    pub(crate) fn take(&mut self) -> VecDeque<Vec<u8>> {
        self.bytes = 0;
        std::mem::take(&mut self.batches)
    }
}

/// The end of `batch`, from the first event that begins in it, as a batch. A line of the log cannot look like the beginning of an event:
/// its quotes are escaped.
fn last_events(batch: &[u8]) -> Vec<u8> {
    let end = &batch[batch.len() - (RECENT_BYTES_MAX - 1)..];
    match memchr::memmem::find(end, b"{\"time\"") {
        Some(at) => [b"[", &end[at..]].concat(),
        None => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_batches_stay() {
        let mut recent = Recent::default();
        for number in 0..100_u8 {
            recent.push(vec![number; 1_000]);
        }
        let kept = recent.take();
        assert_eq!((kept.len(), kept[0][0], kept[31][0]), (32, 68, 99));
        assert_eq!((recent.take().len(), recent.bytes), (0, 0));
    }

    #[test]
    fn of_one_that_is_too_long_the_last_events_stay() {
        let event =
            |number: usize| format!("{{\"time\":\"t\",\"type\":\"function\",\"record\":\"{number}\"}}");
        let batch = format!("[{}]", (0..2_000).map(event).collect::<Vec<_>>().join(","));
        let mut recent = Recent::default();
        recent.push(batch.into_bytes());
        let kept = recent.take();
        let events: Vec<serde_json::Value> = serde_json::from_slice(&kept[0]).unwrap();
        assert!(kept[0].len() <= RECENT_BYTES_MAX && events.len() > 600, "{}", events.len());
        assert_eq!(events.last().unwrap()["record"], "1999");
        recent.push(vec![b'x'; RECENT_BYTES_MAX + 1]);
        assert_eq!(recent.take(), [b""]);
    }
}
