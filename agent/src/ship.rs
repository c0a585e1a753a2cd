//! Carrying batches to the sinks until they are stored, refused for good, or the time is over.

use std::borrow::Cow;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::watch;
use tokio::time::Instant;
use trace_record::batch::{Batch, Event};
use trace_record::retry::{self, Fault, Next};
use tracing::{info, warn};

use crate::sink::{Destination, Error, Receipt, Rejection, Sink};

/// The longest that one try may take before it counts as failed.
const TRY_MAX: Duration = Duration::from_secs(15);

/// What became of one event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Every sink stores it, or refuses it while another stores it.
    Stored,
    /// A sink refuses it for good, for this reason, and none may still take it.
    Refused(String),
    /// It may still be stored by another try, or elsewhere.
    Open,
}

/// What became of a batch.
#[derive(Debug)]
pub struct Shipped {
    /// The fate of each of its events, in their order.
    pub fates: Vec<Fate>,
    /// Why some are open: the last error.
    pub error: Option<Error>,
}

impl Shipped {
    /// The events of `batch`, as which this was shipped, that are open.
    pub fn open(self, batch: &Batch) -> impl Iterator<Item = Event> {
        let events = batch.events().iter().zip(self.fates);
        events.filter(|(_, fate)| *fate == Fate::Open).map(|(event, _)| event.clone())
    }

    /// The events of `batch` that are refused, with the reason.
    pub fn refused<'a>(&'a self, batch: &'a Batch) -> impl Iterator<Item = (&'a Event, &'a str)> {
        batch.events().iter().zip(&self.fates).filter_map(|(event, fate)| match fate {
            Fate::Refused(reason) => Some((event, reason.as_str())),
            Fate::Stored | Fate::Open => None,
        })
    }

    /// What became of the batch in one sink, and in another.
    fn and(self, other: Self) -> Self {
        let both = |pair: (Fate, Fate)| match pair {
            (Fate::Open, _) | (_, Fate::Open) => Fate::Open,
            (Fate::Refused(reason), _) | (_, Fate::Refused(reason)) => Fate::Refused(reason),
            (Fate::Stored, Fate::Stored) => Fate::Stored,
        };
        Self {
            fates: self.fates.into_iter().zip(other.fates).map(both).collect(),
            error: self.error.or(other.error),
        }
    }
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

    /// True if it is over.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.get().is_some_and(|deadline| deadline <= Instant::now())
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

/// What shipping has come to, for whoever tells of it.
#[derive(Debug, Default)]
pub struct Counts {
    /// Requests that were sent again.
    pub retries: AtomicU64,
    /// Events that a sink stored after a try of which nobody knows whether it did: they may stand there twice.
    pub doubtful: AtomicU64,
    /// Events that got another time, since a sink refused their own.
    pub retimed: AtomicU64,
}

/// Ships to one or several sinks. Several batches may be under way at a time.
pub struct Shipper {
    /// Each with what is known of it.
    sinks: Vec<(Arc<dyn Sink>, Health)>,
    denied_wait: Option<Duration>,
    counts: Counts,
}

/// Whether a sink took the last batch. An outage is said once, not for every try: this output may be somebody's input.
#[derive(Debug, Default)]
struct Health {
    is_ill: AtomicBool,
}

impl Shipper {
    /// Ships to each of `sinks`. One that denies everything is asked again after `denied_wait`, if there is one, since
    /// permissions can be given at any time.
    #[must_use]
    pub fn new(sinks: Vec<Arc<dyn Sink>>, denied_wait: Option<Duration>) -> Self {
        let sinks = sinks.into_iter().map(|sink| (sink, Health::default())).collect();
        Self { sinks, denied_wait, counts: Counts::default() }
    }

    /// The sinks' names.
    #[must_use]
    pub fn name(&self) -> String {
        self.sinks.iter().map(|(sink, _)| sink.name()).collect::<Vec<_>>().join(", ")
    }

