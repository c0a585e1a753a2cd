//! Batches that PutLogEvents accepts, by construction.
//!
//! The limits are those of the API reference: at most 1,048,576 bytes counting the UTF-8 of each message and 26 bytes
//! per event; at most 10,000 events; not more than 24 hours from the first to the last; in the order of time; no event
//! older than 14 days or more than two hours ahead. A sequence token is no longer needed and never sent.
//!
//! An event that is too old or too far ahead is sent at the present time: its line still says when it was.

use std::fmt;

use crate::render;

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

/// How far within the service's bounds an event's time stays: it may wait for the sink, and clocks differ.
const MARGIN_MS: i64 = 60 * 60 * 1_000;

/// Whether the service takes events of this time now, and will for another hour.
#[must_use]
pub fn is_timely(timestamp_ms: i64, now_ms: i64) -> bool {
    let oldest = now_ms.saturating_sub(EVENT_AGE_MS_MAX - MARGIN_MS);
    let newest = now_ms.saturating_add(EVENT_AHEAD_MS_MAX - MARGIN_MS);
    (oldest..newest).contains(&timestamp_ms)
}

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

/// Events that one request may carry. Once made, a batch never changes: what is sent again is the same bytes, and nobody's
/// neighbour is sent twice.
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

    /// What the batch counts against [`BATCH_BYTES_MAX`].
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.events.iter().map(Event::bytes).sum()
    }

    /// The two halves, in order, or `None` for a single event: how an event that the service refuses is found.
    #[must_use]
    pub fn halves(&self) -> Option<(Batch, Batch)> {
        let (first, second) = self.events.split_at(self.events.len() / 2);
        (!first.is_empty()).then(|| (Batch { events: first.to_vec() }, Batch { events: second.to_vec() }))
    }

    /// The events with these indexes, in this order, at another time; `None` if there are none.
    #[must_use]
    pub fn retimed(&self, indexes: &[usize], timestamp_ms: i64) -> Option<Batch> {
        let events: Vec<Event> = indexes
            .iter()
            .filter_map(|index| self.events.get(*index))
            .map(|event| Event { timestamp_ms, message: event.message.clone() })
            .collect();
        (!events.is_empty()).then_some(Batch { events })
    }

    /// The same events with no line longer than `line_bytes_max` bytes, or `None` if there is no longer one.
    #[must_use]
    pub fn shortened(&self, line_bytes_max: usize) -> Option<Batch> {
        let is_long = |event: &Event| event.message.len() > line_bytes_max;
        if !self.events.iter().any(is_long) {
            return None;
        }
        let mut events = self.events.clone();
        for event in events.iter_mut().filter(|event| is_long(event)) {
            event.message = render::shorten(&event.message, line_bytes_max);
        }
        Some(Batch { events })
    }
}

/// Why no batch can carry an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Its message is empty.
    Empty,
    /// Its message is longer than [`BATCH_BYTES_MAX`] less [`EVENT_OVERHEAD_BYTES`].
    TooLong,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "it is empty",
            Self::TooLong => "it is longer than a batch can be",
        })
    }
}

impl Refusal {
    fn of(event: &Event) -> Option<Self> {
        if event.message.is_empty() {
            Some(Self::Empty)
        } else if event.bytes() > BATCH_BYTES_MAX {
            Some(Self::TooLong)
        } else {
            None
        }
    }
}

/// Events that wait to be sent together, each with a `T` that says what is to be done once it is.
#[derive(Debug)]
pub struct Batcher<T> {
    waiting: Vec<(Event, T)>,
    bytes: usize,
}

impl<T> Default for Batcher<T> {
    fn default() -> Self {
        Self { waiting: Vec::new(), bytes: 0 }
    }
}

/// What a batcher held.
#[derive(Debug)]
pub struct Taken<T> {
    /// The batches, the oldest first, each with the `T`s of its events in their order. More than one if the events span more
    /// than a day.
    pub batches: Vec<(Batch, Vec<T>)>,
    /// How many events got another time, since the service would refuse their own.
    pub retimed: usize,
}

