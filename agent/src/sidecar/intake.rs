//! Where every input's finds become events: shared by the threads of all inputs.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Map, json};
use tokio::runtime::Handle;
use tokio::sync::mpsc::Sender;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use trace_record::batch::Event;
use trace_record::{Completion, Record};
use tracing::warn;

use crate::clock::now_ms;
use crate::config::Config;
use crate::pipeline::{self, Finisher};
use crate::receive::checkpoint::Position;
use crate::spool::{self, Spool, Ticket};
use crate::symbolize::Symbolizer;

/// The bytes of events that are on their way from a file or the spool to the sink. Whoever has more waits.
const ROOM_BYTES: usize = 8 * 1024 * 1024;

/// The most bytes that are taken from the spool at a time.
const TAKE_BYTES: u32 = 1024 * 1024;

/// One event on its way to the sink, or only a place up to which a file is done.
pub(super) struct Item {
    /// The event, and its part of the memory that events may take.
    pub(super) event: Option<(Event, OwnedSemaphorePermit)>,
    /// The file that it came from, or a name for those that the spool keeps.
    pub(super) input: Arc<Path>,
    /// To whom it is acknowledged.
    pub(super) owed: Owed,
}

/// What is acknowledged.
pub(super) enum Owed {
    /// The file, up to this position.
    File(Position),
    /// What the spool keeps under this ticket.
    Spool(Ticket),
}

pub(super) struct Intake {
    finisher: Mutex<Finisher>,
    spool: Mutex<Spool>,
    /// Something was put into the spool, or nothing more will be.
    pushed: Notify,
    is_ended: AtomicBool,
    room: Arc<Semaphore>,
    runtime: Handle,
    host: String,
    function_name: Option<String>,
    line_bytes_max: usize,
    found: AtomicU64,
    dropped: AtomicU64,
    numbered: AtomicU64,
    started_ms: i64,
}

impl Intake {
    pub(super) fn new(
        config: &Config,
        host: String,
        function_name: Option<String>,
        line_bytes_max: usize,
        spool: Spool,
    ) -> Self {
        let symbolizer = Symbolizer::new(&config.debug_dirs, &config.source_roots);
        Self {
            finisher: Mutex::new(Finisher::new(symbolizer, config.policy.clone(), config.storm_limit)),
            found: AtomicU64::new(spool.waiting() as u64),
            spool: Mutex::new(spool),
            pushed: Notify::new(),
            is_ended: AtomicBool::new(false),
            room: Arc::new(Semaphore::new(ROOM_BYTES)),
            runtime: Handle::current(),
            host,
            function_name,
            line_bytes_max,
            dropped: AtomicU64::new(0),
            numbered: AtomicU64::new(0),
            started_ms: now_ms(),
        }
    }

    /// Takes what a followed file held, or how far it is done. Waits while too much is on its way; false once nobody takes
    /// anything any more. Must not be called from a task.
    pub(super) fn file(
        &self,
        sender: &Sender<Item>,
        path: &Arc<Path>,
        record: Option<Record>,
        at: Position,
        next: Position,
    ) -> bool {
        let event = match record {
            None => None,
            Some(record) => {
                // Not the path: a rotated file keeps its inode, and a second reading must give the same id.
                let origin =
                    format!("{}/{}:{}.{}@{}", self.host, at.device, at.inode, at.generation, at.offset);
                self.found.fetch_add(1, Ordering::Relaxed);
                let event = self.event(record, origin);
                let Some(room) = self.room_for(&event) else { return false };
                Some((event, room))
            }
        };
        sender.blocking_send(Item { event, input: Arc::clone(path), owed: Owed::File(next) }).is_ok()
    }

    /// Waits for the memory that an event takes; nothing once nobody takes anything any more.
    fn room_for(&self, event: &Event) -> Option<OwnedSemaphorePermit> {
        let bytes = bytes(event);
        match Arc::clone(&self.room).try_acquire_many_owned(bytes) {
            Ok(room) => Some(room),
            Err(_) => self.runtime.block_on(Arc::clone(&self.room).acquire_many_owned(bytes)).ok(),
        }
    }

    /// Takes what was pushed: all of it, or nothing. Once this is `Ok`, the sender may forget it.
    pub(super) fn push(&self, records: Vec<Record>, input: &str) -> Result<(), spool::Error> {
        let events: Vec<Event> = records
            .into_iter()
            .map(|record| {
                let number = self.numbered.fetch_add(1, Ordering::Relaxed);
                self.event(record, format!("{}/{input}/{}/{number}", self.host, self.started_ms))
            })
            .collect();
        lock(&self.spool).append(&events)?;
        self.found.fetch_add(events.len() as u64, Ordering::Relaxed);
        self.pushed.notify_one();
        Ok(())
    }

    /// Hands over what the spool keeps, until nothing more is pushed and everything is handed over.
    pub(super) async fn unspool(&self, sender: Sender<Item>) {
        let input: Arc<Path> = Path::new("pushed").into();
        loop {
            let Ok(mut room) = Arc::clone(&self.room).acquire_many_owned(TAKE_BYTES).await else { return };
            // Asked before the spool is: what is pushed in between is seen by the next turn.
            let is_ended = self.is_ended.load(Ordering::Acquire);
            let taken = match lock(&self.spool).take(TAKE_BYTES as usize) {
                Ok(taken) => taken,
                Err(error) => {
                    warn!(%error, "the spool cannot be read; what it keeps waits for a restart");
                    return;
                }
            };
            if taken.is_empty() {
                drop(room);
                if is_ended {
                    return;
                }
                self.pushed.notified().await;
                continue;
            }
            for (ticket, event) in taken {
                let Some(room) = room.split(bytes(&event) as usize) else { return };
                let (input, owed) = (Arc::clone(&input), Owed::Spool(ticket));
                if sender.send(Item { event: Some((event, room)), input, owed }).await.is_err() {
                    return;
                }
            }
        }
    }

    /// Nothing more is pushed.
    pub(super) fn end(&self) {
        self.is_ended.store(true, Ordering::Release);
        self.pushed.notify_one();
    }

    /// Nothing more is taken: whoever waits for memory gives up.
    pub(super) fn close(&self) {
        self.room.close();
    }

    pub(super) fn acknowledge(&self, tickets: Vec<Ticket>) -> io::Result<()> {
        if tickets.is_empty() { Ok(()) } else { lock(&self.spool).acknowledge(tickets) }
    }

    /// Makes what was pushed outlive a power cut.
    pub(super) fn sync(&self) -> io::Result<()> {
        lock(&self.spool).sync()
    }

    pub(super) fn spool_bytes(&self) -> u64 {
        lock(&self.spool).bytes()
    }

    pub(super) fn evicted(&self) -> u64 {
        lock(&self.spool).evicted()
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
}

/// What an event counts of the memory that events may take. It is no longer than the longest line.
fn bytes(event: &Event) -> u32 {
    u32::try_from(event.message.len()).unwrap_or(u32::MAX).min(TAKE_BYTES)
}

/// A thread that panicked left nothing half done behind these locks that the next one could not go on with.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
