//! Node's failures among the lines of a log.
//!
//! A code frame opens a failure, by its first line if that names a file as Node does, or by its marker. Otherwise the first line of a
//! stack does, and what failed stands above it.

use crate::normalize::language::{Claim, Held, Opening, State};
use crate::normalize::line::Line;
use crate::normalize::node::header;
use crate::normalize::node::inspect::{self, End, STACK_INDENT};
use crate::normalize::node::{fatal, frame, is_joined, labelled, uncaught};

/// With what `opens` wants to see a line begin.
pub(super) const BEGINS: &[u8] = b"^a/fnFIU";

/// What stands in every line that opens a failure: the label's JSON, a stack's line, the engine's last words, a code frame's place.
pub(super) const SIGNS: &[&str] = &[
    "\t{\"errorType\"",
    "at ",
    "lines matching cause stack trace",
    "FATAL ERROR: ",
    "js:",
    "jsx:",
    "ts:",
    "tsx:",
    "node:",
];

/// The first line of a code frame was read: its source line follows.
const PLACE: State = State(0);
/// The source line of a code frame was read: its marker follows.
const SOURCE: State = State(1);
/// A code frame was read: the error or the value follows.
const HEAD: State = State(2);
/// The first line below the code frame was read, and perhaps more of the message.
const SAID: State = State(3);
/// The stack of an error that has a code frame. Its footer is yet to come, so that more may be message than seems.
const UNCAUGHT: State = State(4);
/// The stack of an error without a code frame.
const STACK: State = State(5);
/// The members of an error, or of a thrown object.
const MEMBERS: State = State(6);
/// Everything but the footer was read.
const DONE: State = State(7);
/// The native stack of the engine's death.
const NATIVE: State = State(8);

pub(super) fn opens(line: &Line<'_>, held: &Held<'_>) -> Option<Opening> {
    if labelled(line.text).is_some() || line.prefix.is_some() && is_joined(line.text) {
        return Some(Opening::Whole);
    }
    if fatal::message(line.text).is_some() {
        return Some(Opening::Here(NATIVE));
    }
    if uncaught::is_marker(line.raw) {
        let above = held.back().nth(1)?;
        return frame::file_and_line(above).map(|_| Opening::Before { lines: 2, state: HEAD });
    }
    if is_place(line.raw) {
        let is_message = held.back().next().is_some_and(header::begins_error);
        return (!is_message).then_some(Opening::Here(PLACE));
    }
    let state = match stack_line(line.raw)? {
        End::Members => MEMBERS,
        End::Open | End::Next => STACK,
    };
    error_above(held).map(|lines| Opening::Before { lines, state })
}

/// True for the first line of a code frame: `/var/task/main.js:4`, `file:///var/task/main.mjs:4`, `node:events:497`.
fn is_place(line: &str) -> bool {
    const SCRIPTS: [&str; 8] = [".js", ".mjs", ".cjs", ".jsx", ".ts", ".mts", ".cts", ".tsx"];
    let is_script = |file: &str| file.starts_with("node:") || SCRIPTS.iter().any(|end| file.ends_with(end));
    line.ends_with(|last: char| last.is_ascii_digit())
        && frame::file_and_line(line).is_some_and(|(file, _)| is_script(file))
}

/// How many lines above the first line of a stack belong to its error: up to the nearest one that names an error, or the one right
/// above if none does.
fn error_above(held: &Held<'_>) -> Option<usize> {
    let mut above = 0;
    for (index, raw) in held.back().enumerate() {
        let line = Line::new(raw);
        if let Some(prefix) = line.prefix {
            let is_first = index == 0 || prefix.level.is_some() || header::begins_error(line.text);
            let lines = if is_first { index + 1 } else { above };
            return Some(lines).filter(|lines| *lines > 0 && prefix.may_be_failure());
        }
        if line.begins_record() {
            break;
        }
        if header::begins_notice(raw) || stack_line(raw).is_some() || inspect::is_footer(raw) {
            return None;
        }
        if header::begins_error(raw) {
            return Some(index + 1);
        }
        if index == 0 && !line.is_blank() && !line.is_indented() {
            above = 1;
        }
    }
    (above > 0).then_some(above)
}

pub(super) fn continues(state: State, line: &Line<'_>) -> Claim {
    match state {
        PLACE => Claim::Message(SOURCE),
        SOURCE if uncaught::is_marker(line.raw) => Claim::Own(HEAD),
        SOURCE => Claim::No,
        NATIVE if line.is_blank() => Claim::Message(NATIVE),
        NATIVE if fatal::is_part(line.raw) => Claim::Own(NATIVE),
        NATIVE => Claim::No,
        _ if line.raw.starts_with("Node.js v") => Claim::Last,
        _ if inspect::is_footer(line.raw) => Claim::Own(DONE),
        MEMBERS => member(line),
        DONE if line.is_blank() => Claim::Message(DONE),
        DONE => Claim::No,
        _ => said_or_stack(state, line),
    }
}

/// What a line is to an error whose message or stack is being read.
fn said_or_stack(state: State, line: &Line<'_>) -> Claim {
    let text = line.raw;
    if let Some(end) = stack_line(text) {
        let stack = if state == STACK { STACK } else { UNCAUGHT };
        return Claim::Own(if end == End::Members { MEMBERS } else { stack });
    }
    let begins_error = header::begins_error(text);
    match state {
        HEAD if line.is_blank() => Claim::Likely(HEAD),
        HEAD if text.ends_with('{') => Claim::Likely(MEMBERS),
        HEAD if begins_error || text.starts_with('[') || is_place(text) => Claim::Likely(SAID),
        HEAD => Claim::Message(SAID),
        // Another code frame: of the worker whose error this is.
        SAID if uncaught::is_marker(text) => Claim::Own(HEAD),
        SAID if text.ends_with("] {") => Claim::Own(MEMBERS),
        SAID => Claim::Message(SAID),
        _ if inspect::is_emitter(text) => Claim::Own(state),
        _ if begins_error => Claim::No,
        UNCAUGHT => Claim::Message(UNCAUGHT),
        _ => Claim::Tail(STACK),
    }
}

