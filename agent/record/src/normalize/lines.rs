//! Where in a stream of lines a failure begins and ends.
//!
//! A line is classified by its first bytes, never by a regular expression, and one state machine decides whether it
//! continues what is open. Most lines of a healthy log cost one look at their beginning and one search for the
//! traceback's header.

use memchr::memmem;

use crate::normalize::python;
use crate::text;

/// The longest block that is collected, in bytes; CloudWatch takes no longer event (1 MiB less 26 bytes). What comes
/// after it in the same block is left out.
pub const BLOCK_BYTES_MAX: usize = 1_048_576 - 26;

/// The longest line that is looked at, in bytes. Longer ones are cut before they are classified.
pub const LINE_BYTES_MAX: usize = 1_048_576 - 26;

/// How many lines the message of a Lambda record may have before its traceback.
const HEAD_LINES_MAX: u64 = 64;

/// A text that one failure printed, with its line ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// The lines.
    pub text: String,
    /// How many lines of the stream the block spans.
    pub lines: u64,
}

/// Finds the blocks of one source of lines. Sources must not be mixed: each has a detector of its own.
#[derive(Debug, Default)]
pub struct Detector {
    state: State,
    block: Block_,
}

#[derive(Debug, Default)]
struct Block_ {
    text: String,
    lines: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// Nothing is open.
    #[default]
    Idle,
    /// The header line of a Lambda record (`[ERROR] Type: message`) was read, and perhaps more lines of its message: the
    /// traceback must follow.
    Head,
    /// Frames of a Lambda record are being read: nothing follows them.
    LambdaFrames,
    /// Frames are being read.
    Frames,
    /// The exception's own line was read; only a chain's marker goes on from here.
    Said,
    /// A blank line after the exception: held back, since a marker may follow.
    Blank,
    /// A chain's marker was read, or the blank line after it.
    Marker,
}

impl Detector {
    /// Takes the next line, with or without its line end, and gives the blocks that it closed: at most the one that was
    /// open and, if the line is a failure by itself, that one.
    pub fn line(&mut self, line: &str) -> Vec<Block> {
        let line = text::prefix(line, LINE_BYTES_MAX);
        let mut closed = Vec::new();
        let next = self.continues(line);
        if next.is_none() {
            closed.extend(self.finish());
        }
        match next {
            Some(state) => self.take(line, state),
            None => match opens(line) {
                Some(Opening::Head) => self.take(line, State::Head),
                Some(Opening::Traceback) => self.take(line, State::Frames),
                Some(Opening::Whole) => closed.push(Block { text: line.to_owned(), lines: 1 }),
                None => {}
            },
        }
        closed
    }

    /// Closes what is open: the stream ended, or has been idle for long enough.
    pub fn finish(&mut self) -> Option<Block> {
        self.state = State::Idle;
        let block = std::mem::take(&mut self.block);
        (!block.text.is_empty()).then_some(Block { text: block.text, lines: block.lines })
    }

    /// True if a failure is open, so that its first line must not be acknowledged yet.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.state != State::Idle
    }

    /// The state after `line` if it belongs to the open block.
    fn continues(&self, line: &str) -> Option<State> {
        let line = line.trim_end_matches(['\n', '\r']);
        // awslambdaric turns each leading space into a no-break space.
        let indented = line.starts_with([' ', '\t', '\u{a0}']);
        match self.state {
            State::Idle => None,
            State::Head if line == python::HEADER => Some(State::LambdaFrames),
            // Whatever is a failure, or a record of Lambda's, by itself is no part of a message.
            State::Head
                if self.block.lines < HEAD_LINES_MAX
                    && !begins_lambda_record(line)
                    && opens(line).is_none() =>
            {
                Some(State::Head)
            }
            State::Head => None,
            State::LambdaFrames if indented => Some(State::LambdaFrames),
            // A logger's `[ERROR] text` above a traceback as the interpreter prints it: its exception comes last.
            State::LambdaFrames if python::is_exception(line) => Some(State::Said),
            State::LambdaFrames => None,
            State::Frames if indented => Some(State::Frames),
            // A traceback right after a traceback's header is another one.
            State::Frames if line == python::HEADER => None,
            State::Frames if line.is_empty() => Some(State::Blank),
            State::Frames => Some(State::Said),
            State::Said if line.is_empty() => Some(State::Blank),
            State::Said | State::Blank | State::Marker if python::is_chain_marker(line) => {
                Some(State::Marker)
            }
            // An indented line below the exception belongs to its message.
            State::Said if indented => Some(State::Said),
            State::Said | State::Blank => None,
            State::Marker if line.is_empty() => Some(State::Marker),
            State::Marker if line == python::HEADER => Some(State::Frames),
            State::Marker => None,
        }
    }

    fn take(&mut self, line: &str, state: State) {
        let room = BLOCK_BYTES_MAX.saturating_sub(self.block.text.len());
        self.block.text.push_str(text::prefix(line, room));
        // Records of the log descriptor come without a line end of their own.
        if !line.ends_with('\n') && room > line.len() {
            self.block.text.push('\n');
        }
        self.block.lines += 1;
        self.state = state;
    }
}

enum Opening {
    /// The traceback follows, after the message.
    Head,
    /// Frames follow on the next lines.
    Traceback,
    /// The line is a failure by itself.
    Whole,
}

