//! An error as `util.inspect` prints it: on stderr when nobody caught it, and from `console.error`.
//!
//! ```text
//! Error: service unavailable
//!     at service (/var/task/main.js:4:57)
//!     at Object.<anonymous> (/var/task/main.js:5:1)
//!     ... 5 lines matching cause stack trace ...
//!     at node:internal/main/run_main_module:28:49 {
//!   code: 'E_X',
//!   [cause]: DbError: query failed
//!       at query (/var/task/main.js:3:57) {
//!     [errors]: [
//!       Error: first
//!           at …,
//!       [Error: has no stack]
//!     ]
//!   }
//! }
//! ```
//!
//! What belongs to what is a matter of indentation. The message stands before the stack and may itself hold lines that look like
//! one, so the stack is the last run of such lines.

use crate::failure::Relation;
use crate::normalize::node::chain::{Failure, StackLine};
use crate::normalize::node::frame;
use crate::normalize::node::header::{self, Writer, header};
use crate::normalize::{CAUSES_DEPTH_MAX, CAUSES_MAX, FRAMES_MAX};

/// The white space before a line of a stack.
pub(super) const STACK_INDENT: &str = "    ";

/// How many lines the message of an error without a stack may have, which is closed by a bracket.
const BRACKETED_LINES_MAX: usize = 64;

/// Beginnings of values in brackets that are no errors.
const OTHER_BRACKETS: [&str; 11] = [
    " ",
    "'",
    "Function",
    "AsyncFunction",
    "GeneratorFunction",
    "Circular",
    "class ",
    "Object",
    "Array",
    "Getter",
    "Setter",
];

/// What stands behind the last line of a stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Nothing: another line may follow.
    Open,
    /// A brace: the error's own members follow.
    Members,
    /// A comma: the next member of whatever holds the error follows.
    Next,
}

/// Reads the error that begins in the first of `lines`. `None` if nothing is there.
pub(super) fn error(lines: &[&str], writer: Writer) -> Option<Failure> {
    let mut reader = Reader { lines, causes: 0, left_out: 0 };
    let (mut failure, _) = reader.error(0, lines.first()?, 0, writer, 0);
    failure.truncated = reader.left_out;
    Some(failure)
}

/// The end of a line that is part of a stack by its shape. `None` for other lines. The white space before it has been taken off.
pub(super) fn stack_line_end(line: &str) -> Option<End> {
    stack_line(line).map(|(_, end)| end)
}

/// True for the line above a second stack, which says who reported the error.
pub(super) fn is_emitter(line: &str) -> bool {
    line.starts_with("Emitted 'error' event") && line.ends_with(" at:")
}

/// True for a line that Node prints below everything.
pub(super) fn is_footer(line: &str) -> bool {
    line.starts_with("Node.js v") || line.starts_with("(Use `node --trace-")
}

fn stack_line(line: &str) -> Option<(StackLine, End)> {
    let (text, end) = match line.strip_suffix(" {") {
        Some(text) => (text, End::Members),
        None => line.strip_suffix(',').map_or((line, End::Open), |text| (text, End::Next)),
    };
    if let Some((entry, frame)) = frame::call(text) {
        return Some((StackLine::Call(entry, frame), end));
    }
    let count = text.strip_prefix("... ")?.split_once(" lines matching ")?.0;
    Some((StackLine::Matching(count.parse().ok()?), end))
}

struct Reader<'a> {
    lines: &'a [&'a str],
    /// How many causes were read in all.
    causes: usize,
    /// How many were left out.
    left_out: u64,
}

impl<'a> Reader<'a> {
    /// Reads the error whose first line, at `at`, says `head` behind whatever stands before it. Gives the number of the line
    /// after it.
    fn error(
        &mut self,
        at: usize,
        head: &'a str,
        indent: usize,
        writer: Writer,
        depth: usize,
    ) -> (Failure, usize) {
        if let Some((said, next, has_members)) = self.bracketed(at, head, indent) {
            let mut failure = failure(&said, writer);
            let next = if has_members { self.members(next, indent, depth, &mut failure) } else { next };
            return (failure, next);
        }
        let (run, end, next) = self.stack(at + 1, indent);
        let (said_end, lines) = run.unwrap_or((next, Vec::new()));
        let mut said = head.to_owned();
        for line in &self.lines[at + 1..said_end] {
            said.push('\n');
            said.push_str(unindented(line, indent).unwrap_or_default());
        }
        if lines.is_empty() {
            said.truncate(said.trim_end().len());
        }
        let mut failure = failure(&said, writer);
        failure.lines = lines;
        let next = if end == End::Members { self.members(next, indent, depth, &mut failure) } else { next };
        (failure, next)
    }