/// What a line is to the members of an error: all are indented by two at least, and one brace closes them. Three spaces
/// and `at` are .NET's, and Python names files.
fn member(line: &Line<'_>) -> Claim {
    let is_others = |text: &str| text.starts_with("   at ") || text.starts_with("  File \"");
    match line.raw {
        "}" => Claim::Own(DONE),
        text if text.starts_with("  ") && !is_others(text) => Claim::Likely(MEMBERS),
        _ if line.is_blank() => Claim::Message(MEMBERS),
        _ => Claim::No,
    }
}

/// What ends a line of a stack; `None` for other lines.
fn stack_line(line: &str) -> Option<End> {
    inspect::stack_line_end(line.strip_prefix(STACK_INDENT)?)
}

#[cfg(test)]
mod tests {
    use crate::normalize::lines::{Detector, Extent};

    /// The blocks that the detector cuts out of a log.
    fn blocks(extent: Extent, log: &str) -> Vec<String> {
        let mut detector = Detector::new(extent);
        let mut blocks: Vec<_> = log.split_inclusive('\n').flat_map(|line| detector.line(line, ())).collect();
        blocks.extend(detector.finish());
        blocks.into_iter().map(|block| block.text).collect()
    }

    const UNCAUGHT: &str =
        "/a.js:3\nthrow new Error('m');\n^\n\nError: m\n    at f (/a.js:3:7)\n\nNode.js v20.20.2\n";

    #[test]
    fn an_uncaught_error_is_one_block() {
        for extent in [Extent::Stream, Extent::Framed] {
            assert_eq!(blocks(extent, &format!("start\n{UNCAUGHT}{UNCAUGHT}end\n")), [UNCAUGHT, UNCAUGHT]);
        }
        // Node 16 prints no footer.
        let old = UNCAUGHT.split("\nNode.js").next().unwrap();
        assert_eq!(blocks(Extent::Stream, &format!("{old}{old}next request\n")), [old, old]);
    }

    #[test]
    fn a_message_that_looks_like_a_stack_does_not_end_a_block() {
        let text =
            UNCAUGHT.replace("Error: m", "Error: m\n    at looksLike.aCall (/no.js:1:1)\n\nlast: line");
        assert_eq!(blocks(Extent::Stream, &text), [text]);
    }

    #[test]
    fn members_and_thrown_values_are_parts_of_a_block() {
        let members = UNCAUGHT
            .replace(":7)\n", ":7) {\n  code: 'E',\n  [cause]: Error: c\n      at g (/a.js:1:1)\n}\n");
        assert_eq!(blocks(Extent::Stream, &members), [members.as_str()]);
        for value in ["one\ntwo", "{\n  a: 1\n}"] {
            let text = format!("/a.js:3\nthrow x;\n      ^\n{value}\n\nNode.js v20.20.2\n");
            assert_eq!(blocks(Extent::Stream, &text), [text.as_str()]);
        }
        let worker = format!("node:internal/event_target:1\n  throw err;\n  ^\n{UNCAUGHT}");
        assert_eq!(blocks(Extent::Stream, &worker), [worker.as_str()]);
    }

    #[test]
    fn an_error_that_was_logged_is_found_by_its_stack() {
        let id = "8f507cfc-xmpl-4697-b07a-ac58fc914c95";
        let header = format!("2026-11-23T07:43:51.748Z\t{id}\tERROR\tcould not parse SyntaxError: one");
        let framed = format!("{header}\ntwo\n    at JSON.parse (<anonymous>)\n    at f (/a.js:2:14)\n");
        assert_eq!(
            blocks(Extent::Stream, &format!("START\n{framed}{framed}END\n")),
            [framed.as_str(), &framed]
        );
        let joined = format!("{header}\r    at JSON.parse (<anonymous>)\r    at f (/a.js:2:14)\n");
        assert_eq!(blocks(Extent::Stream, &joined), [joined.as_str()]);
        let place = "Error: one\n/b.js:3\n    at f (/a.js:2:14)\n";
        assert_eq!(blocks(Extent::Stream, place), [place]);
        let plain = "Error: one\n\ntwo\n    at f (/a.js:2:14)\n";
        assert_eq!(blocks(Extent::Stream, &format!("before\n{plain}{plain}after\n")), [plain, plain]);
        let quiet = framed.replace("ERROR", "WARN");
        assert!(blocks(Extent::Stream, &quiet).is_empty());
    }

    #[test]
    fn notices_have_stacks_and_are_no_failures() {
        for log in [
            "Trace: hello\n    at f (/a.js:2:14)\n    at g (/a.js:3:1)\n",
            "(node:7) Warning: careful\n    at f (/a.js:2:14)\n",
            "    at f (/a.js:2:14)\n",
        ] {
            assert!(blocks(Extent::Stream, log).is_empty(), "{log}");
        }
    }

    #[test]
    fn a_place_alone_is_no_failure() {
        let mut detector = Detector::new(Extent::Framed);
        let mut blocks = Vec::new();
        for line in "/a.js:3\nnode:events:7\nx\ny\n/a.js:3\n".lines() {
            blocks.extend(detector.line(line, ()));
        }
        blocks.extend(detector.finish());
        assert!(blocks.iter().all(|block| block.read().is_none()));
    }
}
