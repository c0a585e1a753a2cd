//! An input that comes in pieces, read with bounded memory.

use std::borrow::Cow;

use crate::normalize::input::log::Log;
use crate::normalize::input::{Explanation, Reading, explain, text};
use crate::normalize::lines::LINE_BYTES_MAX;

/// The longest input that is kept to be read as a whole, in bytes: the longest JSON that is parsed. A longer one is read line by line.
pub const WHOLE_INPUT_BYTES_MAX: usize = crate::normalize::json::parse::BYTES_MAX;

/// Reads an input whose bytes come in pieces of any size. How they are cut makes no difference.
#[derive(Debug, Default)]
pub struct Stream {
    /// All of a small input; of a large one, the line whose end has not come.
    held: Vec<u8>,
    /// Set once the input is known to be large.
    log: Option<Log>,
    /// How many failures were given.
    found: usize,
    /// How many bytes came.
    bytes: u64,
    explanation: Option<Explanation>,
}

impl Stream {
    /// Takes the next bytes, and gives the failures that are known to be complete.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<Reading> {
        self.bytes = self.bytes.saturating_add(bytes.len() as u64);
        let mut rest = bytes;
        if self.log.is_none() {
            let room = WHOLE_INPUT_BYTES_MAX - self.held.len();
            if bytes.len() <= room {
                self.held.extend_from_slice(bytes);
                return Vec::new();
            }
            self.held.extend_from_slice(&bytes[..room]);
            rest = &bytes[room..];
            let held = std::mem::take(&mut self.held);
            let held = held.strip_prefix("\u{feff}".as_bytes()).unwrap_or(&held);
            self.log = Some(Log::of_lines(held));
            self.lines(held);
        }
        self.lines(rest);
        self.taken()
    }

    /// Ends the input, and gives the failures that are left.
    pub fn finish(&mut self) -> Vec<Reading> {
        let held = std::mem::take(&mut self.held);
        let Some(log) = &mut self.log else {
            let input = String::from_utf8_lossy(&held);
            let readings = text(&input);
            if readings.is_empty() {
                self.explanation = Some(explain(&input));
            }
            self.found += readings.len();
            return readings;
        };
        if !held.is_empty() {
            log.line(&String::from_utf8_lossy(&held));
        }
        let readings = log.finish();
        self.found += readings.len();
        if self.found == 0 {
            self.explanation = Some(Explanation::of_log(log.count(), self.bytes));
        }
        readings
    }

    /// Why nothing was found, once the input has ended without a failure.
    #[must_use]
    pub fn explanation(&self) -> Option<&Explanation> {
        self.explanation.as_ref()
    }

    /// Cuts bytes into lines. Of a line that is too long, the end is let go.
    fn lines(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        if !self.held.is_empty() {
            let end = memchr::memchr(b'\n', rest).map_or(rest.len(), |at| at + 1);
            self.hold(&rest[..end]);
            rest = &rest[end..];
            if self.held.ends_with(b"\n") {
                let line = std::mem::take(&mut self.held);
                self.text(&line);
            }
        }
        // The lines that are whole go without a copy.
        let whole = memchr::memrchr(b'\n', rest).map_or(0, |at| at + 1);
        self.text(&rest[..whole]);
        self.hold(&rest[whole..]);
    }

    /// Keeps the next part of a line.
    fn hold(&mut self, part: &[u8]) {
        let (content, end) = part.strip_suffix(b"\n").map_or((part, false), |content| (content, true));
        let room = LINE_BYTES_MAX.saturating_sub(self.held.len());
        self.held.extend_from_slice(&content[..content.len().min(room)]);
        if end {
            self.held.push(b'\n');
        }
    }

    /// Takes whole lines.
    fn text(&mut self, lines: &[u8]) {
        let Some(log) = &mut self.log else { return };
        // Checking that all of it is text is faster than repairing it.
        let text = std::str::from_utf8(lines).map_or_else(|_| String::from_utf8_lossy(lines), Cow::Borrowed);
        let mut start = 0;
        for end in memchr::memchr_iter(b'\n', text.as_bytes()) {
            log.line(&text[start..=end]);
            start = end + 1;
        }
    }

    fn taken(&mut self) -> Vec<Reading> {
        let readings = self.log.as_mut().map(Log::take).unwrap_or_default();
        self.found += readings.len();
        readings
    }
}