/// Says whether `line` begins a failure.
fn opens(line: &str) -> Option<Opening> {
    let trimmed = line.trim();
    if trimmed.starts_with('{') {
        // A JSON line of a failure says so by a member's name; the parser has the last word.
        let tells = ["\"errorType\"", "\"errorMessage\""];
        return tells
            .iter()
            .any(|name| memmem::find(trimmed.as_bytes(), name.as_bytes()).is_some())
            .then_some(Opening::Whole);
    }
    if let Some(at) = memmem::find(trimmed.as_bytes(), python::HEADER.as_bytes()) {
        // awslambdaric's record is one line with \r inside; with line feeds its header line ends this line.
        let folded = trimmed.len() > at + python::HEADER.len();
        let begins = at == 0
            || trimmed[..at].ends_with('\r')
            || trimmed[..at].ends_with(' ')
            || trimmed[..at].ends_with('\t');
        return match (folded, begins) {
            (true, true) if trimmed.contains("[ERROR] ") => Some(Opening::Whole),
            (false, true) => Some(Opening::Traceback),
            _ => None,
        };
    }
    if trimmed.strip_prefix("[ERROR] ").is_some_and(python::is_exception) {
        return Some(Opening::Head);
    }
    crate::normalize::platform::line(trimmed).map(|_| Opening::Whole)
}

/// True for the lines that Lambda's clients and the platform put at the beginning of what they log.
fn begins_lambda_record(line: &str) -> bool {
    const BEGINNINGS: [&str; 8] = [
        "[ERROR]",
        "[WARNING]",
        "[INFO]",
        "[DEBUG]",
        "START RequestId: ",
        "END RequestId: ",
        "REPORT RequestId: ",
        "RequestId: ",
    ];
    BEGINNINGS.iter().any(|beginning| line.starts_with(beginning))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blocks(log: &str) -> Vec<String> {
        let mut detector = Detector::default();
        let mut blocks: Vec<Block> = log.split_inclusive('\n').flat_map(|line| detector.line(line)).collect();
        blocks.extend(detector.finish());
        blocks.into_iter().map(|block| block.text).collect()
    }

    const TRACE: &str = "Traceback (most recent call last):\n  File \"a.py\", line 1, in f\n    g()\n    ^^^\nValueError: no\n";

    #[test]
    fn a_traceback_between_log_lines_is_one_block() {
        let log = format!("2026-11-25 INFO start\n{TRACE}2026-11-25 INFO end\n{TRACE}");
        assert_eq!(blocks(&log), [TRACE, TRACE]);
    }

    #[test]
    fn a_chain_is_one_block() {
        let log = format!("{TRACE}\n{}\n\n{TRACE}next\n", python::DURING_HANDLING);
        let found = blocks(&log);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].matches("ValueError").count(), 2);
    }

    #[test]
    fn what_follows_the_exception_is_not_its_message() {
        assert_eq!(blocks(&format!("{TRACE}next request handled\n")), [TRACE]);
    }

    #[test]
    fn a_lambda_record_is_a_block_by_itself() {
        let line =
            "[ERROR] E: m\rTraceback (most recent call last):\r\u{a0}\u{a0}File \"a.py\", line 1, in f\n";
        assert_eq!(blocks(&format!("START RequestId: 1 Version: 2\n{line}END RequestId: 1\n")), [line]);
    }

    #[test]
    fn a_lambda_record_with_line_feeds_is_one_block() {
        // awslambdaric 4.2.2 writing to the log descriptor: a message of two lines, then the frames.
        let record = "[ERROR] E: one\ntwo\nTraceback (most recent call last):\n  File \"a.py\", line 1, in f\n    g()\n";
        assert_eq!(blocks(&format!("{record}END RequestId: 1\n")), [record]);
    }

    #[test]
    fn an_error_line_of_a_logger_swallows_no_failure() {
        let body = "{\"errorType\":\"E\",\"errorMessage\":\"m\",\"stackTrace\":[]}\n";
        assert_eq!(blocks(&format!("[ERROR] cannot reach db\n{body}INFO ok\n")), [body]);
        assert_eq!(blocks(&format!("[ERROR] Timeout: db\n{body}")).last().map(String::as_str), Some(body));
        assert_eq!(blocks(&format!("[ERROR] cannot reach db\nINFO retry\n{TRACE}")), [TRACE]);
        let logged = format!("[ERROR] Timeout: order 7\n{TRACE}");
        assert_eq!(blocks(&format!("{logged}INFO next\n")), [logged.as_str()]);
        let record = crate::normalize::block(&logged).unwrap();
        assert_eq!((record.error_type.as_deref(), record.error_message.as_str()), (Some("ValueError"), "no"));
    }

    #[test]
    fn a_healthy_log_holds_no_block() {
        assert!(blocks("START RequestId: 1\n{\"level\":\"INFO\"}\nthe Traceback word\n\n").is_empty());
    }

    #[test]
    fn a_block_is_bounded() {
        let mut detector = Detector::default();
        detector.line("Traceback (most recent call last):\n");
        let long = format!("  {}\n", "x".repeat(300_000));
        for _ in 0..10 {
            assert!(detector.line(&long).is_empty());
        }
        assert!(detector.finish().unwrap().text.len() <= BLOCK_BYTES_MAX);
    }
}
