//! The last lines of a stream, kept for failures that show only in their middle.
//!
//! A Java or Node error is told from ordinary lines by its first frame; its type and message stand before that. So the last lines
//! that belong to nothing are kept, and only so many.

use std::collections::VecDeque;

use crate::normalize::language::Held;
use crate::text;

/// The most lines that are kept. A message seldom has more; of a longer one the beginning is lost.
pub(crate) const HELD_LINES_MAX: usize = 64;

/// The most bytes that are kept. Lines above it are let go, the oldest first.
const HELD_BYTES_MAX: usize = 256 * 1024;

/// The last lines, each with its place.
#[derive(Debug)]
pub(crate) struct Lookback<P> {
    /// All lines, each with a line end, and before them `gone` bytes of lines that were let go.
    text: String,
    gone: usize,
    /// The length and the place of each line.
    lines: VecDeque<(usize, P)>,
}

impl<P> Default for Lookback<P> {
    fn default() -> Self {
        Self { text: String::new(), gone: 0, lines: VecDeque::new() }
    }
}

impl<P> Lookback<P> {
    /// Keeps a line, without its line end.
    pub(crate) fn push(&mut self, line: &str, at: P) {
        let line = text::prefix(line, HELD_BYTES_MAX - 1);
        self.text.push_str(line);
        self.text.push('\n');
        self.lines.push_back((line.len() + 1, at));
        while self.lines.len() > HELD_LINES_MAX || self.text.len() - self.gone > HELD_BYTES_MAX {
            let Some((length, _)) = self.lines.pop_front() else { break };
            self.gone += length;
        }
        // Moved seldom, so that each byte is moved once on average.
        if self.gone > 4_096 && self.gone >= self.text.len() / 2 {
            self.text.drain(..self.gone);
            self.gone = 0;
        }
    }

    /// The lines that are kept.
    pub(crate) fn held(&self) -> Held<'_> {
        Held { text: &self.text[self.gone..] }
    }

    /// Where the oldest line stood.
    pub(crate) fn first(&self) -> Option<&P> {
        self.lines.front().map(|(_, at)| at)
    }

    /// Takes the last `count` lines out, with the place of the first of them. The others are let go.
    pub(crate) fn take(&mut self, count: usize) -> (String, Option<P>) {
        let count = count.min(self.lines.len());
        let mut taken = self.lines.split_off(self.lines.len() - count);
        let length: usize = taken.iter().map(|(length, _)| length).sum();
        let text = self.text.split_off(self.text.len() - length);
        self.clear();
        (text, taken.pop_front().map(|(_, at)| at))
    }

    /// Lets everything go.
    pub(crate) fn clear(&mut self) {
        self.text.clear();
        self.gone = 0;
        self.lines.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_kept_and_no_more() {
        let mut lookback = Lookback::default();
        for number in 0..1_000 {
            lookback.push(&format!("line {number}"), number);
        }
        assert_eq!(lookback.held().back().count(), HELD_LINES_MAX);
        assert_eq!(lookback.first(), Some(&(1_000 - HELD_LINES_MAX)));
        assert_eq!(lookback.take(2), ("line 998\nline 999\n".to_owned(), Some(998)));
        assert_eq!(lookback.held().back().count(), 0);
        for number in 0..10 {
            lookback.push(&"x".repeat(100 * 1024), number);
        }
        assert_eq!(lookback.first(), Some(&8));
        lookback.push(&"é".repeat(HELD_BYTES_MAX), 10);
        assert_eq!(lookback.first(), Some(&10));
    }
}
