//! Failures of Node.js.
//!
//! - [`uncaught`]: the text on stderr of an error that nobody caught, and the text of `console.error`;
//! - [`inspect`] and [`chain`]: the error in it, with its members and those behind it;
//! - [`fatal`]: the death of the engine itself;
//! - a line of Lambda's client in the text format, which holds JSON: `Invoke Error \t{"errorType":…,"stack":[…]}`;
//! - the lines of `error.stack`, which Lambda's client posts as `trace` and logs as `stackTrace`. The first of them repeat
//!   the message, and nothing but the message itself says how many.
//!
//! [`detect`] finds them among other lines.

mod frame;
mod header;
mod chain;
mod inspect;
mod uncaught;
mod fatal;
mod detect;

use crate::failure::{Phase, Record};
use crate::normalize::json;
use crate::normalize::language::{Language, Posted};
use crate::normalize::stack::Stack;
use inspect::STACK_INDENT;

/// The runtime's name in a record.
const RUNTIME: &str = "node";

/// How Node prints failures.
pub(crate) static LANGUAGE: Language = Language {
    name: RUNTIME,
    begins: detect::BEGINS,
    signs: detect::SIGNS,
    opens: detect::opens,
    continues: detect::continues,
    read,
    posted,
};

/// What Lambda's client writes before the JSON of a failure where no handler could be loaded.
const INIT_LABEL: &str = "Init Error";

/// Between the lines of an error that Lambda's client writes to a stream: it has no line feeds but the last.
const JOINED: &str = "\r    at ";

/// Reads the text of one failure.
fn read(text: &str) -> Option<Record> {
    let mut record = if let Some((label, json)) = labelled(text) {
        let mut record = json::read(json.as_bytes())?;
        record.phase = (label == INIT_LABEL).then_some(Phase::Init);
        record
    } else if text.starts_with("FATAL ERROR") {
        fatal::read(text)?
    } else if is_joined(text) {
        uncaught::read(&text.replace('\r', "\n"))?
    } else {
        uncaught::read(text)?
    };
    record.runtime = Some(RUNTIME.to_owned());
    Some(record)
}

/// Reads the lines of `error.stack`.
fn posted(posted: &Posted<'_>) -> Option<Record> {
    let code = uncaught::code_frame(posted.stack, 0);
    let above = code.as_ref().map_or(0, |(_, next)| *next);
    let above = above + posted.stack[above..].iter().take_while(|line| line.is_empty()).count();
    let calls = stack_after(&posted.stack[above..], posted)?;
    let mut stack = Stack::default();
    let calls = calls.iter().map_while(|line| frame::call(line.strip_prefix(STACK_INDENT)?));
    stack.extend(calls);
    let mut record = Record { runtime: Some(RUNTIME.to_owned()), ..Record::default() };
    stack.reversed().put_into(&mut record);
    if let Some((code, _)) = code {
        uncaught::add_code(&mut record, posted.error_type, &code);
    }
    Some(record)
}

/// The lines below the header and the message. Where the message that was posted is not the one of the stack, the last lines that
/// look like calls.
fn stack_after<'a, 'b>(lines: &'b [&'a str], posted: &Posted<'_>) -> Option<&'b [&'a str]> {
    let (first, rest) = lines.split_first()?;
    let mut message = posted.error_message.split('\n');
    let count = message.clone().count();
    let is_header = first.ends_with(message.next().unwrap_or_default());
    if is_header && rest.len() + 1 >= count && message.eq(rest[..count - 1].iter().copied()) {
        let below = &rest[count - 1..];
        let names_type = posted.error_type.is_some_and(|name| first.starts_with(name));
        let is_stack = below.first().is_some_and(|line| is_stack_line(line));
        if is_stack || below.is_empty() && names_type {
            return Some(below);
        }
    }
    let is_call = |line: &&str| is_stack_line(line);
    let end = lines.iter().rposition(is_call)? + 1;
    let start = lines[..end].iter().rposition(|line| !is_call(line)).map_or(0, |above| above + 1);
    Some(&lines[start..end])
}

/// True for a line of a stack.
fn is_stack_line(line: &str) -> bool {
    line.strip_prefix(STACK_INDENT).and_then(inspect::stack_line_end).is_some()
}

/// True if the lines of an error are joined by carriage returns.
fn is_joined(text: &str) -> bool {
    text.match_indices(JOINED).any(|(at, _)| {
        let line = text[at + 1..].split('\r').next().unwrap_or_default();
        is_stack_line(line)
    })
}

