//! Printed failures of PHP.
//!
//! ```text
//! PHP Fatal error:  Uncaught RuntimeException: boom in /app/index.php:7      the root cause first
//! Stack trace:
//! #0 /app/index.php(12): Service->run(Array)
//! #1 {main}
//!
//! Next LogicException: outer in /app/index.php:14                            what it was the cause of
//! Stack trace:
//! #0 {main}
//!   thrown in /app/index.php on line 14
//! ```
//!
//! `#0 f(12): callee()` is a call site: `callee` was called in line 12. So the functions are shifted by one against their
//! places, and the innermost place is where the exception was thrown. What bref posts does not hold that one.

use crate::failure::{Frame, Record, Relation, StackEntry};
use crate::normalize::json;
use crate::normalize::language::{Claim, Held, Language, Opening, Posted, State};
use crate::normalize::line::Line;
use crate::normalize::stack::Stack;
use crate::normalize::tree::Tree;

/// How PHP prints failures.
pub(crate) static LANGUAGE: Language = Language {
    name: RUNTIME,
    begins: b"PF",
    signs: &["atal error", "Parse error", "Compile error"],
    opens,
    continues,
    read,
    posted,
};

/// The runtime's name in a record.
const RUNTIME: &str = "php";

/// The errors that end a script, as PHP prints them, with `PHP ` before in its log.
const ERRORS: [&str; 5] =
    ["Fatal error", "Parse error", "Recoverable fatal error", "Catchable fatal error", "Compile error"];

const UNCAUGHT: &str = "Uncaught ";
const STACK: &str = "Stack trace:";
const NEXT: &str = "Next ";

/// A header was read, and perhaps more lines of its message.
const HEADER: State = State(0);
/// Calls are being read.
const CALLS: State = State(1);
/// bref's header was read: the failure as JSON follows.
const BREF: State = State(2);

fn opens(line: &Line<'_>, _: &Held<'_>) -> Option<Opening> {
    let (_, said) = error(line.text)?;
    if said.starts_with(UNCAUGHT) {
        return Some(Opening::Here(HEADER));
    }
    if on_line(said).is_some() {
        return Some(Opening::Whole);
    }
    thrown(said).map(|_| Opening::Here(BREF))
}

fn continues(state: State, line: &Line<'_>) -> Claim {
    let text = line.raw;
    match state {
        _ if text.starts_with("  thrown in ") => Claim::Last,
        HEADER if text == STACK => Claim::Own(CALLS),
        HEADER => Claim::Message(HEADER),
        CALLS if numbered(text).is_some() => Claim::Own(CALLS),
        CALLS if text.starts_with(NEXT) => Claim::Own(HEADER),
        CALLS if line.is_blank() => Claim::Message(CALLS),
        BREF if text.trim_start().starts_with('{') => Claim::Last,
        _ => Claim::No,
    }
}

/// The kind of error and what is said of it, in `PHP Fatal error:  Uncaught …`.
fn error(text: &str) -> Option<(&str, &str)> {
    let (name, said) = text.strip_prefix("PHP ").unwrap_or(text).split_once(": ")?;
    ERRORS.contains(&name).then(|| (name, said.trim_start()))
}

/// A message and its place in `Allowed memory size exhausted in /app/x.php on line 7`.
fn on_line(text: &str) -> Option<(&str, &str, u32)> {
    let (rest, line) = text.rsplit_once(" on line ")?;
    let (said, file) = rest.rsplit_once(" in ")?;
    Some((said, file, line.trim_end().parse().ok()?))
}

/// What was thrown in `RuntimeException: boom in /app/index.php:7`.
struct Thrown<'a> {
    error_type: &'a str,
    said: &'a str,
    file: &'a str,
    line: u32,
}

fn thrown(text: &str) -> Option<Thrown<'_>> {
    let (rest, place) = text.trim_end().rsplit_once(" in ")?;
    let (file, line) = place.rsplit_once(':')?;
    let line = line.parse().ok()?;
    // A type error says where the function was called and where it is defined.
    let rest = rest.strip_suffix(" and defined").unwrap_or(rest);
    let (error_type, said) = rest.split_once(": ").unwrap_or((rest.trim_end_matches(':'), ""));
    let is_type = error_type.starts_with(|c: char| c.is_alphabetic() || matches!(c, '_' | '\\'))
        && error_type.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '\\' | '@'));
    is_type.then_some(Thrown { error_type, said, file, line })
}