    /// The longest line that any of the sinks takes, in bytes. The others get it shortened.
    #[must_use]
    pub fn line_bytes_max(&self) -> usize {
        self.sinks.iter().map(|(sink, _)| sink.line_bytes_max()).max().unwrap_or(usize::MAX)
    }

    /// What shipping has come to.
    #[must_use]
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Ships one batch, trying again as `trace_record::retry` decides, until the deadline. What one sink has stored is never
    /// sent to it again because another has not.
    pub async fn ship(&self, to: &Destination, batch: &Batch, deadline: &Deadline) -> Shipped {
        let deliveries = self.sinks.iter().map(|(sink, health)| {
            let delivery = Delivery {
                sink: sink.as_ref(),
                health,
                to,
                denied_wait: self.denied_wait,
                deadline: deadline.clone(),
                counts: &self.counts,
                fates: vec![Fate::Open; batch.events().len()],
            };
            delivery.run(batch)
        });
        let shipped = join_all(deliveries).await.into_iter().reduce(Shipped::and);
        shipped.unwrap_or_else(|| Shipped { fates: vec![Fate::Stored; batch.events().len()], error: None })
    }
}

/// One batch on its way to one sink.
struct Delivery<'a> {
    sink: &'a dyn Sink,
    health: &'a Health,
    to: &'a Destination,
    denied_wait: Option<Duration>,
    deadline: Deadline,
    counts: &'a Counts,
    fates: Vec<Fate>,
}

/// Events that are still to be settled.
struct Part<'a> {
    batch: Cow<'a, Batch>,
    /// Which events of the whole batch these are.
    indexes: Vec<usize>,
    /// Whether their time is not their own, because the sink refused that one.
    is_retimed: bool,
}

impl<'a> Delivery<'a> {
    /// A batch that the sink calls invalid is halved until the event is found that makes it so: that one is refused, its
    /// neighbours are stored.
    async fn run(mut self, batch: &'a Batch) -> Shipped {
        let indexes = (0..batch.events().len()).collect();
        let mut open = vec![self.fit(Part { batch: Cow::Borrowed(batch), indexes, is_retimed: false })];
        while let Some(part) = open.pop() {
            match self.settle(&part.batch).await {
                Ok(receipt) => open.extend(self.read(receipt, part)),
                Err(error) => match error.fault {
                    Fault::TooLong { .. } | Fault::Invalid => open.extend(self.mend(part, &error)),
                    _ => return Shipped { fates: self.fates, error: Some(error) },
                },
            }
        }
        Shipped { fates: self.fates, error: None }
    }

