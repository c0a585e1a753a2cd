//! `trace-agent run`: the sidecar.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::bail;
use clap::{ValueEnum, value_parser};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;
use trace_capture::wire::SOCKET_PATH;

use super::Usage;
use crate::choose::{self, Connect, Home};
use crate::config::{Settings, SinkChoice};
use crate::sidecar::{self, DRAIN_MAX, Pace, Plan};
use crate::spool::{Limits, Sync};

/// How long after the drain the process may take to end.
const STOP_MARGIN: Duration = Duration::from_secs(3);

/// Run beside a program: follow logs, receive failures, ship records.
///
/// Files are followed across rotation until SIGTERM or Ctrl-C; a second signal ends at once. Native reports are received
/// on a socket from programs that link trace-capture.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A file, a quoted glob, or - for standard input
    #[arg(value_name = "PATH")]
    paths: Vec<String>,
    /// Read every input to its end, ship, and exit; 0 means that all of it is acknowledged
    #[arg(long)]
    once: bool,
    /// Keep checkpoints and what is not yet shipped in this folder; without it a restart begins anew
    #[arg(long, env = "TRACE_AGENT_STATE", value_name = "DIR")]
    state: Option<PathBuf>,
    /// Where to begin in a file that has no checkpoint
    #[arg(long, value_enum, default_value = "start")]
    from: From,
    /// Receive native reports on this socket [default: /tmp/.trace-agent/capture.sock]
    #[arg(long, env = "TRACE_AGENT_SOCKET", value_name = "PATH")]
    socket: Option<PathBuf>,
    /// Receive failures as HTTP bodies on this address, such as 127.0.0.1:8126
    #[arg(long, env = "TRACE_AGENT_HTTP", value_name = "ADDRESS")]
    http: Option<SocketAddr>,
    /// The function or service whose failures these are: the dimension of their metrics
    #[arg(long, env = "TRACE_AGENT_FUNCTION_NAME", value_name = "NAME")]
    function_name: Option<String>,
    /// Collect records for this long before they are sent together, in milliseconds
    #[arg(long, env = "TRACE_AGENT_BATCH_WAIT_MS", value_name = "MS", default_value = "200", value_parser = value_parser!(u64).range(0..=60_000), help_heading = "Shipping")]
    batch_wait_ms: u64,
    /// Requests of one log stream that are on their way; more than 1 gives the order of records up
    #[arg(long, env = "TRACE_AGENT_IN_FLIGHT", value_name = "NUMBER", default_value = "1", value_parser = value_parser!(u8).range(1..=8), help_heading = "Shipping")]
    in_flight: u8,
    /// Send the agent's own metrics every so many seconds; 0 for never
    #[arg(long, env = "TRACE_AGENT_HEALTH_S", value_name = "S", default_value = "60", value_parser = value_parser!(u64).range(0..=86_400), help_heading = "Shipping")]
    health_s: u64,
    /// What pushed records may take in the state directory, or in memory without one; the oldest go if that is too little
    #[arg(long, env = "TRACE_AGENT_SPOOL_BYTES", value_name = "BYTES", default_value = "67108864", value_parser = value_parser!(u64).range(4_194_304..), help_heading = "Shipping")]
    spool_bytes: u64,
    /// Make pushed records outlive a power cut within this time, in milliseconds; 0 for before they are accepted
    #[arg(long, env = "TRACE_AGENT_SPOOL_SYNC_MS", value_name = "MS", default_value = "500", value_parser = value_parser!(u64).range(0..=60_000), help_heading = "Shipping")]
    spool_sync_ms: u64,
    #[command(flatten)]
    settings: Settings,
}

impl Args {
    fn pace(&self) -> Pace {
        Pace { batch_wait: Duration::from_millis(self.batch_wait_ms), in_flight: self.in_flight.into() }
    }

    fn spool(&self) -> Limits {
        let sync = match self.spool_sync_ms {
            0 => Sync::Each,
            ms => Sync::Every(Duration::from_millis(ms)),
        };
        Limits { bytes_max: self.spool_bytes, sync }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum From {
    /// At the first byte
    Start,
    /// Behind what is there already
    End,
}

pub(super) fn execute(args: Args, connect: Connect) -> anyhow::Result<()> {
    let config = super::config(&args.settings, SinkChoice::CloudWatch)?;
    let (pace, spool) = (args.pace(), args.spool());
    let (stdin, paths): (Vec<String>, Vec<String>) = args.paths.into_iter().partition(|path| path == "-");
    if args.once && stdin.is_empty() && paths.is_empty() {
        let missing = "--once needs something to read: a file, a quoted glob, or - for standard input";
        return Err(Usage(missing.to_owned()).into());
    }
    let plan = Plan {
        paths,
        stdin: !stdin.is_empty(),
        once: args.once,
        state: args.state,
        from_end: args.from == From::End && !args.once,
        socket_required: args.socket.is_some(),
        socket: Some(args.socket.unwrap_or_else(|| SOCKET_PATH.into())),
        http: args.http,
        function_name: args.function_name,
        pace,
        spool,
        health: (args.health_s > 0).then(|| Duration::from_secs(args.health_s)),
    };
    let once = plan.once;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let summary = runtime.block_on(async {
        let stop = stop()?;
        let sinks = choose::open(&config, Home::Host, connect).await?;
        sidecar::run(plan, &config, sinks, stop).await
    })?;
    // A thread may still sit in a read of standard input; nothing of it is needed.
    runtime.shutdown_background();
    anstream::eprintln!("trace-agent: {summary}");
    if once && !summary.is_complete() {
        bail!("{} records are not acknowledged", summary.pending + summary.dropped + summary.evicted);
    }
    Ok(())
}

/// Listens to SIGTERM and Ctrl-C from now on; what it gives is done at the first.
///
/// A second signal, or an agent that has not stopped long after it should have, ends the process at once. Both are watched by a
/// task of the runtime's own thread, since the agent itself may sit in a write that nobody reads.
fn stop() -> std::io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let (stop, stopped) = oneshot::channel();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        // The receiver goes when the agent has ended by itself.
        let _ = stop.send(());
        tokio::select! {
            _ = terminate.recv() => std::process::exit(128 + 15),
            _ = interrupt.recv() => std::process::exit(128 + 2),
            () = tokio::time::sleep(DRAIN_MAX + STOP_MARGIN) => {
                anstream::eprintln!("trace-agent: the sink does not let go; what is not acknowledged stays where it is");
                std::process::exit(1)
            }
        }
    });
    Ok(async move {
        if stopped.await.is_err() {
            std::future::pending().await
        }
    })
}