/// What is behind the number in `#0 /app/index.php(12): Service->run(Array)`.
fn numbered(text: &str) -> Option<&str> {
    let (number, call) = text.strip_prefix('#')?.split_once(' ')?;
    number.parse::<u32>().ok()?;
    Some(call)
}

/// The place of a call, and what was called.
fn call(text: &str) -> (Option<(&str, u32)>, &str) {
    let place = |place: &'_ str| -> Option<(usize, u32)> {
        let (file, line) = place.strip_suffix(')')?.rsplit_once('(')?;
        Some((file.len(), line.parse().ok()?))
    };
    match text.split_once(": ") {
        Some((before, callee)) => {
            (place(before).map(|(length, line)| (&before[..length], line)), name(callee))
        }
        None => (None, name(text)),
    }
}

/// A function without its arguments.
fn name(callee: &str) -> &str {
    callee.split('(').next().unwrap_or(callee)
}

/// The stack of calls that begin, innermost first, at `thrown`: each function is that of the next call.
fn stack<'a>(thrown: Option<(&str, u32)>, calls: impl Iterator<Item = &'a str>) -> Stack {
    let mut stack = Stack::default();
    let mut at = thrown.map(|(file, line)| (file.to_owned(), line));
    for text in calls {
        let (place, function) = call(text);
        let entry = StackEntry {
            file: at.as_ref().map(|(file, _)| file.clone()),
            line: at.as_ref().map(|(_, line)| *line),
            function: Some(function.to_owned()),
            source: None,
        };
        stack.push(entry, Frame::default());
        at = place.map(|(file, line)| (file.to_owned(), line));
    }
    stack
}

fn read(text: &str) -> Option<Record> {
    let lines: Vec<&str> = text.lines().skip_while(|line| line.is_empty()).collect();
    let (name, said) = error(lines.first()?)?;
    let mut record = if said.starts_with(UNCAUGHT) {
        uncaught(&lines)?
    } else if let Some((said, file, line)) = on_line(said) {
        Record {
            error_message: said.to_owned(),
            error_type: Some(name.to_owned()),
            stack_trace: vec![StackEntry {
                file: Some(file.to_owned()),
                line: Some(line),
                ..StackEntry::default()
            }],
            ..Record::default()
        }
    } else {
        bref(said, &lines)?
    };
    record.runtime = Some(RUNTIME.to_owned());
    Some(record)
}

/// Exceptions that nobody caught: the last one is the failure, and each is the cause of the next.
fn uncaught(lines: &[&str]) -> Option<Record> {
    let mut exceptions: Vec<(String, Vec<&str>)> = Vec::new();
    let mut in_message = false;
    for line in lines {
        let begun = match exceptions.is_empty() {
            true => error(line).and_then(|(_, said)| said.strip_prefix(UNCAUGHT)),
            false if in_message => None,
            false => line.strip_prefix(NEXT),
        };
        if let Some(said) = begun {
            exceptions.push((said.to_owned(), Vec::new()));
            in_message = true;
            continue;
        }
        let Some((said, calls)) = exceptions.last_mut() else { continue };
        if in_message && *line != STACK {
            said.push('\n');
            said.push_str(line);
        } else {
            in_message = false;
            calls.extend(numbered(line));
        }
    }
    let mut tree = Tree::default();
    let mut outer = None;
    for (said, calls) in exceptions.iter().rev() {
        let thrown = thrown(said)?;
        let id = match outer {
            None => Some(tree.root()),
            Some(outer) => tree.add(outer, Relation::Cause),
        };
        let Some(id) = id else { continue };
        let node = tree.node(id);
        node.error_type = Some(thrown.error_type.to_owned());
        node.error_message = thrown.said.to_owned();
        for (entry, frame) in stack(Some((thrown.file, thrown.line)), calls.iter().copied()).calls() {
            tree.push(id, entry.clone(), frame.clone());
        }
        outer = Some(id);
    }
    outer.map(|_| tree.into_record(Stack::reversed))
}

