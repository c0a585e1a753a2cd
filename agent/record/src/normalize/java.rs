//! Printed failures of Java, Kotlin and Scala.
//!
//! ```text
//! Exception in thread "main" java.lang.RuntimeException: outer
//!         at app.mod@1.2.3/com.example.App.handle(App.java:14)
//! Caused by: java.lang.IllegalStateException: body failed
//!         at com.example.App.work(App.java:18)
//!         ... 1 more                                  the last of the trace above
//!         Suppressed: java.io.IOException: close      a tab deeper, and so is what is behind it
//!                 at com.example.Res.close(Res.java:9)
//!                 ... 2 more
//! ```
//!
//! Lambda's client logs `<message>: <type>` above that. A message of several lines, even one with frames of its own, is known
//! by this repetition; without it, the last line above the first frame that reads `Type: message` is the header.

use crate::failure::{Cause, Frame, Record, Relation, StackEntry};
use crate::normalize::language::{Claim, Held, Language, Opening, Posted, State};
use crate::normalize::line::Line;
use crate::normalize::lookback::HELD_LINES_MAX;
use crate::normalize::stack::Stack;
use crate::normalize::tree::{Id, Tree};

/// How Java prints failures.
pub(crate) static LANGUAGE: Language =
    Language { name: RUNTIME, begins: b"Ea", signs: &[IN_THREAD, "at "], opens, continues, read, posted };

/// The runtime's name in a record.
const RUNTIME: &str = "java";

/// The beginning of what the default handler of uncaught exceptions prints.
const IN_THREAD: &str = "Exception in thread \"";

/// How many lines above the first frame are looked at for a header: those of a long message, twice.
const ABOVE_LINES_MAX: usize = 2 * HELD_LINES_MAX;

const CAUSED_BY: &str = "Caused by: ";
const SUPPRESSED: &str = "Suppressed: ";

/// A header was read, and perhaps more lines of its message: frames should follow.
const HEADER: State = State(0);
/// Frames are being read.
const FRAMES: State = State(1);

fn opens(line: &Line<'_>, held: &Held<'_>) -> Option<Opening> {
    if line.text.starts_with(IN_THREAD) {
        return Some(Opening::Here(HEADER));
    }
    if !line.is_indented() || frame(line.trimmed()).is_none() {
        return None;
    }
    let mut above: Vec<&str> = held.back().collect();
    above.reverse();
    let header = Header::above(&above);
    Some(Opening::Before { lines: header.map_or(0, |header| above.len() - header.first), state: FRAMES })
}

fn continues(state: State, line: &Line<'_>) -> Claim {
    let text = line.trimmed();
    if text.starts_with(CAUSED_BY) || line.is_indented() && text.starts_with(SUPPRESSED) {
        return Claim::Own(HEADER);
    }
    if line.is_indented() && (frame(text).is_some() || more(text).is_some() || text == "(Coroutine boundary)")
        || text.starts_with("[CIRCULAR REFERENCE")
    {
        return Claim::Own(FRAMES);
    }
    if state == HEADER { Claim::Message(HEADER) } else { Claim::No }
}

/// Where a failure begins above its first frame.
struct Header {
    /// The first line that belongs to it: what Lambda's client repeats stands above the header.
    first: usize,
    /// The line with the type.
    line: usize,
}

impl Header {
    /// Finds the header among the lines above the first frame.
    fn above(lines: &[&str]) -> Option<Self> {
        let headers = || {
            let is_header = |line: &&str| typed(Line::new(line).text).is_some();
            lines.iter().enumerate().rev().filter(move |(_, line)| is_header(line)).map(|(index, _)| index)
        };
        headers()
            .find_map(|line| Some(Self { first: Self::repeated(lines, line)?, line }))
            .or_else(|| headers().next().map(|line| Self { first: line, line }))
    }

    /// The line where `<message>: <type>` begins, if it stands above the header in `line`.
    fn repeated(lines: &[&str], line: usize) -> Option<usize> {
        let (error_type, said) = typed(lines[line])?;
        let message = &lines[line + 1..];
        // Without a message, the type stands there twice.
        if said.is_empty() && message.is_empty() {
            let above = lines.get(line.checked_sub(1)?)?;
            return (*above == format!("{error_type}: {error_type}")).then_some(line - 1);
        }
        let first = line.checked_sub(message.len() + 1)?;
        let last = format!("{}: {error_type}", message.last().unwrap_or(&said));
        let is_same = if message.is_empty() {
            lines[first] == last
        } else {
            lines[first] == said
                && lines[first + 1..line - 1] == message[..message.len() - 1]
                && lines[line - 1] == last
        };
        is_same.then_some(first)
    }
}

