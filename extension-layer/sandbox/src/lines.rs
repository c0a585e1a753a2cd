//! The bytes of a process's output as lines.
//!
//! A line ends at `\n` and nowhere else: Python's runtime joins a traceback with `\r`, and it is one line. A
//! line longer than [`LINE_BYTES_MAX`] comes in pieces of that size, so that nothing is lost and nothing makes
//! the reader stop, whatever a process prints.

/// Longest line that stays one log event, in bytes. The cloud splits records at about this size.
pub(crate) const LINE_BYTES_MAX: usize = 256 * 1024;

/// Takes bytes as they come and gives lines; holds at most one unfinished line.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    unfinished: Vec<u8>,
}

impl Lines {
    /// Gives every line that these bytes complete, without its `\n`.
    pub(crate) fn push(&mut self, mut bytes: &[u8], mut line: impl FnMut(&str)) {
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            self.extend(&bytes[..end], &mut line);
            line(&String::from_utf8_lossy(&self.unfinished));
            self.unfinished.clear();
            bytes = &bytes[end + 1..];
        }
        self.extend(bytes, &mut line);
    }

    /// Gives what stands after the last `\n`: nothing more will come.
    pub(crate) fn finish(&mut self, mut line: impl FnMut(&str)) {
        if !self.unfinished.is_empty() {
            line(&String::from_utf8_lossy(&self.unfinished));
            self.unfinished.clear();
        }
    }

    fn extend(&mut self, mut bytes: &[u8], line: &mut impl FnMut(&str)) {
        while self.unfinished.len() + bytes.len() > LINE_BYTES_MAX {
            let room = LINE_BYTES_MAX - self.unfinished.len();
            self.unfinished.extend_from_slice(&bytes[..room]);
            bytes = &bytes[room..];
            let end = character_boundary(&self.unfinished);
            line(&String::from_utf8_lossy(&self.unfinished[..end]));
            self.unfinished.drain(..end);
        }
        self.unfinished.extend_from_slice(bytes);
    }
}

/// The last place at which these bytes can be cut without cutting a UTF-8 character.
fn character_boundary(bytes: &[u8]) -> usize {
    let continuation = bytes.iter().rev().take(3).take_while(|byte| **byte & 0xc0 == 0x80).count();
    let start = bytes.len() - continuation - 1;
    let needed = match bytes[start] {
        0xc0..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf7 => 4,
        _ => continuation + 1,
    };
    if continuation + 1 < needed { start } else { bytes.len() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(chunks: &[&[u8]]) -> Vec<String> {
        let (mut lines, mut seen) = (Lines::default(), Vec::new());
        for chunk in chunks {
            lines.push(chunk, |line| seen.push(line.to_owned()));
        }
        lines.finish(|line| seen.push(line.to_owned()));
        seen
    }

    #[test]
    fn only_a_newline_ends_a_line_and_an_empty_line_counts() {
        assert_eq!(lines(&[b"a\rb", b"c\n\nlast"]), ["a\rbc", "", "last"]);
        assert_eq!(lines(&[b"a\r\n"]), ["a\r"]);
        assert_eq!(lines(&[]), [""; 0]);
    }

    #[test]
    fn a_line_over_the_bound_comes_in_pieces_and_the_next_line_is_whole() {
        let mut long = "é".repeat(LINE_BYTES_MAX).into_bytes();
        long.insert(0, b'x');
        long.extend_from_slice(b"\nnext\n");
        let seen = lines(&[&long]);
        let (next, pieces) = seen.split_last().unwrap();
        assert_eq!(next, "next");
        assert!(pieces.iter().all(|piece| piece.len() <= LINE_BYTES_MAX));
        assert_eq!(pieces.concat(), format!("x{}", "é".repeat(LINE_BYTES_MAX)));
    }

    #[test]
    fn bytes_that_are_no_utf_8_neither_stop_nor_panic() {
        assert_eq!(lines(&[&[0xff, b'\n'], &vec![0x80; LINE_BYTES_MAX + 1]]).len(), 3);
    }
}
