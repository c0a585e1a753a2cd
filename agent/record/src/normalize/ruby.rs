//! Printed failures of Ruby.
//!
//! ```text
//! /var/task/main.rb:7:in `rescue in query': query failed (DbError)       up to 3.3
//!         from /var/task/main.rb:4:in `query'
//! /var/task/main.rb:3:in 'Repo.connect': refused (Errno::ECONNREFUSED)   the cause; 3.4 names the class, in other quotes
//!         from /var/task/main.rb:5:in 'Repo.query'
//!
//! Traceback (most recent call last):                                     2.5 to 2.7 on a terminal, and `order: :bottom`
//!         1: from /var/task/main.rb:8:in `<main>'
//! /var/task/main.rb:1:in `inner': closed (IOError)                       here causes come first
//! ```
//!
//! The type stands at the end of the message's first line; the other lines of the message follow, then the frames.

mod rails;

use std::ops::Range;

use crate::failure::{Frame, Record, Relation, StackEntry};
use crate::normalize::ansi::without_colours;
use crate::normalize::language::{Claim, Held, Language, Opening, Posted, State};
use crate::normalize::line::Line;
use crate::normalize::stack::Stack;
use crate::normalize::tree::{Id, Tree};

/// How Ruby prints failures.
pub(crate) static LANGUAGE: Language = Language {
    name: RUNTIME,
    begins: b"/.<(-#f0123456789alcdsv",
    signs: &["\tfrom ", ": from ", ":in ", "#<Thread:"],
    opens,
    continues,
    read,
    posted,
};

/// The runtime's name in a record.
const RUNTIME: &str = "ruby";

/// What Ruby says where an exception has no message; its type is then [`UNNAMED_TYPE`].
const UNNAMED: &str = "unhandled exception";
const UNNAMED_TYPE: &str = "RuntimeError";

/// The end of the line that Ruby prints for a thread that an exception ended.
const THREAD: &str = " terminated with exception (report_on_exception is true):";

/// A first line was read, and perhaps more lines of the message.
const HEAD: State = State(0);
/// Frames are being read.
const FRAMES: State = State(1);
/// Frames are being read that stand above the first line.
const NUMBERED: State = State(2);
/// Something else stands below frames: if more frames follow, all of it was the message.
const BROKEN: State = State(3);
/// Places of what Rails logged are being read.
const RAILS: State = State(4);

fn opens(line: &Line<'_>, held: &Held<'_>) -> Option<Opening> {
    let text = &*without_colours(line.text);
    if is_frame(text) {
        let above = held.back().position(|line| head(&without_colours(Line::new(line).text)).is_some())?;
        return Some(Opening::Before { lines: above + 1, state: FRAMES });
    }
    if numbered(text).is_some() {
        return Some(Opening::Here(NUMBERED));
    }
    if text.ends_with('\'') && rails::call(text).is_some() {
        return rails::lines_above(held).map(|lines| Opening::Before { lines, state: RAILS });
    }
    let is_begun = head(text).is_some() || text.starts_with("#<Thread:") && text.ends_with(THREAD);
    is_begun.then_some(Opening::Here(HEAD))
}

fn continues(state: State, line: &Line<'_>) -> Claim {
    let text = &*without_colours(line.raw);
    if state == RAILS {
        return if rails::call(text).is_some() { Claim::Own(RAILS) } else { Claim::No };
    }
    if is_frame(text) || levels(text).is_some() {
        Claim::Own(FRAMES)
    } else if numbered(text).is_some() {
        Claim::Own(NUMBERED)
    } else if state != BROKEN && head(text).is_some() {
        Claim::Own(HEAD)
    } else {
        match state {
            HEAD => Claim::Message(HEAD),
            FRAMES | BROKEN if head(text).is_none() => Claim::Message(BROKEN),
            _ => Claim::No,
        }
    }
}

/// True for `\tfrom /var/task/main.rb:4:in 'query'`.
fn is_frame(text: &str) -> bool {
    text.strip_prefix("\tfrom ").is_some_and(|place| call(place).is_some())
}

/// The call in `\t12: from /var/task/main.rb:8:in '<main>'`.
fn numbered(text: &str) -> Option<StackEntry> {
    let (number, place) = text.strip_prefix('\t')?.trim_start_matches(' ').split_once(": from ")?;
    number.parse::<u32>().ok()?;
    call(place)
}

/// The number in `\t ... 10068 levels...`.
fn levels(text: &str) -> Option<u64> {
    text.trim_start().strip_prefix("... ")?.strip_suffix(" levels...")?.parse().ok()
}

/// `/var/task/main.rb:4:in 'query'`; a call at the top may have no label.
fn call(text: &str) -> Option<StackEntry> {
    let (place, label) = match text.split_once(":in ") {
        Some((place, label)) => (place, Some(label.strip_prefix(['`', '\''])?.strip_suffix('\'')?)),
        None => (text, None),
    };
    let (file, line) = place.rsplit_once(':')?;
    let line = line.parse().ok()?;
    let is_file = !file.is_empty()
        && (label.is_some() || file.ends_with(".rb") || file.ends_with('>') || file.ends_with(')'));
    is_file.then(|| StackEntry {
        file: Some(file.to_owned()),
        line: Some(line),
        function: label.map(str::to_owned),
        source: None,
    })
}

