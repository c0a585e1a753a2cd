//! Tracebacks as CPython prints them.
//!
//! Chained exceptions are printed innermost first; the last one is the failure and those before it are its causes. The members of a group
//! stand inside margins:
//!
//! ```text
//!   + Exception Group Traceback (most recent call last):
//!   |   File "a.py", line 15, in handler
//!   | ExceptionGroup: several (2 sub-exceptions)
//!   +-+---------------- 1 ----------------
//!     | ValueError: one
//!     +---------------- 2 ----------------
//!     | Traceback (most recent call last):
//!     |   File "a.py", line 3, in two
//!     | TypeError: two
//!     +------------------------------------
//! ```

use super::{GROUP_HEADER, HEADER, frames};
use crate::failure::{Cause, Record, Relation};
use crate::normalize::stack;
use crate::normalize::{CAUSES_DEPTH_MAX, CAUSES_MAX};

/// The lines between two exceptions of a chain, with what the earlier one is to the later.
const MARKERS: [(&str, Relation); 2] = [
    ("The above exception was the direct cause of the following exception:", Relation::Cause),
    ("During handling of the above exception, another exception occurred:", Relation::Context),
];

/// The deepest nest of groups that is read. CPython itself prints ten.
const GROUPS_DEPTH_MAX: usize = 16;

/// What a line between two exceptions of a chain says of the earlier one.
pub(super) fn relation(line: &str) -> Option<Relation> {
    MARKERS.iter().find(|(marker, _)| line == *marker).map(|(_, relation)| *relation)
}

/// True for a line that reads like `Type: message` or `Type`: it begins with a name of the language, dots included.
pub(super) fn is_exception(line: &str) -> bool {
    let name = line.split(':').next().unwrap_or_default();
    name.starts_with(|c: char| c.is_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '.' | '<' | '>'))
}

/// `Type: message`, or `Type` alone. A message may hold colons and line ends; a type holds no white space, and what is
/// no type is all message.
pub(super) fn split_exception(said: &str) -> (Option<String>, String) {
    let (error_type, message) = said.split_once(": ").unwrap_or((said.strip_suffix(':').unwrap_or(said), ""));
    // A message that begins with a line end leaves no blank behind its colon.
    let (error_type, message) = match said.split_once(":\n") {
        Some((name, _)) if name.len() < error_type.len() => (name, &said[name.len() + 1..]),
        _ => (error_type, message),
    };
    // Without a message the type stands alone, and what is below it is somebody else's.
    let first = said.lines().next().unwrap_or_default();
    if first.len() < said.len() && is_exception(first) && !first.contains(':') {
        return (Some(first.to_owned()), String::new());
    }
    if error_type.contains(char::is_whitespace) {
        return (None, said.to_owned());
    }
    (Some(error_type.to_owned()), message.to_owned())
}

/// True for a line inside the margins of a group.
pub(super) fn is_margined(line: &str) -> bool {
    line.starts_with("  ") && line.trim_start_matches(' ').starts_with(['|', '+'])
}

/// Reads a text that holds a traceback, or a syntax error without one. A logger's line may stand above it.
pub(super) fn read(text: &str) -> Option<Record> {
    let lines: Vec<&str> = text.split('\n').collect();
    let is_header = |line: &&str| {
        let line = line.trim_start_matches([' ', '+']);
        line == HEADER || line == GROUP_HEADER
    };
    let start = match lines.iter().position(is_header) {
        Some(start) => start,
        None => lines
            .iter()
            .position(|line| !line.is_empty())
            .filter(|at| frames::file_line(lines[*at]).is_some())?,
    };
    let end = lines.iter().rposition(|line| !line.trim_end_matches('\r').is_empty())? + 1;
    if start + 1 >= end {
        return None;
    }
    let mut skipped = 0;
    let mut record = chain(&items(&lines[start..end], 0, &mut skipped), &mut skipped)?;
    // The line above is the logger's own, so the program dealt with the exception.
    if lines[..start].iter().any(|line| !line.is_empty()) {
        record.handled = Some(true);
    }
    if skipped > 0 {
        record.truncated.insert("causes".to_owned(), skipped);
    }
    Some(record)
}

/// What a traceback consists of once the margins are gone.
enum Item<'a> {
    Line(&'a str),
    /// The members of the group above.
    Members(Vec<Vec<Item<'a>>>),
}

/// Takes the margins off. At the top of a text there are lines without any; inside a margin each line begins with `|`, and
/// what is two columns deeper are the members of the group above.
fn items<'a>(lines: &[&'a str], depth: usize, skipped: &mut u64) -> Vec<Item<'a>> {
    let mut items = Vec::new();
    let mut index = 0;
    while let Some(line) = lines.get(index) {
        index += 1;
        // The margin of the outermost group stands two columns deep.
        let inside =
            if depth == 0 { line.strip_prefix("  ").filter(|_| is_margined(line)) } else { Some(*line) };
        let Some(inside) = inside else {
            items.push(Item::Line(line));
            continue;
        };
        if inside.starts_with("+-+---") {
            let indent = if depth == 0 { 4 } else { 2 };
            let count = members_end(&lines[index..], indent);
            items.push(Item::Members(members(&lines[index..index + count], indent, depth + 1, skipped)));
            index += count;
        } else if let Some(rest) = inside.strip_prefix(['|', '+']) {
            items.push(Item::Line(rest.strip_prefix(' ').unwrap_or(rest)));
        } else {
            items.push(Item::Line(line));
        }
    }
    items
}

