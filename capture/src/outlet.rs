//! Where a report leaves the process: a datagram, else a file, else a count.
//!
//! Everything is opened at [`Outlet::open`]; a failing handler makes one system call if the agent listens. No call
//! waits for another process.

use std::env;
use std::fs::{File, OpenOptions};
use std::io::{IoSlice, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::wire::SOCKET_PATH;

/// Names the agent's socket, instead of [`SOCKET_PATH`].
const SOCKET_VARIABLE: &str = "TRACE_AGENT_SOCKET";

/// Names the file for what the agent does not take. Without it there is none.
const FILE_VARIABLE: &str = "TRACE_AGENT_CAPTURE_FILE";

/// Bytes at which the file is full: about a thousand panics, and little of the 512 MiB that Lambda's /tmp has at least.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// The ways out, opened beforehand.
pub(crate) struct Outlet {
    agent: Option<(UnixDatagram, SocketAddr)>,
    file: Option<File>,
    lost: AtomicU32,
}

impl Outlet {
    /// Opens the ways out that the environment names. One that does not open is one less; a report that finds none is
    /// counted.
    pub(crate) fn open() -> Outlet {
        let path = env::var_os(SOCKET_VARIABLE).filter(|path| !path.is_empty());
        let path = path.unwrap_or_else(|| SOCKET_PATH.into());
        let file = env::var_os(FILE_VARIABLE).filter(|path| !path.is_empty());
        Outlet {
            agent: open_socket(Path::new(&path)),
            file: file.and_then(|path| open_file(Path::new(&path))),
            lost: AtomicU32::new(0),
        }
    }

    /// Sends the report that `encode` makes of the number of lost ones before it.
    pub(crate) fn send<'b>(&self, encode: impl FnOnce(u32) -> &'b [u8]) {
        // Taken, not read: of two threads that panic at once only one reports them.
        let lost = self.lost.swap(0, Ordering::Relaxed);
        let datagram = encode(lost);
        if !self.send_to_agent(datagram) && !self.append_to_file(datagram) {
            // Wraps after four billion panics without a listener.
            self.lost.fetch_add(lost.wrapping_add(1), Ordering::Relaxed);
        }
    }

    fn send_to_agent(&self, datagram: &[u8]) -> bool {
        // One `sendto` with MSG_NOSIGNAL, as std does it; the socket does not block. It fails when nobody is there
        // (ENOENT, ECONNREFUSED) and when the agent's queue is full (EAGAIN), and a datagram is never sent in part.
        self.agent.as_ref().is_some_and(|(socket, agent)| socket.send_to_addr(datagram, agent).is_ok())
    }

    fn append_to_file(&self, datagram: &[u8]) -> bool {
        let Some(mut file) = self.file.as_ref() else { return false };
        let Ok(length) = u32::try_from(datagram.len()) else { return false };
        let record_bytes = size_of::<u32>() as u64 + u64::from(length);
        // Asked each time: other processes append to the same file, and the agent empties it.
        let has_room = file.metadata().is_ok_and(|file| file.len() + record_bytes <= FILE_BYTES_MAX);
        if !has_room {
            return false;
        }
        let prefix = length.to_le_bytes();
        let record = [IoSlice::new(&prefix), IoSlice::new(datagram)];
        // One write, so that records of two processes do not mix. A disk that fills up in the middle leaves half a
        // record.
        file.write_vectored(&record).is_ok_and(|written| written as u64 == record_bytes)
    }
}

/// A socket that can send to the agent, and its address. It is not connected: the agent may start later or again.
fn open_socket(path: &Path) -> Option<(UnixDatagram, SocketAddr)> {
    let agent = SocketAddr::from_pathname(path).ok()?;
    let socket = UnixDatagram::unbound().ok()?;
    socket.set_nonblocking(true).ok()?;
    Some((socket, agent))
}

fn open_file(path: &Path) -> Option<File> {
    OpenOptions::new()
        .append(true)
        .create(true)
        // Messages may quote what a customer sent.
        .mode(0o600)
        // A path that turns out to be a pipe must not wait for its reader.
        .custom_flags(libc::O_NONBLOCK)
        .open(path)
        .ok()
}
