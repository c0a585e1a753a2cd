//! What awslambdaric logs of a failed invocation: `[ERROR] Type: message`, more lines of the message, the header, frames to the
//! end. The lines from the header on are joined by `\r` on standard output and by `\n` in framed logs.

use super::{HEADER, frames, printed};
use crate::failure::Record;

/// What older clients put before the record, on the same line.
pub(super) const WARNING: &str = "LAMBDA_WARNING: ";

/// The first byte of the frames' lines, twice: each leading space is a no-break space.
const INDENT: &str = "\u{a0}\u{a0}";

/// True if a line holds a traceback whose lines are joined by `\r`.
pub(super) fn is_folded(line: &str) -> bool {
    folded_at(line).is_some()
}

/// Where the `\r` before the header is. The last one counts: a message may hold others.
fn folded_at(text: &str) -> Option<usize> {
    let at = memchr::memmem::rfind(text.as_bytes(), b"\rTraceback (most recent call last):")?;
    let rest = text[at + 1 + HEADER.len()..].trim_end_matches('\n');
    (rest.is_empty() || rest.starts_with('\r')).then_some(at)
}

/// Reads a record of which the prefix `[ERROR] ` has been taken off.
pub(super) fn read(text: &str) -> Option<Record> {
    let text = match text.strip_prefix(WARNING) {
        Some(rest) => rest.split_once("[ERROR] ")?.1,
        None => text,
    };
    let (head, frames) = match folded_at(text) {
        Some(at) => (&text[..at], text[at + 1 + HEADER.len()..].split('\r').collect::<Vec<_>>()),
        None => framed(text)?,
    };
    let plain: Vec<String> = frames.iter().map(|line| unindented(line)).collect();
    let lines: Vec<&str> =
        plain.iter().map(|line| line.trim_end_matches('\n')).filter(|line| !line.is_empty()).collect();
    let (stack, used) = frames::read(&lines);
    if used < lines.len() {
        return None;
    }
    let (error_type, error_message) = printed::split_exception(head.trim_end_matches('\n'));
    let mut record = Record { error_message, error_type, ..Record::default() };
    stack.put_into(&mut record);
    Some(record)
}

/// The head, and the lines of the frames, of a record whose lines are joined by `\n`.
fn framed(text: &str) -> Option<(&str, Vec<&str>)> {
    let at = memchr::memmem::rfind(text.as_bytes(), b"\nTraceback (most recent call last):")?;
    let rest = &text[at + 1 + HEADER.len()..];
    let lines: Vec<&str> = rest.strip_prefix('\n').unwrap_or(rest).split('\n').collect();
    // Ordinary spaces are the interpreter's: then this is a logger's line above a traceback, and its exception comes last.
    let is_own = rest.is_empty() || rest == "\n" || rest.starts_with(&format!("\n{INDENT}"));
    (is_own && printed::is_exception(&text[..at])).then_some((&text[..at], lines))
}

/// A line whose indentation is of ordinary spaces.
fn unindented(line: &str) -> String {
    let body = line.trim_start_matches(['\u{a0}', ' ']);
    let indent = line[..line.len() - body.len()].chars().count();
    format!("{:indent$}{body}", "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_that_holds_a_traceback_is_the_message() {
        let fake = "upstream said:\nTraceback (most recent call last):\n  File \"/srv/o.py\", line 99, in remote\n    remote()\nValueError: remote";
        for joint in ['\r', '\n'] {
            let text = format!(
                "RuntimeError: {fake}{joint}Traceback (most recent call last):{joint}\u{a0}\u{a0}File \"/a.py\", line 2, in f{joint}\u{a0}\u{a0}\u{a0}\u{a0}raise E\n"
            );
            let record = read(&text).unwrap();
            assert_eq!((record.error_message.as_str(), record.stack_trace.len()), (fake, 1), "{joint:?}");
        }
    }

    #[test]
    fn a_record_without_frames_is_one() {
        let record =
            read("Runtime.ImportModuleError: no module\nTraceback (most recent call last):\n").unwrap();
        assert_eq!(record.error_type.as_deref(), Some("Runtime.ImportModuleError"));
        let old = read("LAMBDA_WARNING: Unhandled exception. The most likely cause\r[ERROR] KeyError: 'x'\rTraceback (most recent call last):\r\u{a0}\u{a0}File \"/a.py\", line 2, in f").unwrap();
        assert_eq!((old.error_type.as_deref(), old.error_message.as_str()), (Some("KeyError"), "'x'"));
    }

    #[test]
    fn a_loggers_line_above_a_traceback_is_no_record_of_lambda() {
        assert_eq!(
            read(
                "Timeout: order 7\nTraceback (most recent call last):\n  File \"a.py\", line 1, in f\n    g()\nValueError: no\n"
            ),
            None
        );
        assert_eq!(read("no traceback at all"), None);
    }
}
