//! A panic: its header, its message and its frames.

use super::{BACKTRACE, backtrace};
use crate::failure::{Frame, Kind, Record, StackEntry};

/// True for the line that a panic begins with.
pub(super) fn is_header(line: &str) -> bool {
    line.starts_with("panicked at ")
        || (line.starts_with("thread '") || line.starts_with("thread <")) && where_to(line).is_some()
}

/// What stands behind `panicked at ` in a header.
fn where_to(line: &str) -> Option<&str> {
    line.strip_prefix("panicked at ").or_else(|| {
        // A thread's name may hold anything but is printed first.
        line.find(" panicked at ").map(|at| &line[at + " panicked at ".len()..])
    })
}

/// The rest of a header of the older form, from the opening quote on.
pub(super) fn quoted(header: &str) -> Option<&str> {
    where_to(header)?.strip_prefix('\'')
}

/// True for the last line of a message in the older form: it ends with `', src/main.rs:5:9`.
pub(super) fn ends_quoted(line: &str) -> bool {
    end_of_quote(line).is_some()
}

/// A message's last line up to its quote, and the location behind. The last quote counts: a message may hold others.
fn end_of_quote(line: &str) -> Option<(&str, &str)> {
    let (message, at) = line.rsplit_once("', ")?;
    backtrace::location(at)?.2.map(|_| (message, at))
}

/// True for the last words of a process whose allocator gave it nothing.
pub(super) fn is_failed_allocation(line: &str) -> bool {
    line.strip_prefix("memory allocation of ").is_some_and(|rest| {
        rest.trim_end_matches(", aborting")
            .strip_suffix(" bytes failed")
            .is_some_and(|bytes| bytes.parse::<u64>().is_ok())
    })
}

/// Reads a panic whose header is the first line.
pub(super) fn read(lines: &[&str]) -> Option<Record> {
    let header = lines.first()?;
    let frames = frames_at(lines);
    let is_note = |line: &&str| line.starts_with("note: run with `RUST_BACKTRACE");
    let end = frames.unwrap_or_else(|| lines.iter().position(is_note).unwrap_or(lines.len()));
    let (message, at) = match quoted(header) {
        Some(quoted) => quoted_message(quoted, &lines[1..end])?,
        None => {
            let at = where_to(header)?.strip_suffix(':')?;
            (lines[1..end].join("\n"), at)
        }
    };
    let (file, line, column) = backtrace::location(at)?;
    let first = frames.map_or(lines.len(), |at| if lines[at] == BACKTRACE { at + 1 } else { at });
    let mut stack = backtrace::read(lines[first..].iter().copied()).reversed();
    let is_there = |entry: &StackEntry| entry.line == Some(line) && is_same_file(entry.file.as_deref(), file);
    if !stack.calls().iter().any(|(entry, _)| is_there(entry)) {
        let entry = StackEntry { file: Some(file.to_owned()), line: Some(line), ..StackEntry::default() };
        stack.push(entry, Frame { column, ..Frame::default() });
    }
    let mut record = Record {
        error_message: message,
        error_type: Some("panic".to_owned()),
        kind: Some(Kind::Panic),
        ..Record::default()
    };
    stack.put_into(&mut record);
    Some(record)
}

/// Where the frames begin: at their marker or, where a hook prints them bare, at frame 0. The last one counts, since a message
/// may hold others.
fn frames_at(lines: &[&str]) -> Option<usize> {
    let is_first = |index: usize| lines.get(index).is_some_and(|line| backtrace::is_first(line));
    let first = (1..lines.len()).rev().find(|index| is_first(*index))?;
    Some(if lines[first - 1] == BACKTRACE { first - 1 } else { first })
}

/// The message and the location of the older form, which may go on for some lines.
fn quoted_message<'a>(first: &'a str, more: &[&'a str]) -> Option<(String, &'a str)> {
    let lines: Vec<&str> = std::iter::once(first).chain(more.iter().copied()).collect();
    let (last, (message, at)) =
        lines.iter().enumerate().rev().find_map(|(index, line)| Some((index, end_of_quote(line)?)))?;
    let mut said = lines[..last].join("\n");
    if last > 0 {
        said.push('\n');
    }
    Some((said + message, at))
}

/// True if a frame's file is the one that the header names relative to the package.
fn is_same_file(frame: Option<&str>, header: &str) -> bool {
    frame.is_some_and(|frame| {
        frame.strip_suffix(header).is_some_and(|folder| folder.is_empty() || folder.ends_with('/'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn panic(text: &str) -> Record {
        read(&text.lines().collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn a_location_in_no_frame_is_the_innermost_one() {
        // rustc 1.95.0, release without debug information.
        let record = panic(concat!(
            "thread 'main' (22942) panicked at src/orders/mod.rs:37:13:\nlength 3 over limit 2\nstack backtrace:\n",
            "   0: __rustc::rust_begin_unwind\n   1: core::panicking::panic_fmt\n   2: shop::orders::validate\n   3: shop::main\n",
            "note: Some details are omitted, run with `RUST_BACKTRACE=full` for a verbose backtrace.\n",
        ));
        assert_eq!(record.stack_trace.len(), 5);
        let last = &record.stack_trace[4];
        assert_eq!(
            (last.file.as_deref(), last.line, last.function.as_deref()),
            (Some("src/orders/mod.rs"), Some(37), None)
        );
        assert_eq!(record.frames[4].column, Some(13));
    }

    #[test]
    fn messages_of_several_lines_are_whole_in_both_forms() {
        let old = panic(
            "thread 'main' panicked at 'first\nit's, src/fake.rs:1:2\n', x:1:2\nlast', src/main.rs:32:24\nnote: run with `RUST_BACKTRACE=1` environment variable to display a backtrace\n",
        );
        assert_eq!(old.error_message, "first\nit's, src/fake.rs:1:2\n', x:1:2\nlast");
        assert_eq!(old.stack_trace[0].line, Some(32));
        let new = panic(
            "thread '<unnamed>' panicked at src/main.rs:1:2:\nfirst\n\n   0: fake::frame\nnote: later\nlast\nstack backtrace:\n   0: real\n             at ./src/main.rs:1:2\n",
        );
        assert_eq!(new.error_message, "first\n\n   0: fake::frame\nnote: later\nlast");
        assert_eq!(new.stack_trace.len(), 1);
    }

    #[test]
    fn broken_headers_are_no_panics() {
        for text in [
            "thread 'main' panicked at",
            "thread 'main' panicked at :",
            "panicked at x",
            "panicked at 'x', y",
            "panicked at x:1:",
        ] {
            assert!(read(&[text]).is_none_or(|record| !record.stack_trace.is_empty()), "{text}");
        }
    }
}
