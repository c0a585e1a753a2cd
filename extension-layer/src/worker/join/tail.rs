//! The last lines of each request: what it was about when it failed.

use std::collections::VecDeque;

use trace_record::text;

/// Bytes of a record's log tail.
const TAIL_BYTES_MAX: usize = 4 * 1024;

/// Lines that are remembered, of all requests together. Older ones are forgotten first.
const LINES_MAX: usize = 512;

/// Bytes of lines that are remembered.
const LINES_BYTES_MAX: usize = 256 * 1024;

/// A line, and whose it is.
#[derive(Debug)]
struct Line {
    number: u64,
    request_id: Option<String>,
    text: String,
}

/// The lines that are remembered.
#[derive(Debug, Default)]
pub(super) struct Tail {
    lines: VecDeque<Line>,
    bytes: usize,
    number: u64,
}

impl Tail {
    /// Remembers the lines of one event, and gives the number of the first.
    pub(super) fn push(&mut self, text: &str, request_id: Option<&str>) -> u64 {
        let first = self.number;
        for line in text.lines().map(str::trim_end).filter(|line| !line.is_empty()) {
            // Whatever is longer than a tail is the beginning of one.
            let text = text::prefix(line, TAIL_BYTES_MAX).to_owned();
            self.bytes += text.len();
            self.lines.push_back(Line {
                number: self.number,
                request_id: request_id.map(str::to_owned),
                text,
            });
            self.number += 1;
        }
        while self.lines.len() > LINES_MAX || self.bytes > LINES_BYTES_MAX {
            let oldest = self.lines.pop_front();
            self.bytes -= oldest.map_or(0, |line| line.text.len());
        }
        first
    }

    /// The last `lines_max` lines of a request, oldest first, of those before number `before`: what comes from there on is the failure's own
    /// text.
    pub(super) fn of(&self, request_id: Option<&str>, before: Option<u64>, lines_max: usize) -> Vec<String> {
        let before = before.unwrap_or(u64::MAX);
        let mut room = TAIL_BYTES_MAX;
        let own = self.lines.iter().rev();
        let own = own.filter(|line| line.number < before && line.request_id.as_deref() == request_id);
        let mut tail: Vec<String> = own
            .take(lines_max)
            .take_while(|line| {
                let fits = line.text.len() <= room;
                room = room.saturating_sub(line.text.len());
                fits
            })
            .map(|line| line.text.clone())
            .collect();
        tail.reverse();
        tail
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_of_the_same_request_come_in_their_order() {
        let mut tail = Tail::default();
        for number in 0..30 {
            tail.push(&format!("line {number}\n"), Some("1"));
            tail.push("other\n", Some("2"));
        }
        let own = tail.push("the failure\n\n  and its stack\n", Some("1"));
        let of = tail.of(Some("1"), Some(own), 20);
        assert_eq!((of.len(), &*of[0], &*of[19]), (20, "line 10", "line 29"));
        assert_eq!(tail.of(Some("1"), None, 2), ["the failure", "  and its stack"]);
        assert_eq!(tail.of(Some("1"), None, 0), [""; 0]);
        assert_eq!(tail.of(None, None, 20), [""; 0]);
    }

    #[test]
    fn it_is_bounded_in_bytes_and_lines() {
        let mut tail = Tail::default();
        for number in 0..2_000 {
            tail.push(&format!("{number:0>1000}\n"), Some("1"));
        }
        assert!(tail.bytes <= LINES_BYTES_MAX && tail.lines.len() <= LINES_MAX);
        let of = tail.of(Some("1"), None, 20);
        assert_eq!((of.len(), of[3].ends_with("1999")), (4, true));
        tail.push(&"ß".repeat(100_000), Some("1"));
        assert_eq!(tail.of(Some("1"), None, 20).len(), 1);
    }
}