/// The type and the first line of the message in `java.lang.IllegalStateException: request failed`.
fn typed(text: &str) -> Option<(&str, &str)> {
    let text =
        text.strip_prefix(IN_THREAD).and_then(|text| text.split_once("\" ")).map_or(text, |(_, text)| text);
    let (name, said) = text.split_once(": ").unwrap_or((text.strip_suffix(':').unwrap_or(text), ""));
    is_type(name).then_some((name, said))
}

/// True for the qualified name of a class. One without a package is known by its ending.
fn is_type(name: &str) -> bool {
    let is_part = |part: &str| {
        part.starts_with(|c: char| c.is_alphabetic() || matches!(c, '_' | '$'))
            && part.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '$'))
    };
    let is_failure = || ["Exception", "Error", "Throwable"].iter().any(|end| name.ends_with(end));
    name.split('.').all(is_part) && (name.contains('.') || is_failure())
}

/// A call in `at java.base/java.lang.Integer.parseInt(Integer.java:668)`.
fn frame(text: &str) -> Option<StackEntry> {
    call(text.strip_prefix("at ")?)
}

/// A call as it is posted: a name and, in brackets, where it is. Behind it a logger may say which archive holds it.
fn call(text: &str) -> Option<StackEntry> {
    let text =
        match text.strip_suffix(']').and_then(|text| text.rsplit_once(" [").or(text.rsplit_once(" ~["))) {
            Some((text, _)) => text.trim_end(),
            None => text.trim_end(),
        };
    let (name, place) = text.strip_suffix(')')?.rsplit_once('(')?;
    let (file, line) = match place {
        "Native Method" | "Unknown Source" => (None, None),
        place => match place.rsplit_once(':') {
            Some((file, line)) => (Some(file), Some(line.parse().ok()?)),
            None => (Some(place), None),
        },
    };
    // A file's name has an ending and neither folders nor blanks: what has them is another language's. Code that was made while the program
    // ran, or shrunk before, has a word there.
    let is_made =
        |file: &str| matches!(file, "<generated>" | "SourceFile" | "NO_SOURCE_FILE" | "Redefined" | "");
    let is_file = |file: &str| {
        is_made(file) && !place.is_empty()
            || file.contains('.') && !file.contains(['/', '\\', ' ', ':', ',', '<'])
            || file.starts_with("r8-map-id-")
    };
    let name = without_module(name);
    if !file.is_none_or(is_file) || !name.contains('.') {
        return None;
    }
    Some(StackEntry { file: file.map(str::to_owned), line, function: Some(name.to_owned()), source: None })
}

/// A name without the loader and the module before it: `app/`, `java.base/`, `app.mod@1.2.3/`, `plugins//`. The slash of a
/// hidden class (`Lambdas$$Lambda$7/0x00007fce500016a0.apply`, `A$$Lambda$34/1556595366.run`) is its own.
fn without_module(name: &str) -> &str {
    let slash =
        name.rmatch_indices('/').find(|(at, _)| !name[at + 1..].starts_with(|c: char| c.is_ascii_digit()));
    slash.map_or(name, |(at, _)| &name[at + 1..])
}

/// The number in `... 5 more` and `... 5 common frames omitted`.
fn more(text: &str) -> Option<usize> {
    let (count, words) = text.strip_prefix("... ")?.split_once(' ')?;
    (words == "more" || words.starts_with("common frames omitted")).then(|| count.parse().ok()).flatten()
}

fn read(text: &str) -> Option<Record> {
    let lines: Vec<&str> = text.lines().collect();
    let is_frame = |line: &&str| line.starts_with(['\t', ' ']) && frame(line.trim_start()).is_some();
    let mut record = match lines.iter().position(is_frame) {
        Some(first) => {
            let from = first.saturating_sub(ABOVE_LINES_MAX);
            let header = Header::above(&lines[from..first]);
            let start = header.map_or(first, |header| from + header.line);
            trace(&lines[start..])
        }
        None => without_frames(&lines)?,
    };
    cause_first(&mut record.causes);
    record.runtime = Some(RUNTIME.to_owned());
    Some(record)
}

