//! The agent beside a program: `trace-agent run`.
//!
//! Inputs run on threads of their own and hand events over a bounded channel; one task ships them. What an input was
//! given is acknowledged to it (a file's checkpoint moves, a spooled event is forgotten) only when the sink has it.
//!
//! **Shutdown**, in this order: the inputs are told to stop; files are read to their end; what is in the channel is shipped
//! until [`DRAIN_MAX`]; checkpoints are saved; the socket's file goes away. What could not be shipped stays in the
//! state directory, and the summary says how much that is.

mod intake;
mod inputs;

use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use trace_record::batch::{self, Event};
use trace_record::retry::Fault;
use tracing::{info, warn};

use crate::clock::now_ms;
use crate::config::Config;
use crate::private;
use crate::receive::checkpoint::Checkpoints;
use crate::ship::{Deadline, Shipped, Shipper};
use crate::sink::Sink;
use crate::spool::Spool;
use intake::{Acknowledge, Intake, Item};

/// How long shipping goes on after a stop.
pub const DRAIN_MAX: Duration = Duration::from_secs(5);

/// How long `--once` goes on trying to ship one batch.
pub const ONCE_WAIT_MAX: Duration = Duration::from_secs(60);

/// How long events are collected before they are sent together.
const BATCH_WAIT: Duration = Duration::from_millis(200);

/// The most events that wait in the channel. Each is at most 1 MiB; in practice a record has a few KiB.
const CHANNEL_EVENTS: usize = 64;

/// The most events that are collected for one round of shipping.
const ROUND_EVENTS: usize = 1_000;

/// How long a sink that refuses everything is left alone before it is asked again.
const DENIED_WAIT: Duration = Duration::from_secs(30);

/// What the sidecar is to do.
pub struct Plan {
    /// Files, or globs.
    pub paths: Vec<String>,
    /// Whether standard input is read.
    pub stdin: bool,
    /// Whether to end at the end of every input.
    pub once: bool,
    /// Where checkpoints and the spool are kept.
    pub state: Option<PathBuf>,
    /// Whether files without a checkpoint are followed from their end.
    pub from_end: bool,
    /// Where the capture hook's datagrams are received.
    pub socket: Option<PathBuf>,
    /// Whether somebody asked for this very socket, so that not getting it is an error.
    pub socket_required: bool,
    /// Where HTTP bodies are received.
    pub http: Option<SocketAddr>,
    /// The name under which the failures' metrics stand.
    pub function_name: Option<String>,
}

/// What became of everything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Failures that were found, or were left over from an earlier run.
    pub found: u64,
    /// Records that the sink stored.
    pub stored: u64,
    /// Records that the sink refused for good; they are set aside.
    pub refused: u64,
    /// Records that wait in the state directory, or are lost without one.
    pub pending: u64,
    /// Reports that could not be read or spooled.
    pub dropped: u64,
}

/// Runs until every input has ended, or `stop` is done.
///
/// # Errors
///
/// If an input or the state directory cannot be opened. A sink that takes nothing is no error: that is in the summary.
pub async fn run(
    plan: Plan,
    config: &Config,
    sink: Box<dyn Sink>,
    stop: impl Future<Output = ()>,
) -> anyhow::Result<Summary> {
    let host = hostname();
    let shipper = Shipper::new(sink, crate::config::destination(config, &host));
    let (spool, left) = match &plan.state {
        Some(directory) => {
            private::folder(directory)
                .with_context(|| format!("cannot create the state directory {}", directory.display()))?;
            lock(directory)?;
            Spool::open(directory)
                .with_context(|| format!("cannot open the spool in {}", directory.display()))?
        }
        None => (Spool::in_memory(), Vec::new()),
    };
    let checkpoints = Checkpoints::open(plan.state.as_deref())?;
    let (sender, receiver) = mpsc::channel(CHANNEL_EVENTS);
    let (set_deadline, mut stopped) = watch::channel(None);
    let deadline = set_deadline.subscribe();
    let intake = Arc::new(Intake::new(
        config,
        host,
        plan.function_name.clone(),
        shipper.line_bytes_max(),
        spool,
        sender.downgrade(),
    ));
    let mut outlet = Outlet {
        shipper,
        intake: Arc::clone(&intake),
        checkpoints,
        state: plan.state.clone(),
        deadline: Deadline::watched(deadline),
        give_up: set_deadline.clone(),
        patience: plan.once.then_some(ONCE_WAIT_MAX),
        summary: Summary::default(),
    };
    let mut inputs = inputs::start(&plan, &intake, &sender, &mut outlet.checkpoints).await?;
    info!(sink = %outlet.shipper.sink_name(), group = %outlet.shipper.destination().group, "ready");

    let left = left
        .into_iter()
        .map(|(ticket, event)| Item { event: Some(event), acknowledge: Acknowledge::Pushed(ticket) });
    let shipping = outlet.run(receiver, left.collect());
    let reading = async {
        tokio::select! {
            () = inputs.ended() => {}
            // An error means that nobody can stop us any more.
            _ = stopped.wait_for(Option::is_some) => {}
        }
        inputs.stop().await;
        // With the last sender the channel ends, and with it the shipping.
        drop(sender);
    };
    let stopping = async {
        stop.await;
        info!("stopping");
        set_deadline.send_replace(Some(Instant::now() + DRAIN_MAX));
        std::future::pending().await
    };
    // A stop is listened to until everything is shipped, also when every input has ended by itself.
    tokio::select! {
        _ = async { tokio::join!(shipping, reading) } => {}
        () = stopping => {}
    }
    drop(inputs);
    let mut summary = outlet.summary;
    summary.found = intake.found();
    summary.dropped = intake.dropped();
    summary.pending = summary.found - summary.stored - summary.refused;
    Ok(summary)
}

