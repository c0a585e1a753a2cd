//! The events for one log stream, until they are sent.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;
use trace_record::batch::{Batch, Batcher, Event, Refusal};
use trace_record::storm::{self, Repeats};

use super::ledger;
use crate::sink::Destination;
use crate::spool::Ticket;

/// The most repeats that are added up before they are sent.
const REPEATS_MAX: usize = 10_000;

/// One failure that is in an event, and what is owed for it.
#[derive(Debug)]
pub(super) struct Debt {
    pub(super) to: Creditor,
    /// Whether it is only counted.
    pub(super) is_repeat: bool,
    /// Its part of the memory that events may take.
    pub(super) room: Option<OwnedSemaphorePermit>,
}

/// Who must be told that a failure is stored.
#[derive(Debug)]
pub(super) enum Creditor {
    File(ledger::Entry),
    Spool(Ticket),
}

/// A batch and what is owed for each of its events.
#[derive(Debug)]
pub(super) struct Parcel {
    pub(super) batch: Batch,
    pub(super) debts: Vec<Vec<Debt>>,
    /// When the first of its events came.
    pub(super) since: Instant,
}

/// The events for one log stream.
pub(super) struct Lane {
    pub(super) to: Destination,
    /// How many of its batches are on their way.
    pub(super) in_flight: usize,
    /// How many events got another time, since the service would refuse their own.
    pub(super) retimed: u64,
    batcher: Batcher<Vec<Debt>>,
    repeats: Repeats<Debt>,
    repeated: usize,
    since: Option<Instant>,
    ready: VecDeque<Parcel>,
}

impl Lane {
    pub(super) fn new(to: Destination) -> Self {
        Self {
            to,
            in_flight: 0,
            retimed: 0,
            batcher: Batcher::default(),
            repeats: Repeats::default(),
            repeated: 0,
            since: None,
            ready: VecDeque::new(),
        }
    }

    /// Adds an event. A repeat is added to others that wait.
    ///
    /// # Errors
    ///
    /// If no batch can ever carry it.
    pub(super) fn add(
        &mut self,
        event: Event,
        debt: Option<Debt>,
        now_ms: i64,
    ) -> Result<(), (Event, Vec<Debt>, Refusal)> {
        self.since.get_or_insert_with(Instant::now);
        let Some(mut debt) = debt else { return self.put(event, Vec::new(), now_ms) };
        let Some(repeat) = storm::read_repeat(&event.message) else {
            return self.put(event, vec![debt], now_ms);
        };
        // It takes no memory of its own any more.
        debt.room = None;
        debt.is_repeat = true;
        self.repeats.add(repeat, event.timestamp_ms, debt);
        self.repeated += 1;
        if self.repeated >= REPEATS_MAX { self.add_up(now_ms) } else { Ok(()) }
    }

    /// The next batch. One that is not full is closed if it has waited for `wait`.
    pub(super) fn next(&mut self, wait: Duration, now_ms: i64) -> Option<Parcel> {
        let is_due = self.since.is_some_and(|since| since.elapsed() >= wait);
        if self.ready.is_empty() && is_due {
            // A sum is a small line.
            let _ = self.add_up(now_ms);
            self.close(now_ms);
            self.since = None;
        }
        self.ready.pop_front()
    }

    /// When the next batch is there, if none more comes.
    pub(super) fn due(&self, wait: Duration) -> Option<Instant> {
        if self.ready.is_empty() { self.since.map(|since| since + wait) } else { Some(Instant::now()) }
    }

    /// Whether there is nothing to send.
    pub(super) fn is_empty(&self) -> bool {
        self.ready.is_empty() && self.since.is_none()
    }

    fn add_up(&mut self, now_ms: i64) -> Result<(), (Event, Vec<Debt>, Refusal)> {
        self.repeated = 0;
        let sums: Vec<(Event, Vec<Debt>)> = self.repeats.take().collect();
        sums.into_iter().try_for_each(|(event, debts)| self.put(event, debts, now_ms))
    }

    fn put(
        &mut self,
        event: Event,
        debts: Vec<Debt>,
        now_ms: i64,
    ) -> Result<(), (Event, Vec<Debt>, Refusal)> {
        if !self.batcher.has_room(&event) {
            self.close(now_ms);
            self.since = Some(Instant::now());
        }
        self.batcher.add(event, debts)
    }

    fn close(&mut self, now_ms: i64) {
        let since = self.since.unwrap_or_else(Instant::now);
        let taken = self.batcher.take(now_ms);
        self.retimed += taken.retimed as u64;
        let parcels = taken.batches.into_iter().map(|(batch, debts)| Parcel { batch, debts, since });
        self.ready.extend(parcels);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use trace_record::batch::BATCH_BYTES_MAX;

    const WAIT: Duration = Duration::from_millis(200);

    fn lane() -> Lane {
        Lane::new(Destination { group: "g".into(), stream: "s".into() })
    }

    fn event(bytes: usize) -> Event {
        Event { timestamp_ms: 0, message: "x".repeat(bytes) }
    }

    #[tokio::test(start_paused = true)]
    async fn a_batch_is_closed_when_it_is_old_or_full() {
        let mut lane = lane();
        assert!(lane.is_empty() && lane.due(WAIT).is_none());
        lane.add(event(10), None, 0).unwrap();
        assert!(lane.next(WAIT, 0).is_none());
        assert_eq!(lane.due(WAIT), Some(Instant::now() + WAIT));
        tokio::time::advance(WAIT).await;
        assert_eq!(lane.next(WAIT, 0).unwrap().batch.events().len(), 1);
        assert!(lane.is_empty());
        lane.add(event(BATCH_BYTES_MAX / 2), None, 0).unwrap();
        lane.add(event(BATCH_BYTES_MAX / 2), None, 0).unwrap();
        assert_eq!(lane.next(WAIT, 0).unwrap().batch.events().len(), 1);
        assert!(lane.next(WAIT, 0).is_none() && !lane.is_empty());
        assert_eq!(lane.next(Duration::ZERO, 0).unwrap().batch.events().len(), 1);
        assert!(lane.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn repeats_become_one_event_that_owes_for_all() {
        let mut lane = lane();
        let line = r#"{"errorMessage":"","repeats":1,"fingerprint":"f","Failures":1}"#;
        let mut ledger = ledger::Ledger::new(crate::receive::checkpoint::Checkpoints::default());
        for offset in 0..5 {
            let next = crate::receive::checkpoint::Position { device: 1, inode: 1, generation: 0, offset };
            let to = Creditor::File(ledger.enter(&std::path::Path::new("a").into(), next));
            let event = Event { timestamp_ms: 0, message: line.to_owned() };
            lane.add(event, Some(Debt { to, is_repeat: false, room: None }), 0).unwrap();
        }
        let parcel = lane.next(Duration::ZERO, 0).unwrap();
        assert_eq!((parcel.batch.events().len(), parcel.debts[0].len()), (1, 5));
        assert!(parcel.batch.events()[0].message.contains(r#""repeats":5"#));
        assert!(parcel.debts[0].iter().all(|debt| debt.is_repeat));
    }
}
