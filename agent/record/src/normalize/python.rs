//! Printed Python tracebacks.
//!
//! Three forms carry the same frames:
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
//!                                                    \r, each leading space a U+00A0 no-break space
//!
//! "  File \"/var/task/x.py\", line 3, in handler\n    raise Exception('I failed!')\n"
//!                                                    as awslambdaric posts it: one string a frame
//! ```
//!
//! Chained exceptions are printed innermost first; the last one is the failure and those before it are its causes.

use crate::failure::{Cause, Record, Relation, StackEntry};
use crate::normalize::FRAMES_MAX;

/// The line that opens a traceback.
pub const HEADER: &str = "Traceback (most recent call last):";

/// The line between an exception and the one that was raised `from` it.
pub const DIRECT_CAUSE: &str = "The above exception was the direct cause of the following exception:";

/// The line between an exception and one that happened while it was being handled.
pub const DURING_HANDLING: &str = "During handling of the above exception, another exception occurred:";

/// The longest chain of causes that is kept. Causes nest, and whoever walks or prints them needs stack for each; JSON parsers
/// stop at 128 levels, of which each cause takes two.
const CAUSES_MAX: usize = 50;

/// The runtime's name in a record.
const RUNTIME: &str = "python";

/// Reads a text that opens with a traceback, in whichever form.
#[must_use]
pub fn read(input: &str) -> Option<Record> {
    let lines = unfold(input);
    let mut record = lambda_form(&lines).or_else(|| printed_form(&lines))?;
    record.runtime = Some(RUNTIME.to_owned());
    Some(record)
}

/// Reads a text that holds one traceback and nothing else, whose message may have several lines.
#[must_use]
pub fn whole(input: &str) -> Option<Record> {
    if !input.trim_start().starts_with(HEADER) {
        return None;
    }
    let lines = unfold(input);
    let mut segments = lines.iter().filter(|line| **line == HEADER).count();
    segments -= lines.iter().filter(|line| is_chain_marker(line)).count().min(segments);
    // More tracebacks than links of a chain: several failures, which are the detector's to part.
    if segments > 1 { None } else { read(input) }
}

/// True for a line between two exceptions of a chain.
#[must_use]
pub fn is_chain_marker(line: &str) -> bool {
    line == DIRECT_CAUSE || line == DURING_HANDLING
}

/// True for a line that reads like `Type: message` or `Type`: it begins with a name of the language, dots included.
#[must_use]
pub fn is_exception(line: &str) -> bool {
    let name = line.split(':').next().unwrap_or_default();
    name.starts_with(|c: char| c.is_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '.' | '<' | '>'))
}

/// The lines of a text, with Lambda's `\r` and no-break spaces turned back into what CPython printed.
fn unfold(input: &str) -> Vec<String> {
    input
        .trim_start_matches(['\n', '\r'])
        .trim_end()
        .split('\n')
        .flat_map(|line| line.trim_end_matches('\r').split('\r'))
        .map(|line| {
            let body = line.trim_start_matches(['\u{a0}', ' ']);
            let indent = line[..line.len() - body.len()].chars().count();
            format!("{:indent$}{body}", "")
        })
        .collect()
}

/// `[ERROR] Type: message`, more lines of the message, the header, frames to the end.
fn lambda_form(lines: &[String]) -> Option<Record> {
    let first = lines.first()?;
    let start = first.find("[ERROR] ")?;
    let header = lines.iter().position(|line| line == HEADER)?;
    if header == 0 {
        return None;
    }
    let mut head = first[start + "[ERROR] ".len()..].to_owned();
    for line in &lines[1..header] {
        head.push('\n');
        head.push_str(line);
    }
    // A line of `logging.exception`: `[ERROR]\t<time>\t<id>\t<message>` was tried by the prefix above and has a tab.
    let (error_type, error_message) = split_exception(&head);
    let (stack_trace, used) = frames(&lines[header + 1..]);
    // An exception below the frames: a logger's line above a traceback as the interpreter prints it.
    if lines.get(header + 1 + used).is_some_and(|line| is_exception(line)) {
        return None;
    }
    Some(Record { error_message, error_type, stack_trace, ..Record::default() })
}

