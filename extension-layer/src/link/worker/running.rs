//! The worker's process while it runs.

use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::process::Child;
use std::sync::Arc;

use crate::say::spawn;

/// How many holds in a row may expire without an acknowledgement of anything: at 300 ms each, longer than a worker tries to ship.
pub(super) const EXPIRIES_MAX: u32 = 8;

/// The worker that runs, if one does, and how many signs of life it gave.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Signs(Option<(u32, u64)>);

impl Signs {
    pub(super) fn of(running: Option<&Running>) -> Signs {
        Signs(running.map(|running| (running.generation, running.signs)))
    }
}

/// The process, and what tells whether it does anything.
pub(super) struct Running {
    child: Child,
    pub(super) stream: Arc<UnixStream>,
    /// Its number among all workers.
    pub(super) generation: u32,
    /// Signs of life that came, and how many of them were there when a hold expired last.
    signs: u64,
    signs_at_expiry: Option<u64>,
    /// Holds that expired since something was acknowledged.
    expiries: u32,
}

impl Running {
    pub(super) fn new(child: Child, stream: Arc<UnixStream>, generation: u32) -> Running {
        Running { child, stream, generation, signs: 0, signs_at_expiry: None, expiries: 0 }
    }

    /// It acknowledged, `is_progress` if something that was not acknowledged before.
    pub(super) fn gave_sign(&mut self, is_progress: bool) {
        self.signs += 1;
        if is_progress {
            self.expiries = 0;
        }
    }

    /// A hold expired. True if the worker seems to do nothing.
    pub(super) fn expired(&mut self) -> bool {
        self.expiries += 1;
        self.signs_at_expiry.replace(self.signs) == Some(self.signs) || self.expiries >= EXPIRIES_MAX
    }

    /// Ends it at once.
    pub(super) fn end(mut self) {
        // It may be dead already; then this only collects it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Lets it end in its own time: it has nothing left to do.
    pub(super) fn dismiss(mut self) {
        let _ = self.stream.shutdown(Shutdown::Both);
        // Without a thread it stays a zombie, which costs an entry in a table.
        let _ = spawn("dismissed", move || {
            let _ = self.child.wait();
        });
    }
}
