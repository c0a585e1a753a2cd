//! What Node prints when it gives up, and what `console.error` prints of an error.
//!
//! ```text
//! /var/task/lib.js:1                                    the code frame: where it was thrown
//! exports.run = (xs) => xs.forEach((x) => missing(x));
//!                                         ^
//!
//! ReferenceError: missing is not defined
//!     at /var/task/lib.js:1:41
//!
//! Node.js v20.20.2
//! ```
//!
//! The code frame belongs to the `throw`, the stack to the place where the error was made: often the same, but not always. A
//! syntax error has its place in the code frame alone. A thrown value that is no error has nothing else.

use crate::failure::{Frame, Location, Record, StackEntry};
use crate::normalize::node::frame;
use crate::normalize::node::header::{self, Writer};
use crate::normalize::node::inspect::{self, STACK_INDENT};
use crate::normalize::stack::Stack;

/// The line above the stack of a thrown value, printed for `--trace-uncaught`.
const THROWN_AT: &str = "Thrown at:";

/// Files of source text that has no file.
const NO_FILES: [&str; 3] = ["<anonymous_script>", "evalmachine.<anonymous>", "undefined"];

/// A place in the code, and the text of its line.
#[derive(Debug, PartialEq)]
pub(super) struct CodeFrame<'a> {
    file: &'a str,
    line: u32,
    column: Option<u32>,
    source: &'a str,
}

/// Reads a whole text.
pub(super) fn read(text: &str) -> Option<Record> {
    let lines: Vec<&str> = text.lines().collect();
    let mut at = skip_blank(&lines, 0);
    let mut code = None;
    while let Some((found, next)) = code_frame(&lines, at) {
        code = Some(found);
        at = next;
        // An error of a worker is thrown once more by the thread that started it: then a second code frame follows.
        let behind_blank = skip_blank(&lines, at);
        if code_frame(&lines, behind_blank).is_some() {
            at = behind_blank;
        }
    }
    match code {
        Some(code) => thrown(&code, &lines[at..]),
        None if lines.get(at).is_none_or(|line| header::begins_notice(line)) => None,
        None => {
            let failure = inspect::error(&lines[at..], Writer::Program)?;
            failure.has_stack().then(|| failure.into_record())
        }
    }
}

/// The code frame that begins at a line, and the number of the line after it.
pub(super) fn code_frame<'a>(lines: &[&'a str], at: usize) -> Option<(CodeFrame<'a>, usize)> {
    let marker = *lines.get(at + 2)?;
    let (file, line) = frame::file_and_line(lines[at]).filter(|_| is_marker(marker))?;
    let column = u32::try_from(marker.find('^')?).ok()?.checked_add(1);
    Some((CodeFrame { file, line, column, source: lines[at + 1].trim() }, at + 3))
}

/// True for the line of a code frame that points at the column.
pub(super) fn is_marker(line: &str) -> bool {
    let marker = line.trim_start_matches([' ', '\t']);
    !marker.is_empty() && marker.bytes().all(|byte| byte == b'^')
}

/// Puts a code frame to the stack of `record`: as the source text of the call that it shows, as a call of its own if it shows a
/// syntax error, or as the place of the failure.
pub(super) fn add_code(record: &mut Record, error_type: Option<&str>, code: &CodeFrame<'_>) {
    let file = frame::path(code.file);
    let shown = record
        .stack_trace
        .iter_mut()
        .rev()
        .find(|entry| entry.line == Some(code.line) && entry.file.as_ref() == Some(&file));
    if let Some(entry) = shown {
        entry.source = Some(code.source.to_owned());
    } else if is_in_source(record, error_type, &file) {
        push(record, code);
    } else if !file.starts_with("node:") && !NO_FILES.contains(&file.as_str()) {
        record.location = Some(Location { file, line: code.line, column: code.column });
    }
}

/// True if the failure is a syntax error of the code that the code frame shows: its stack begins in whoever read the code.
fn is_in_source(record: &Record, error_type: Option<&str>, file: &str) -> bool {
    let is_syntax_error = error_type.is_some_and(|name| name.ends_with("SyntaxError"));
    if !is_syntax_error || file.starts_with("node:") {
        return false;
    }
    let Some(reader) = record.stack_trace.last() else { return true };
    let is_parser =
        matches!(reader.function.as_deref(), Some("JSON.parse" | "parse")) && reader.file.is_none();
    let is_engine = reader.file.as_deref().is_none_or(|file| file.starts_with("node:"));
    !is_parser && (is_engine || NO_FILES.contains(&file))
}

/// Adds the place of a code frame as the most recent call.
fn push(record: &mut Record, code: &CodeFrame<'_>) {
    record.frames.resize(record.stack_trace.len(), Frame::default());
    record.frames.push(Frame { column: code.column, ..Frame::default() });
    record.stack_trace.push(StackEntry {
        file: Some(frame::path(code.file)),
        line: Some(code.line),
        function: None,
        source: Some(code.source.to_owned()).filter(|source| !source.is_empty()),
    });
}

