//! Printed failures of Perl.
//!
//! ```text
//! bad thing at /var/task/main.pl line 7.
//!         main::b(1, "x") called at /var/task/main.pl line 12     Carp's confess
//!         main::a() called at /var/task/main.pl line 15
//! ```
//!
//! `x called at f line n` is a call site, so functions are shifted by one against their places, as in PHP.

use crate::failure::{Frame, Record, StackEntry};
use crate::normalize::language::{Claim, Held, Language, Opening, State, posts_nothing};
use crate::normalize::line::Line;
use crate::normalize::stack::Stack;

/// How Perl prints failures.
pub(crate) static LANGUAGE: Language = Language {
    name: RUNTIME,
    begins: b"",
    signs: &[" called at "],
    opens,
    continues,
    read,
    posted: posts_nothing,
};

/// The runtime's name in a record.
const RUNTIME: &str = "perl";

/// Calls are being read.
const CALLS: State = State(0);

/// Only a call shows that the line before was an error: the error by itself reads like prose.
fn opens(line: &Line<'_>, held: &Held<'_>) -> Option<Opening> {
    call(line.raw)?;
    let above = held.back().position(|line| place(line).is_some())?;
    Some(Opening::Before { lines: above + 1, state: CALLS })
}

fn continues(_: State, line: &Line<'_>) -> Claim {
    if call(line.raw).is_some() { Claim::Own(CALLS) } else { Claim::No }
}

/// What was called, and where, in `\tmain::b(1, "x") called at /var/task/main.pl line 12`.
fn call(line: &str) -> Option<(&str, &str, u32)> {
    let (callee, at) = line.strip_prefix('\t')?.rsplit_once(" called at ")?;
    let (file, line) = at.rsplit_once(" line ")?;
    let line = line.trim_end_matches('.').parse().ok()?;
    // A call without arguments has no brackets: `eval {...}`, `require x.pl`.
    let name =
        if callee.starts_with("eval ") { "(eval)" } else { callee.split('(').next().unwrap_or(callee) };
    Some((name, file, line))
}

/// The message, and the place at its end: `bad thing at /var/task/main.pl line 7.`
fn place(line: &str) -> Option<(&str, &str, u32)> {
    let (rest, number) = line.trim_end().strip_suffix('.')?.rsplit_once(" line ")?;
    // What handle was read last stands behind: `line 7, <STDIN> line 3.`
    if let Some((before, _)) = rest.rsplit_once(", <")
        && let Some((rest, number)) = before.rsplit_once(" line ")
    {
        let (said, file) = rest.rsplit_once(" at ")?;
        return Some((said, file, number.parse().ok()?));
    }
    let (said, file) = rest.rsplit_once(" at ")?;
    (!file.contains(' ')).then_some((said, file, number.parse().ok()?))
}

fn read(text: &str) -> Option<Record> {
    let lines: Vec<&str> = text.lines().collect();
    let last = lines.iter().position(|line| place(line).is_some())?;
    let calls: Vec<_> = lines[last + 1..].iter().map_while(|line| call(line)).collect();
    // Prose ends with a place seldom, and with nothing behind it never counts.
    if calls.len() + last + 1 < lines.len() {
        return None;
    }
    let (said, file, line) = place(lines[last])?;
    let mut message = lines[..last].join("\n");
    if last > 0 {
        message.push('\n');
    }
    message.push_str(said);
    let mut stack = Stack::default();
    let mut at = (file, line);
    for (name, file, line) in calls {
        stack.push(entry(at, Some(name)), Frame::default());
        at = (file, line);
    }
    stack.push(entry(at, None), Frame::default());
    let mut record =
        Record { error_message: message, runtime: Some(RUNTIME.to_owned()), ..Record::default() };
    stack.reversed().put_into(&mut record);
    Some(record)
}

fn entry((file, line): (&str, u32), function: Option<&str>) -> StackEntry {
    StackEntry {
        file: Some(file.to_owned()),
        line: Some(line),
        function: function.map(str::to_owned),
        source: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_shifted_to_the_places_that_they_are_in() {
        // Perl 5.36, Carp's confess.
        let record = read("bad thing at main.pl line 7.\n\tmain::b(1, \"x\") called at main.pl line 12\n\teval {...} called at main.pl line 14\n\tmain::a() called at main.pl line 15\n").unwrap();
        let calls: Vec<_> =
            record.stack_trace.iter().map(|entry| (entry.line, entry.function.as_deref())).collect();
        assert_eq!(
            calls,
            [
                (Some(15), None),
                (Some(14), Some("main::a")),
                (Some(12), Some("(eval)")),
                (Some(7), Some("main::b"))
            ]
        );
        assert_eq!((record.error_message.as_str(), record.error_type), ("bad thing", None));
    }

    #[test]
    fn a_message_may_have_lines_and_a_handle_behind_its_place() {
        let record = read("first\nsecond at /x.pl line 3, <STDIN> line 9.\n").unwrap();
        assert_eq!((record.error_message.as_str(), record.stack_trace[0].line), ("first\nsecond", Some(3)));
        for text in ["", "at line 3.", "we met at noon line 3", "see you at the end of line 3."] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