/// How many lines the members of a group take, which are `indent` columns deep: up to the line that closes them, since the lines of a
/// message may stand outside all margins.
fn members_end(lines: &[&str], indent: usize) -> usize {
    let is_deep = |line: &&&str| inner(line, indent).is_some();
    match lines.iter().position(|line| inner(line, indent).is_some_and(is_closing)) {
        Some(closing) => closing + 1,
        None => lines.iter().take_while(is_deep).count(),
    }
}

/// What stands behind the first `indent` columns of a line, if these are blank.
fn inner(line: &str, indent: usize) -> Option<&str> {
    let (margin, inner) = line.split_at_checked(indent)?;
    margin.trim().is_empty().then_some(inner)
}

/// True for the line below the last member of a group.
fn is_closing(line: &str) -> bool {
    line.len() > 8 && line.strip_prefix('+').is_some_and(|dashes| dashes.bytes().all(|byte| byte == b'-'))
}

/// True for the line below the last member of the outermost group.
pub(super) fn closes_groups(line: &str) -> bool {
    line.strip_prefix("    ").is_some_and(is_closing)
}

/// Parts the lines of all members, which are `indent` columns deep.
fn members<'a>(lines: &[&'a str], indent: usize, depth: usize, skipped: &mut u64) -> Vec<Vec<Item<'a>>> {
    let lines: Vec<&str> = lines.iter().map(|line| inner(line, indent).unwrap_or(line)).collect();
    let mut members = Vec::new();
    let is_end = |line: &str| line.starts_with("+------");
    for member in lines.split(|line| is_end(line)).filter(|member| !member.is_empty()) {
        if depth > GROUPS_DEPTH_MAX {
            *skipped += 1;
        } else {
            members.push(items(member, depth, skipped));
        }
    }
    members
}