    /// Finds the stack of an error: where it begins, its lines, what ends it, and the number of the line after the error.
    fn stack(&self, from: usize, indent: usize) -> (Option<(usize, Vec<StackLine>)>, End, usize) {
        let mut run: Option<(usize, Vec<StackLine>)> = None;
        let mut run_goes_on = false;
        let mut is_emitters = false;
        let mut at = from;
        while let Some(line) = self.lines.get(at) {
            let Some(body) = unindented(line, indent) else { break };
            if indent == 0 && (is_footer(body) || body == "Thrown at:") {
                break;
            }
            if let Some((line, end)) = body.strip_prefix(STACK_INDENT).and_then(stack_line) {
                if !is_emitters {
                    if !run_goes_on {
                        run = Some((at, Vec::new()));
                    }
                    run_goes_on = true;
                    if let Some((_, lines)) = run.as_mut().filter(|(_, lines)| lines.len() < FRAMES_MAX) {
                        lines.push(line);
                    }
                }
                if end == End::Members || end == End::Next && indent > 0 {
                    return (run, end, at + 1);
                }
            } else if is_emitters {
                break;
            } else {
                is_emitters = run_goes_on && is_emitter(body);
                run_goes_on = false;
            }
            at += 1;
        }
        (run, End::Open, at)
    }

    /// An error without a stack: `[Error: message]`. Gives what it says, the number of the line after it, and whether its
    /// members follow.
    fn bracketed(&self, at: usize, head: &str, indent: usize) -> Option<(String, usize, bool)> {
        let first = head.strip_prefix('[').filter(|first| {
            let name = first.trim_end_matches([']', ',', '{', ' ']);
            !OTHER_BRACKETS.iter().any(|other| first.starts_with(other)) && header::typed(name).is_some()
        })?;
        let mut said = String::new();
        for number in at..self.lines.len().min(at + BRACKETED_LINES_MAX) {
            let line = if number == at { first } else { unindented(self.lines[number], indent)? };
            if number > at {
                said.push('\n');
            }
            if let Some((end, has_members)) = before_bracket(line) {
                said.push_str(end);
                return Some((said, number + 1, has_members));
            }
            said.push_str(line);
        }
        None
    }

    /// Reads the members of an error up to the brace that closes them, and keeps the errors among them that stand behind it.
    fn members(&mut self, from: usize, indent: usize, depth: usize, failure: &mut Failure) -> usize {
        let mut at = from;
        while let Some(line) = self.lines.get(at).copied() {
            let Some(body) = unindented(line, indent) else { break };
            if matches!(body, "}" | "},") {
                return at + 1;
            }
            let Some(body) = unindented(line, indent + 2) else { break };
            let Some((relation, value)) = member(body) else {
                at += 1;
                continue;
            };
            at = if relation == Some(Relation::Member) && value == "[" {
                self.elements(at + 1, indent + 2, depth, failure)
            } else {
                self.value(at, value, indent + 2, depth, relation, failure)
            };
        }
        at
    }

    /// Reads the elements of an array up to the bracket that closes it.
    fn elements(&mut self, from: usize, indent: usize, depth: usize, failure: &mut Failure) -> usize {
        let mut at = from;
        while let Some(line) = self.lines.get(at).copied() {
            match unindented(line, indent) {
                None => break,
                Some("]" | "],") => return at + 1,
                Some(_) => {}
            }
            let Some(body) = unindented(line, indent + 2) else { break };
            at = self.value(at, body, indent + 2, depth, Some(Relation::Member), failure);
        }
        at
    }

    /// Reads one value: an error is kept if it stands behind `failure`. Lines of other values are indented, and nobody
    /// takes them.
    fn value(
        &mut self,
        at: usize,
        value: &'a str,
        indent: usize,
        depth: usize,
        relation: Option<Relation>,
        failure: &mut Failure,
    ) -> usize {
        if !self.is_error(at, value, indent) {
            return at + 1;
        }
        if depth >= CAUSES_DEPTH_MAX || self.causes >= CAUSES_MAX {
            self.left_out += u64::from(relation.is_some());
            return at + 1;
        }
        self.causes += usize::from(relation.is_some());
        let (inner, next) = self.error(at, value, indent, Writer::Node, depth + 1);
        failure.causes.extend(relation.map(|relation| (relation, inner)));
        next
    }

