//! Batches that PutLogEvents accepts, by construction.
//!
//! The limits are those of the API reference: at most 1,048,576 bytes counting the UTF-8 of each message and 26 bytes
//! per event; at most 10,000 events; not more than 24 hours from the first to the last; in the order of time; no event
//! older than 14 days or more than two hours ahead. A sequence token is no longer needed and never sent.

/// The largest batch, in bytes: message bytes plus [`EVENT_OVERHEAD_BYTES`] per event.
pub const BATCH_BYTES_MAX: usize = 1_048_576;

/// What the service counts for each event beside its message, in bytes.
pub const EVENT_OVERHEAD_BYTES: usize = 26;

/// The most events of one batch.
pub const BATCH_EVENTS_MAX: usize = 10_000;

/// The longest time from the first to the last event of one batch, in milliseconds.
pub const BATCH_SPAN_MS_MAX: i64 = 24 * 60 * 60 * 1_000;

/// The greatest age of an event, in milliseconds.
pub const EVENT_AGE_MS_MAX: i64 = 14 * 24 * 60 * 60 * 1_000;

/// How far ahead of the service's clock an event may be, in milliseconds.
pub const EVENT_AHEAD_MS_MAX: i64 = 2 * 60 * 60 * 1_000;

/// One line on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// When it happened, in milliseconds since 1970.
    pub timestamp_ms: i64,
    /// The line, not empty, without its line end.
    pub message: String,
}

impl Event {
    /// What the event counts against [`BATCH_BYTES_MAX`].
    fn bytes(&self) -> usize {
        self.message.len() + EVENT_OVERHEAD_BYTES
    }
}

/// Events that one request may carry. Once made, a batch never changes, so that a retry cannot send a neighbour twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    events: Vec<Event>,
}

impl Batch {
    /// The events, oldest first; at least one.
    #[must_use]
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// The two halves, in order, or `None` for a single event: how an event that the service refuses is found.
    #[must_use]
    pub fn halves(&self) -> Option<(Batch, Batch)> {
        let middle = self.events.len() / 2;
        if middle == 0 {
            return None;
        }
        let (left, right) = self.events.split_at(middle);
        Some((Batch { events: left.to_vec() }, Batch { events: right.to_vec() }))
    }
}

/// Why no batch can carry an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Its message is empty.
    Empty,
    /// Its message is longer than [`BATCH_BYTES_MAX`] less [`EVENT_OVERHEAD_BYTES`].
    TooLong,
    /// It is older than [`EVENT_AGE_MS_MAX`].
    TooOld,
    /// It is more than [`EVENT_AHEAD_MS_MAX`] ahead.
    TooNew,
}

impl Refusal {
    fn of(event: &Event, now_ms: i64) -> Option<Self> {
        if event.message.is_empty() {
            Some(Self::Empty)
        } else if event.bytes() > BATCH_BYTES_MAX {
            Some(Self::TooLong)
        } else if event.timestamp_ms < now_ms.saturating_sub(EVENT_AGE_MS_MAX) {
            Some(Self::TooOld)
        } else if event.timestamp_ms > now_ms.saturating_add(EVENT_AHEAD_MS_MAX) {
            Some(Self::TooNew)
        } else {
            None
        }
    }
}

/// Parts events into batches, oldest first, and hands back those that no batch can carry.
#[must_use]
pub fn batches(events: Vec<Event>, now_ms: i64) -> (Vec<Batch>, Vec<(Event, Refusal)>) {
    let mut refused = Vec::new();
    let mut fit: Vec<Event> = Vec::with_capacity(events.len());
    for event in events {
        match Refusal::of(&event, now_ms) {
            Some(refusal) => refused.push((event, refusal)),
            None => fit.push(event),
        }
    }
    // Stable: events of one millisecond stay in the order in which they came.
    fit.sort_by_key(|event| event.timestamp_ms);
    let mut batches: Vec<Batch> = Vec::new();
    let mut bytes = 0;
    for event in fit {
        let open = batches.last_mut().filter(|batch| {
            batch.events.len() < BATCH_EVENTS_MAX
                && bytes + event.bytes() <= BATCH_BYTES_MAX
                && event.timestamp_ms - batch.events[0].timestamp_ms <= BATCH_SPAN_MS_MAX
        });
        match open {
            Some(batch) => {
                bytes += event.bytes();
                batch.events.push(event);
            }
            None => {
                bytes = event.bytes();
                batches.push(Batch { events: vec![event] });
            }
        }
    }
    (batches, refused)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_MS: i64 = 1_795_419_012_532;

    fn event(timestamp_ms: i64, bytes: usize) -> Event {
        Event { timestamp_ms, message: "x".repeat(bytes) }
    }

    #[test]
    fn a_batch_is_full_at_the_documented_byte() {
        let half = BATCH_BYTES_MAX / 2 - EVENT_OVERHEAD_BYTES;
        assert_eq!(batches(vec![event(NOW_MS, half), event(NOW_MS, half)], NOW_MS).0.len(), 1);
        assert_eq!(batches(vec![event(NOW_MS, half), event(NOW_MS, half + 1)], NOW_MS).0.len(), 2);
        assert!(batches(vec![event(NOW_MS, BATCH_BYTES_MAX - EVENT_OVERHEAD_BYTES)], NOW_MS).1.is_empty());
        let (none, refused) =
            batches(vec![event(NOW_MS, BATCH_BYTES_MAX - EVENT_OVERHEAD_BYTES + 1)], NOW_MS);
        assert_eq!((none.len(), refused[0].1), (0, Refusal::TooLong));
    }

    #[test]
    fn a_batch_is_full_at_ten_thousand_events() {
        let (batches, _) = batches(vec![event(NOW_MS, 1); BATCH_EVENTS_MAX + 1], NOW_MS);
        assert_eq!(
            batches.iter().map(|batch| batch.events().len()).collect::<Vec<_>>(),
            [BATCH_EVENTS_MAX, 1]
        );
    }

    #[test]
    fn a_batch_spans_a_day_at_most_and_the_oldest_goes_first() {
        let day = BATCH_SPAN_MS_MAX;
        let (batches, _) = batches(
            vec![event(NOW_MS, 1), event(NOW_MS - day - 1, 1), event(NOW_MS - day, 1), event(NOW_MS - 1, 1)],
            NOW_MS,
        );
        let times = |batch: &Batch| batch.events().iter().map(|event| event.timestamp_ms).collect::<Vec<_>>();
        assert_eq!(times(&batches[0]), [NOW_MS - day - 1, NOW_MS - day, NOW_MS - 1]);
        assert_eq!(times(&batches[1]), [NOW_MS]);
    }

    #[test]
    fn what_the_service_would_reject_is_handed_back() {
        let old = event(NOW_MS - EVENT_AGE_MS_MAX - 1, 1);
        let new = event(NOW_MS + EVENT_AHEAD_MS_MAX + 1, 1);
        let (batches, refused) = batches(vec![old.clone(), new.clone(), event(NOW_MS, 0)], NOW_MS);
        assert!(batches.is_empty());
        assert_eq!(
            refused,
            [(old, Refusal::TooOld), (new, Refusal::TooNew), (event(NOW_MS, 0), Refusal::Empty)]
        );
    }
}
