//! Carrying batches to the sink until they are stored, refused for good, or the time is over.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use trace_record::batch::{Batch, Event};
use trace_record::retry::{self, Fault, Next};
use tracing::{info, warn};

use crate::sink::{Destination, Error, Receipt, Sink};

/// The longest that one try may take before it counts as failed.
const TRY_MAX: Duration = Duration::from_secs(15);

/// What became of a batch.
#[derive(Debug)]
pub enum Shipped {
    /// Every event is stored or refused for good.
    Done(Settled),
    /// The time was over, or the sink will never take it; nothing of it is acknowledged but what `settled` says.
    Unsent {
        /// The last error.
        error: Error,
        /// The events that may still be stored by another try, or elsewhere.
        events: Vec<Event>,
        /// What is settled all the same.
        settled: Settled,
    },
}

/// The events that need no further try.
#[derive(Debug, Default)]
pub struct Settled {
    /// How many are stored.
    pub stored: usize,
    /// Those that the sink refuses, with its reason.
    pub refused: Vec<(Event, String)>,
}

/// When shipping must end. It may be set, or brought nearer, while a batch is under way.
#[derive(Clone, Debug)]
pub struct Deadline {
    watched: watch::Receiver<Option<Instant>>,
    fixed: Option<Instant>,
}

impl Deadline {
    /// A deadline that somebody else sets; none as long as it is `None`.
    #[must_use]
    pub fn watched(by: watch::Receiver<Option<Instant>>) -> Self {
        Self { watched: by, fixed: None }
    }

    /// A deadline that is fixed.
    #[must_use]
    pub fn at(instant: Instant) -> Self {
        Self { watched: watch::channel(None).1, fixed: Some(instant) }
    }

    /// The same deadline, or `wait` from now if that is nearer.
    #[must_use]
    pub fn within(&self, wait: Duration) -> Self {
        Self { fixed: Some(Instant::now() + wait), ..self.clone() }
    }

    /// Waits for `wait`, or until the deadline. True if the deadline came.
    pub async fn reached_after(&mut self, wait: Duration) -> bool {
        self.reaches(Instant::now() + wait).await
    }

    fn get(&self) -> Option<Instant> {
        let watched = *self.watched.borrow();
        watched.into_iter().chain(self.fixed).min()
    }

    /// Waits until `instant` or the deadline, whichever is nearer at any time. True if the deadline came.
    async fn reaches(&mut self, instant: Instant) -> bool {
        loop {
            let deadline = self.get().filter(|deadline| *deadline <= instant);
            let sleep = tokio::time::sleep_until(deadline.unwrap_or(instant));
            tokio::select! {
                () = sleep => return deadline.is_some(),
                // Nobody can set it any more: what it is now stays.
                Ok(()) = self.watched.changed() => {}
            }
        }
    }
}

/// A sink, its destination, and the tries.
pub struct Shipper {
    sink: Box<dyn Sink>,
    to: Destination,
    retries: u64,
}

impl Shipper {
    /// Ships to one log stream of `sink`.
    #[must_use]
    pub fn new(sink: Box<dyn Sink>, to: Destination) -> Self {
        Self { sink, to, retries: 0 }
    }

    /// The sink's name.
    #[must_use]
    pub fn sink_name(&self) -> String {
        self.sink.name()
    }

    /// The destination.
    #[must_use]
    pub fn destination(&self) -> &Destination {
        &self.to
    }

    /// The longest line that the sink takes, in bytes.
    #[must_use]
    pub fn line_bytes_max(&self) -> usize {
        self.sink.line_bytes_max()
    }

    /// How often a batch had to be sent again.
    #[must_use]
    pub fn retries(&self) -> u64 {
        self.retries
    }

    /// Ships one batch, trying again as `trace_record::retry` decides, until the deadline.
    ///
    /// A batch that the sink calls invalid is halved until the event is found that makes it so: that one is refused, its
    /// neighbours are stored.
    pub async fn ship(&mut self, batch: Batch, deadline: &mut Deadline) -> Shipped {
        let mut settled = Settled::default();
        let mut open = vec![batch];
        while let Some(batch) = open.pop() {
            match self.settle(&batch, deadline).await {
                Ok(receipt) => settled.add(&batch, receipt),
                Err(error) if error.fault == Fault::Invalid => match batch.halves() {
                    Some((first, second)) => open.extend([second, first]),
                    None => settled
                        .refused
                        .extend(batch.events().iter().map(|event| (event.clone(), error.message.clone()))),
                },
                Err(error) => {
                    open.push(batch);
                    let events = open.iter().rev().flat_map(|batch| batch.events().iter().cloned()).collect();
                    return Shipped::Unsent { error, events, settled };
                }
            }
        }
        Shipped::Done(settled)
    }

    /// Tries one batch again and again, and gives the last error once that is of no use or too late.
    async fn settle(&mut self, batch: &Batch, deadline: &mut Deadline) -> Result<Receipt, Error> {
        let mut attempt = 0;
        loop {
            let error = match self.put(batch, deadline).await {
                Ok(receipt) => {
                    if attempt > 0 {
                        info!(sink = %self.sink.name(), attempt, "the sink takes records again");
                    }
                    return Ok(receipt);
                }
                Err(error) => error,
            };
            attempt += 1;
            let Next::Wait(wait) = retry::after(error.fault, attempt, random()) else { return Err(error) };
            // Said once for a whole outage, not for every try: this output may be somebody's input.
            if attempt == 1 {
                warn!(error = %error, "records wait for the sink");
            }
            if deadline.reaches(Instant::now() + wait).await {
                return Err(error);
            }
            self.retries += 1;
        }
    }