/// Tracebacks as CPython prints them, linked by the chain's marker lines.
fn printed_form(lines: &[String]) -> Option<Record> {
    if let Some((group, members)) = outer_group(lines) {
        let mut record = printed_form(&group)?;
        record.truncated.insert("causes".to_owned(), members);
        return Some(record);
    }
    let (lines, skipped) = outermost(lines);
    let mut rest = &lines[lines.iter().position(|line| line.ends_with(HEADER))?..];
    let mut earlier: Option<(Exception, Relation)> = None;
    loop {
        let (exception, after) = exception(&rest[1..]);
        let exception = exception.caused_by(earlier.take());
        let Some(relation) = after.first().and_then(|line| relation(line)) else {
            return Some(exception.into_record(skipped));
        };
        let Some(next) = after.iter().position(|line| line == HEADER) else {
            return Some(exception.into_record(skipped));
        };
        earlier = Some((exception, relation));
        rest = &after[next..];
    }
}

/// The text from the outermost [`CAUSES_MAX`] links of its chain on, and how many links before that are left out.
fn outermost(lines: &[String]) -> (&[String], u64) {
    let markers: Vec<usize> =
        lines.iter().enumerate().filter(|(_, line)| is_chain_marker(line)).map(|(at, _)| at).collect();
    match markers.len().checked_sub(CAUSES_MAX + 1) {
        Some(last_skipped) => (&lines[markers[last_skipped]..], last_skipped as u64 + 1),
        None => (lines, 0),
    }
}

/// The traceback of an exception group without its margin, and how many members follow, which are not read yet:
///
/// ```text
///   + Exception Group Traceback (most recent call last):
///   |   File "a.py", line 18, in <module>
///   | ExceptionGroup: several failures (2 sub-exceptions)
///   +-+---------------- 1 ----------------
/// ```
fn outer_group(lines: &[String]) -> Option<(Vec<String>, u64)> {
    let start = lines.iter().position(|line| line.trim_start() == format!("+ Exception Group {HEADER}"))?;
    let body = &lines[start + 1..];
    let end = body.iter().position(|line| !line.starts_with("  |")).unwrap_or(body.len());
    let unmargined =
        body[..end].iter().map(|line| line["  |".len()..].strip_prefix(' ').unwrap_or_default().to_owned());
    let members = body[end..]
        .iter()
        .filter(|line| line.contains("+---------------- ") && line.find('+') <= Some(4))
        .count();
    Some((std::iter::once(HEADER.to_owned()).chain(unmargined).collect(), members as u64))
}

/// One exception of a chain.
struct Exception {
    error_type: Option<String>,
    error_message: String,
    stack_trace: Vec<StackEntry>,
    causes: Vec<Cause>,
}

impl Exception {
    fn caused_by(mut self, earlier: Option<(Exception, Relation)>) -> Self {
        self.causes.extend(earlier.map(|(cause, relation)| Cause {
            error_message: cause.error_message,
            stack_trace: cause.stack_trace,
            error_type: cause.error_type,
            relation: Some(relation),
            causes: cause.causes,
        }));
        self
    }

    /// `skipped` is how many causes behind the last one were left out.
    fn into_record(self, skipped: u64) -> Record {
        let mut record = Record {
            error_message: self.error_message,
            stack_trace: self.stack_trace,
            error_type: self.error_type,
            causes: self.causes,
            ..Record::default()
        };
        if skipped > 0 {
            record.truncated.insert("causes".to_owned(), skipped);
        }
        record
    }
}

/// Reads frames and the exception below them. Gives what follows, beginning at a chain's marker line if there is one.
fn exception(lines: &[String]) -> (Exception, &[String]) {
    let (stack_trace, used) = frames(lines);
    let lines = &lines[used..];
    let marker = lines.iter().position(|line| relation(line).is_some()).unwrap_or(lines.len());
    let said = lines[..marker].join("\n");
    let (error_type, error_message) = match said.trim_end() {
        // The text ends with the frames: the exception's own line was lost.
        "" => (None, String::new()),
        said => split_exception(said),
    };
    (Exception { error_type, error_message, stack_trace, causes: Vec::new() }, &lines[marker..])
}

fn relation(line: &str) -> Option<Relation> {
    match line {
        DIRECT_CAUSE => Some(Relation::Cause),
        DURING_HANDLING => Some(Relation::Context),
        _ => None,
    }
}

/// `Type: message`, or `Type` alone. A message may hold colons and line ends; a type holds no white space, and what is
/// no type is all message.
fn split_exception(said: &str) -> (Option<String>, String) {
    let (error_type, message) = said.split_once(": ").unwrap_or((said.strip_suffix(':').unwrap_or(said), ""));
    if error_type.contains(char::is_whitespace) {
        return (None, said.to_owned());
    }
    (Some(error_type.to_owned()), message.to_owned())
}

