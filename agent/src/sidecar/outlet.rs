//! The end of the channel: events become batches, batches are shipped, and what they owe is paid.
//!
//! Each log stream has a lane. A lane sends one batch at a time unless the user gives order up for speed; several lanes send at a
//! time. While a lane is busy its next batch fills up, so batches are large when there is much to send and early when there is not.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;
use trace_record::batch::Event;
use tracing::warn;

use super::account::Summary;
use super::health::Health;
use super::intake::{Intake, Item, Owed};
use super::lane::{Creditor, Debt, Lane, Parcel};
use super::ledger::Ledger;
use super::refused::Refused;
use crate::clock::now_ms;
use crate::config::{self, Config};
use crate::ship::{Deadline, Fate, Shipped, Shipper};

/// The most batches that are on their way, over all log streams.
const FLIGHTS_MAX: usize = 8;

/// The most events that are taken from the channel before the lanes are looked at again.
const TURN_ITEMS: usize = 256;

/// How long the channel is left alone after each turn. Otherwise each event of a busy input would wake a thread: a fifth of the CPU.
const TURN_REST: Duration = Duration::from_millis(2);

/// How batches are paced.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// How long events are collected before they are sent together.
    pub batch_wait: Duration,
    /// The most batches of one log stream that are on their way. More than one gives their order up.
    pub in_flight: usize,
}

pub(super) struct Outlet {
    pub(super) shipper: Arc<Shipper>,
    pub(super) config: Config,
    pub(super) intake: Arc<Intake>,
    pub(super) ledger: Ledger,
    pub(super) host: String,
    pub(super) refused: Refused,
    pub(super) pace: Pace,
    pub(super) deadline: Deadline,
    /// Brings the deadline here, if going on is of no use.
    pub(super) give_up: watch::Sender<Option<Instant>>,
    /// How long one batch may take; for ever without it.
    pub(super) patience: Option<Duration>,
    pub(super) health: Health,
    pub(super) summary: Summary,
    pub(super) lanes: Lanes,
}

/// The lanes, and which input's events go where.
#[derive(Default)]
pub(super) struct Lanes {
    list: Vec<Lane>,
    by_input: HashMap<Arc<Path>, usize>,
}

/// A batch that came back.
struct Landed {
    lane: usize,
    parcel: Parcel,
    shipped: Shipped,
}

impl Outlet {
    /// Ships until the channel has ended and everything is settled, or the time is over.
    pub(super) async fn run(&mut self, mut receiver: mpsc::Receiver<Item>) {
        let mut flights: JoinSet<Landed> = JoinSet::new();
        let (mut is_open, mut is_over) = (true, false);
        let mut rests_until = Instant::now();
        loop {
            if !is_over {
                self.depart(&mut flights, !is_open);
            }
            if flights.is_empty() && (is_over || (!is_open && self.lanes.list.iter().all(Lane::is_empty))) {
                break;
            }
            let due = self.due(&flights);
            tokio::select! {
                Some(landed) = flights.join_next() => is_over |= !self.land(landed),
                item = receive(&mut receiver, rests_until), if is_open && !is_over => match item {
                    None => is_open = false,
                    Some(item) => {
                        self.take(item);
                        // What is there already need not be waited for.
                        for _ in 0..TURN_ITEMS {
                            let Ok(item) = receiver.try_recv() else { break };
                            self.take(item);
                        }
                        rests_until = Instant::now() + TURN_REST;
                    }
                },
                () = sleep_until(due), if !is_over => self.tell_health(),
            }
        }
        // Whoever waits for memory gives up now: nobody is going to let any go.
        self.intake.close();
        self.save();
        let counts = self.shipper.counts();
        self.summary.doubtful = counts.doubtful.load(Ordering::Relaxed);
        self.summary.retimed += counts.retimed.load(Ordering::Relaxed);
        self.summary.retimed += self.lanes.list.iter().map(|lane| lane.retimed).sum::<u64>();
    }

    /// Sends every batch that is ready, as far as that is allowed.
    fn depart(&mut self, flights: &mut JoinSet<Landed>, is_last: bool) {
        let wait = if is_last { Duration::ZERO } else { self.pace.batch_wait };
        for (index, lane) in self.lanes.list.iter_mut().enumerate() {
            while lane.in_flight < self.pace.in_flight && flights.len() < FLIGHTS_MAX {
                let Some(parcel) = lane.next(wait, now_ms()) else { break };
                lane.in_flight += 1;
                let (shipper, to) = (Arc::clone(&self.shipper), lane.to.clone());
                let deadline = match self.patience {
                    Some(patience) => self.deadline.within(patience),
                    None => self.deadline.clone(),
                };
                flights.spawn(async move {
                    let shipped = shipper.ship(&to, &parcel.batch, &deadline).await;
                    Landed { lane: index, parcel, shipped }
                });
            }
        }
    }

    /// When something is to be done if nothing happens before.
    fn due(&self, flights: &JoinSet<Landed>) -> Option<Instant> {
        let is_free = |lane: &&Lane| lane.in_flight < self.pace.in_flight && flights.len() < FLIGHTS_MAX;
        let lanes = self.lanes.list.iter().filter(is_free).filter_map(|lane| lane.due(self.pace.batch_wait));
        lanes.chain(self.health.due()).min()
    }

