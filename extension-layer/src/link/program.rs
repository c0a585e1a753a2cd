//! How the worker is started: this program again, with its end of the link as standard input.

use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::config::Config;
use crate::link::{MEMORY_BYTES_VARIABLE, WORKER_ARGUMENT};

/// How long one write to the worker may take. It reads on a thread of its own, so this is long.
const WRITE_WAIT: Duration = Duration::from_secs(1);

/// A program, its arguments, and what is added to its environment.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    pub(crate) path: PathBuf,
    pub(crate) arguments: Vec<OsString>,
    pub(crate) environment: Vec<(&'static str, String)>,
}

impl Program {
    /// This program again, by the name that also works after its file was replaced.
    pub(crate) fn own(config: &Config) -> Program {
        let memory = config.memory_bytes.map(|bytes| (MEMORY_BYTES_VARIABLE, bytes.to_string()));
        Program {
            path: PathBuf::from("/proc/self/exe"),
            arguments: vec![WORKER_ARGUMENT.into()],
            environment: memory.into_iter().collect(),
        }
    }

    /// Starts it, and gives the supervisor's end of the link.
    pub(crate) fn start(&self) -> io::Result<(Child, UnixStream)> {
        let (ours, theirs) = UnixStream::pair()?;
        ours.set_write_timeout(Some(WRITE_WAIT))?;
        let child = Command::new(&self.path)
            .args(&self.arguments)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .spawn()?;
        Ok((child, ours))
    }
}
