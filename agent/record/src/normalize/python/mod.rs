//! Printed failures of Python.
//!
//! ```text
//! Traceback (most recent call last):                 as CPython prints it, the exception last
//!   File "/var/task/lambda_function.py", line 3, in handler
//!     raise Exception('I failed!')
//!     ^^^^^^^^^^^^^^^^^^^^^^^^^^^^                    a marker line, from 3.11
//! Exception: I failed!
//!
//! [ERROR] Exception: I failed!\rTraceback (most recent call last):\r<NBSP><NBSP>File "…", line 3, in handler\r…
//!                                                    as awslambdaric logs it: the exception first, lines joined by
//!                                                    \r or \n, each leading space a U+00A0 no-break space
//!
//! "  File \"/var/task/x.py\", line 3, in handler\n    raise Exception('I failed!')\n"
//!                                                    as awslambdaric posts it: one string a frame
//! ```
//!
//! - [`frames`]: the calls, which all forms share.
//! - [`printed`]: tracebacks as CPython prints them: chains, groups with their margins, files that cannot be compiled.
//! - [`lambda`]: what awslambdaric logs.
//! - [`fatal`]: what faulthandler says of a process that dies.

mod frames;
mod printed;
mod lambda;
mod fatal;

use crate::failure::{Frame, Record};
use crate::normalize::ansi::without_colours;
use crate::normalize::language::{Claim, Held, Language, Opening, Posted, State};
use crate::normalize::line::Line;
use crate::normalize::stack::Stack;

/// How Python prints failures.
pub(crate) static LANGUAGE: Language = Language {
    name: RUNTIME,
    begins: b"T+[FL",
    signs: &["(most recent call last):", "[ERROR]", lambda::WARNING, fatal::HEADER, "  File \""],
    opens,
    continues,
    read,
    posted,
};

/// The runtime's name in a record.
const RUNTIME: &str = "python";

/// The line that opens a traceback.
const HEADER: &str = "Traceback (most recent call last):";

/// The line that opens the traceback of an exception group.
const GROUP_HEADER: &str = "Exception Group Traceback (most recent call last):";

/// Frames are being read.
const FRAMES: State = State(0);
/// The exception's own line was read; a chain's marker may follow.
const SAID: State = State(1);
/// A chain's marker was read: a header follows.
const MARKER: State = State(2);
/// awslambdaric's record: its header line was read, and perhaps more lines of its message.
const HEAD: State = State(3);
/// Frames of awslambdaric's record are being read: no exception follows them.
const LAMBDA_FRAMES: State = State(4);
/// What follows awslambdaric's header line had frames and an exception: a message that holds a traceback, or a logger's
/// line above one.
const HEAD_SAID: State = State(5);
/// A group is being read, inside its margin.
const GROUP: State = State(6);
/// The header was read, and nothing below it.
const OPENED: State = State(7);
/// What faulthandler says is being read.
const FATAL: State = State(8);

fn opens(line: &Line<'_>, held: &Held<'_>) -> Option<Opening> {
    let text = line.text;
    if text == HEADER || line.raw.trim_start_matches(' ') == HEADER {
        // The line of a logger above names the request.
        let is_logged = held.back().next().is_some_and(|above| {
            Line::new(above).prefix.is_some_and(|prefix| prefix.level.is_some() && prefix.time.is_some())
        });
        return Some(match is_logged {
            true => Opening::Before { lines: 1, state: OPENED },
            false => Opening::Here(OPENED),
        });
    }
    if line.raw.trim_start_matches([' ', '+']) == GROUP_HEADER {
        return Some(Opening::Here(GROUP));
    }
    let is_record = line.prefix.is_some_and(|prefix| prefix.level == Some("ERROR") && prefix.time.is_none())
        || text.starts_with(lambda::WARNING);
    if is_record
        && (lambda::is_folded(text) || printed::is_exception(text) || text.starts_with(lambda::WARNING))
    {
        return Some(if lambda::is_folded(text) { Opening::Whole } else { Opening::Here(HEAD) });
    }
    if text.starts_with(fatal::HEADER) {
        return Some(Opening::Here(FATAL));
    }
    // A file that cannot be compiled has no header.
    let is_syntax = || frames::file_line(text).is_some_and(|entry| entry.function.is_none());
    (text.starts_with("  File \"") && is_syntax()).then_some(Opening::Here(FRAMES))
}