/// What bref prints of a function that did not start: where it was thrown, and the rest as JSON.
fn bref(said: &str, lines: &[&str]) -> Option<Record> {
    let thrown = thrown(said)?;
    let rest = lines.iter().map(|line| line.trim_start()).find(|line| line.starts_with('{'));
    let mut record = rest.and_then(|rest| json::read(rest.as_bytes())).unwrap_or_default();
    record.error_type = Some(thrown.error_type.to_owned());
    record.error_message = thrown.said.to_owned();
    let innermost = match record.stack_trace.last_mut() {
        Some(innermost) if innermost.file.is_none() => innermost,
        _ => {
            record.stack_trace.push(StackEntry::default());
            record.frames.clear();
            record.stack_trace.last_mut()?
        }
    };
    (innermost.file, innermost.line) = (Some(thrown.file.to_owned()), Some(thrown.line));
    record.phase = Some(crate::failure::Phase::Init);
    Some(record)
}

/// Reads what bref posts, one call a string.
fn posted(posted: &Posted<'_>) -> Option<Record> {
    numbered(posted.stack.first()?)?;
    let calls = posted.stack.iter().filter_map(|line| numbered(line));
    let mut record = Record { runtime: Some(RUNTIME.to_owned()), ..Record::default() };
    stack(None, calls).reversed().put_into(&mut record);
    Some(record)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_shifted_to_the_places_that_they_are_in() {
        // PHP 8.2.36.
        let record = read("PHP Fatal error:  Uncaught LogicException: bad: [{\"k\":1}] in x in /var/task/main.php:7\nStack trace:\n#0 [internal function]: Shop\\Cart->risky(Array)\n#1 /var/task/main.php(6): ReflectionMethod->invoke(Object(Shop\\Cart), Array)\n#2 {main}\n  thrown in /var/task/main.php on line 7\n").unwrap();
        assert_eq!(record.error_message, "bad: [{\"k\":1}] in x");
        let calls: Vec<_> =
            record.stack_trace.iter().map(|entry| (entry.line, entry.function.as_deref().unwrap())).collect();
        assert_eq!(
            calls,
            [(Some(6), "{main}"), (None, "ReflectionMethod->invoke"), (Some(7), "Shop\\Cart->risky")]
        );
    }

    #[test]
    fn the_last_exception_is_the_failure() {
        let record = read("Fatal error: Uncaught RuntimeException: boom\nNext to nothing\n#0 /fake.php(1): f() in /app/index.php:7\nStack trace:\n#0 /app/index.php(12): Service->run(Array)\n#1 {main}\n\nNext LogicException: outer in /app/index.php:14\nStack trace:\n#0 {main}\n  thrown in /app/index.php on line 14\n").unwrap();
        assert_eq!(
            (record.error_type.as_deref(), record.error_message.as_str()),
            (Some("LogicException"), "outer")
        );
        assert_eq!(record.causes[0].error_message, "boom\nNext to nothing\n#0 /fake.php(1): f()");
        assert_eq!(record.causes[0].stack_trace.len(), 2);
    }

    #[test]
    fn errors_that_are_no_exceptions_have_a_place() {
        let record = read("PHP Fatal error:  Allowed memory size of 2097152 bytes exhausted (tried to allocate 32 bytes) in /app/x.php on line 7\n").unwrap();
        assert_eq!(
            (record.error_type.as_deref(), record.stack_trace[0].line),
            (Some("Fatal error"), Some(7))
        );
        assert_eq!(
            read("PHP Parse error:  syntax error, unexpected end of file in /app/x.php on line 3")
                .unwrap()
                .error_type
                .as_deref(),
            Some("Parse error")
        );
    }

    #[test]
    fn other_texts_are_not_taken() {
        for text in [
            "",
            "PHP Warning:  x in /a.php on line 3",
            "Fatal error: it burns",
            "fatal error: stack overflow",
            "Fatal error: Uncaught ",
            "Fatal error: Uncaught x",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
