//! One end of a connection, played by a test, with all that it saw.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use super::wire::{Kind, whole};

/// How long an end waits for the other one. Nothing here takes a tenth of it.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);

/// How long a connection is tried: the system asks again after one second and after three.
const CONNECT: Duration = Duration::from_secs(5);

/// How a connection ended, as far as one side saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// This side did not look, or closed first.
    Open,
    Closed,
    Reset,
    /// It waited for more than [`PATIENCE`].
    Hung,
}

/// What one side saw.
#[derive(Clone, Debug)]
pub(super) struct View {
    pub(super) got: Vec<u8>,
    pub(super) end: End,
}

/// One end of a connection.
pub(super) struct Peer {
    /// None if it was closed.
    stream: Option<TcpStream>,
    view: View,
    /// Bytes that a message was made of.
    taken: usize,
    buffer: Vec<u8>,
}

/// A connection that was reset.
fn reset_stream() -> std::io::Result<TcpStream> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let stream = TcpStream::connect(listener.local_addr()?)?;
    let (accepted, _) = listener.accept()?;
    rustix::net::sockopt::set_socket_linger(&accepted, Some(Duration::ZERO))?;
    drop(accepted);
    Ok(stream)
}

impl Peer {
    pub(super) fn connect(address: SocketAddr) -> std::io::Result<Self> {
        match TcpStream::connect_timeout(&address, CONNECT) {
            // It was accepted, and reset before this was waited for.
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => reset_stream(),
            other => other,
        }
        .and_then(Self::new)
    }

    pub(super) fn new(stream: TcpStream) -> std::io::Result<Self> {
        stream.set_nonblocking(false)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let view = View { got: Vec::new(), end: End::Open };
        Ok(Self { stream: Some(stream), view, taken: 0, buffer: vec![0; 4096] })
    }

    pub(super) fn stream(&self) -> &TcpStream {
        self.stream.as_ref().expect("a script uses no connection that it closed")
    }

    pub(super) fn got(&self) -> &[u8] {
        &self.view.got
    }

    pub(super) fn view(&self) -> View {
        self.view.clone()
    }

    /// Sends as much as the other side takes. What it does not take is seen in its view.
    pub(super) fn send(&self, bytes: impl AsRef<[u8]>) -> bool {
        self.stream().write_all(bytes.as_ref()).is_ok()
    }

    /// Sends each byte for itself.
    pub(super) fn drip(&self, bytes: &[u8]) {
        for byte in bytes {
            if !self.send([*byte]) {
                return;
            }
            thread::sleep(Duration::from_micros(100));
        }
    }

    /// Reads once. False at the end of the connection, and if nothing comes.
    pub(super) fn more(&mut self) -> bool {
        self.some(usize::MAX)
    }

    /// Reads once, at most so many bytes.
    fn some(&mut self, most: usize) -> bool {
        if self.view.end != End::Open {
            return false;
        }
        let mut stream = self.stream.as_ref().expect("a script uses no connection that it closed");
        let length = self.buffer.len().min(most);
        match stream.read(&mut self.buffer[..length]) {
            Ok(0) => self.view.end = End::Closed,
            Ok(read) => {
                self.view.got.extend_from_slice(&self.buffer[..read]);
                // Bodies are long; what is cut short is not.
                if read == self.buffer.len() && read < 256 * 1024 {
                    self.buffer.resize(4 * read, 0);
                }
            }
            Err(error)
                if matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) =>
            {
                self.view.end = End::Hung;
            }
            Err(_) => self.view.end = End::Reset,
        }
        self.view.end == End::Open
    }

    /// Reads the next message. None if the connection ends before it does.
    pub(super) fn message(&mut self, kind: Kind<'_>) -> Option<Vec<u8>> {
        loop {
            let unread = &self.view.got[self.taken..];
            if let Some(length) = whole(unread, kind) {
                let message = unread[..length].to_vec();
                self.taken += length;
                return Some(message);
            }
            if !self.more() {
                return None;
            }
        }
    }

    pub(super) fn request(&mut self) -> Option<Vec<u8>> {
        self.message(Kind::Request)
    }

    /// Reads answers until one that is not 1xx.
    pub(super) fn answer(&mut self, method: &str) -> Option<Vec<u8>> {
        loop {
            let answer = self.message(Kind::Answer(method))?;
            if !answer.starts_with(b"HTTP/1.1 1") {
                return Some(answer);
            }
        }
    }

    /// Reads until `mark` was read, and takes all that there is. False if the connection ends before.
    pub(super) fn until(&mut self, mark: impl AsRef<[u8]>) -> bool {
        let mark = mark.as_ref();
        let mut from = self.taken;
        loop {
            if memchr::memmem::find(&self.view.got[from..], mark).is_some() {
                self.taken = self.view.got.len();
                return true;
            }
            from = from.max(self.view.got.len().saturating_sub(mark.len()));
            if !self.more() {
                return false;
            }
        }
    }

    /// Reads until there are `length` bytes in all, and leaves unread what comes after them. False if the connection ends before.
    pub(super) fn exactly(&mut self, length: usize) -> bool {
        while self.view.got.len() < length {
            if !self.some(length - self.view.got.len()) {
                return false;
            }
        }
        true
    }

    pub(super) fn drain(&mut self) {
        while self.more() {}
    }

    /// Reads what comes within `time` of the last byte. The connection may stay open.
    pub(super) fn listen(&mut self, time: Duration) {
        // A socket of ours takes any time but zero.
        let _ = self.stream().set_read_timeout(Some(time));
        while self.more() {}
        if self.view.end == End::Hung {
            self.view.end = End::Open;
        }
        let _ = self.stream().set_read_timeout(Some(PATIENCE));
    }

    /// Sends no more, and goes on reading.
    pub(super) fn half_close(&self) {
        // It fails if the other side has reset the connection, which is seen in the view.
        let _ = self.stream().shutdown(Shutdown::Write);
    }

    pub(super) fn is_closed(&self) -> bool {
        self.stream.is_none()
    }

    pub(super) fn close(&mut self) {
        self.stream = None;
    }

    /// Closes with a reset.
    pub(super) fn reset(&mut self) {
        if let Some(stream) = self.stream.take() {
            // It fails on no connection of ours.
            let _ = rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO));
        }
    }
}
