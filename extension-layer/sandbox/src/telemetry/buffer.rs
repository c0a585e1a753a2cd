//! One subscriber's events on their way: when a batch is due, and what happens when too many wait.

use std::collections::VecDeque;
use std::time::Instant;

use super::subscription::Buffering;

/// Bytes that wait for one subscriber at most. What comes beyond is dropped and counted; the count is told in
/// `platform.logsDropped`, as the cloud does for a subscriber that is too slow.
const WAITING_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Events of one subscriber that have not been delivered. Knows no clock and no socket.
pub(crate) struct Buffer {
    limits: Buffering,
    waiting: VecDeque<String>,
    bytes: usize,
    /// When the oldest waiting event came.
    since: Option<Instant>,
    /// Everything up to this count of accepted events is to be sent without waiting.
    urgent: u64,
    accepted: u64,
    dropped: Dropped,
}

/// Events that were given up.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Dropped {
    pub(crate) records: u64,
    pub(crate) bytes: u64,
}

impl Dropped {
    pub(crate) fn add(&mut self, records: usize, bytes: usize) {
        self.records += records as u64;
        self.bytes += bytes as u64;
    }
}

/// What the deliverer should do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// A batch is due.
    Now,
    /// A batch is due then, unless more comes.
    At(Instant),
    /// Nothing waits.
    Never,
}

impl Buffer {
    pub(crate) fn new(limits: Buffering) -> Self {
        Self {
            limits,
            waiting: VecDeque::new(),
            bytes: 0,
            since: None,
            urgent: 0,
            accepted: 0,
            dropped: Dropped::default(),
        }
    }

    pub(crate) fn push(&mut self, event: String, now: Instant) {
        if self.bytes + event.len() > WAITING_BYTES_MAX {
            self.dropped.add(1, event.len());
            return;
        }
        self.bytes += event.len();
        self.accepted += 1;
        self.since.get_or_insert(now);
        self.waiting.push_back(event);
    }

    /// Makes everything that waits due at once; gives the count of events accepted so far.
    pub(crate) fn hurry(&mut self) -> u64 {
        self.urgent = self.accepted;
        self.accepted
    }

    pub(crate) fn due(&self, now: Instant) -> Due {
        let Some(since) = self.since else { return Due::Never };
        let taken = self.accepted - self.waiting.len() as u64;
        let at = since + self.limits.wait;
        let full = self.waiting.len() >= self.limits.items_max || self.bytes >= self.limits.bytes_max;
        if full || taken < self.urgent || at <= now { Due::Now } else { Due::At(at) }
    }

    /// The next batch: at most the items and, but for its last event, the bytes that the subscriber wants at
    /// once. With it the events dropped since the last batch.
    pub(crate) fn take(&mut self, now: Instant) -> (Vec<String>, Dropped) {
        let (mut batch, mut bytes) = (Vec::new(), 0);
        while batch.len() < self.limits.items_max && bytes < self.limits.bytes_max {
            let Some(event) = self.waiting.pop_front() else { break };
            bytes += event.len();
            batch.push(event);
        }
        self.bytes -= bytes;
        self.since = (!self.waiting.is_empty()).then_some(now);
        (batch, std::mem::take(&mut self.dropped))
    }

    /// Counts a batch that could not be delivered.
    pub(crate) fn give_up(&mut self, records: usize, bytes: usize) {
        self.dropped.add(records, bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const WAIT: Duration = Duration::from_millis(25);

    fn buffer() -> Buffer {
        Buffer::new(Buffering { items_max: 3, bytes_max: 100, wait: WAIT })
    }

    #[test]
    fn a_batch_is_due_when_items_bytes_time_or_haste_say_so() {
        let now = Instant::now();
        let mut by_items = buffer();
        assert_eq!(by_items.due(now), Due::Never);
        by_items.push("a".into(), now);
        assert_eq!(by_items.due(now), Due::At(now + WAIT));
        assert_eq!(by_items.due(now + WAIT), Due::Now);
        by_items.push("b".into(), now);
        by_items.push("c".into(), now);
        assert_eq!(by_items.due(now), Due::Now);

        let mut by_bytes = buffer();
        by_bytes.push("x".repeat(100), now);
        assert_eq!(by_bytes.due(now), Due::Now);

        let mut in_haste = buffer();
        in_haste.push("a".into(), now);
        assert_eq!(in_haste.hurry(), 1);
        assert_eq!(in_haste.due(now), Due::Now);
        assert_eq!(in_haste.take(now).0, ["a"]);
        in_haste.push("b".into(), now);
        assert_eq!(in_haste.due(now), Due::At(now + WAIT));
    }

    #[test]
    fn what_does_not_fit_is_counted_and_told_with_the_next_batch() {
        let now = Instant::now();
        let mut buffer = buffer();
        let large = "x".repeat(WAITING_BYTES_MAX);
        buffer.push(large.clone(), now);
        buffer.push("late".into(), now);
        assert_eq!(buffer.take(now), (vec![large], Dropped { records: 1, bytes: 4 }));
        assert_eq!(buffer.due(now), Due::Never);
    }
}