    /// Strings are quoted and objects have braces, so that a name with a colon can only be an error; a name alone if a stack is
    /// below it.
    fn is_error(&self, at: usize, value: &str, indent: usize) -> bool {
        let value = header::without_reference(value);
        if value.starts_with('[') {
            return self.bracketed(at, value, indent).is_some();
        }
        let Some(header) = header::typed(value) else { return false };
        let is_above_stack = || {
            let below = self.lines.get(at + 1).and_then(|line| unindented(line, indent));
            below.and_then(|line| line.strip_prefix(STACK_INDENT)).and_then(stack_line).is_some()
        };
        let name = header.raw_error_type.or(header.error_type).unwrap_or_default();
        value.len() > name.len() || is_above_stack()
    }
}

/// What a line says before the bracket that closes an error, and whether the error's members follow. They may also stand on the
/// line: `limit 0] { code: 'X' }`.
fn before_bracket(line: &str) -> Option<(&str, bool)> {
    let line = line.strip_suffix(',').unwrap_or(line);
    if let Some(said) = line.strip_suffix("] {") {
        return Some((said, true));
    }
    if let Some(said) = line.strip_suffix(']') {
        return Some((said, false));
    }
    let (said, _) = line.strip_suffix(" }")?.split_once("] { ")?;
    Some((said, false))
}

fn failure(said: &str, writer: Writer) -> Failure {
    let header = header(said, writer);
    Failure {
        error_type: header.error_type.map(str::to_owned),
        raw_error_type: header.raw_error_type.map(str::to_owned),
        message: header.message.to_owned(),
        ..Failure::default()
    }
}

/// A line without the indentation of what it belongs to. A blank line may have lost its own.
fn unindented(line: &str, indent: usize) -> Option<&str> {
    if line.bytes().take(indent).all(|byte| byte == b' ') {
        return Some(line.get(indent..).unwrap_or_default())
            .filter(|_| line.len() >= indent || line.bytes().all(|byte| byte == b' '));
    }
    None
}

