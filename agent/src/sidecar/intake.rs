//! Where every input's finds become events: shared by the threads of all inputs.

use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::{Map, json};
use tokio::sync::mpsc::WeakSender;
use trace_record::batch::Event;
use trace_record::{Completion, Record};

use crate::clock::now_ms;
use crate::config::Config;
use crate::pipeline::{self, Finisher};
use crate::receive::checkpoint::Position;
use crate::spool::{self, Spool, Ticket};
use crate::symbolize::Symbolizer;

/// One event on its way to the sink, or only a place up to which a file is done.
pub(super) struct Item {
    pub(super) event: Option<Event>,
    pub(super) acknowledge: Acknowledge,
}

/// To whom it is acknowledged.
pub(super) enum Acknowledge {
    /// A file, which is done up to this position.
    File { path: PathBuf, next: Position },
    /// The spool.
    Pushed(Ticket),
}

pub(super) struct Intake {
    finisher: Mutex<Finisher>,
    spool: Mutex<Spool>,
    sender: WeakSender<Item>,
    host: String,
    function_name: Option<String>,
    line_bytes_max: usize,
    found: AtomicU64,
    dropped: AtomicU64,
    pushed: AtomicU64,
    started_ms: i64,
}

impl Intake {
    pub(super) fn new(
        config: &Config,
        host: String,
        function_name: Option<String>,
        line_bytes_max: usize,
        spool: Spool,
        sender: WeakSender<Item>,
    ) -> Self {
        Self {
            finisher: Mutex::new(Finisher::new(
                Symbolizer::new(&config.debug_dirs, &config.source_roots),
                config.policy.clone(),
            )),
            spool: Mutex::new(spool),
            sender,
            host,
            function_name,
            line_bytes_max,
            found: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            pushed: AtomicU64::new(0),
            started_ms: now_ms(),
        }
    }

    /// Takes what a followed file held, or how far it is done. False once nobody takes anything any more.
    pub(super) fn file(&self, path: PathBuf, record: Option<Record>, at: Position, next: Position) -> bool {
        let event = record.map(|record| {
            // Not the path: a rotated file keeps its inode, and a second reading must give the same id.
            let origin = format!("{}/{}:{}.{}@{}", self.host, at.device, at.inode, at.generation, at.offset);
            self.count_found(1);
            self.event(record, origin)
        });
        self.send(Item { event, acknowledge: Acknowledge::File { path, next } })
    }

    /// Takes what was pushed: all of it, or nothing. Once this is `Ok`, the sender may forget it.
    pub(super) fn push(&self, records: Vec<Record>, input: &str) -> Result<(), spool::Error> {
        let events: Vec<Event> = records
            .into_iter()
            .map(|record| {
                let number = self.pushed.fetch_add(1, Ordering::Relaxed);
                self.event(record, format!("{}/{input}/{}/{number}", self.host, self.started_ms))
            })
            .collect();
        let tickets = lock(&self.spool).append_all(&events)?;
        self.count_found(events.len());
        for (event, ticket) in events.into_iter().zip(tickets) {
            self.send(Item { event: Some(event), acknowledge: Acknowledge::Pushed(ticket) });
        }
        Ok(())
    }

    pub(super) fn acknowledge(&self, tickets: Vec<Ticket>) -> io::Result<()> {
        lock(&self.spool).acknowledge(tickets)
    }

    pub(super) fn count_found(&self, count: usize) {
        self.found.fetch_add(count as u64, Ordering::Relaxed);
    }

    /// Counts something that could not be taken. True for the first: only that one is said, the others are in the summary, since
    /// whoever can send to us could fill the log otherwise.
    pub(super) fn count_dropped(&self) -> bool {
        self.dropped.fetch_add(1, Ordering::Relaxed) == 0
    }

    pub(super) fn found(&self) -> u64 {
        self.found.load(Ordering::Relaxed)
    }

    pub(super) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    fn event(&self, mut record: Record, origin: String) -> Event {
        let now_ms = now_ms();
        let completion = Completion {
            seen_ms: Some(now_ms),
            origin,
            function_name: self.function_name.clone(),
            host: Some(Map::from_iter([("name".to_owned(), json!(self.host))])),
            ..Completion::default()
        };
        lock(&self.finisher).finish(&mut record, &completion);
        pipeline::event(&record, self.line_bytes_max, now_ms)
    }

    fn send(&self, item: Item) -> bool {
        self.sender.upgrade().is_some_and(|sender| sender.blocking_send(item).is_ok())
    }
}

/// A thread that panicked left nothing half done behind these locks that the next one could not go on with.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