    async fn put(&mut self, batch: &Batch, deadline: &mut Deadline) -> Result<Receipt, Error> {
        let sink = self.sink.name();
        let put = self.sink.put(&self.to, batch);
        tokio::select! {
            biased;
            answer = put => answer,
            _ = deadline.reaches(Instant::now() + TRY_MAX) => {
                Err(Error { fault: Fault::Transient, sink, message: "no answer in time".to_owned() })
            }
        }
    }
}

impl Settled {
    fn add(&mut self, batch: &Batch, receipt: Receipt) {
        self.stored += receipt.stored;
        let event = |index: usize| batch.events().get(index).cloned();
        self.refused
            .extend(receipt.rejected.into_iter().filter_map(|no| Some((event(no.index)?, no.reason))));
    }
}

/// A random number that is good enough for spreading tries: the keys with which the standard library seeds its maps.
fn random() -> u32 {
    let hash = RandomState::new().hash_one(0_u8);
    u32::try_from(hash >> 32).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::{Put, Rejection};
    use std::sync::{Arc, Mutex};
    use trace_record::batch::batches;

    /// A sink that refuses any batch with the word "poison", and fails as often as it is told.
    struct Moody {
        faults: Vec<Fault>,
        stored: Arc<Mutex<Vec<String>>>,
    }

    impl Sink for Moody {
        fn name(&self) -> String {
            "moody".to_owned()
        }

        fn line_bytes_max(&self) -> usize {
            1_000
        }

        fn put<'a>(&'a mut self, _: &'a Destination, batch: &'a Batch) -> Put<'a> {
            let fault = self.faults.pop().or_else(|| {
                batch.events().iter().any(|event| event.message == "poison").then_some(Fault::Invalid)
            });
            let answer = match fault {
                Some(fault) => Err(Error { fault, sink: self.name(), message: "moody".to_owned() }),
                None => {
                    let mut stored = self.stored.lock().unwrap();
                    let old = |event: &Event| event.message == "old";
                    stored.extend(
                        batch.events().iter().filter(|event| !old(event)).map(|event| event.message.clone()),
                    );
                    let rejected = batch.events().iter().enumerate().filter(|(_, event)| old(event));
                    let rejected: Vec<_> = rejected
                        .map(|(index, _)| Rejection { index, reason: "too old".to_owned() })
                        .collect();
                    Ok(Receipt { stored: batch.events().len() - rejected.len(), rejected })
                }
            };
            Box::pin(std::future::ready(answer))
        }
    }

    fn shipper(faults: &[Fault]) -> (Shipper, Arc<Mutex<Vec<String>>>) {
        let stored = Arc::default();
        let sink = Moody { faults: faults.to_vec(), stored: Arc::clone(&stored) };
        (Shipper::new(Box::new(sink), Destination { group: "g".into(), stream: "s".into() }), stored)
    }

    fn batch(messages: &[&str]) -> Batch {
        let events = messages.iter().map(|message| Event { timestamp_ms: 0, message: (*message).to_owned() });
        batches(events.collect(), 0).0.remove(0)
    }

    fn never() -> Deadline {
        Deadline::watched(watch::channel(None).1)
    }

    #[tokio::test(start_paused = true)]
    async fn a_throttled_batch_is_sent_again_until_it_is_stored() {
        let throttled = Fault::Throttled { after: None };
        let (mut shipper, stored) =
            shipper(&[throttled, Fault::Transient, Fault::Unreachable, Fault::Expired]);
        let Shipped::Done(settled) = shipper.ship(batch(&["a"]), &mut never()).await else {
            panic!("it was stored")
        };
        assert_eq!((settled.stored, shipper.retries()), (1, 4));
        assert_eq!(*stored.lock().unwrap(), ["a"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_poisonous_event_is_found_and_its_neighbours_are_stored_once_and_in_order() {
        let (mut shipper, stored) = shipper(&[]);
        let batch = batch(&["a", "b", "poison", "c", "old", "d"]);
        let Shipped::Done(settled) = shipper.ship(batch, &mut never()).await else {
            panic!("it was settled")
        };
        assert_eq!(*stored.lock().unwrap(), ["a", "b", "c", "d"]);
        assert_eq!(settled.stored, 4);
        let refused: Vec<&str> = settled.refused.iter().map(|(event, _)| event.message.as_str()).collect();
        assert_eq!(refused, ["poison", "old"]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_not_stored_in_time_is_handed_back() {
        let (mut shipper, stored) = shipper(&[Fault::Transient; 100]);
        let until = Instant::now() + Duration::from_secs(2);
        let Shipped::Unsent { events, .. } = shipper.ship(batch(&["a", "b"]), &mut Deadline::at(until)).await
        else {
            panic!("the sink never took it")
        };
        assert_eq!(events.len(), 2);
        assert!(Instant::now() <= until);
        assert!(stored.lock().unwrap().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_deadline_that_comes_later_ends_a_wait() {
        let (mut shipper, _) = shipper(&[Fault::Transient; 100]);
        let (set, deadline) = watch::channel(None);
        let mut deadline = Deadline::watched(deadline);
        let ship = shipper.ship(batch(&["a"]), &mut deadline);
        let stop = async {
            tokio::time::sleep(Duration::from_secs(60)).await;
            set.send(Some(Instant::now() + Duration::from_secs(1))).unwrap();
        };
        let start = Instant::now();
        let (shipped, ()) = tokio::join!(ship, stop);
        assert!(matches!(shipped, Shipped::Unsent { .. }));
        assert!(start.elapsed() <= Duration::from_secs(61));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_denied_is_handed_back_at_once() {
        let (mut shipper, _) = shipper(&[Fault::Denied]);
        let start = Instant::now();
        assert!(matches!(shipper.ship(batch(&["a"]), &mut never()).await, Shipped::Unsent { .. }));
        assert_eq!(Instant::now(), start);
    }
}
