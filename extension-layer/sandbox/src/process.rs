//! A child process, its process group, and its output.
//!
//! Each child leads a process group of its own: what it starts in turn ends with it, and a `^C` at the owner's
//! terminal does not reach it.

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::process::{Pid, kill_process_group};
use tokio::net::unix::pipe;
use tokio::process::Command;
use tokio::sync::watch;

pub(crate) use rustix::process::Signal;

use crate::environment::Variables;
use crate::lines::Lines;

/// Bytes that one read takes from a pipe; the default capacity of a Linux pipe.
const READ_BYTES: usize = 64 * 1024;
/// Bytes that [`Process::drain`] takes at most, so that it ends when a process prints faster than it reads:
/// what a pipe can hold at most without privileges (`fs.pipe-max-size`).
const DRAIN_BYTES_MAX: usize = 1024 * 1024;

/// What to start.
pub(crate) struct Launch {
    pub(crate) program: PathBuf,
    pub(crate) arguments: Vec<OsString>,
    /// Working directory; the caller's own when there is none.
    pub(crate) directory: Option<PathBuf>,
    pub(crate) environment: Variables,
}

/// A handle on a started process. The process ends when its group is killed, not when a handle is dropped.
#[derive(Clone)]
pub(crate) struct Process {
    pub(crate) pid: u32,
    exit: watch::Receiver<Option<ExitStatus>>,
    killed: Arc<AtomicBool>,
    outputs: Arc<[Output; 2]>,
}

impl Process {
    /// Starts it. `on_line` gets each line of stdout and stderr, `on_exit` the end of the process, once.
    pub(crate) fn start(
        launch: Launch,
        on_line: Arc<dyn Fn(&str) + Send + Sync>,
        on_exit: impl FnOnce(ExitStatus) + Send + 'static,
    ) -> io::Result<Self> {
        let mut command = Command::new(launch.program);
        command.args(launch.arguments).env_clear().envs(launch.environment);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.process_group(0).kill_on_drop(true);
        if let Some(directory) = launch.directory {
            command.current_dir(directory);
        }
        let mut child = command.spawn()?;
        let gone = || io::Error::other("a child that was just started has neither an id nor pipes");
        let pid = child.id().ok_or_else(gone)?;
        let stdout = child.stdout.take().ok_or_else(gone)?.into_owned_fd()?;
        let stderr = child.stderr.take().ok_or_else(gone)?.into_owned_fd()?;
        let outputs = Arc::new([Output::new(stdout, on_line.clone())?, Output::new(stderr, on_line)?]);
        for index in 0..outputs.len() {
            let outputs = outputs.clone();
            tokio::spawn(async move { outputs[index].follow().await });
        }

        let (exited, exit) = watch::channel(None);
        tokio::spawn(async move {
            // Waiting fails only if somebody else took the status; then no reason is known, which is also what
            // the default status says.
            let status = child.wait().await.unwrap_or_default();
            // What it started ends with it. While somebody of the group lives, nobody else gets its id; after
            // that it is free, but ids are given out in a circle, so not within this instant.
            signal_group(pid, Signal::KILL);
            on_exit(status);
            exited.send_replace(Some(status));
        });
        Ok(Self { pid, exit, killed: Arc::default(), outputs })
    }

    /// Its status, once it has ended.
    pub(crate) fn exit_status(&self) -> Option<ExitStatus> {
        *self.exit.borrow()
    }

    /// Whether [`Process::kill`] found it alive.
    pub(crate) fn was_killed(&self) -> bool {
        self.killed.load(Ordering::Relaxed)
    }

    /// Returns when it has ended. No output is lost by then: see [`Process::drain`].
    pub(crate) async fn ended(&self) {
        // The sender is dropped only after it has sent, or with the whole tokio runtime.
        let _ = self.exit.clone().wait_for(Option::is_some).await;
    }

    /// Asks the group to end.
    pub(crate) fn terminate(&self) {
        if self.exit_status().is_none() {
            signal_group(self.pid, Signal::TERM);
        }
    }

    /// Ends the group.
    pub(crate) fn kill(&self) {
        if self.exit_status().is_none() {
            self.killed.store(true, Ordering::Relaxed);
            signal_group(self.pid, Signal::KILL);
        }
    }

    /// Takes over everything that the process has written so far, so that what is logged next stands behind it.
    /// Of a process that has ended, also a last line without `\n`.
    pub(crate) fn drain(&self) {
        for output in self.outputs.iter() {
            output.drain(self.exit_status().is_some());
        }
    }

    /// Most memory that the process has held, in MB, if the kernel tells.
    pub(crate) fn memory_peak_mb(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid)).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        let kib: u64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
        Some(kib.div_ceil(1024))
    }
}

fn signal_group(pid: u32, signal: Signal) {
    let group = i32::try_from(pid).ok().and_then(Pid::from_raw);
    if let Some(group) = group {
        // The only failure that can happen to us is that nobody of the group is left.
        let _ = kill_process_group(group, signal);
    }
}

/// One pipe from a process, and the line that is being read from it.
struct Output {
    pipe: pipe::Receiver,
    lines: Mutex<Lines>,
    on_line: Arc<dyn Fn(&str) + Send + Sync>,
}

impl Output {
    fn new(pipe: std::os::fd::OwnedFd, on_line: Arc<dyn Fn(&str) + Send + Sync>) -> io::Result<Self> {
        Ok(Self { pipe: pipe::Receiver::from_owned_fd(pipe)?, lines: Mutex::default(), on_line })
    }

    /// Reads until the last holder of the other end has closed it.
    async fn follow(&self) {
        let mut buffer = vec![0; READ_BYTES];
        while self.pipe.readable().await.is_ok() {
            // The lock keeps the order between this reader and `drain`.
            let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
            match self.pipe.try_read(&mut buffer) {
                Ok(0) => return lines.finish(&*self.on_line),
                Ok(read) => lines.push(&buffer[..read], &*self.on_line),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => return lines.finish(&*self.on_line),
            }
        }
    }

    /// Reads the descriptor itself: the reactor may not know yet that it is readable, and what was written
    /// before a request arrived must be read before the request is acted on.
    fn drain(&self, ended: bool) {
        let mut buffer = vec![0; READ_BYTES];
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let mut taken = 0;
        while taken < DRAIN_BYTES_MAX {
            match rustix::io::read(&self.pipe, &mut buffer) {
                Ok(read @ 1..) => {
                    lines.push(&buffer[..read], &*self.on_line);
                    taken += read;
                }
                Err(rustix::io::Errno::INTR) => {}
                Ok(0) | Err(_) => break,
            }
        }
        if ended {
            lines.finish(&*self.on_line);
        }
    }
}