/// The label of a failure that Lambda's client logged, such as `Invoke Error`, and its JSON.
fn labelled(text: &str) -> Option<(&str, &str)> {
    let (label, json) = text.split_once('\t')?;
    json.starts_with("{\"errorType\"").then(|| (label.trim_end_matches(' '), json))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::normalize;

    fn stack<'a>(lines: &'a [&'a str], error_type: &'a str, error_message: &'a str) -> Option<Record> {
        posted(&Posted { stack: lines, error_type: Some(error_type), error_message })
    }

    #[test]
    fn the_line_of_lambdas_client_is_read() {
        // aws-lambda-ric 3.3.0 on Node 20.20.2, shortened; the time and the request have been taken off.
        let record = read("Unhandled Promise Rejection \t{\"errorType\":\"Runtime.UnhandledPromiseRejection\",\"errorMessage\":\"RangeError: job\",\"reason\":{\"errorType\":\"RangeError\",\"errorMessage\":\"job\",\"stack\":[\"RangeError: job\",\"    at background (/var/task/index.js:1:49)\"]},\"promise\":{},\"stack\":[\"Runtime.UnhandledPromiseRejection: RangeError: job\",\"    at process.emit (node:events:524:28)\"]}").unwrap();
        assert_eq!(record.error_type.as_deref(), Some("Runtime.UnhandledPromiseRejection"));
        assert_eq!(record.stack_trace[0].function.as_deref(), Some("process.emit"));
        assert_eq!(record.causes[0].error_type.as_deref(), Some("RangeError"));
        assert_eq!(record.causes[0].stack_trace[0].function.as_deref(), Some("background"));
        let init =
            read("Init Error \t{\"errorType\":\"Error\",\"errorMessage\":\"m\",\"stack\":[\"Error: m\"]}")
                .unwrap();
        assert_eq!(init.phase, Some(Phase::Init));
        assert_eq!(read("Invoke Error \tnothing"), None);
        assert_eq!(read("Invoke Error \t{"), None);
    }

    #[test]
    fn the_message_that_was_posted_says_where_the_stack_begins() {
        // aws-lambda-ric 3.3.0 on Node 20.20.2.
        let lines = [
            "Error: first",
            "    at a.Frame (/no.js:1:1)",
            "    at exports.handler (/var/task/index.js:2:9)",
        ];
        let record = stack(&lines, "Error", "first\n    at a.Frame (/no.js:1:1)").unwrap();
        assert_eq!(record.stack_trace.len(), 1);
        assert_eq!(record.frames[0].column, Some(9));
        // The message was changed after the stack was taken.
        assert_eq!(stack(&lines, "Error", "other").unwrap().stack_trace.len(), 2);
        assert_eq!(stack(&lines, "Error", "").unwrap().stack_trace.len(), 2);
        let coded = ["AssertionError [ERR_ASSERTION]: no", "", "1 !== 2", "", "    at f (/a.js:1:1)"];
        assert_eq!(stack(&coded, "AssertionError", "no\n\n1 !== 2\n").unwrap().stack_trace.len(), 1);
        assert_eq!(stack(&["Error: m"], "Error", "m").unwrap().stack_trace, []);
        assert_eq!(stack(&["Error"], "Error", "").unwrap().runtime.as_deref(), Some(RUNTIME));
    }

    #[test]
    fn a_syntax_error_is_posted_with_its_code_frame() {
        // aws-lambda-ric 4.0.2 on Node 22.23.3, shortened.
        let lines = [
            "/var/task/index.js:2",
            "  const a = [1, 2;",
            "                 ^",
            "",
            "SyntaxError: Unexpected token ';'",
            "    at wrapSafe (node:internal/modules/cjs/loader:1713:18)",
        ];
        let record =
            stack(&lines, "Runtime.UserCodeSyntaxError", "SyntaxError: Unexpected token ';'").unwrap();
        let place = record.stack_trace.last().unwrap();
        assert_eq!((place.file.as_deref(), place.line), (Some("/var/task/index.js"), Some(2)));
        assert_eq!(place.source.as_deref(), Some("const a = [1, 2;"));
        assert_eq!(record.stack_trace.len(), 2);
    }

    #[test]
    fn stacks_of_other_languages_are_refused() {
        for lines in [
            &["com.example.Shop.pay(Shop.java:12)"][..],
            &["at Shop.Handler.Run(String c) in /var/task/App.cs:line 86"],
            &["/var/task/main.rb:3:in `f'"],
            &["  File \"a.py\", line 1, in f\n"],
            &["#0 /var/task/a.php(3): f()"],
            &["", ""],
        ] {
            assert_eq!(stack(lines, "E", "m"), None, "{lines:?}");
        }
    }

    #[test]
    fn any_text_is_read_without_a_panic() {
        let hostile = [
            "\r    at ",
            "^",
            "\n\n^\n",
            ":1\n\n^",
            "a:1\nb\n^",
            "[",
            "[E",
            "[E: x",
            "[E]\n] {",
            "<ref *",
            "FATAL ERROR: ",
            "E: m\n    at é (é:1:1) {\n  [cause]: é: \n    at",
            "E: m\n    at f (/a:1:1) {\n  [errors]: [\n",
            "a:1\n\n^\nThrown at:",
        ];
        for text in hostile {
            let _ = read(text);
            let lines: Vec<&str> = text.split('\n').collect();
            let _ = stack(&lines, "", text);
            let _ = normalize::text(text);
        }
    }
}