/// Parts `[cause]: value`. Members in brackets are not enumerable; others may have been set by the program.
fn member(line: &str) -> Option<(Option<Relation>, &str)> {
    if line.starts_with([' ', '}', ']', ')']) {
        return None;
    }
    let (key, value) = line.split_once(": ")?;
    let relation = match key {
        "[cause]" | "cause" | "[error]" => Some(Relation::Cause),
        "[errors]" | "errors" => Some(Relation::Member),
        "[suppressed]" => Some(Relation::Suppressed),
        _ => None,
    };
    Some((relation, value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::{Record, StackEntry};

    fn record(text: &str) -> Record {
        error(&text.lines().collect::<Vec<_>>(), Writer::Node).unwrap().into_record()
    }

    fn lines_of(entries: &[StackEntry]) -> Vec<u32> {
        entries.iter().filter_map(|entry| entry.line).collect()
    }

    #[test]
    fn a_chain_is_read_and_its_stacks_are_filled() {
        // Node 20.20.2, shortened.
        let record = record(concat!(
            "Error: service unavailable\n",
            "    at service (/var/task/main.js:4:57)\n",
            "    at Object.<anonymous> (/var/task/main.js:5:1)\n",
            "    ... 2 lines matching cause stack trace ...\n",
            "    at node:internal/main/run_main_module:28:49 {\n",
            "  [cause]: DbError: query failed\n",
            "      at query (/var/task/main.js:3:57)\n",
            "      at Object.<anonymous> (/var/task/main.js:5:1)\n",
            "      ... 2 lines matching cause stack trace ...\n",
            "      at node:internal/main/run_main_module:28:49 {\n",
            "    code: 'E_DB',\n",
            "    [cause]: Error: ECONNREFUSED 10.0.0.1:5432\n",
            "        at connect (/var/task/main.js:2:28)\n",
            "        at Object.<anonymous> (/var/task/main.js:5:1)\n",
            "        at Module._compile (node:internal/modules/cjs/loader:1521:14)\n",
            "        at Module.load (node:internal/modules/cjs/loader:1266:32)\n",
            "        at node:internal/main/run_main_module:28:49\n",
            "  }\n",
            "}\n",
        ));
        assert_eq!(record.error_message, "service unavailable");
        assert_eq!(lines_of(&record.stack_trace), [28, 1266, 1521, 5, 4]);
        assert_eq!(record.causes[0].error_type.as_deref(), Some("DbError"));
        assert_eq!(lines_of(&record.causes[0].stack_trace), [28, 1266, 1521, 5, 3]);
        assert_eq!(record.causes[0].causes[0].error_message, "ECONNREFUSED 10.0.0.1:5432");
        assert!(record.truncated.is_empty());
    }

    #[test]
    fn lines_that_match_nothing_are_counted() {
        // Node 20.20.2: the cause is the error itself.
        let record = record(concat!(
            "<ref *1> Error: circ\n    at go (/a.js:37:25)\n    ... 6 lines matching cause stack trace ...\n",
            "    at node:internal/main/run_main_module:28:49 {\n  cause: [Circular *1]\n}\n",
        ));
        assert_eq!(record.error_type.as_deref(), Some("Error"));
        assert_eq!(record.truncated["stackTrace"], 6);
        assert_eq!(record.causes, []);
    }

    #[test]
    fn the_members_of_an_aggregate_are_read() {
        // Node 20.20.2, shortened.
        let record = record(concat!(
            "AggregateError: multi\n",
            "    at go (/a.js:10:20) {\n",
            "  [errors]: [\n",
            "    Error: a1\n",
            "    second\n",
            "        at go (/a.js:10:40)\n",
            "        at /a.js:88:9,\n",
            "    [TypeError: b2],\n",
            "    'Error: no'\n",
            "  ],\n",
            "  [cause]: [Error]\n",
            "}\n",
        ));
        let said: Vec<_> = record
            .causes
            .iter()
            .map(|cause| (cause.error_type.as_deref(), cause.error_message.as_str(), cause.relation))
            .collect();
        assert_eq!(
            said,
            [
                (Some("Error"), "a1\nsecond", Some(Relation::Member)),
                (Some("TypeError"), "b2", Some(Relation::Member)),
                (Some("Error"), "", Some(Relation::Cause)),
            ]
        );
        assert_eq!(lines_of(&record.causes[0].stack_trace), [88, 10]);
    }

    #[test]
    fn errors_in_other_members_are_not_taken_for_causes() {
        let record = record(concat!(
            "Error: top\n    at go (/a.js:40:27) {\n",
            "  inner: TypeError: inner one\n      at go (/a.js:40:53),\n",
            "  nested: {\n    cause: Error: x\n        at go (/a.js:41:1)\n  },\n",
            "  [cause]: TypeError: in\n  \n  ner {\n      at go (/a.js:39:55)\n}\n",
        ));
        assert_eq!(lines_of(&record.stack_trace), [40]);
        assert_eq!(record.causes.len(), 1);
        assert_eq!(record.causes[0].error_message, "in\n\nner {");
        assert_eq!(lines_of(&record.causes[0].stack_trace), [39]);
    }

    #[test]
    fn an_error_without_a_stack_stands_in_brackets() {
        let plain = record("[Error: limit 0] { code: 'X' }\n");
        assert_eq!((plain.error_type.as_deref(), plain.error_message.as_str()), (Some("Error"), "limit 0"));
        let lines = record(
            "[AggregateError: all\nwere rejected] {\n  [errors]: [\n    Error: x1\n        at /a.js:1:2\n  ]\n}\n",
        );
        assert_eq!(lines.error_message, "all\nwere rejected");
        assert_eq!(lines.causes[0].error_message, "x1");
        assert_eq!(record("[UnhandledPromiseRejection: no [x]] {\n  code: 'E'\n}").error_message, "no [x]");
    }

    #[test]
    fn a_message_that_looks_like_a_stack_is_a_message() {
        let record =
            record("Error: first\n    at looksLike.aFrame (/no.js:1:1)\nlast\n    at go (/a.js:26:21)\n");
        assert_eq!(record.error_message, "first\n    at looksLike.aFrame (/no.js:1:1)\nlast");
        assert_eq!(lines_of(&record.stack_trace), [26]);
    }

    #[test]
    fn the_stack_of_the_emitter_is_not_the_errors() {
        // Node 20.20.2, shortened.
        let record = record(concat!(
            "RangeError: in worker\n    at w ([worker eval]:1:23)\n",
            "Emitted 'error' event on Worker instance at:\n    at [kOnErrorMessage] (node:internal/worker:333:10) {\n",
            "  code: 'W',\n  [cause]: Error: c\n      at w (/c.js:2:1)\n}\n",
        ));
        assert_eq!(lines_of(&record.stack_trace), [1]);
        assert_eq!(record.causes[0].error_message, "c");
    }

    #[test]
    fn a_chain_of_any_length_is_bounded() {
        let mut text = String::from("Error: 0\n    at f (/a.js:1:1) {\n");
        for depth in 1..300 {
            let indent = " ".repeat(2 * depth);
            text.push_str(&format!("{indent}[cause]: Error: {depth}\n{indent}    at f (/a.js:1:1) {{\n"));
        }
        let long = record(&text);
        assert!(long.truncated["causes"] > 0);
        let wide = format!(
            "Error: w\n    at f (/a.js:1:1) {{\n  [errors]: [\n{}  ]\n}}",
            "    [Error: m],\n".repeat(1_000)
        );
        let wide = record(&wide);
        assert_eq!(wide.causes.len(), CAUSES_MAX);
        assert_eq!(wide.truncated["causes"], 1_000 - CAUSES_MAX as u64);
    }
}