/// Keeps a second agent away from a state directory for as long as this process lives.
fn lock(directory: &Path) -> anyhow::Result<()> {
    let path = directory.join("lock");
    let file = std::fs::File::create(&path).with_context(|| format!("cannot create {}", path.display()))?;
    if file.try_lock().is_err() {
        anyhow::bail!("another trace-agent uses the state directory {}", directory.display());
    }
    // The lock is let go by the end of the process, and by nothing before.
    std::mem::forget(file);
    Ok(())
}

/// The end of the channel: ships, and acknowledges.
struct Outlet {
    shipper: Shipper,
    intake: Arc<Intake>,
    checkpoints: Checkpoints,
    state: Option<PathBuf>,
    deadline: Deadline,
    /// Brings the deadline here, if going on is of no use.
    give_up: watch::Sender<Option<Instant>>,
    /// How long one batch may take; for ever without it.
    patience: Option<Duration>,
    summary: Summary,
}

impl Outlet {
    async fn run(&mut self, mut receiver: mpsc::Receiver<Item>, left: Vec<Item>) {
        self.intake.count_found(left.len());
        if !left.is_empty() {
            self.round(left).await;
        }
        while let Some(first) = receiver.recv().await {
            let mut items = vec![first];
            let until = Instant::now() + BATCH_WAIT;
            while items.len() < ROUND_EVENTS {
                match tokio::time::timeout_at(until, receiver.recv()).await {
                    Ok(Some(item)) => items.push(item),
                    Ok(None) | Err(_) => break,
                }
            }
            if !self.round(items).await {
                // The time is over: what is still in the channel stays unacknowledged, each input knows why.
                return;
            }
        }
    }

    /// Ships the events of one round and acknowledges them in the order in which they came. False if the time is over.
    async fn round(&mut self, items: Vec<Item>) -> bool {
        let events: Vec<Event> = items.iter().filter_map(|item| item.event.clone()).collect();
        let (mut batches, refused) = batch::batches(events, now_ms());
        for (event, refusal) in refused {
            self.set_aside(&event, &format!("{refusal:?}"));
        }
        batches.reverse();
        let mut deadline =
            self.patience.map_or_else(|| self.deadline.clone(), |patience| self.deadline.within(patience));
        while let Some(batch) = batches.pop() {
            match self.shipper.ship(batch, &mut deadline).await {
                Shipped::Done(settled) => self.settle(settled),
                Shipped::Unsent { error, events, settled } => {
                    self.settle(settled);
                    warn!(error = %error, events = events.len(), "the sink does not take the records");
                    let hopeless = match error.fault {
                        Fault::Gone => true,
                        Fault::Denied => self.patience.is_some(),
                        _ => false,
                    };
                    if hopeless || deadline.reached_after(DENIED_WAIT).await {
                        // The inputs need not go on reading for nobody.
                        self.give_up.send_replace(Some(Instant::now()));
                        return false;
                    }
                    let (again, refused) = batch::batches(events, now_ms());
                    batches.extend(again.into_iter().rev());
                    for (event, refusal) in refused {
                        self.set_aside(&event, &format!("{refusal:?}"));
                    }
                }
            }
        }
        self.acknowledge(items);
        true
    }

    fn settle(&mut self, settled: crate::ship::Settled) {
        self.summary.stored += settled.stored as u64;
        for (event, reason) in settled.refused {
            self.set_aside(&event, &reason);
        }
    }

    /// Keeps a record that the sink will never take where a person finds it.
    fn set_aside(&mut self, event: &Event, reason: &str) {
        self.summary.refused += 1;
        let kept = self.state.as_deref().map(|state| append(&state.join("refused.ndjson"), &event.message));
        match kept {
            Some(Ok(())) => {
                warn!(reason, "a record was refused; it is in refused.ndjson of the state directory")
            }
            Some(Err(error)) => {
                warn!(reason, %error, record = %event.message, "a record was refused and cannot be kept")
            }
            None => warn!(reason, record = %event.message, "a record was refused"),
        }
    }

    fn acknowledge(&mut self, items: Vec<Item>) {
        let mut pushed = Vec::new();
        let mut files = false;
        for item in items {
            match item.acknowledge {
                Acknowledge::Pushed(ticket) => pushed.push(ticket),
                Acknowledge::File { path, next } => {
                    self.checkpoints.set(&path, next);
                    files = true;
                }
            }
        }
        let saved = if files { self.checkpoints.save() } else { Ok(()) };
        if let Err(error) = self.intake.acknowledge(pushed).and(saved) {
            warn!(%error, "an acknowledgement could not be written; a restart will send some records again");
        }
    }
}

fn append(path: &Path, line: &str) -> std::io::Result<()> {
    std::fs::OpenOptions::new()
        .append(true)
        .create(true)
        .open(path)?
        .write_all(format!("{line}\n").as_bytes())
}

/// The name of this machine, container or pod.
fn hostname() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    Some(name.trim()).filter(|name| !name.is_empty()).unwrap_or("localhost").to_owned()
}
