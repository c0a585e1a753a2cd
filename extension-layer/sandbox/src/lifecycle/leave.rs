//! Taking an environment down: the runtime first, then the extensions, each with the time that Lambda gives it.

use std::process::ExitStatus;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use super::{Environment, FLUSH_WAIT};
use crate::platform::Platform;
use crate::process::Process;
use crate::state::State;

/// Time that external extensions have from the beginning of a shutdown [Lambda: 2000 ms].
const SHUTDOWN_EXTERNAL: Duration = Duration::from_secs(2);
/// Time for a shutdown with internal extensions only [Lambda: 500 ms].
const SHUTDOWN_INTERNAL: Duration = Duration::from_millis(500);
/// Part of it that a runtime has after SIGTERM [Lambda: 300 ms].
const RUNTIME_TERM: Duration = Duration::from_millis(300);
/// Time to wait for the kernel to end a process after SIGKILL, which no process can resist for long.
const KILL_WAIT: Duration = Duration::from_secs(1);

/// How the processes of the last environment ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shutdown {
    /// The runtime, if it was alive.
    pub runtime: Option<ProcessEnd>,
    /// The extensions that were alive, in the order of the configuration.
    pub extensions: Vec<ProcessEnd>,
}

/// How a process ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessEnd {
    /// `runtime`, or the extension's name.
    pub name: String,
    /// Its status; `None` if it still ran after SIGKILL.
    pub status: Option<ExitStatus>,
    /// Whether it had to be killed.
    pub killed: bool,
}

/// How a runtime is made to end.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum RuntimeEnd {
    /// SIGTERM first, if there is an extension: without one the cloud kills at once.
    Ask,
    Kill,
}

/// Takes the environment down: the runtime first, then the extensions, who have until the deadline.
pub(super) async fn terminate(
    platform: &Arc<Platform>,
    environment: &mut Environment,
    reason: &'static str,
    runtime_end: RuntimeEnd,
) -> Shutdown {
    let internal = platform.look(State::has_internal_extension);
    let limit = match (environment.extensions.is_empty(), internal) {
        (false, _) => SHUTDOWN_EXTERNAL,
        (true, true) => SHUTDOWN_INTERNAL,
        (true, false) => Duration::ZERO,
    };
    let (deadline, deadline_at) = (Instant::now() + limit, SystemTime::now() + limit);
    platform.change(State::begin_leaving);
    environment.up = false;

    let runtime = environment.runtime.take();
    if let Some(runtime) = &runtime {
        if runtime_end == RuntimeEnd::Ask && !limit.is_zero() {
            runtime.terminate();
            let _ = tokio::time::timeout(RUNTIME_TERM, runtime.ended()).await;
        }
        kill(runtime).await;
    }
    let logs = &platform.logs;
    logs.relay.flush(FLUSH_WAIT).await;

    // Asked in the same step: an extension that waits takes the event at once, and then none is pending for it.
    let offered = platform.change(|state| state.offer_shutdown(reason, deadline_at));
    let extensions = std::mem::take(&mut environment.extensions);
    for (position, extension) in extensions.iter().enumerate() {
        if !offered.get(position).is_some_and(|offered| *offered) {
            extension.kill();
        }
    }
    let all_ended = async {
        for extension in &extensions {
            extension.ended().await;
        }
    };
    // Those who are late are killed next.
    let _ = tokio::time::timeout_at(deadline.into(), all_ended).await;
    for extension in &extensions {
        kill(extension).await;
    }
    logs.relay.close();
    platform.forget_processes();

    let names = platform.config.extensions.iter().map(|extension| extension.name());
    Shutdown {
        runtime: runtime.map(|runtime| process_end("runtime".to_owned(), &runtime)),
        extensions: names.zip(&extensions).map(|(name, extension)| process_end(name, extension)).collect(),
    }
}

async fn kill(process: &Process) {
    process.kill();
    // What outlives SIGKILL is reported without a status.
    let _ = tokio::time::timeout(KILL_WAIT, process.ended()).await;
    process.drain();
}

fn process_end(name: String, process: &Process) -> ProcessEnd {
    ProcessEnd { name, status: process.exit_status(), killed: process.was_killed() }
}
