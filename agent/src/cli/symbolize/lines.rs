//! Lines of standard input in the batches in which they come: what is there is answered at once, and what was written
//! together is answered together, which is many times faster.

use std::io::{self, Read};

use rustix::event::{PollFd, PollFlags, poll};

/// The longest line that is read, in bytes: far more than an address and a path need. What is longer is cut there.
const LINE_BYTES_MAX: usize = 64 << 10;

/// Bytes of one batch at most: some two hundred thousand addresses.
const BATCH_BYTES_MAX: usize = 4 << 20;

/// Reads lines from standard input.
pub(super) struct Lines {
    bytes: Vec<u8>,
    is_ended: bool,
}

impl Lines {
    pub(super) fn new() -> Lines {
        Lines { bytes: Vec::new(), is_ended: false }
    }

    /// The lines that have come since, at least one of them; none at the end of the input.
    pub(super) fn next_batch(&mut self) -> io::Result<Vec<String>> {
        loop {
            let complete = memchr::memrchr(b'\n', &self.bytes).map(|newline| newline + 1);
            let is_waiting = !self.is_ended && self.bytes.len() < BATCH_BYTES_MAX;
            match complete {
                // Whoever writes faster than we read gets larger batches.
                Some(end) if !is_waiting || !has_more()? => return Ok(lines(self.take(end))),
                None if self.is_ended && self.bytes.is_empty() => return Ok(Vec::new()),
                None if !is_waiting || self.bytes.len() > LINE_BYTES_MAX => {
                    return Ok(lines(self.take(self.bytes.len())));
                }
                _ => self.read()?,
            }
        }
    }

    fn take(&mut self, end: usize) -> Vec<u8> {
        let rest = self.bytes.split_off(end);
        std::mem::replace(&mut self.bytes, rest)
    }

    fn read(&mut self) -> io::Result<()> {
        let before = self.bytes.len();
        self.bytes.resize(before + LINE_BYTES_MAX, 0);
        let read = io::stdin().lock().read(&mut self.bytes[before..]);
        self.bytes.truncate(before + *read.as_ref().unwrap_or(&0));
        match read {
            Ok(0) => self.is_ended = true,
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

/// Whether reading would not wait.
fn has_more() -> io::Result<bool> {
    let stdin = io::stdin();
    let mut waited_for = [PollFd::new(&stdin, PollFlags::IN)];
    match poll(&mut waited_for, Some(&rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 })) {
        Ok(ready) => Ok(ready > 0),
        Err(rustix::io::Errno::INTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn lines(bytes: Vec<u8>) -> Vec<String> {
    let text = String::from_utf8_lossy(&bytes);
    text.strip_suffix('\n').unwrap_or(&text).split('\n').map(str::to_owned).collect()
}
