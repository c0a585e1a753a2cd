//! What the APIs and the life cycle of one sandbox share.

use std::io;
use std::net::SocketAddr;
use std::process::ExitStatus;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use tokio::sync::watch;

use crate::config::Config;
use crate::logs::Logs;
use crate::process::{Launch, Process};
use crate::state::State;

/// One sandbox, as its request handlers and its life cycle see it.
pub(crate) struct Platform {
    pub(crate) config: Config,
    /// Where the APIs are served.
    pub(crate) address: SocketAddr,
    pub(crate) log_stream: String,
    pub(crate) logs: Arc<Logs>,
    state: Mutex<State>,
    changed: watch::Sender<()>,
    /// Processes that may be alive; nothing once the sandbox is closed.
    processes: Mutex<Option<Vec<Process>>>,
}

impl Platform {
    pub(crate) fn new(config: Config, address: SocketAddr, log_stream: String, logs: Logs) -> Self {
        Self {
            config,
            address,
            log_stream,
            logs: Arc::new(logs),
            state: Mutex::new(State::new()),
            changed: watch::Sender::new(()),
            processes: Mutex::new(Some(Vec::new())),
        }
    }

    /// Looks at the state.
    pub(crate) fn look<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes the state and lets everyone who waits look again.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let changed = change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.send_replace(());
        changed
    }

    /// Waits until `condition` gives something; it may take what it gives out of the state.
    pub(crate) async fn wait<T>(&self, mut condition: impl FnMut(&mut State) -> Option<T>) -> T {
        let mut changed = self.changed.subscribe();
        loop {
            let met = condition(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
            if let Some(met) = met {
                self.changed.send_replace(());
                return met;
            }
            // The sender lives as long as `self`.
            let _ = changed.changed().await;
        }
    }

    /// As [`Platform::wait`], until the deadline.
    pub(crate) async fn wait_until<T>(
        &self,
        deadline: Instant,
        condition: impl FnMut(&mut State) -> Option<T>,
    ) -> Option<T> {
        tokio::time::timeout_at(deadline.into(), self.wait(condition)).await.ok()
    }

    /// Starts a process of this sandbox, unless it is closed.
    pub(crate) fn start_process(
        self: &Arc<Self>,
        launch: Launch,
        on_line: impl Fn(&Logs, &str) + Send + Sync + 'static,
        on_exit: impl FnOnce(&mut State, ExitStatus) + Send + 'static,
    ) -> io::Result<Process> {
        let mut processes = self.processes.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(processes) = processes.as_mut() else {
            return Err(io::Error::other("the sandbox is shut down"));
        };
        let (logs, platform) = (self.logs.clone(), self.clone());
        let process = Process::start(launch, Arc::new(move |line| on_line(&logs, line)), move |status| {
            platform.change(|state| on_exit(state, status))
        })?;
        processes.push(process.clone());
        Ok(process)
    }

    /// Forgets the processes of an environment that is gone.
    pub(crate) fn forget_processes(&self) {
        if let Some(processes) = self.processes.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            processes.retain(|process| process.exit_status().is_none());
        }
    }

    /// Kills whatever is alive; nothing starts after that.
    pub(crate) fn close(&self) {
        let processes = self.processes.lock().unwrap_or_else(PoisonError::into_inner).take();
        processes.into_iter().flatten().for_each(|process| process.kill());
        self.logs.relay.close();
    }
}
