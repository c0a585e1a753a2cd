//! Printed failures of Dart.
//!
//! ```text
//! Unhandled exception:
//! Bad state: no price
//! #0      look (file:///var/task/bin/main.dart:3:5)
//! <asynchronous suspension>
//! #1      main (package:shop/main.dart:9:3)
//! ```

use crate::failure::{Frame, Record, StackEntry};
use crate::normalize::language::{Claim, Held, Language, Opening, State, posts_nothing};
use crate::normalize::line::Line;
use crate::normalize::stack::Stack;
use crate::percent;

/// How Dart prints failures.
pub(crate) static LANGUAGE: Language = Language {
    name: RUNTIME,
    begins: b"U",
    signs: &["Unhandled e"],
    opens,
    continues,
    read,
    posted: posts_nothing,
};

/// The runtime's name in a record.
const RUNTIME: &str = "dart";

const HEADER: &str = "Unhandled exception:";
const SUSPENSION: &str = "<asynchronous suspension>";

/// The message is being read: calls follow.
const MESSAGE: State = State(0);
/// Calls are being read.
const CALLS: State = State(1);

fn opens(line: &Line<'_>, _: &Held<'_>) -> Option<Opening> {
    (line.text == HEADER).then_some(Opening::Here(MESSAGE))
}

fn continues(state: State, line: &Line<'_>) -> Claim {
    if call(line.raw).is_some() || line.raw == SUSPENSION {
        Claim::Own(CALLS)
    } else if state == MESSAGE {
        Claim::Message(MESSAGE)
    } else {
        Claim::No
    }
}

/// `#0      look (file:///var/task/bin/main.dart:3:5)`.
fn call(line: &str) -> Option<(StackEntry, Frame)> {
    let (number, rest) = line.strip_prefix('#')?.split_once(' ')?;
    number.parse::<u32>().ok()?;
    let (name, place) = rest.trim_start().strip_suffix(')')?.rsplit_once(" (")?;
    let mut parts = place.rsplitn(3, ':');
    let (last, before, file) = (parts.next()?, parts.next()?, parts.next());
    let (file, line, column) = match (file, before.parse().ok()) {
        (Some(file), Some(line)) => (file, Some(line), last.parse().ok()),
        // A line without a column.
        _ => (&place[..place.len() - last.len() - 1], Some(last.parse().ok()?), None),
    };
    let path = file.strip_prefix("file://").map_or_else(|| file.to_owned(), percent::decoded);
    let entry = StackEntry { file: Some(path), line, function: Some(name.to_owned()), source: None };
    Some((entry, Frame { column, ..Frame::default() }))
}

fn read(text: &str) -> Option<Record> {
    let rest = text.strip_prefix(HEADER)?.trim_start_matches(['\r', '\n']);
    let lines: Vec<&str> = rest.lines().collect();
    let first = lines.iter().position(|line| call(line).is_some()).unwrap_or(lines.len());
    let mut stack = Stack::default();
    stack.extend(lines[first..].iter().filter_map(|line| call(line)));
    // `Bad state: no price`, `Exception: x`, `FormatException: y`: a type without blanks, or words that stand for one.
    let said = lines[..first].join("\n");
    let (error_type, message) = match said.split_once(": ") {
        Some((name, message)) if !name.contains(char::is_whitespace) => {
            (Some(name.to_owned()), message.to_owned())
        }
        _ => (None, said.clone()),
    };
    let mut record =
        Record { error_message: message, error_type, runtime: Some(RUNTIME.to_owned()), ..Record::default() };
    stack.reversed().put_into(&mut record);
    Some(record)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_vm_prints_is_read() {
        let record = read("Unhandled exception:\nFormatException: bad\nline two\n#0      look (file:///var/task/my%20app/main.dart:3:5)\n<asynchronous suspension>\n#1      main.<anonymous closure> (package:shop/main.dart:9)\n").unwrap();
        assert_eq!(
            (record.error_type.as_deref(), record.error_message.as_str()),
            (Some("FormatException"), "bad\nline two")
        );
        assert_eq!(
            (record.stack_trace[1].file.as_deref(), record.stack_trace[1].line),
            (Some("/var/task/my app/main.dart"), Some(3))
        );
        assert_eq!(
            (record.stack_trace[0].file.as_deref(), record.stack_trace[0].line),
            (Some("package:shop/main.dart"), Some(9))
        );
    }
}