/// The first line of an exception.
struct Head<'a> {
    call: StackEntry,
    error_type: &'a str,
    /// The first line of the message.
    said: &'a str,
}

/// `/var/task/main.rb:7:in 'query': query failed (DbError)`.
fn head(text: &str) -> Option<Head<'_>> {
    // Labels and paths hold no such mark, and the message may: the first one counts.
    let mark = memchr::memmem::find(text.as_bytes(), b":in ")?;
    let end = mark + memchr::memmem::find(&text.as_bytes()[mark..], b"': ")? + 1;
    let call = call(&text[..end])?;
    let said = &text[end + 2..];
    if said == UNNAMED {
        return Some(Head { call, error_type: UNNAMED_TYPE, said: "" });
    }
    let is_type = |name: &str| {
        name.starts_with(|c: char| c.is_uppercase() || c == '#')
            && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | ':' | '#' | '<' | '>'))
    };
    // An empty message leaves the type alone.
    if is_type(said) && !said.ends_with(':') {
        return Some(Head { call, error_type: said, said: "" });
    }
    let (said, error_type) = said.strip_suffix(')')?.rsplit_once('(')?;
    let said = if said.is_empty() { said } else { said.strip_suffix(' ')? };
    // An exception without a message says its type instead.
    is_type(error_type).then_some(Head { call, error_type, said: if said == error_type { "" } else { said } })
}

fn read(text: &str) -> Option<Record> {
    let plain = without_colours(text);
    let lines: Vec<&str> =
        plain.lines().skip_while(|line| line.starts_with("Traceback (") || line.ends_with(THREAD)).collect();
    let mut record = match lines.first()? {
        first if head(first).is_some() => newest_first(&lines),
        first if numbered(first).is_some() => newest_last(&lines)?,
        _ => rails::read(&lines).or_else(|| syntax_error(&lines))?,
    };
    record.runtime = Some(RUNTIME.to_owned());
    Some(record)
}

/// The usual order: the exception, its frames, then its cause.
fn newest_first(lines: &[&str]) -> Record {
    let mut tree = Tree::default();
    let mut open: Option<Id> = None;
    for section in lines.chunk_by(|_, next| head(next).is_none()) {
        let Some(head) = head(section[0]) else { continue };
        let id = match open {
            None => Some(tree.root()),
            Some(outer) => tree.add(outer, Relation::Cause),
        };
        let Some(id) = id else { break };
        begin(&mut tree, id, head);
        let frames = frames(&section[1..]);
        section[1..=frames.start].iter().for_each(|line| go_on(&mut tree, id, line));
        for line in &section[1..][frames] {
            if let Some(entry) = line.strip_prefix("\tfrom ").and_then(call) {
                tree.push(id, entry, Frame::default());
            } else if let Some(count) = levels(line) {
                tree.node(id).stack.elide(count);
            }
        }
        open = Some(id);
    }
    tree.into_record(Stack::reversed)
}

/// Which lines below a first line are its frames: the last that stand together, since a message may quote others. Without any, all
/// lines are the message's.
fn frames(lines: &[&str]) -> Range<usize> {
    let is_one = |line: &&str| is_frame(line) || levels(line).is_some();
    let Some(last) = lines.iter().rposition(is_one) else { return lines.len()..lines.len() };
    let start = lines[..last].iter().rposition(|line| !is_one(line)).map_or(0, |before| before + 1);
    start..last + 1
}

/// The other order: the frames from the outermost one on, the exception, then what it was the cause of.
fn newest_last(lines: &[&str]) -> Option<Record> {
    // From the end on, so that the failure comes first and its causes behind it.
    let mut sections: Vec<&[&str]> = Vec::new();
    let mut start = 0;
    for (index, pair) in lines.windows(2).enumerate() {
        if numbered(pair[0]).is_none() && numbered(pair[1]).is_some() {
            sections.push(&lines[start..=index]);
            start = index + 1;
        }
    }
    sections.push(&lines[start..]);
    let mut tree = Tree::default();
    let mut outer = None;
    for section in sections.iter().rev() {
        let at = section.iter().position(|line| head(line).is_some())?;
        let id = match outer {
            None => Some(tree.root()),
            Some(outer) => tree.add(outer, Relation::Cause),
        };
        let Some(id) = id else { continue };
        begin(&mut tree, id, head(section[at])?);
        section[..at]
            .iter()
            .rev()
            .filter_map(|line| numbered(line))
            .for_each(|entry| tree.push(id, entry, Frame::default()));
        section[at + 1..].iter().for_each(|line| go_on(&mut tree, id, line));
        outer = Some(id);
    }
    Some(tree.into_record(Stack::reversed))
}

fn begin(tree: &mut Tree, id: Id, head: Head<'_>) {
    let node = tree.node(id);
    node.error_type = Some(head.error_type.to_owned());
    node.error_message = head.said.to_owned();
    tree.push(id, head.call, Frame::default());
}

