//! A stream with what was read from it too early.

use std::io::{self, Read};

use crate::error::{Error, Result};
use crate::http::HEAD_BYTES_MAX;

/// Bytes of the buffer that a read begins with. Small, since every connection that something comes on has one.
const BUFFER_BYTES: usize = 16 * 1024;

/// Bytes of the buffer of a connection on which much comes at once. More does not make a body of 6 MiB pass faster.
const BULK_BYTES: usize = 64 * 1024;

/// A stream, and the bytes of it that nobody took yet.
#[derive(Debug)]
pub(crate) struct Reader<S> {
    stream: S,
    buffer: Vec<u8>,
    /// What was read and not taken is `buffer[start..end]`.
    start: usize,
    end: usize,
    scan: Scan,
}

/// How far the search for the end of a head has come, from what is unread.
#[derive(Debug, Default)]
struct Scan {
    scanned: usize,
    line_start: usize,
}

impl<S> Reader<S> {
    pub(crate) fn new(stream: S) -> Reader<S> {
        Reader { stream, buffer: Vec::new(), start: 0, end: 0, scan: Scan::default() }
    }

    pub(crate) fn stream(&self) -> &S {
        &self.stream
    }

    /// What was read and nobody took.
    pub(crate) fn unread(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    /// Takes so many bytes of it.
    pub(crate) fn take(&mut self, length: usize) {
        self.start = (self.start + length).min(self.end);
        self.scan = Scan::default();
    }

    /// Gives the buffer back if nothing is in it: a connection that waits holds no memory.
    pub(crate) fn release(&mut self) {
        if self.start == self.end {
            (self.buffer, self.start, self.end) = (Vec::new(), 0, 0);
        }
    }

    /// Takes a head, from what was read, up to its empty line. `None` if that is not there yet.
    pub(crate) fn read_head(&mut self) -> Result<Option<Vec<u8>>> {
        let unread = &self.buffer[self.start..self.end];
        let Scan { scanned, mut line_start } = self.scan;
        for newline in memchr::memchr_iter(b'\n', &unread[scanned..]) {
            let newline = scanned + newline;
            let is_empty = matches!(&unread[line_start..newline], b"" | b"\r");
            // RFC 9112 2.2: an empty line before the head is skipped; httparse does so.
            if newline > HEAD_BYTES_MAX {
                break;
            }
            if is_empty && line_start > 2 {
                let head = unread[..=newline].to_vec();
                self.take(head.len());
                return Ok(Some(head));
            }
            line_start = newline + 1;
        }
        self.scan = Scan { scanned: unread.len(), line_start };
        if unread.len() > HEAD_BYTES_MAX {
            return Err(Error::TooLong { what: "a head", bytes_max: HEAD_BYTES_MAX });
        }
        Ok(None)
    }
}

impl<S: Read> Reader<S> {
    /// Reads a head to its empty line. `None` if the other side closed before the first byte.
    pub(crate) fn head(&mut self) -> Result<Option<Vec<u8>>> {
        self.release();
        loop {
            if let Some(head) = self.read_head()? {
                return Ok(Some(head));
            }
            if self.fill()? == 0 {
                return if self.unread().is_empty() {
                    Ok(None)
                } else {
                    Err(Error::Closed { what: "a head" })
                };
            }
        }
    }

    /// As [`Reader::try_fill`], on a stream that waits.
    pub(crate) fn fill(&mut self) -> Result<usize> {
        self.try_fill().map_err(Error::io("reading"))
    }

    /// Reads once, behind what is there. Zero at the end of the stream.
    pub(crate) fn try_fill(&mut self) -> io::Result<usize> {
        // A buffer that the last read filled is too small for what comes.
        let was_full = self.end == self.buffer.len();
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        if self.end == self.buffer.len() || (was_full && self.buffer.len() < BULK_BYTES) {
            let length = (2 * self.buffer.len()).max(BUFFER_BYTES);
            self.buffer.resize(length, 0);
        }
        loop {
            match self.stream.read(&mut self.buffer[self.end..]) {
                Ok(read) => {
                    self.end += read;
                    return Ok(read);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
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
        reader.fill().unwrap();
        assert_eq!(reader.unread(), b"b");
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
                let taken = reader.unread().len().min(left);
                reader.take(taken);
                left -= taken;
                if left > 0 {
                    reader.fill().unwrap();
                }
            }
            assert!(reader.buffer.capacity() <= 2 * BULK_BYTES);
        }
        assert!(reader.head().unwrap().is_none());
        assert!(reader.buffer.capacity() <= 2 * BUFFER_BYTES);
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