/// Reads exceptions that are linked by markers. The last one is the failure.
fn chain(items: &[Item<'_>], skipped: &mut u64) -> Option<Record> {
    let markers: Vec<usize> = (0..items.len())
        .filter(|at| matches!(items[*at], Item::Line(line) if relation(line).is_some()))
        .collect();
    // Causes nest: of a chain that is too long, the outermost links are kept.
    let from = markers.len().saturating_sub(CAUSES_DEPTH_MAX);
    *skipped += from as u64;
    let mut start = from.checked_sub(1).map_or(0, |before| markers[before] + 1);
    let mut earlier: Option<Cause> = None;
    for end in markers[from..].iter().copied().chain([items.len()]) {
        let mut record = exception(&items[start..end], skipped);
        record.causes.splice(0..0, earlier.take());
        let Some(Item::Line(marker)) = items.get(end) else { return Some(record) };
        earlier = relation(marker).map(|relation| stack::cause(record, relation));
        start = end + 1;
    }
    None
}

/// Reads one exception: its header if it has one, its frames, what it says, and its members.
fn exception(items: &[Item<'_>], skipped: &mut u64) -> Record {
    let mut lines: Vec<&str> = Vec::new();
    let mut causes = Vec::new();
    for item in items {
        match item {
            Item::Line(line) => lines.push(line),
            Item::Members(members) => {
                let room = CAUSES_MAX.saturating_sub(causes.len());
                *skipped += members.len().saturating_sub(room) as u64;
                let read = members.iter().take(room).filter_map(|member| chain(member, skipped));
                causes.extend(read.map(|member| stack::cause(member, Relation::Member)));
            }
        }
    }
    let first = lines.iter().position(|line| !line.is_empty()).unwrap_or(lines.len());
    let is_header =
        lines.get(first).is_some_and(|line| line.trim_start() == HEADER || line.trim_start() == GROUP_HEADER);
    let below = &lines[first + usize::from(is_header)..];
    let (calls, used) = frames::read(below);
    let mut said = below[used..].join("\n");
    said.truncate(said.trim_end_matches('\n').len());
    let (error_type, error_message) = match said.as_str() {
        // The text ends with the frames: the exception's own line was lost.
        "" => (None, String::new()),
        said => split_exception(said),
    };
    let mut record = Record { error_message, error_type, causes, ..Record::default() };
    calls.put_into(&mut record);
    record
}

#[cfg(test)]
mod tests {
    use super::*;

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
        assert_eq!(record.stack_trace[1].source.as_deref(), Some("return data[\"x\"][\"y\"]"));
        assert_eq!(record.stack_trace[1].line, Some(3));
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
        assert_eq!((record.error_type.as_deref(), record.error_message.as_str()), (Some("RuntimeError"), ""));
        assert_eq!(
            (record.causes[0].relation, record.causes[0].error_message.as_str()),
            (Some(Relation::Cause), "'k'")
        );
        assert_eq!(record.causes[0].causes[0].relation, Some(Relation::Context));
        assert_eq!(record.causes[0].causes[0].error_message, "invalid literal");
    }

    #[test]
    fn a_chain_of_any_length_is_cut_where_json_can_still_hold_it() {
        let link = format!("{HEADER}\n  File \"a.py\", line 1, in f\n    g()\nE: m\n\n{}\n\n", MARKERS[1].0);
        let record = read(&format!(
            "{}{HEADER}\n  File \"a.py\", line 2, in top\n    g()\nLast: m\n",
            link.repeat(10_000)
        ))
        .unwrap();
        assert_eq!(record.error_type.as_deref(), Some("Last"));
        assert_eq!(record.truncated["causes"], 10_000 - CAUSES_DEPTH_MAX as u64);
        let json = serde_json::to_string(&record).unwrap();
        assert_eq!(serde_json::from_str::<Record>(&json).unwrap(), record);
    }

    #[test]
    fn the_members_of_groups_nest() {
        // CPython 3.12.1.
        let record = read(concat!(
            "  + Exception Group Traceback (most recent call last):\n",
            "  |   File \"a.py\", line 15, in handler\n",
            "  |     raise ExceptionGroup(\"several\", [one, two])\n",
            "  | ExceptionGroup: several (2 sub-exceptions)\n",
            "  +-+---------------- 1 ----------------\n",
            "    | ExceptionGroup: inner (1 sub-exception)\n",
            "    +-+---------------- 1 ----------------\n",
            "      | ValueError: one\n",
            "      | | more\n",
            "      +------------------------------------\n",
            "    +---------------- 2 ----------------\n",
            "    | Traceback (most recent call last):\n",
            "    |   File \"a.py\", line 9, in job\n",
            "    |     {}[\"k\"]\n",
            "    |     ~~^^^^^\n",
            "    | KeyError: 'k'\n",
            "    | \n",
            "    | The above exception was the direct cause of the following exception:\n",
            "    | \n",
            "    | Traceback (most recent call last):\n",
            "    |   File \"a.py\", line 11, in job\n",
            "    | RuntimeError: two\n",
            "    +------------------------------------\n",
        ))
        .unwrap();
        assert_eq!(record.error_message, "several (2 sub-exceptions)");
        assert_eq!(record.stack_trace.len(), 1);
        let [inner, two] = &record.causes[..] else { panic!("two members: {:?}", record.causes) };
        assert_eq!(
            (inner.relation, inner.causes[0].error_message.as_str()),
            (Some(Relation::Member), "one\n| more")
        );
        assert_eq!((two.error_message.as_str(), two.causes[0].error_message.as_str()), ("two", "'k'"));
        assert_eq!(two.causes[0].stack_trace[0].source.as_deref(), Some("{}[\"k\"]"));
    }

    #[test]
    fn a_members_message_may_stand_outside_the_margins() {
        // CPython 3.12.1, uncaught exception on stderr.
        let record = read(concat!(
            "  + Exception Group Traceback (most recent call last):\n",
            "  |   File \"a.py\", line 15, in handler\n",
            "  | ExceptionGroup: several (2 sub-exceptions)\n",
            "  +-+---------------- 1 ----------------\n",
            "    | ValueError: one\n",
            "and more\n",
            "    +---------------- 2 ----------------\n",
            "    | TypeError: two\n",
            "    +------------------------------------\n",
        ))
        .unwrap();
        let said: Vec<&str> = record.causes.iter().map(|cause| cause.error_message.as_str()).collect();
        assert_eq!(said, ["one\nand more", "two"]);
        assert_eq!(record.error_message, "several (2 sub-exceptions)");
    }

    #[test]
    fn a_syntax_error_stands_in_its_file() {
        // CPython 3.9.18.
        let record = read("  File \"/var/task/f.py\", line 3\n    return x\n            ^\nIndentationError: unindent does not match\n").unwrap();
        assert_eq!(record.error_type.as_deref(), Some("IndentationError"));
        assert_eq!(
            (
                record.stack_trace[0].line,
                record.stack_trace[0].function.as_deref(),
                record.stack_trace[0].source.as_deref()
            ),
            (Some(3), None, Some("return x"))
        );
    }

    #[test]
    fn a_message_of_several_lines_stays_whole() {
        let of = |said: &str| {
            read(&format!("{HEADER}\n  File \"a.py\", line 1, in f\n    g()\n{said}\n")).unwrap()
        };
        assert_eq!(of("E: one\n\n    two\nthree: 3").error_message, "one\n\n    two\nthree: 3");
        assert_eq!(of("E: \nx: y").error_message, "\nx: y");
        assert_eq!(of("a.b.E").error_type.as_deref(), Some("a.b.E"));
    }

    #[test]
    fn broken_texts_give_what_they_hold() {
        for text in ["", "Traceback", HEADER, "x", "  File \"", "\n\n"] {
            assert_eq!(read(text), None, "{text:?}");
        }
        let cut = read("Traceback (most recent call last):\n  File \"a.py\", line 1, in f").unwrap();
        assert_eq!((cut.error_type, cut.stack_trace.len()), (None, 1));
    }
}
