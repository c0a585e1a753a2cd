//! One connection of an exchange, which is never waited for.

use std::io::{self, Write};
use std::net::{Shutdown, TcpStream};

use rustix::event::epoll::EventFlags;
use rustix::net::sockopt::set_socket_linger;

use crate::http::Reader;

/// Bytes that may be read and not taken before no more are read: a request behind the one under way, or the longest line of a chunked body.
/// A head or a trailer, which is taken as a whole, may be longer.
const UNREAD_BYTES_MAX: usize = 64 * 1024;

/// A connection, what came on it and was not taken, and what could not be sent yet.
#[derive(Debug)]
pub(super) struct Wire {
    pub(super) reader: Reader<TcpStream>,
    unsent: Vec<u8>,
    sent: usize,
    /// True if something may have come.
    is_ready: bool,
    /// True if nothing more will come.
    has_ended: bool,
    /// True once what is sent is thrown away: the other side does not take it.
    is_refused: bool,
    /// True if that is so because the other side has reset the connection: whoever learns it first, the end that is read then is none.
    is_reset: bool,
    closes_after_sending: bool,
    /// What the poller watches for, if it watches.
    pub(super) watched: Option<EventFlags>,
}

impl Wire {
    /// Of a connection that does not wait.
    pub(super) fn new(stream: TcpStream) -> Wire {
        Wire {
            reader: Reader::new(stream),
            unsent: Vec::new(),
            sent: 0,
            is_ready: false,
            has_ended: false,
            is_refused: false,
            is_reset: false,
            closes_after_sending: false,
            watched: None,
        }
    }

    pub(super) fn stream(&self) -> &TcpStream {
        self.reader.stream()
    }

    /// True if nothing more will come.
    pub(super) fn has_ended(&self) -> bool {
        self.has_ended
    }

    /// True if the other side does not take what is sent. It may still have something to say.
    pub(super) fn is_refused(&self) -> bool {
        self.is_refused
    }

    /// True if all is sent: only then is there a reason to take more.
    pub(super) fn is_clear(&self) -> bool {
        self.unsent.is_empty()
    }

    /// Sends `bytes`, now or as soon as it can be done.
    pub(super) fn send(&mut self, bytes: &[u8]) {
        if self.is_refused {
            return;
        }
        if !self.unsent.is_empty() {
            return self.unsent.extend_from_slice(bytes);
        }
        let written = self.write(bytes);
        self.unsent.extend_from_slice(&bytes[written..]);
    }

    /// Sends what waits, as far as it can be done.
    pub(super) fn flush(&mut self) {
        if !self.unsent.is_empty() && !self.is_refused {
            let unsent = std::mem::take(&mut self.unsent);
            self.sent += self.write(&unsent[self.sent..]);
            if self.sent < unsent.len() && !self.is_refused {
                self.unsent = unsent;
            } else {
                self.sent = 0;
            }
        }
        if self.is_refused {
            (self.unsent, self.sent) = (Vec::new(), 0);
        }
        if self.unsent.is_empty() && std::mem::take(&mut self.closes_after_sending) {
            // It may be closed already.
            let _ = self.stream().shutdown(Shutdown::Write);
        }
    }

    /// Writes until it would have to wait: how much was written.
    fn write(&mut self, bytes: &[u8]) -> usize {
        let mut written = 0;
        while written < bytes.len() {
            match self.stream().write(&bytes[written..]) {
                Ok(0) => break,
                Ok(some) => written += some,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => {
                    self.is_refused = true;
                    self.is_reset = error.kind() == io::ErrorKind::ConnectionReset;
                    return bytes.len();
                }
            }
        }
        written
    }

    /// Says that nothing more will be sent, after what waits.
    pub(super) fn finish(&mut self) {
        self.closes_after_sending = true;
        self.flush();
    }

    /// Notes that something may have come.
    pub(super) fn expect_input(&mut self) {
        self.is_ready = true;
    }

    /// True if more may be read although nobody takes what is there.
    pub(super) fn has_room(&self) -> bool {
        self.reader.unread().len() < UNREAD_BYTES_MAX
    }

    /// Reads once what is there; the poller tells of the rest, and others have their turn before. True if something came, or the end.
    ///
    /// # Errors
    ///
    /// If the connection is broken.
    pub(super) fn receive(&mut self) -> io::Result<bool> {
        if self.has_ended || !std::mem::take(&mut self.is_ready) {
            return Ok(false);
        }
        match self.reader.try_fill() {
            Ok(0) if self.is_reset => {
                self.has_ended = true;
                Err(io::ErrorKind::ConnectionReset.into())
            }
            Ok(read) => {
                self.has_ended = read == 0;
                Ok(true)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(error) => {
                self.has_ended = true;
                Err(error)
            }
        }
    }

    /// What to watch for, if what comes is wanted; `needs_more` if what came is not enough, however much it is.
    pub(super) fn wants(&self, wants_input: bool, needs_more: bool) -> EventFlags {
        let mut events = EventFlags::empty();
        if wants_input && (needs_more || self.has_room()) && !self.has_ended {
            events |= EventFlags::IN;
        }
        if !self.unsent.is_empty() {
            events |= EventFlags::OUT;
        }
        events
    }

    /// Lets the other side see that something broke, as it would have seen without us.
    pub(super) fn reset(&self) {
        // A connection that cannot be reset is closed.
        let _ = set_socket_linger(self.stream(), Some(std::time::Duration::ZERO));
    }
}