impl<T> Batcher<T> {
    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Whether `event` can be sent together with those that wait. If not, they have to be taken first.
    #[must_use]
    pub fn has_room(&self, event: &Event) -> bool {
        self.waiting.len() < BATCH_EVENTS_MAX && self.bytes + event.bytes() <= BATCH_BYTES_MAX
    }

    /// Adds an event, for which there must be room.
    ///
    /// # Errors
    ///
    /// If no batch can ever carry it.
    pub fn add(&mut self, event: Event, tag: T) -> Result<(), (Event, T, Refusal)> {
        debug_assert!(self.has_room(&event) || self.is_empty(), "the batcher was full");
        if let Some(refusal) = Refusal::of(&event) {
            return Err((event, tag, refusal));
        }
        self.bytes += event.bytes();
        self.waiting.push((event, tag));
        Ok(())
    }

    /// Makes batches of everything that waits. Nothing waits afterwards.
    pub fn take(&mut self, now_ms: i64) -> Taken<T> {
        self.bytes = 0;
        let mut waiting = std::mem::take(&mut self.waiting);
        let mut retimed = 0;
        for (event, _) in &mut waiting {
            if !is_timely(event.timestamp_ms, now_ms) {
                event.timestamp_ms = now_ms;
                retimed += 1;
            }
        }
        // Stable: events of one millisecond stay in the order in which they came.
        waiting.sort_by_key(|(event, _)| event.timestamp_ms);
        let mut batches: Vec<(Batch, Vec<T>)> = Vec::new();
        for (event, tag) in waiting {
            let open = batches
                .last_mut()
                .filter(|(batch, _)| event.timestamp_ms - batch.events[0].timestamp_ms <= BATCH_SPAN_MS_MAX);
            match open {
                Some((batch, tags)) => {
                    batch.events.push(event);
                    tags.push(tag);
                }
                None => batches.push((Batch { events: vec![event] }, vec![tag])),
            }
        }
        Taken { batches, retimed }
    }
}

/// Parts events into batches, oldest first, and hands back those that no batch can carry.
#[must_use]
pub fn batches(mut events: Vec<Event>, now_ms: i64) -> (Vec<Batch>, Vec<(Event, Refusal)>) {
    let (mut batches, mut refused) = (Vec::new(), Vec::new());
    let mut batcher = Batcher::default();
    let mut take = |batcher: &mut Batcher<()>| {
        batches.extend(batcher.take(now_ms).batches.into_iter().map(|(batch, _)| batch));
    };
    events.sort_by_key(|event| event.timestamp_ms);
    for event in events {
        if !batcher.has_room(&event) {
            take(&mut batcher);
        }
        if let Err((event, (), refusal)) = batcher.add(event, ()) {
            refused.push((event, refusal));
        }
    }
    take(&mut batcher);
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
        assert_eq!(batches(vec![event(NOW_MS, 0)], NOW_MS).1, [(event(NOW_MS, 0), Refusal::Empty)]);
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
    fn what_the_service_would_reject_is_sent_at_the_present_time() {
        let mut batcher = Batcher::default();
        let times = [NOW_MS - EVENT_AGE_MS_MAX, i64::MIN, NOW_MS - 5, NOW_MS + EVENT_AHEAD_MS_MAX, i64::MAX];
        for (tag, timestamp_ms) in times.into_iter().enumerate() {
            batcher.add(event(timestamp_ms, 1), tag).unwrap();
        }
        let Taken { batches, retimed } = batcher.take(NOW_MS);
        let sent: Vec<i64> = batches[0].0.events().iter().map(|event| event.timestamp_ms).collect();
        assert_eq!((sent, retimed), (vec![NOW_MS - 5, NOW_MS, NOW_MS, NOW_MS, NOW_MS], 4));
        assert_eq!((batches.len(), &batches[0].1), (1, &vec![2, 0, 1, 3, 4]));
        assert!(batcher.is_empty() && batcher.take(NOW_MS).batches.is_empty());
    }
}