/// Reads frames from the first line on, and says how many lines they took.
///
/// At most [`FRAMES_MAX`] entries come out: a "[Previous line repeated 1197 more times]" is written out, as the language
/// itself would list it, and what does not fit is left out.
fn frames(lines: &[String]) -> (Vec<StackEntry>, usize) {
    let mut entries: Vec<StackEntry> = Vec::new();
    let mut used = 0;
    while let Some(line) = lines.get(used) {
        let indent = line.len() - line.trim_start().len();
        if let Some(entry) = file_line(line) {
            entries.push(entry);
        } else if let (Some(count), Some(last)) = (repeats(line), entries.last().cloned()) {
            let room = FRAMES_MAX.saturating_sub(entries.len());
            entries.extend(std::iter::repeat_n(last, count.min(room)));
        } else if indent >= 4 {
            if let Some(last) = entries.last_mut().filter(|last| last.source.is_none()) {
                last.source = Some(line.trim().to_owned());
            }
        } else {
            break;
        }
        used += 1;
    }
    entries.truncate(FRAMES_MAX);
    (entries, used)
}

/// `  File "path", line 3, in function`, or the `  File "path" Line 4` of awslambdaric's syntax errors, which names no
/// function: then the location is the innermost entry.
fn file_line(line: &str) -> Option<StackEntry> {
    let rest = line.trim_start().strip_prefix("File \"")?;
    // A file name may hold a quote; the last one that is followed by a line number ends it.
    let (end, rest) = ["\", line ", "\" Line "]
        .iter()
        .filter_map(|mark| rest.rfind(mark).map(|end| (end, &rest[end + mark.len()..])))
        .find(|(_, rest)| rest.starts_with(|digit: char| digit.is_ascii_digit()))?;
    let file = &line.trim_start()["File \"".len()..][..end];
    let digits = rest.find(|digit: char| !digit.is_ascii_digit()).unwrap_or(rest.len());
    Some(StackEntry {
        file: Some(file.to_owned()),
        line: rest[..digits].parse().ok(),
        function: rest[digits..].strip_prefix(", in ").map(str::to_owned),
        source: None,
    })
}

/// The count of `[Previous line repeated 1197 more times]`.
fn repeats(line: &str) -> Option<usize> {
    let rest = line.trim_start().strip_prefix("[Previous line repeated ")?;
    rest[..rest.find(' ')?].parse().ok()
}