fn skip_blank(lines: &[&str], from: usize) -> usize {
    lines[from..].iter().position(|line| !line.trim().is_empty()).map_or(lines.len(), |blank| from + blank)
}

/// Reads what stands below a code frame: an error, or another value that was thrown.
fn thrown(code: &CodeFrame<'_>, lines: &[&str]) -> Option<Record> {
    let is_primitive = lines.iter().any(|line| line.starts_with("(Use `node --trace-uncaught"));
    let is_below_blank = lines.first().is_some_and(|line| line.is_empty());
    let said = &lines[skip_blank(lines, 0)..];
    if !is_primitive
        && let Some(failure) = inspect::error(said, Writer::Node)
        && (failure.has_stack() || is_below_blank)
    {
        let mut record = failure.into_record();
        let error_type = record.error_type.clone();
        add_code(&mut record, error_type.as_deref(), code);
        return Some(record);
    }
    let mut record = value(lines);
    // Node's own line says only that nobody caught the value.
    if record.stack_trace.is_empty() && !code.file.starts_with("node:") {
        push(&mut record, code);
    } else {
        add_code(&mut record, None, code);
    }
    Some(record)
}

/// Reads a thrown value, which has no type, and the stack that Node may have noted.
fn value(lines: &[&str]) -> Record {
    let end =
        lines.iter().position(|line| inspect::is_footer(line) || *line == THROWN_AT).unwrap_or(lines.len());
    let mut stack = Stack::default();
    if lines.get(end) == Some(&THROWN_AT) {
        let calls = lines[end + 1..].iter().map_while(|line| frame::call(line.strip_prefix(STACK_INDENT)?));
        stack.extend(calls);
    }
    let said = lines[..end].join("\n");
    let mut record = Record { error_message: said.trim_end().to_owned(), ..Record::default() };
    stack.reversed().put_into(&mut record);
    record
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(file: &str, line: u32, function: Option<&str>, source: Option<&str>) -> StackEntry {
        StackEntry {
            file: Some(file.into()),
            line: Some(line),
            function: function.map(Into::into),
            source: source.map(Into::into),
        }
    }

    #[test]
    fn the_code_frame_is_the_source_text_of_the_call_that_it_shows() {
        // Node 20.20.2, shortened.
        let record = read(concat!(
            "/var/task/lib.js:1\nexports.run = (xs) => xs.forEach((x) => missing(x));\n    ^\n\n",
            "ReferenceError: missing is not defined\n",
            "    at /var/task/lib.js:1:56\n    at exports.run (/var/task/lib.js:1:26)\n\nNode.js v20.20.2\n",
        ))
        .unwrap();
        assert_eq!(record.error_type.as_deref(), Some("ReferenceError"));
        assert_eq!(record.error_message, "missing is not defined");
        let source = "exports.run = (xs) => xs.forEach((x) => missing(x));";
        assert_eq!(
            record.stack_trace,
            [
                call("/var/task/lib.js", 1, Some("exports.run"), None),
                call("/var/task/lib.js", 1, None, Some(source)),
            ]
        );
        assert_eq!(record.frames[1].column, Some(56));
    }

    #[test]
    fn a_throw_that_is_in_no_call_is_the_place_of_the_failure() {
        // Node 22.23.3, shortened.
        let record = read(concat!(
            "/var/task/main.js:3\nthrow e;\n^\n\nError: with props\n",
            "    at Object.<anonymous> (/var/task/main.js:1:25)\n",
        ))
        .unwrap();
        assert_eq!(record.stack_trace.len(), 1);
        assert_eq!(
            record.location,
            Some(Location { file: "/var/task/main.js".into(), line: 3, column: Some(1) })
        );
    }

    #[test]
    fn a_syntax_error_is_where_its_code_frame_is() {
        // Node 20.20.2, shortened: a CommonJS module, an import that does not exist, an eval.
        for (text, place) in [
            (
                "/var/task/main.js:2\nconst x = { a: 1,, b: 2 };\n                 ^\n\nSyntaxError: Unexpected token ','\n    at wrapSafe (node:internal/modules/cjs/loader:1464:18)\n",
                ("/var/task/main.js", 2, "const x = { a: 1,, b: 2 };"),
            ),
            (
                "file:///a%20b/no.mjs:1\nimport {nope} from \"./ok.mjs\";\n        ^^^^\nSyntaxError: The requested module './ok.mjs' does not provide an export named 'nope'\n    at ModuleJob._instantiate (node:internal/modules/esm/module_job:213:21)\n",
                ("/a b/no.mjs", 1, "import {nope} from \"./ok.mjs\";"),
            ),
            (
                "<anonymous_script>:1\nlet x = ;\n        ^\n\nSyntaxError: Unexpected token ';'\n    at go (/app/a.js:45:15)\n",
                ("<anonymous_script>", 1, "let x = ;"),
            ),
        ] {
            let record = read(text).unwrap();
            assert_eq!(
                record.stack_trace.last(),
                Some(&call(place.0, place.1, None, Some(place.2))),
                "{text}"
            );
            assert_eq!(record.frames.len(), record.stack_trace.len());
        }
        let thrown_again = "/a.js:52\n     throw e }\n     ^\n\nSyntaxError: Expected property name\n    at JSON.parse (<anonymous>)\n    at go (/a.js:51:29)\n";
        assert_eq!(read(thrown_again).unwrap().stack_trace.len(), 2);
    }

    #[test]
    fn a_thrown_value_has_a_place_and_no_type() {
        // Node 20.20.2.
        let record = read(
            "\n/app/a.js:9\n throw 'one\\ntwo';\n ^\none\n    at f (/x.js:1:2)\nthree\n(Use `node --trace-uncaught ...` to show where the exception was thrown)\n\nNode.js v20.20.2\n",
        )
        .unwrap();
        assert_eq!(record.error_type, None);
        assert_eq!(record.error_message, "one\n    at f (/x.js:1:2)\nthree");
        assert_eq!(record.stack_trace, [call("/app/a.js", 9, None, Some("throw 'one\\ntwo';"))]);
        let object = read("\n/app/a.js:5\nthrow {a:1};\n^\n{\n  a: 1\n}\n\nNode.js v20.20.2\n").unwrap();
        assert_eq!((object.error_type, object.error_message.as_str()), (None, "{\n  a: 1\n}"));
        let traced = read("\n[eval]:1\nthrow \"e\"\n^\ne\nThrown at:\n    at [eval]:1:1\n    at node:internal/process/execution:118:14\n\n\nNode.js v20.20.2\n").unwrap();
        assert_eq!(traced.error_message, "e");
        assert_eq!(
            traced.stack_trace,
            [
                call("node:internal/process/execution", 118, None, None),
                call("[eval]", 1, None, Some("throw \"e\"")),
            ]
        );
        // The value of a module is thrown by Node's own code, which says nothing.
        let module = read("\nnode:internal/modules/run_main:123\n    triggerUncaughtException(\n    ^\nesm string\n(Use `node --trace-uncaught ...` to show where the exception was thrown)\n").unwrap();
        assert_eq!(
            (module.error_message.as_str(), module.stack_trace.len(), module.location),
            ("esm string", 0, None)
        );
    }

    #[test]
    fn an_error_of_a_worker_has_two_code_frames() {
        // Node 20.20.2, shortened.
        let record = read(concat!(
            "\nnode:internal/event_target:1105\n  process.nextTick(() => { throw err; });\n                           ^\n",
            "[worker eval]:1\nfunction w(){ throw e }; w()\n              ^\n\n",
            "RangeError: in worker\nx\n    at w ([worker eval]:1:23)\n    at [worker eval]:1:77\n",
            "Emitted 'error' event on Worker instance at:\n    at [kOnErrorMessage] (node:internal/worker:333:10) {\n  code: 'W'\n}\n\nNode.js v20.20.2\n",
        ))
        .unwrap();
        assert_eq!(record.error_message, "in worker\nx");
        assert_eq!(record.stack_trace.len(), 2);
        assert_eq!(record.stack_trace[1].source.as_deref(), Some("function w(){ throw e }; w()"));
    }

    #[test]
    fn rejections_of_each_version_are_read() {
        // Node 18.20.8 and 20.20.2, shortened.
        let old = read("node:internal/process/promises:288\n            triggerUncaughtException(err, true /* fromPromise */);\n            ^\n\n[UnhandledPromiseRejection: The promise rejected with the reason \"x\".] {\n  code: 'ERR_UNHANDLED_REJECTION'\n}\n\nNode.js v18.20.8\n").unwrap();
        let new = read("node:internal/process/promises:389\n      new UnhandledPromiseRejection(reason);\n      ^\n\nUnhandledPromiseRejection: The promise rejected with the reason \"x\".\n    at throwUnhandledRejectionsMode (node:internal/process/promises:389:7) {\n  code: 'ERR_UNHANDLED_REJECTION'\n}\n").unwrap();
        for record in [&old, &new] {
            assert_eq!(record.error_type.as_deref(), Some("UnhandledPromiseRejection"));
            assert_eq!(record.error_message, "The promise rejected with the reason \"x\".");
            assert_eq!(record.location, None);
        }
        assert_eq!((old.stack_trace.len(), new.stack_trace.len()), (0, 1));
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "",
            "\n",
            "x",
            "Error: only words",
            "    at f (/a.js:1:2)x",
            "a:1\nb\nc\n",
            "Trace: x\n    at f (/a.js:1:2)\n",
        ] {
            assert_eq!(read(text), None, "{text:?}");
        }
    }
}