/// An error without any frame: `Exception in thread "main" com.example.Quiet: why`, or what Lambda's client logs of it.
fn without_frames(lines: &[&str]) -> Option<Record> {
    let (first, more) = lines.split_first()?;
    if first.starts_with(IN_THREAD) {
        return Some(trace(lines));
    }
    let (said, error_type) = first.rsplit_once(": ")?;
    let is_rest = more.iter().all(|line| line.is_empty() || typed(line) == Some((error_type, said)));
    let is_failure = is_type(error_type)
        && error_type.contains('.')
        && (error_type.ends_with("Exception") || error_type.ends_with("Error"));
    (is_failure && is_rest).then(|| Record {
        error_message: said.to_owned(),
        error_type: Some(error_type.to_owned()),
        ..Record::default()
    })
}

/// Reads a trace from its header on.
fn trace(lines: &[&str]) -> Record {
    let mut reader = Trace { tree: Tree::default(), open: Vec::new(), skipping: false };
    let root = reader.tree.root();
    reader.open.push((0, root));
    let mut lines = lines.iter();
    if let Some(first) = lines.as_slice().first().filter(|line| frame(line.trim_start()).is_none()) {
        reader.say(root, Line::new(first).text);
        lines.next();
    }
    lines.for_each(|line| reader.line(line));
    reader.tree.into_record(Stack::reversed)
}

/// A trace while it is read.
struct Trace {
    tree: Tree,
    /// The failures whose lines may go on, outermost first, each with the indentation of its header.
    open: Vec<(usize, Id)>,
    /// True while the lines of a failure come that there is no room for.
    skipping: bool,
}

impl Trace {
    fn line(&mut self, line: &str) {
        let text = line.trim_start_matches(['\t', ' ']);
        let indent = line.len() - text.len();
        if let Some(said) = text.strip_prefix(CAUSED_BY) {
            self.behind(indent, Relation::Cause, said);
        } else if let Some(said) = text.strip_prefix(SUPPRESSED).filter(|_| indent > 0) {
            self.behind(indent, Relation::Suppressed, said);
        } else if let (Some((header, id)), false) = (self.open.last().copied(), self.skipping) {
            // A call stands deeper than what it belongs to; one that does not is quoted by a message.
            if let Some(entry) = frame(text).filter(|_| indent > header) {
                self.tree.push(id, entry, Frame::default());
            } else if let Some(count) = more(text).filter(|_| indent > 0) {
                if let Some(enclosing) = self.tree.parent(id) {
                    self.tree.repeat(id, enclosing, count);
                }
            } else if self.tree.node(id).stack.is_empty() {
                let message = &mut self.tree.node(id).error_message;
                message.push('\n');
                message.push_str(line);
            }
        }
    }

    /// Begins a failure behind one that is open: a cause stands as deep as what it caused, what was suppressed stands deeper.
    fn behind(&mut self, indent: usize, relation: Relation, said: &str) {
        let is_outer = |outer: usize| match relation {
            Relation::Suppressed => outer < indent,
            _ => outer <= indent,
        };
        while self.open.len() > 1 && self.open.last().is_some_and(|(outer, _)| !is_outer(*outer)) {
            self.open.pop();
        }
        self.skipping = said.starts_with("[CIRCULAR REFERENCE");
        let Some((_, parent)) = self.open.last().copied().filter(|_| !self.skipping) else { return };
        match self.tree.add(parent, relation) {
            Some(id) => {
                self.say(id, said);
                if relation == Relation::Cause {
                    self.open.pop();
                }
                self.open.push((indent, id));
            }
            None => self.skipping = true,
        }
    }

    fn say(&mut self, id: Id, said: &str) {
        let node = self.tree.node(id);
        match typed(said) {
            Some((error_type, message)) => {
                node.error_type = Some(error_type.to_owned());
                node.error_message = message.to_owned();
            }
            None => node.error_message = said.to_owned(),
        }
    }
}

/// Puts the cause of a failure before what it suppressed; they are printed the other way round.
fn cause_first(causes: &mut [Cause]) {
    causes.sort_by_key(|cause| cause.relation != Some(Relation::Cause));
    causes.iter_mut().for_each(|cause| cause_first(&mut cause.causes));
}