/// Reads one string of a posted `stackTrace`: a frame and its source line, or a repeat of the entry before.
pub(crate) fn posted_frame(entry: &str, into: &mut Vec<StackEntry>) -> bool {
    let lines: Vec<String> = entry.trim_end().split('\n').map(str::to_owned).collect();
    if let (Some(count), Some(last)) = (repeats(entry), into.last().cloned()) {
        let room = FRAMES_MAX.saturating_sub(into.len());
        into.extend(std::iter::repeat_n(last, count.min(room)));
        return true;
    }
    let Some(mut frame) = lines.first().and_then(|line| file_line(line)) else { return false };
    frame.source = lines.get(1).map(|line| line.trim().to_owned()).filter(|line| !line.is_empty());
    into.push(frame);
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(file: &str, line: u32, function: &str, source: &str) -> StackEntry {
        StackEntry {
            file: Some(file.into()),
            line: Some(line),
            function: Some(function.into()),
            source: Some(source.into()),
        }
    }

    #[test]
    fn what_cpython_prints_is_read() {
        // CPython 3.11.7, uncaught exception on stderr.
        let record = read(concat!(
            "Traceback (most recent call last):\n",
            "  File \"/var/task/app.py\", line 12, in <module>\n",
            "    lambda_handler({}, None)\n",
            "  File \"/var/task/app.py\", line 3, in lambda_handler\n",
            "    return data[\"x\"][\"y\"]\n",
            "           ~~~~~~~~~^^^^^\n",
            "TypeError: unsupported operand type(s) for +: 'int' and 'NoneType'\n",
        ))
        .unwrap();
        assert_eq!(record.error_type.as_deref(), Some("TypeError"));
        assert_eq!(record.error_message, "unsupported operand type(s) for +: 'int' and 'NoneType'");
        assert_eq!(
            record.stack_trace,
            [
                entry("/var/task/app.py", 12, "<module>", "lambda_handler({}, None)"),
                entry("/var/task/app.py", 3, "lambda_handler", "return data[\"x\"][\"y\"]"),
            ]
        );
    }

    #[test]
    fn what_awslambdaric_logs_is_read() {
        // awslambdaric 4.2.2, text format, recorded from its stdout.
        let record = read(
            "[ERROR] Exception: I failed!\rTraceback (most recent call last):\r\u{a0}\u{a0}File \"/var/task/app.py\", line 1, in always_failed_handler\r\u{a0}\u{a0}\u{a0}\u{a0}def always_failed_handler(event, context): raise Exception('I failed!')\n",
        )
        .unwrap();
        assert_eq!(record.error_type.as_deref(), Some("Exception"));
        assert_eq!(record.error_message, "I failed!");
        assert_eq!(
            record.stack_trace,
            [entry(
                "/var/task/app.py",
                1,
                "always_failed_handler",
                "def always_failed_handler(event, context): raise Exception('I failed!')"
            )]
        );
    }

    #[test]
    fn a_chain_nests_its_causes() {
        let record = read(concat!(
            "Traceback (most recent call last):\n",
            "  File \"a.py\", line 1, in low\n    int('x')\n",
            "ValueError: invalid literal\n",
            "\nDuring handling of the above exception, another exception occurred:\n\n",
            "Traceback (most recent call last):\n",
            "  File \"a.py\", line 2, in mid\n    low()\n",
            "KeyError: 'k'\n",
            "\nThe above exception was the direct cause of the following exception:\n\n",
            "Traceback (most recent call last):\n",
            "  File \"a.py\", line 3, in top\n    mid()\n",
            "RuntimeError\n",
        ))
        .unwrap();
        assert_eq!(record.error_type.as_deref(), Some("RuntimeError"));
        assert_eq!(record.error_message, "");
        assert_eq!(record.causes[0].relation, Some(Relation::Cause));
        assert_eq!(record.causes[0].error_message, "'k'");
        assert_eq!(record.causes[0].causes[0].relation, Some(Relation::Context));
        assert_eq!(record.causes[0].causes[0].error_message, "invalid literal");
    }

    #[test]
    fn a_chain_of_any_length_is_cut_where_json_can_still_hold_it() {
        let link = format!("{HEADER}\n  File \"a.py\", line 1, in f\n    g()\nE: m\n\n{DURING_HANDLING}\n\n");
        let record = read(&format!(
            "{}{HEADER}\n  File \"a.py\", line 2, in top\n    g()\nLast: m\n",
            link.repeat(100_000)
        ))
        .unwrap();
        assert_eq!(record.error_type.as_deref(), Some("Last"));
        assert_eq!(record.truncated["causes"], 100_000 - CAUSES_MAX as u64);
        let json = serde_json::to_string(&record).unwrap();
        assert_eq!(serde_json::from_str::<Record>(&json).unwrap(), record);
    }

    #[test]
    fn repeats_are_written_out_and_bounded() {
        let lines = |count: &str| {
            format!(
                "Traceback (most recent call last):\n  File \"a.py\", line 2, in f\n    f()\n  [Previous line repeated {count} more times]\nRecursionError: deep\n"
            )
        };
        assert_eq!(read(&lines("996")).unwrap().stack_trace.len(), 997);
        assert_eq!(read(&lines("99999999999")).unwrap().stack_trace.len(), FRAMES_MAX);
        assert_eq!(read(&lines("9".repeat(40).as_str())).unwrap().stack_trace.len(), 1);
    }

    #[test]
    fn a_message_of_several_lines_stays_whole() {
        let record = whole(
            "Traceback (most recent call last):\n  File \"a.py\", line 1, in f\n    g()\nE: one\ntwo\n",
        )
        .unwrap();
        assert_eq!(record.error_message, "one\ntwo");
    }

    #[test]
    fn a_group_gives_its_own_trace_and_counts_its_members() {
        // CPython 3.11.7.
        let record = read(concat!(
            "  + Exception Group Traceback (most recent call last):\n",
            "  |   File \"a.py\", line 15, in handler\n",
            "  |     raise ExceptionGroup(\"several\", [one, two])\n",
            "  | ExceptionGroup: several (2 sub-exceptions)\n",
            "  +-+---------------- 1 ----------------\n",
            "    | ValueError: one\n",
            "    +---------------- 2 ----------------\n",
            "    | ValueError: two\n",
            "    +------------------------------------\n",
        ))
        .unwrap();
        assert_eq!(record.error_type.as_deref(), Some("ExceptionGroup"));
        assert_eq!(record.error_message, "several (2 sub-exceptions)");
        assert_eq!(record.stack_trace.len(), 1);
    }

    #[test]
    fn broken_texts_give_what_they_hold() {
        for text in ["", "Traceback", "[ERROR] ", "[ERROR] x", "  File \"", "  File \"a\", line x, in f"] {
            assert_eq!(read(text), None, "{text:?}");
        }
        let cut = read("Traceback (most recent call last):\n  File \"a.py\", line 1, in f").unwrap();
        assert_eq!((cut.error_type, cut.stack_trace.len()), (None, 1));
    }
}
