//! The life of environments: initialization, invocations one after the other, reset, shutdown.
//!
//! One task, [`run`], does all of it, so nothing happens twice or at once; jobs wait for it in a bounded queue. An
//! environment that failed is reset: its runtime is killed, its extensions get SHUTDOWN and two seconds, and the
//! next invocation begins with a new initialization, as in the cloud.
//!
//! One thing differs. The cloud runs an initialization that failed before the first invocation a second time
//! within it. Here the first invocation is answered with the failure of the first run, so that one failure
//! happens once; only an initialization that took too long is repeated, with the function's own timeout.

mod leave;
mod init;
mod invoke;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use crate::fault::Fault;
use crate::invocation::{Invocation, InvokeOutcome, Settled};
use crate::platform::Platform;
use crate::process::Process;
use crate::state::State;

pub(crate) use init::first_init;
use invoke::invoke;
pub use leave::{ProcessEnd, Shutdown};
use leave::{RuntimeEnd, terminate};

/// Time to wait for subscribers to take the last telemetry of an invocation. A subscriber that does not answer
/// must not take the time of its own SHUTDOWN.
const FLUSH_WAIT: Duration = Duration::from_millis(300);

/// Serves jobs until the one that ends it.
pub(crate) async fn run(
    platform: Arc<Platform>,
    mut environment: Environment,
    mut jobs: mpsc::Receiver<Job>,
) {
    while let Some(job) = jobs.recv().await {
        // Whoever asked may have stopped waiting; the work is done all the same.
        match job {
            Job::Invoke { invocation, answer } => {
                invoke(&platform, &mut environment, invocation, answer).await
            }
            Job::Settled(answer) => drop(answer.send(environment.settled.clone())),
            Job::Shutdown(answer) => {
                let shutdown = terminate(&platform, &mut environment, "spindown", RuntimeEnd::Ask).await;
                drop(answer.send(shutdown));
                return;
            }
        }
    }
}

/// What the owner or the Invoke API asks for.
pub(crate) enum Job {
    /// Run this. `None`: nobody waits for the answer.
    Invoke { invocation: Invocation, answer: Option<oneshot::Sender<InvokeOutcome>> },
    /// Say what became of the last invocation.
    Settled(oneshot::Sender<Option<Settled>>),
    /// Take the environment down and end.
    Shutdown(oneshot::Sender<Shutdown>),
}

/// One execution environment.
#[derive(Default)]
pub(crate) struct Environment {
    runtime: Option<Process>,
    extensions: Vec<Process>,
    /// It is initialized and nothing has reset it since.
    up: bool,
    /// Why its first initialization failed, until an invocation is answered with it.
    failed_init: Option<Fault>,
    /// Duration of the initialization, until a report has told it.
    init_duration: Option<Duration>,
    memory_peak_mb: u64,
    settled: Option<Settled>,
}

impl Environment {
    fn drain(&self) {
        self.runtime.iter().chain(&self.extensions).for_each(Process::drain);
    }

    fn sample_memory(&mut self) {
        let peak = self.runtime.as_ref().and_then(Process::memory_peak_mb);
        self.memory_peak_mb = self.memory_peak_mb.max(peak.unwrap_or(0));
    }
}

fn met_or_fault(state: &State, met: impl FnOnce(&State) -> bool) -> Option<Result<(), Fault>> {
    match state.fault() {
        Some(fault) => Some(Err(fault)),
        None => met(state).then_some(Ok(())),
    }
}