fn continues(state: State, line: &Line<'_>) -> Claim {
    let text = line.raw;
    match state {
        HEAD if text == HEADER => Claim::Own(LAMBDA_FRAMES),
        HEAD if lambda::is_folded(text) => Claim::Last,
        HEAD => Claim::Message(HEAD),
        LAMBDA_FRAMES if text == HEADER || frames::file_line(text).is_some() => Claim::Own(LAMBDA_FRAMES),
        LAMBDA_FRAMES if line.is_indented() => Claim::Likely(LAMBDA_FRAMES),
        LAMBDA_FRAMES if printed::is_exception(text) => Claim::Likely(HEAD_SAID),
        HEAD_SAID if text == HEADER => Claim::Message(LAMBDA_FRAMES),
        HEAD_SAID => said(HEAD_SAID, line),
        OPENED if line.is_indented() && !text.trim_start().starts_with("File ") => Claim::No,
        OPENED | FRAMES if frames::file_line(text).is_some() => Claim::Own(FRAMES),
        OPENED | FRAMES if line.is_indented() => Claim::Likely(FRAMES),
        FRAMES if printed::is_exception(&without_colours(text)) => Claim::Likely(SAID),
        SAID => said(SAID, line),
        MARKER if line.is_blank() => Claim::Likely(MARKER),
        MARKER if text == HEADER => Claim::Own(FRAMES),
        MARKER if text.trim_start_matches([' ', '+']) == GROUP_HEADER => Claim::Own(GROUP),
        GROUP if printed::closes_groups(text) => Claim::Own(SAID),
        GROUP if printed::is_margined(text) || printed::relation(text).is_some() => Claim::Own(GROUP),
        // A message's lines stand outside the margins.
        GROUP if text != HEADER => Claim::Message(GROUP),
        FATAL if fatal::is_part(text) => Claim::Own(FATAL),
        FATAL if line.is_blank() => Claim::Message(FATAL),
        _ => Claim::No,
    }
}

/// What a line is behind an exception's own line.
fn said(state: State, line: &Line<'_>) -> Claim {
    if printed::relation(line.raw).is_some() {
        Claim::Own(MARKER)
    } else if line.raw == HEADER {
        Claim::No
    } else if line.is_blank() {
        Claim::Message(state)
    } else if line.is_indented() {
        // An indented line below the exception belongs to its message.
        Claim::Trailing(state)
    } else {
        Claim::Tail(state)
    }
}

fn read(text: &str) -> Option<Record> {
    // Colours are the printer's if it coloured the frames; else they are the message's.
    let plain = if text.contains("  File \u{1b}[") { without_colours(text) } else { text.into() };
    let mut record =
        lambda::read(&plain).or_else(|| fatal::read(&plain)).or_else(|| printed::read(&plain))?;
    record.runtime = Some(RUNTIME.to_owned());
    Some(record)
}

/// Reads the strings that awslambdaric posts: a frame and its source line, or a repeat of the entry before.
fn posted(posted: &Posted<'_>) -> Option<Record> {
    frames::file_line(posted.stack.first()?.lines().next()?)?;
    let mut stack = Stack::default();
    for entry in posted.stack {
        if let Some(count) = frames::repeats(entry) {
            stack.repeat(1, count);
            continue;
        }
        let mut lines = entry.trim_end().split('\n');
        let Some(mut frame) = lines.next().and_then(frames::file_line) else { continue };
        frame.source = lines.next().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty());
        stack.push(frame, Frame::default());
    }
    let mut record = Record { runtime: Some(RUNTIME.to_owned()), ..Record::default() };
    stack.put_into(&mut record);
    Some(record)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_awslambdaric_logs_is_read() {
        // awslambdaric 4.2.2, text format, recorded from its stdout.
        let record = read("Exception: I failed!\rTraceback (most recent call last):\r\u{a0}\u{a0}File \"/var/task/app.py\", line 1, in f\r\u{a0}\u{a0}\u{a0}\u{a0}raise Exception('I failed!')\n").unwrap();
        assert_eq!(
            (record.error_type.as_deref(), record.error_message.as_str()),
            (Some("Exception"), "I failed!")
        );
        assert_eq!(record.stack_trace[0].source.as_deref(), Some("raise Exception('I failed!')"));
        assert_eq!(record.runtime.as_deref(), Some("python"));
    }

    #[test]
    fn the_printers_colours_go_and_those_of_a_message_stay() {
        // CPython 3.13.0 with FORCE_COLOR=1.
        let record = read("Traceback (most recent call last):\n  File \u{1b}[35m\"/a.py\"\u{1b}[0m, line \u{1b}[35m3\u{1b}[0m, in \u{1b}[35mf\u{1b}[0m\n    \u{1b}[31mg\u{1b}[0m\u{1b}[1;31m()\u{1b}[0m\n\u{1b}[1;35mValueError\u{1b}[0m: \u{1b}[35mno\u{1b}[0m\n").unwrap();
        assert_eq!((record.error_type.as_deref(), record.error_message.as_str()), (Some("ValueError"), "no"));
        assert_eq!(record.stack_trace[0].source.as_deref(), Some("g()"));
        let own = read("Traceback (most recent call last):\n  File \"/a.py\", line 3, in f\n    g()\nE: \u{1b}[31m red\n").unwrap();
        assert_eq!(own.error_message, "\u{1b}[31m red");
    }

    #[test]
    fn posted_strings_are_read_with_their_repeats() {
        let stack = ["  File \"a.py\", line 2, in f\n    f()\n", "  [Previous line repeated 3 more times]\n"];
        let record = posted(&Posted { stack: &stack, error_type: None, error_message: "" }).unwrap();
        assert_eq!(record.stack_trace.len(), 4);
        assert!(posted(&Posted { stack: &["Error: x"], error_type: None, error_message: "" }).is_none());
    }
}
