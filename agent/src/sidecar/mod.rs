//! The agent beside a program: `trace-agent run`.
//!
//! Inputs run on threads of their own. What they read in files goes over a bounded channel to the outlet, which ships it; what was
//! pushed to them goes through the spool first, since nobody can read it again. An input is told that something is done (a file's
//! checkpoint moves, a spooled event is forgotten) only when every sink has it.
//!
//! **Shutdown**, in this order: the inputs are told to stop; files are read to their end; what is in the channel and the spool is
//! shipped until [`DRAIN_MAX`]; checkpoints are saved; the socket's file goes away. What could not be shipped stays in the
//! state directory, and the summary says how much that is.

mod account;
mod health;
mod intake;
mod inputs;
mod lane;
mod ledger;
mod outlet;
mod refused;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tracing::{info, warn};

use crate::config::Config;
use crate::private;
use crate::receive::checkpoint::Checkpoints;
use crate::ship::{Deadline, Shipper};
use crate::sink::Sink;
use crate::spool::{Limits, Spool, Sync};
use health::Health;
use intake::Intake;
use ledger::Ledger;
use outlet::{Lanes, Outlet};
use refused::Refused;

pub use account::Summary;
pub use outlet::Pace;

/// How long shipping goes on after a stop.
pub const DRAIN_MAX: Duration = Duration::from_secs(5);

/// How long `--once` goes on trying to ship one batch.
pub const ONCE_WAIT_MAX: Duration = Duration::from_secs(60);

/// The most events that wait in the channel. Their bytes are bounded by the intake.
const CHANNEL_EVENTS: usize = 256;

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
    /// How batches are paced.
    pub pace: Pace,
    /// The bounds of the spool.
    pub spool: Limits,
    /// How often the agent's own metrics are sent; never without it.
    pub health: Option<Duration>,
}

/// Runs until every input has ended, or `stop` is done.
///
/// # Errors
///
/// If an input or the state directory cannot be opened. A sink that takes nothing is no error: that is in the summary.
pub async fn run(
    plan: Plan,
    config: &Config,
    sinks: Vec<Arc<dyn Sink>>,
    stop: impl Future<Output = ()>,
) -> anyhow::Result<Summary> {
    let host = hostname();
    let shipper = Arc::new(Shipper::new(sinks, (!plan.once).then_some(DENIED_WAIT)));
    let spool = open_spool(&plan)?;
    let checkpoints = Checkpoints::open(plan.state.as_deref())?;
    let (sender, receiver) = mpsc::channel(CHANNEL_EVENTS);
    let (set_deadline, mut stopped) = watch::channel(None);
    let intake = Arc::new(Intake::new(
        config,
        host.clone(),
        plan.function_name.clone(),
        shipper.line_bytes_max(),
        spool,
    ));
    let mut outlet = Outlet {
        shipper: Arc::clone(&shipper),
        config: config.clone(),
        intake: Arc::clone(&intake),
        ledger: Ledger::new(checkpoints),
        refused: Refused::new(plan.state.as_deref()),
        pace: plan.pace,
        deadline: Deadline::watched(set_deadline.subscribe()),
        give_up: set_deadline.clone(),
        patience: plan.once.then_some(ONCE_WAIT_MAX),
        health: Health::new(plan.health.filter(|_| !plan.once), host.clone()),
        host,
        summary: Summary::default(),
        lanes: Lanes::default(),
    };
    let mut inputs = inputs::start(&plan, &intake, &sender, outlet.ledger.checkpoints()).await?;
    info!(sink = %shipper.name(), group = %config.log_group(), "ready");

    let unspooling = intake.unspool(sender.clone());
    let shipping = outlet.run(receiver);
    let reading = async {
        tokio::select! {
            () = inputs.ended() => {}
            // An error means that nobody can stop us any more.
            _ = stopped.wait_for(Option::is_some) => {}
        }
        inputs.stop().await;
        intake.end();
        // With the last sender the channel ends, and with it the shipping.
        drop(sender);
    };
    let stopping = async {
        stop.await;
        info!("stopping");
        set_deadline.send_replace(Some(Instant::now() + DRAIN_MAX));
        std::future::pending().await
    };
    let syncing = sync_spool(&intake, plan.spool.sync);
    // A stop is listened to until everything is shipped, also when every input has ended by itself.
    tokio::select! {
        _ = async { tokio::join!(shipping, unspooling, reading) } => {}
        () = stopping => {}
        () = syncing => {}
    }
    drop(inputs);
    if let Err(error) = intake.sync() {
        warn!(%error, "the spool may not outlive a power cut");
    }
    let mut summary = outlet.summary;
    summary.found = intake.found();
    summary.dropped = intake.dropped();
    summary.evicted = intake.evicted();
    let settled = summary.stored + summary.repeated + summary.refused + summary.evicted;
    summary.pending = summary.found.saturating_sub(settled);
    Ok(summary)
}

/// Opens the spool in the state directory, or one in memory without it, and keeps a second agent away.
fn open_spool(plan: &Plan) -> anyhow::Result<Spool> {
    let Some(directory) = &plan.state else { return Ok(Spool::in_memory(plan.spool)) };
    private::folder(directory)
        .with_context(|| format!("cannot create the state directory {}", directory.display()))?;
    lock(directory)?;
    let (spool, recovered) = Spool::open(directory, plan.spool)
        .with_context(|| format!("cannot open the spool in {}", directory.display()))?;
    if recovered.damaged_bytes > 0 {
        let directory = directory.display();
        warn!(%directory, bytes = recovered.damaged_bytes, "a part of the spool is damaged; it is set aside and the rest is sent");
    }
    Ok(spool)
}

/// Makes what was pushed outlive a power cut, now and then. Never ends.
async fn sync_spool(intake: &Arc<Intake>, sync: Sync) {
    let Sync::Every(every) = sync else { return std::future::pending().await };
    let mut is_said = false;
    loop {
        tokio::time::sleep(every).await;
        let intake = Arc::clone(intake);
        // A disk takes its time, and nothing else should wait for it.
        if let Ok(Err(error)) = tokio::task::spawn_blocking(move || intake.sync()).await
            && !std::mem::replace(&mut is_said, true)
        {
            warn!(%error, "the spool may not outlive a power cut");
        }
    }
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

/// The name of this machine, container or pod.
fn hostname() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    Some(name.trim()).filter(|name| !name.is_empty()).unwrap_or("localhost").to_owned()
}