/// Reads what Lambda's client posts: the calls without `at `.
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
    fn what_is_left_out_is_filled_in_from_the_enclosing_trace() {
        // OpenJDK 25.0.2.
        let record = read("Exception in thread \"main\" java.lang.RuntimeException: outer\n\tat com.example.S.handle(S.java:14)\n\tat com.example.S.main(S.java:20)\nCaused by: java.lang.IllegalStateException: body failed\n\tat com.example.S.work(S.java:18)\n\t... 2 more\n\tSuppressed: java.io.IOException: close b\n\t\tat com.example.R.close(S.java:9)\n\t\t... 3 more\n\tCaused by: java.io.UncheckedIOException: flush b\n\t\tat com.example.R.flush(S.java:11)\n\t\t... 4 more\n\tSuppressed: java.io.IOException: close a\n\t\t... 3 more\n").unwrap();
        let body = &record.causes[0];
        assert_eq!(body.stack_trace.len(), 3);
        assert_eq!(body.causes.len(), 2);
        assert_eq!(
            (body.causes[0].relation, body.causes[0].stack_trace.len()),
            (Some(Relation::Suppressed), 4)
        );
        assert_eq!(body.causes[0].causes[0].error_message, "flush b");
        assert_eq!(body.causes[0].causes[0].stack_trace.len(), 5);
        assert_eq!(body.causes[1].stack_trace.len(), 3);
    }

    #[test]
    fn a_message_with_frames_ends_where_lambda_repeats_it() {
        let message = "remote said:\njava.lang.Error: inner\nlast";
        let text = format!("{message}: a.B\na.B: {message}\n\tat com.example.M.go(M.java:14)\n");
        let record = read(&text).unwrap();
        assert_eq!((record.error_type.as_deref(), record.error_message.as_str()), (Some("a.B"), message));
        let quiet = read("a.b.E: a.b.E\na.b.E\n\tat c.D.f(D.java:6)\n").unwrap();
        assert_eq!((quiet.error_type.as_deref(), quiet.error_message.as_str()), (Some("a.b.E"), ""));
    }

    #[test]
    fn calls_of_every_spelling_are_read() {
        for (text, function, file, line) in [
            (
                "at java.base/java.lang.Integer.parseInt(Integer.java:668)",
                "java.lang.Integer.parseInt",
                Some("Integer.java"),
                Some(668),
            ),
            (
                "at app.mod@1.2.3/app.mod.Main.check(Main.java:4)",
                "app.mod.Main.check",
                Some("Main.java"),
                Some(4),
            ),
            (
                "at plugins//plugin.Tool$Inner$1.go(Tool.java:3)",
                "plugin.Tool$Inner$1.go",
                Some("Tool.java"),
                Some(3),
            ),
            (
                "at a.L$$Lambda$7/0x00007fce500016a0.apply(Unknown Source)",
                "a.L$$Lambda$7/0x00007fce500016a0.apply",
                None,
                None,
            ),
            (
                "at com.example.kt.Order Service.find or fail(Orders.kt:7)",
                "com.example.kt.Order Service.find or fail",
                Some("Orders.kt"),
                Some(7),
            ),
            (
                "at com.example.OrdersKt$main$f$1.invoke(Orders.kt)",
                "com.example.OrdersKt$main$f$1.invoke",
                Some("Orders.kt"),
                None,
            ),
            (
                "at com.example.App.f(App.java:1) ~[app.jar:1.0]",
                "com.example.App.f",
                Some("App.java"),
                Some(1),
            ),
            (
                "at com.example.App.f(App.java:1) [app.jar!/:?]",
                "com.example.App.f",
                Some("App.java"),
                Some(1),
            ),
        ] {
            let entry = frame(text).unwrap();
            assert_eq!(
                (entry.function.as_deref(), entry.file.as_deref(), entry.line),
                (Some(function), file, line)
            );
        }
        for text in [
            "at f (/var/task/a.js:1:2)",
            "at f (a.js:1:2)",
            "at Array.map (<anonymous>)",
            "at Shop.Handler.Run(String c) in /var/task/App.cs:line 85",
            "at Shop.Handler.Chain()",
            "at noon (12:30)",
            "at ",
        ] {
            assert_eq!(frame(text), None, "{text}");
        }
    }

    #[test]
    fn posted_calls_have_no_at() {
        let stack = ["com.example.Simple.validate(Simple.java:10)", "java.base/a.B.c(Native Method)"];
        let read = |stack: &[&str]| posted(&Posted { stack, error_type: None, error_message: "" });
        assert_eq!(read(&stack).unwrap().stack_trace[0].function.as_deref(), Some("a.B.c"));
        assert_eq!(read(&["    at f (a.js:1:2)"]), None);
    }

    #[test]
    fn an_error_without_frames_is_read_in_its_two_forms() {
        let thread = read("Exception in thread \"main\" com.example.NoMessage$Quiet\n").unwrap();
        assert_eq!(thread.error_type.as_deref(), Some("com.example.NoMessage$Quiet"));
        let lambda = read("Class not found: com.example.Nope: java.lang.ClassNotFoundException\n\n").unwrap();
        assert_eq!(lambda.error_message, "Class not found: com.example.Nope");
        for text in ["", "host: a.b", "Exception", "TypeError: x is not a function", "a: b.C\nnext"] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
