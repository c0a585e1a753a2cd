//! Printed failures of Swift.
//!
//! ```text
//! Fatal error: Index out of range: file Swift/ContiguousArrayBuffer.swift, line 600     up to 5.3
//! main/main.swift:3: Fatal error: no price                                              from 5.4 on
//! Current stack trace:
//! 0    libswiftCore.so  0x00007f $ss17_assertionFailure + 156
//! ```

use crate::failure::{Frame, Kind, Record, StackEntry};
use crate::normalize::language::{Claim, Held, Language, Opening, State, posts_nothing};
use crate::normalize::line::Line;
use crate::normalize::stack::Stack;

/// How Swift prints failures.
pub(crate) static LANGUAGE: Language = Language {
    name: RUNTIME,
    begins: b"FPAS/m",
    signs: &KINDS,
    opens,
    continues,
    read,
    posted: posts_nothing,
};

/// The runtime's name in a record.
const RUNTIME: &str = "swift";

/// The failures that end a program (stdlib/public/core/AssertCommon.swift).
const KINDS: [&str; 4] = ["Fatal error", "Precondition failed", "Assertion failed", "Simultaneous accesses"];

const STACK: &str = "Current stack trace:";

/// Something was said; a stack may follow.
const SAID: State = State(0);
/// Calls are being read.
const CALLS: State = State(1);

fn opens(line: &Line<'_>, _: &Held<'_>) -> Option<Opening> {
    said(line.text).map(|_| Opening::Here(SAID))
}

fn continues(state: State, line: &Line<'_>) -> Claim {
    match state {
        SAID if line.raw == STACK => Claim::Own(CALLS),
        CALLS if call(line.raw).is_some() => Claim::Own(CALLS),
        _ => Claim::No,
    }
}

/// The kind, the message, and the place of what was said.
fn said(text: &str) -> Option<(&str, &str, &str, u32)> {
    // The newer form: the place first.
    let newer = KINDS.iter().find_map(|kind| {
        let (place, rest) = text.split_once(kind)?;
        let (file, line) = place.strip_suffix(": ")?.rsplit_once(':')?;
        let said = rest.strip_prefix(": ").unwrap_or(rest);
        Some((*kind, said, file, line.parse().ok()?))
    });
    newer.filter(|(_, _, file, _)| file.ends_with(".swift")).or_else(|| {
        let kind = KINDS.iter().find(|kind| text.starts_with(**kind))?;
        let (said, place) = text[kind.len()..].rsplit_once(": file ")?;
        let (file, line) = place.rsplit_once(", line ")?;
        Some((*kind, said.strip_prefix(": ").unwrap_or(said), file, line.trim_end().parse().ok()?))
    })
}

/// `0    libswiftCore.so  0x00007f $ss17_assertionFailure + 156`.
fn call(line: &str) -> Option<StackEntry> {
    let mut words = line.split_ascii_whitespace();
    words.next()?.parse::<u32>().ok()?;
    let module = words.next()?;
    words.next()?.strip_prefix("0x")?;
    let name = words.collect::<Vec<_>>().join(" ");
    let name = name.rsplit_once(" + ").map_or(name.as_str(), |(name, _)| name);
    let function = Some(name).filter(|name| !name.is_empty()).map(str::to_owned);
    Some(StackEntry { file: Some(module.to_owned()), line: None, function, source: None })
}

fn read(text: &str) -> Option<Record> {
    let mut lines = text.lines();
    let (kind, message, file, line) = said(lines.next()?)?;
    let mut stack = Stack::default();
    let calls = lines.skip_while(|line| *line != STACK).skip(1).map_while(call);
    stack.extend(calls.map(|entry| (entry, Frame::default())));
    let mut stack = stack.reversed();
    stack.push(
        StackEntry { file: Some(file.to_owned()), line: Some(line), ..StackEntry::default() },
        Frame::default(),
    );
    let mut record = Record {
        error_message: message.to_owned(),
        error_type: Some(kind.to_owned()),
        kind: Some(Kind::Abort),
        runtime: Some(RUNTIME.to_owned()),
        ..Record::default()
    };
    stack.put_into(&mut record);
    Some(record)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_read() {
        let old = read("Fatal error: Index out of range: file Swift/ContiguousArrayBuffer.swift, line 600\nCurrent stack trace:\n0    libswiftCore.so  0x00007f $ss17_assertionFailure + 156\n1    app              0x00005581 main + 42\n").unwrap();
        assert_eq!((old.error_message.as_str(), old.stack_trace.len()), ("Index out of range", 3));
        assert_eq!(old.stack_trace[0].function.as_deref(), Some("main"));
        let new = read("main/main.swift:3: Fatal error: no price\n").unwrap();
        assert_eq!(
            (new.error_type.as_deref(), new.error_message.as_str(), new.stack_trace[0].line),
            (Some("Fatal error"), "no price", Some(3))
        );
        for text in ["", "Fatal error: Uncaught x in /a.php:3", "a.c:3: Fatal error: x", "Fatal error"] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