/// Adds a line to the message.
fn go_on(tree: &mut Tree, id: Id, line: &str) {
    let message = &mut tree.node(id).error_message;
    message.push('\n');
    message.push_str(line);
}

/// A file that Ruby could not read: `/var/task/main.rb:5: syntax error, unexpected 'end'`, the line, and a mark below.
fn syntax_error(lines: &[&str]) -> Option<Record> {
    let (place, said) = lines.first()?.split_once(": ")?;
    let (file, line) = place.rsplit_once(':')?;
    if !said.starts_with("syntax error") || !file.ends_with(".rb") && !file.starts_with('-') {
        return None;
    }
    let is_mark = |line: &&&str| !line.is_empty() && line.trim().chars().all(|c| matches!(c, '^' | '~'));
    let source = lines.get(2).filter(is_mark).and(lines.get(1)).map(|line| line.trim().to_owned());
    let said = said.strip_suffix(" (SyntaxError)").unwrap_or(said);
    Some(Record {
        error_message: said.to_owned(),
        error_type: Some("SyntaxError".to_owned()),
        stack_trace: vec![StackEntry {
            file: Some(file.to_owned()),
            line: Some(line.parse().ok()?),
            function: None,
            source,
        }],
        ..Record::default()
    })
}

/// Reads what Lambda's client posts, one call a string.
fn posted(posted: &Posted<'_>) -> Option<Record> {
    call(posted.stack.first()?)?;
    let mut stack = Stack::default();
    for entry in posted.stack.iter().filter_map(|text| call(text)) {
        stack.push(entry, Frame::default());
    }
    let mut record = Record { runtime: Some(RUNTIME.to_owned()), ..Record::default() };
    stack.reversed().put_into(&mut record);
    Some(record)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cause_stands_below_what_it_caused() {
        // Ruby 3.4.1.
        let record = read("/var/task/main.rb:13:in 'Object#service': service (unavailable) (RuntimeError)\nmore: (x)\n\tfrom /var/task/main.rb:15:in '<top (required)>'\n/var/task/main.rb:3:in 'Repo.connect': Connection refused - db:5432 (Errno::ECONNREFUSED)\n\tfrom /var/task/main.rb:5:in 'Repo.query'\n").unwrap();
        assert_eq!(
            (record.error_type.as_deref(), record.error_message.as_str()),
            (Some("RuntimeError"), "service (unavailable)\nmore: (x)")
        );
        assert_eq!(record.stack_trace[1].function.as_deref(), Some("Object#service"));
        assert_eq!(record.causes[0].error_type.as_deref(), Some("Errno::ECONNREFUSED"));
        assert_eq!(record.causes[0].stack_trace[0].function.as_deref(), Some("Repo.query"));
    }

    #[test]
    fn in_the_other_order_the_failure_comes_last() {
        // Ruby 3.1.7, `full_message(order: :bottom)`.
        let record = read("Traceback (most recent call last):\n\t2: from /var/task/main.rb:8:in `<main>'\n\t1: from /var/task/main.rb:3:in `outer'\n/var/task/main.rb:1:in `inner': closed (IOError)\nstream\n\t1: from /var/task/main.rb:8:in `<main>'\n/var/task/main.rb:5:in `rescue in outer': wrapped (ArgumentError)\n").unwrap();
        assert_eq!((record.error_message.as_str(), record.stack_trace.len()), ("wrapped", 2));
        assert_eq!(
            (record.causes[0].error_message.as_str(), record.causes[0].stack_trace.len()),
            ("closed\nstream", 3)
        );
        assert_eq!(record.causes[0].stack_trace[0].function.as_deref(), Some("<main>"));
    }

    #[test]
    fn an_exception_without_a_message_says_so_in_two_ways() {
        let of = |said: &str| read(&format!("main.rb:1:in `<main>': {said}\n")).unwrap();
        assert_eq!(
            (
                of("unhandled exception").error_type.as_deref(),
                of("unhandled exception").error_message.as_str()
            ),
            (Some("RuntimeError"), "")
        );
        assert_eq!(
            (
                of("KeyError (KeyError)").error_type.as_deref(),
                of("KeyError (KeyError)").error_message.as_str()
            ),
            (Some("KeyError"), "")
        );
    }

    #[test]
    fn left_out_levels_are_counted() {
        let record = read("/a.rb:2:in `f': stack level too deep (SystemStackError)\n\tfrom /a.rb:2:in `f'\n\t ... 10068 levels...\n\tfrom /a.rb:5:in `<main>'\n").unwrap();
        assert_eq!((record.stack_trace.len(), record.truncated["stackTrace"]), (3, 10_068));
    }

    #[test]
    fn other_lines_are_no_heads() {
        for text in [
            "",
            "in `x': y (Z)",
            "/a.rb:x:in `f': m (E)",
            "/a.rb:1:in `f': m (e)",
            "/a.rb:1:in `f': m",
            "12:30:in 'x': m (E",
            "a:in ",
        ] {
            assert!(head(text).is_none(), "{text}");
            assert_eq!(read(text), None, "{text}");
        }
    }
}
