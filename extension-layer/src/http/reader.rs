//! A stream with what was read from it too early.

use std::io::{self, Read};

use crate::error::{Error, Result};
use crate::http::HEAD_BYTES_MAX;

/// Bytes of the buffer that a connection begins with, and keeps while it is idle. Small, since every connection has one.
const IDLE_BYTES: usize = 16 * 1024;

/// Bytes of the buffer of a connection on which much comes at once. More does not make a body of 6 MiB pass faster.
const BULK_BYTES: usize = 128 * 1024;

/// A stream, and the bytes of it that nobody took yet.
#[derive(Debug)]
pub(crate) struct Reader<S> {
    stream: S,
    buffer: Vec<u8>,
    /// What was read and not taken is `buffer[start..end]`.
    start: usize,
    end: usize,
}

impl<S> Reader<S> {
    pub(crate) fn new(stream: S) -> Reader<S> {
        Reader { stream, buffer: Vec::new(), start: 0, end: 0 }
    }

    pub(crate) fn stream(&self) -> &S {
        &self.stream
    }

    /// True if bytes were read that nobody took.
    pub(crate) fn has_buffered(&self) -> bool {
        self.start < self.end
    }

    fn take(&mut self, length: usize) -> &[u8] {
        let taken = self.start..self.start + length;
        self.start = taken.end;
        &self.buffer[taken]
    }
}

impl<S: Read> Reader<S> {
    /// Reads a head to its empty line. `None` if the other side closed before the first byte.
    pub(crate) fn head(&mut self) -> Result<Option<Vec<u8>>> {
        if !self.has_buffered() {
            (self.start, self.end) = (0, 0);
            self.buffer.truncate(IDLE_BYTES);
            self.buffer.shrink_to_fit();
        }
        let mut scanned = 0;
        let mut line_start = 0;
        loop {
            let unread = &self.buffer[self.start..self.end];
            for newline in memchr::memchr_iter(b'\n', &unread[scanned..]) {
                let newline = scanned + newline;
                let is_empty = matches!(&unread[line_start..newline], b"" | b"\r");
                // RFC 9112 2.2: an empty line before the head is skipped; httparse does so.
                if is_empty && line_start > 2 {
                    return Ok(Some(self.take(newline + 1).to_vec()));
                }
                line_start = newline + 1;
            }
            scanned = unread.len();
            if scanned > HEAD_BYTES_MAX {
                return Err(Error::TooLong { what: "a head", bytes_max: HEAD_BYTES_MAX });
            }
            if self.fill()? == 0 {
                return if scanned == 0 { Ok(None) } else { Err(Error::Closed { what: "a head" }) };
            }
        }
    }

    /// Reads one line with its line end.
    pub(crate) fn line(&mut self, bytes_max: usize) -> Result<&[u8]> {
        let mut scanned = 0;
        loop {
            let unread = &self.buffer[self.start..self.end];
            if let Some(newline) = memchr::memchr(b'\n', &unread[scanned..]) {
                let length = scanned + newline + 1;
                return Ok(self.take(length));
            }
            scanned = unread.len();
            if scanned > bytes_max {
                return Err(Error::TooLong { what: "a line of a chunked body", bytes_max });
            }
            if self.fill()? == 0 {
                return Err(Error::Closed { what: "a chunked body" });
            }
        }
    }

    /// Takes some bytes, at most `bytes_max`, as soon as there are any. Empty at the end of the stream.
    pub(crate) fn piece(&mut self, bytes_max: u64) -> Result<&[u8]> {
        if !self.has_buffered() {
            self.fill()?;
        }
        let available = self.end - self.start;
        let length = usize::try_from(bytes_max).map_or(available, |bytes_max| available.min(bytes_max));
        Ok(self.take(length))
    }

    /// Reads once, behind what is there.
    fn fill(&mut self) -> Result<usize> {
        // A buffer that the last read filled is too small for what comes.
        let was_full = self.end == self.buffer.len();
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        if self.end == self.buffer.len() || (was_full && self.buffer.len() < BULK_BYTES) {
            let length = (2 * self.buffer.len()).max(IDLE_BYTES);
            self.buffer.resize(length, 0);
        }
        loop {
            match self.stream.read(&mut self.buffer[self.end..]) {
                Ok(read) => {
                    self.end += read;
                    return Ok(read);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Error::Io { what: "reading", source: error }),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives one byte at a time, as the slowest peer does.
    struct Drip<'a>(&'a [u8]);

    impl Read for Drip<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let Some((first, rest)) = self.0.split_first() else { return Ok(0) };
            self.0 = rest;
            into[0] = *first;
            Ok(1)
        }
    }

    #[test]
    fn a_head_that_comes_byte_by_byte_ends_at_its_empty_line() {
        let mut reader = Reader::new(Drip(b"GET / HTTP/1.1\r\nA: b\r\n\r\nbody"));
        assert_eq!(reader.head().unwrap().unwrap(), b"GET / HTTP/1.1\r\nA: b\r\n\r\n");
        assert_eq!(reader.piece(10).unwrap(), b"b");
    }

    #[test]
    fn the_head_after_a_long_body_is_read_from_a_small_buffer_again() {
        let message = [b"POST / HTTP/1.1\r\n\r\n".as_slice(), &vec![b'x'; 1024 * 1024]].concat();
        let wire = [message.as_slice(), message.as_slice()].concat();
        let mut reader = Reader::new(&wire[..]);
        for _ in 0..2 {
            assert_eq!(reader.head().unwrap().unwrap(), b"POST / HTTP/1.1\r\n\r\n");
            let mut left = 1024 * 1024;
            while left > 0 {
                left -= reader.piece(left).unwrap().len() as u64;
            }
        }
        assert!(reader.head().unwrap().is_none());
        assert!(reader.buffer.capacity() <= 2 * IDLE_BYTES);
    }

    #[test]
    fn a_close_between_messages_is_no_error_and_one_inside_is() {
        assert!(Reader::new(&b""[..]).head().unwrap().is_none());
        assert!(matches!(Reader::new(&b"GET / HT"[..]).head(), Err(Error::Closed { .. })));
    }

    #[test]
    fn a_head_without_end_is_refused_at_its_bound() {
        let endless = io::repeat(b'a');
        assert!(matches!(Reader::new(endless).head(), Err(Error::TooLong { .. })));
    }
}