    fn take(&mut self, item: Item) {
        let to = match item.owed {
            Owed::File(next) => Creditor::File(self.ledger.enter(&item.input, next)),
            Owed::Spool(ticket) => Creditor::Spool(ticket),
        };
        match item.event {
            Some((event, room)) => {
                let debt = Debt { to, is_repeat: false, room: Some(room) };
                self.send(&item.input, event, Some(debt));
            }
            None => self.pay(vec![to]),
        }
    }

    fn send(&mut self, input: &Arc<Path>, event: Event, debt: Option<Debt>) {
        let lane = self.lanes.of(input, &self.config, &self.host);
        if let Err((event, debts, refusal)) = self.lanes.list[lane].add(event, debt, now_ms()) {
            self.refuse(&event, &refusal.to_string(), debts.len());
            self.pay(debts.into_iter().map(|debt| debt.to).collect());
        }
    }

    /// Settles what came back. False if the rest of it will not be taken in time.
    fn land(&mut self, landed: Result<Landed, JoinError>) -> bool {
        let Landed { lane, parcel, shipped } = match landed {
            Ok(landed) => landed,
            Err(error) => {
                warn!(%error, "a batch is lost on its way; a restart sends it again");
                return false;
            }
        };
        self.lanes.list[lane].in_flight -= 1;
        self.health.note(parcel.since.elapsed());
        let mut paid = Vec::new();
        let mut is_open = false;
        for ((event, debts), fate) in parcel.batch.events().iter().zip(parcel.debts).zip(shipped.fates) {
            match fate {
                Fate::Open => {
                    is_open = true;
                    continue;
                }
                Fate::Stored => {
                    let repeats = debts.iter().filter(|debt| debt.is_repeat).count();
                    self.summary.repeated += repeats as u64;
                    self.summary.stored += (debts.len() - repeats) as u64;
                }
                Fate::Refused(reason) => self.refuse(event, &reason, debts.len()),
            }
            paid.extend(debts.into_iter().map(|debt| debt.to));
        }
        self.pay(paid);
        self.save();
        if let Some(error) = shipped.error.filter(|_| is_open) {
            warn!(error = %error, "the sink does not take the records");
            // The inputs need not go on reading for nobody.
            self.give_up.send_replace(Some(Instant::now()));
        }
        !is_open
    }

    fn refuse(&mut self, event: &Event, reason: &str, failures: usize) {
        self.summary.refuse(reason, failures as u64);
        self.refused.keep(&event.message, reason);
    }

    /// Tells whoever gave something that it is done.
    fn pay(&mut self, creditors: Vec<Creditor>) {
        let mut tickets = Vec::new();
        for creditor in creditors {
            match creditor {
                Creditor::File(entry) => self.ledger.settle(&entry),
                Creditor::Spool(ticket) => tickets.push(ticket),
            }
        }
        if let Err(error) = self.intake.acknowledge(tickets) {
            warn!(%error, "an acknowledgement could not be written; a restart will send some records again");
        }
    }

    fn save(&mut self) {
        if let Err(error) = self.ledger.save() {
            warn!(%error, "the checkpoints could not be written; a restart will send some records again");
        }
    }

    /// Sends the agent's own metrics, unless the last ones still wait: an outage is no reason to collect them.
    fn tell_health(&mut self) {
        if !self.health.is_due() {
            return;
        }
        let input: Arc<Path> = Path::new("agent").into();
        let lane = self.lanes.of(&input, &self.config, &self.host);
        if !self.lanes.list[lane].is_empty() || self.lanes.list[lane].in_flight > 0 {
            return self.health.postpone();
        }
        self.summary.dropped = self.intake.dropped();
        self.summary.evicted = self.intake.evicted();
        let counts = self.shipper.counts();
        let line = self.health.tell(&self.summary, counts, self.intake.spool_bytes(), now_ms());
        if let Some(event) = line {
            self.send(&input, event, None);
        }
    }
}

impl Lanes {
    /// The lane of an input.
    fn of(&mut self, input: &Arc<Path>, config: &Config, host: &str) -> usize {
        if let Some(index) = self.by_input.get(input) {
            return *index;
        }
        let name = input.file_name().unwrap_or_default().to_string_lossy();
        let to = config::destination(config, host, &name);
        let known = self.list.iter().position(|lane| lane.to == to);
        let index = known.unwrap_or_else(|| {
            self.list.push(Lane::new(to));
            self.list.len() - 1
        });
        self.by_input.insert(Arc::clone(input), index);
        index
    }
}

/// Receives the next item, but not before an instant.
async fn receive(receiver: &mut mpsc::Receiver<Item>, not_before: Instant) -> Option<Item> {
    tokio::time::sleep_until(not_before).await;
    receiver.recv().await
}

/// Never, without an instant.
async fn sleep_until(instant: Option<Instant>) {
    match instant {
        Some(instant) => tokio::time::sleep_until(instant).await,
        None => std::future::pending().await,
    }
}