    /// Shortens the lines that are too long for this sink.
    fn fit(&self, part: Part<'a>) -> Part<'a> {
        match part.batch.shortened(self.sink.line_bytes_max()) {
            Some(batch) => Part { batch: Cow::Owned(batch), ..part },
            None => part,
        }
    }

    /// Notes what is settled, and gives what may be taken at another time.
    fn read(&mut self, receipt: Receipt, part: Part<'a>) -> Option<Part<'a>> {
        let mut again = (Vec::new(), Vec::new(), 0);
        let mut rejected = receipt.rejected.into_iter().peekable();
        for (at, index) in part.indexes.iter().enumerate() {
            self.fates[*index] = match rejected.next_if(|rejection| rejection.index == at) {
                None => Fate::Stored,
                Some(Rejection { accepts_ms: Some(accepts_ms), .. }) if !part.is_retimed => {
                    again.0.push(at);
                    again.1.push(*index);
                    again.2 = accepts_ms;
                    Fate::Open
                }
                Some(rejection) => Fate::Refused(rejection.reason),
            };
        }
        let (at, indexes, accepts_ms) = again;
        self.counts.retimed.fetch_add(at.len() as u64, Ordering::Relaxed);
        let batch = part.batch.retimed(&at, accepts_ms)?;
        Some(Part { batch: Cow::Owned(batch), indexes, is_retimed: true })
    }

    /// Makes something of a part that the sink will never take as it is: shorter lines, halves, or a refusal.
    fn mend(&mut self, part: Part<'a>, error: &Error) -> Vec<Part<'a>> {
        if let (Fault::TooLong { .. }, Some(batch)) =
            (error.fault, part.batch.shortened(self.sink.line_bytes_max()))
        {
            return vec![Part { batch: Cow::Owned(batch), ..part }];
        }
        let Some((first, second)) = part.batch.halves() else {
            part.indexes.iter().for_each(|index| self.fates[*index] = Fate::Refused(error.message.clone()));
            return Vec::new();
        };
        let mut indexes = part.indexes;
        let behind = indexes.split_off(first.events().len());
        let half = |batch, indexes| Part { batch: Cow::Owned(batch), indexes, is_retimed: part.is_retimed };
        // The last one is sent first.
        vec![half(second, behind), half(first, indexes)]
    }

    /// Tries one batch again and again, and gives the last error once that is of no use or too late.
    async fn settle(&mut self, batch: &Batch) -> Result<Receipt, Error> {
        let (mut attempt, mut is_doubtful) = (0, false);
        loop {
            let error = match self.put(batch).await {
                Ok(receipt) => {
                    if self.health.is_ill.swap(false, Ordering::Relaxed) {
                        info!(sink = %self.sink.name(), "the sink takes records again");
                    }
                    let doubtful = if is_doubtful { receipt.stored } else { 0 };
                    self.counts.doubtful.fetch_add(doubtful as u64, Ordering::Relaxed);
                    return Ok(receipt);
                }
                Err(error) => error,
            };
            attempt += 1;
            is_doubtful |= error.fault == Fault::Transient;
            let wait = match retry::after(error.fault, attempt, random()) {
                Next::Wait(wait) => wait,
                Next::GiveUp => match self.denied_wait.filter(|_| error.fault == Fault::Denied) {
                    Some(wait) => wait,
                    None => return Err(error),
                },
            };
            if !self.health.is_ill.swap(true, Ordering::Relaxed) {
                warn!(error = %error, "records wait for the sink");
            }
            if self.deadline.reaches(Instant::now() + wait).await {
                return Err(error);
            }
            self.counts.retries.fetch_add(1, Ordering::Relaxed);
        }
    }

    async fn put(&mut self, batch: &Batch) -> Result<Receipt, Error> {
        let put = self.sink.put(self.to, batch);
        tokio::select! {
            biased;
            answer = put => answer,
            _ = self.deadline.reaches(Instant::now() + TRY_MAX) => {
                let (fault, message) = (Fault::Transient, "no answer in time".to_owned());
                Err(Error { fault, sink: self.sink.name(), message })
            }
        }
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
    use crate::sink::Put;
    use std::sync::Mutex;
    use trace_record::batch::batches;

    /// A sink that refuses any batch with the word "poison", calls "old" too old, and fails as often as it is told.
    #[derive(Default)]
    struct Moody {
        faults: Mutex<Vec<Fault>>,
        stored: Mutex<Vec<Event>>,
        line_bytes_max: Mutex<usize>,
    }

    impl Moody {
        fn new(faults: &[Fault]) -> Arc<Self> {
            Arc::new(Self {
                faults: Mutex::new(faults.to_vec()),
                stored: Mutex::default(),
                line_bytes_max: Mutex::new(1_000),
            })
        }

        fn stored(&self) -> Vec<String> {
            self.stored.lock().unwrap().iter().map(|event| event.message.clone()).collect()
        }

        fn answer(&self, batch: &Batch) -> Result<Receipt, Fault> {
            let is = |event: &Event, word: &str| event.message == word;
            if let Some(fault) = self.faults.lock().unwrap().pop() {
                return Err(fault);
            }
            if batch.events().iter().any(|event| is(event, "poison")) {
                return Err(Fault::Invalid);
            }
            // What it takes becomes known by what it refuses.
            if batch.events().iter().any(|event| event.message.len() > 40_000) {
                *self.line_bytes_max.lock().unwrap() = 40_000;
                return Err(Fault::TooLong { bytes_max: Some(40_000) });
            }
            let reject = |(index, event): (usize, &Event)| {
                let accepts_ms = if is(event, "old") && event.timestamp_ms == 0 {
                    Some(7)
                } else if is(event, "ancient") {
                    None
                } else {
                    self.stored.lock().unwrap().push(event.clone());
                    return None;
                };
                Some(Rejection { index, reason: "too old".to_owned(), accepts_ms })
            };
            let rejected: Vec<_> = batch.events().iter().enumerate().filter_map(reject).collect();
            Ok(Receipt { stored: batch.events().len() - rejected.len(), rejected })
        }
    }

    impl Sink for Moody {
        fn name(&self) -> String {
            "moody".to_owned()
        }

        fn line_bytes_max(&self) -> usize {
            *self.line_bytes_max.lock().unwrap()
        }

        fn put<'a>(&'a self, _: &'a Destination, batch: &'a Batch) -> Put<'a> {
            let error = |fault| Error { fault, sink: self.name(), message: "moody".to_owned() };
            Box::pin(std::future::ready(self.answer(batch).map_err(error)))
        }
    }

    fn to() -> Destination {
        Destination { group: "g".into(), stream: "s".into() }
    }

    fn batch(messages: &[&str]) -> Batch {
        let events = messages.iter().map(|message| Event { timestamp_ms: 0, message: (*message).to_owned() });
        batches(events.collect(), 0).0.remove(0)
    }

    fn never() -> Deadline {
        Deadline::watched(watch::channel(None).1)
    }

    fn refused() -> Fate {
        Fate::Refused("moody".to_owned())
    }

    #[tokio::test(start_paused = true)]
    async fn a_throttled_batch_is_sent_again_until_it_is_stored() {
        let throttled = Fault::Throttled { after: None };
        let sink = Moody::new(&[throttled, Fault::Unreachable, Fault::Expired]);
        let shipper = Shipper::new(vec![sink.clone()], None);
        let shipped = shipper.ship(&to(), &batch(&["a"]), &never()).await;
        assert_eq!((shipped.fates, shipped.error.is_none()), (vec![Fate::Stored], true));
        assert_eq!(sink.stored(), ["a"]);
        let count = |count: &AtomicU64| count.load(Ordering::Relaxed);
        assert_eq!((count(&shipper.counts().retries), count(&shipper.counts().doubtful)), (3, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn what_may_stand_twice_is_counted() {
        let shipper = Shipper::new(vec![Moody::new(&[Fault::Transient])], None);
        shipper.ship(&to(), &batch(&["a", "b"]), &never()).await;
        assert_eq!(shipper.counts().doubtful.load(Ordering::Relaxed), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_poisonous_event_is_found_and_its_neighbours_are_stored_once_and_in_order() {
        let sink = Moody::new(&[]);
        let shipper = Shipper::new(vec![sink.clone()], None);
        let batch = batch(&["a", "b", "poison", "c", "old", "ancient", "d"]);
        let shipped = shipper.ship(&to(), &batch, &never()).await;
        let mut stored = sink.stored();
        stored.retain(|message| message != "old");
        assert_eq!(stored, ["a", "b", "c", "d"]);
        let fates = [Fate::Stored, Fate::Stored, refused(), Fate::Stored, Fate::Stored];
        assert_eq!(shipped.fates[..5], fates);
        assert_eq!(shipped.fates[5..], [Fate::Refused("too old".to_owned()), Fate::Stored]);
        assert!(shipped.error.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_refused_for_its_time_is_sent_at_one_that_is_taken() {
        let sink = Moody::new(&[]);
        let shipper = Shipper::new(vec![sink.clone()], None);
        let shipped = shipper.ship(&to(), &batch(&["old", "a"]), &never()).await;
        assert_eq!(shipped.fates, [Fate::Stored, Fate::Stored]);
        let stored = sink.stored.lock().unwrap();
        assert_eq!((stored[1].message.as_str(), stored[1].timestamp_ms), ("old", 7));
        assert_eq!(shipper.counts().retimed.load(Ordering::Relaxed), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_line_that_is_too_long_is_shortened_and_stored() {
        let sink = Moody::new(&[]);
        *sink.line_bytes_max.lock().unwrap() = 100_000;
        let shipper = Shipper::new(vec![sink.clone()], None);
        let long = format!(r#"{{"errorMessage":"{}","logTail":["b"]}}"#, "a".repeat(50_000));
        let shipped = shipper.ship(&to(), &batch(&["a", &long]), &never()).await;
        assert_eq!(shipped.fates, [Fate::Stored, Fate::Stored]);
        let stored = sink.stored();
        assert!(stored.len() == 2 && stored[1].len() < 40_000, "{}", stored[1].len());
        assert!(stored[1].contains(r#""logTail":1"#), "what went is said");
    }

    #[tokio::test(start_paused = true)]
    async fn of_two_sinks_each_gets_a_batch_once_and_both_must_have_it() {
        let (good, bad) = (Moody::new(&[]), Moody::new(&[Fault::Unreachable; 5]));
        let shipper = Shipper::new(vec![good.clone(), bad.clone()], None);
        assert_eq!(shipper.ship(&to(), &batch(&["a"]), &never()).await.fates, [Fate::Stored]);
        assert_eq!((good.stored(), bad.stored()), (vec!["a".to_owned()], vec!["a".to_owned()]));
        bad.faults.lock().unwrap().push(Fault::Denied);
        let shipped = shipper.ship(&to(), &batch(&["b", "poison"]), &never()).await;
        assert_eq!(shipped.fates, [Fate::Open, Fate::Open]);
        assert_eq!(shipped.error.map(|error| error.fault), Some(Fault::Denied));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_not_stored_in_time_is_open() {
        let sink = Moody::new(&[Fault::Transient; 100]);
        let shipper = Shipper::new(vec![sink.clone()], None);
        let until = Instant::now() + Duration::from_secs(2);
        let batch = batch(&["a", "b"]);
        let shipped = shipper.ship(&to(), &batch, &Deadline::at(until)).await;
        assert!(shipped.error.is_some() && Instant::now() <= until);
        assert_eq!(shipped.open(&batch).count(), 2);
        assert!(sink.stored().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_deadline_that_comes_later_ends_a_wait() {
        let shipper = Shipper::new(vec![Moody::new(&[Fault::Transient; 100])], None);
        let (set, deadline) = watch::channel(None);
        let (to, batch, deadline) = (to(), batch(&["a"]), Deadline::watched(deadline));
        let ship = shipper.ship(&to, &batch, &deadline);
        let stop = async {
            tokio::time::sleep(Duration::from_secs(60)).await;
            set.send(Some(Instant::now() + Duration::from_secs(1))).unwrap();
        };
        let start = Instant::now();
        let (shipped, ()) = tokio::join!(ship, stop);
        assert!(shipped.error.is_some());
        assert!(start.elapsed() <= Duration::from_secs(61));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_denied_is_handed_back_at_once_or_tried_again_later() {
        let start = Instant::now();
        let shipper = Shipper::new(vec![Moody::new(&[Fault::Denied])], None);
        assert_eq!(shipper.ship(&to(), &batch(&["a"]), &never()).await.fates, [Fate::Open]);
        assert_eq!(Instant::now(), start);
        let shipper = Shipper::new(vec![Moody::new(&[Fault::Denied])], Some(Duration::from_secs(30)));
        assert_eq!(shipper.ship(&to(), &batch(&["a"]), &never()).await.fates, [Fate::Stored]);
        assert_eq!(start.elapsed(), Duration::from_secs(30));
    }
}
