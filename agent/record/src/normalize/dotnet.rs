//! Printed failures of .NET.
//!
//! ```text
//! Unhandled exception. System.InvalidOperationException: handler failed:
//! second line
//!  ---> Shop.OrderException: order lookup failed
//!    at Shop.Repo`1.Get[TValue](TKey key) in /var/task/App.cs:line 19       the inner frames first
//!    --- End of inner exception stack trace ---
//!    at Shop.Handler.Chain() in /var/task/App.cs:line 41                    then the outer ones
//!  ---> (Inner Exception #1) System.TimeoutException: part 2 timed out      a further one of an aggregate
//!    at Shop.Handler.Fetch(Int32 n) in /var/task/App.cs:line 49<---
//! ```

use crate::failure::{Frame, Record, Relation, StackEntry};
use crate::normalize::language::{Claim, Held, Language, Opening, Posted, State};
use crate::normalize::line::Line;
use crate::normalize::stack::Stack;
use crate::normalize::tree::{Id, Tree};

/// How .NET prints failures.
pub(crate) static LANGUAGE: Language = Language {
    name: RUNTIME,
    begins: b"Ua-",
    signs: &["Unhandled e", "Unhandled E", "   at ", INNER],
    opens,
    continues,
    read,
    posted,
};

/// The runtime's name in a record.
const RUNTIME: &str = "dotnet";

/// What the runtime puts before an exception that nobody caught; the older form came with .NET Core 2 and before.
const UNHANDLED: [&str; 2] = ["Unhandled exception. ", "Unhandled Exception: "];

/// The beginning of an inner exception's line.
const INNER: &str = " ---> ";

/// The beginning of an inner exception that has a number: one of an aggregate.
const NUMBERED: &str = "(Inner Exception #";

/// The end of an inner exception that has a number.
const NUMBERED_END: &str = "<---";

const END_OF_INNER: &str = "--- End of inner exception stack trace ---";

/// The line between the frames of a task and of whoever waited for it.
const END_OF_PREVIOUS: &str = "--- End of stack trace from previous location";

/// What the console logger of ASP.NET puts before every line of a message but the first.
const CONSOLE: &str = "      ";

/// A header was read, and perhaps more lines of its message.
const HEADER: State = State(0);
/// Frames are being read.
const FRAMES: State = State(1);

fn opens(line: &Line<'_>, held: &Held<'_>) -> Option<Opening> {
    if unhandled(line.text).is_some() {
        return Some(Opening::Here(HEADER));
    }
    let text = unindented(line.raw);
    let is_frame = is_frame(text);
    let is_inner = text.strip_prefix(INNER).is_some_and(|said| typed(said).is_some());
    if !is_frame && !is_inner {
        return None;
    }
    let is_header = |line: &str| {
        let line = unindented(line);
        !line.starts_with(INNER) && typed(Line::new(line).text).is_some()
    };
    let above = held.back().position(is_header);
    if above.is_none() && !is_frame {
        return None;
    }
    let state = if is_frame { FRAMES } else { HEADER };
    Some(Opening::Before { lines: above.map_or(0, |above| above + 1), state })
}

fn continues(state: State, line: &Line<'_>) -> Claim {
    let text = unindented(line.raw);
    if is_frame(text) || text.trim_start().starts_with("--- End of ") {
        return Claim::Own(FRAMES);
    }
    match state {
        _ if text.starts_with(INNER) => Claim::Own(HEADER),
        _ if text.ends_with(NUMBERED_END) => Claim::Own(FRAMES),
        FRAMES if !line.is_blank() => Claim::No,
        state => Claim::Message(state),
    }
}

/// What follows the words for an exception that nobody caught.
fn unhandled(text: &str) -> Option<&str> {
    UNHANDLED.iter().find_map(|words| text.strip_prefix(words))
}

/// A line without the console logger's indentation.
fn unindented(line: &str) -> &str {
    line.strip_prefix(CONSOLE).unwrap_or(line)
}

/// True for a line that begins as frames do, three blanks deep, and is one.
fn is_frame(line: &str) -> bool {
    line.strip_prefix("   at ")
        .is_some_and(|text| frame(text.strip_suffix(NUMBERED_END).unwrap_or(text)).is_some())
}

/// The call in `Shop.Repo`1.Get[TValue](TKey key) in /var/task/App.cs:line 19`.
fn frame(text: &str) -> Option<StackEntry> {
    let (call, place) = match text.rsplit_once(":line ") {
        Some((rest, line)) => {
            let (call, file) = rest.split_once(") in ")?;
            (call, Some((file, line.trim_end().parse().ok()?)))
        }
        None => (text.trim_end().strip_suffix(')')?, None),
    };
    let (name, arguments) = call.rsplit_once('(')?;
    // Every argument is a type and a name; a file and a line, as Java has there, are not.
    let is_name =
        !name.is_empty() && !name.contains(' ') && (arguments.is_empty() || arguments.contains(' '));
    if !is_name || place.is_none() && !name.contains('.') && arguments.is_empty() {
        return None;
    }
    Some(StackEntry {
        file: place.map(|(file, _): (&str, u32)| file.to_owned()),
        line: place.map(|(_, line)| line),
        function: Some(readable(name)),
        source: None,
    })
}

/// A name as newer runtimes print it: the state machine of an async method or an iterator stands for the method itself
/// (`Shop.Handler.<FetchAsync>d__3.MoveNext` is `Shop.Handler.FetchAsync`).
fn readable(name: &str) -> String {
    let method = || {
        let (folder, machine) = name.strip_suffix(".MoveNext")?.rsplit_once(".<")?;
        let (method, number) = machine.split_once(">d__")?;
        let number = number.split('`').next().unwrap_or_default();
        number.bytes().all(|byte| byte.is_ascii_digit()).then(|| format!("{folder}.{method}"))
    };
    method().unwrap_or_else(|| name.to_owned())
}

/// The type and the first line of the message in `System.ArgumentException: order id is required`.
fn typed(text: &str) -> Option<(&str, &str)> {
    let text = unhandled(text).unwrap_or(text);
    let (name, said) = text.split_once(": ").unwrap_or((text.strip_suffix(':').unwrap_or(text), ""));
    let is_part = |part: &str| {
        part.starts_with(|c: char| c.is_alphabetic() || c == '_')
            && part.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '`' | '+' | '[' | ']' | ','))
    };
    let is_type = name.split('.').all(is_part) && (name.contains('.') || name.ends_with("Exception"));
    is_type.then_some((name, said))
}

fn read(text: &str) -> Option<Record> {
    let is_indented = text.starts_with(CONSOLE);
    let lines: Vec<&str> =
        text.lines().map(|line| if is_indented { unindented(line) } else { line }).collect();
    let first = *lines.first()?;
    let is_printed =
        unhandled(first).is_some() || lines.iter().any(|line| is_frame(line) || line.starts_with(INNER));
    if !is_printed || typed(first).is_none() && !is_frame(first) {
        return None;
    }
    let mut reader = Reader { tree: Tree::default(), open: Vec::new() };
    let root = reader.tree.root();
    reader.open.push(Some(root));
    let mut lines = lines.into_iter();
    if !is_frame(first) {
        reader.say(root, first);
        lines.next();
    }
    lines.for_each(|line| reader.line(line));
    let mut record = reader.tree.into_record(Stack::reversed);
    record.error_message.truncate(record.error_message.trim_end().len());
    record.runtime = Some(RUNTIME.to_owned());
    Some(record)
}

/// An exception while it is read.
struct Reader {
    tree: Tree,
    /// The exceptions whose lines may go on, the outermost first; `None` where there is no room for one, or it was read before.
    open: Vec<Option<Id>>,
}

impl Reader {
    fn line(&mut self, line: &str) {
        let (line, is_last) = match line.strip_suffix(NUMBERED_END) {
            Some(line) => (line, true),
            None => (line, false),
        };
        let text = line.trim_start();
        if let Some(said) = line.strip_prefix(INNER) {
            self.inner(said);
        } else if text == END_OF_INNER {
            self.close();
        } else if let (Some(entry), Some(Some(id))) =
            (line.strip_prefix("   at ").and_then(frame), self.open.last().copied())
        {
            self.tree.push(id, entry, Frame::default());
        } else if let Some(Some(id)) = self.open.last().copied()
            && !text.starts_with(END_OF_PREVIOUS)
        {
            let node = self.tree.node(id);
            if node.stack.is_empty() {
                node.error_message.push('\n');
                node.error_message.push_str(line);
            }
        }
        if is_last {
            self.close();
        }
    }

    /// Begins an exception inside the one that is open.
    fn inner(&mut self, said: &str) {
        let numbered = said.strip_prefix(NUMBERED).and_then(|said| said.split_once(") "));
        let parent = self.open.last().copied().flatten();
        let id = parent.and_then(|parent| {
            let aggregate = self
                .tree
                .node(parent)
                .error_type
                .as_deref()
                .is_some_and(|name| name.ends_with("AggregateException"));
            let relation = if aggregate { Relation::Member } else { Relation::Cause };
            // Older runtimes print the first of an aggregate twice, the second time with its number.
            let is_second =
                numbered.is_some_and(|(number, _)| number == "0") && self.tree.has_children(parent);
            if is_second { None } else { self.tree.add(parent, relation) }
        });
        if let Some(id) = id {
            self.say(id, numbered.map_or(said, |(_, said)| said));
        }
        self.open.push(id);
    }

    /// Ends the innermost exception. The outermost one ends with the text.
    fn close(&mut self) {
        if self.open.len() > 1 {
            self.open.pop();
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

/// Reads what Lambda's client posts, one call a string, and what its JSON log has, the lines of the whole exception.
fn posted(posted: &Posted<'_>) -> Option<Record> {
    let call = |text: &str| frame(text.trim_start().strip_prefix("at ")?);
    let first = posted.stack.iter().find(|text| !text.trim_start().starts_with("--- End of "))?;
    if call(first).is_none() {
        return read(&posted.stack.join("\n"));
    }
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
    fn the_console_logger_indents_all_of_it() {
        let read = crate::normalize::text(
            "fail: Shop.Middleware[1]\n      An unhandled exception has occurred.\n      System.InvalidOperationException: no elements\n         at System.Linq.Enumerable.First[TSource](IEnumerable`1 source)\n         at Shop.Orders.Get(Int32 id) in /src/Orders.cs:line 17\ninfo: Shop.Middleware[2]\n      next\n",
        );
        let [reading] = &read[..] else { panic!("{read:?}") };
        assert_eq!(reading.record.error_type.as_deref(), Some("System.InvalidOperationException"));
        assert_eq!(reading.record.error_message, "no elements");
        assert_eq!((reading.record.stack_trace.len(), reading.record.stack_trace[0].line), (2, Some(17)));
    }

    #[test]
    fn inner_exceptions_nest_and_keep_their_own_frames() {
        // .NET Core 3.1.23.
        let record = read("Unhandled exception. System.InvalidOperationException: handler failed:\nsecond line\n ---> Shop.OrderException: order lookup failed\n ---> System.Collections.Generic.KeyNotFoundException: The given key 'A-1' was not present in the dictionary.\n   at System.Collections.Generic.Dictionary`2.get_Item(TKey key)\n   --- End of inner exception stack trace ---\n   at Shop.Handler.Chain() in /var/task/App.cs:line 40\n   --- End of inner exception stack trace ---\n   at Shop.Handler.Chain() in /var/task/App.cs:line 41\n").unwrap();
        assert_eq!(record.error_message, "handler failed:\nsecond line");
        assert_eq!(record.stack_trace[0].line, Some(41));
        assert_eq!(record.causes[0].stack_trace[0].line, Some(40));
        let inner = &record.causes[0].causes[0];
        assert_eq!(
            inner.stack_trace[0].function.as_deref(),
            Some("System.Collections.Generic.Dictionary`2.get_Item")
        );
    }

    #[test]
    fn the_members_of_an_aggregate_are_read_once() {
        let inner = "System.Exception: a\n   at P.A() in /src/P.cs:line 3";
        let newer = format!(
            "System.AggregateException: One or more errors occurred. (a) (b)\n ---> {inner}\n   --- End of inner exception stack trace ---\n   at P.Wait()\n ---> (Inner Exception #1) System.Exception: b\n   at P.B() in /src/P.cs:line 4<---\n\n"
        );
        let older = newer.replace(
            " ---> (Inner Exception #1)",
            &format!(" ---> (Inner Exception #0) {inner}<---\n\n ---> (Inner Exception #1)"),
        );
        for text in [newer, older] {
            let record = read(&text).unwrap();
            let members: Vec<_> = record
                .causes
                .iter()
                .map(|cause| (cause.error_message.as_str(), cause.relation, cause.stack_trace.len()))
                .collect();
            assert_eq!(members, [("a", Some(Relation::Member), 1), ("b", Some(Relation::Member), 1)]);
            assert_eq!(record.stack_trace.len(), 1);
        }
    }

    #[test]
    fn calls_of_every_spelling_are_read() {
        for (text, function, line) in [
            (
                "Shop.Repo`1.Get[TValue](TKey key) in /var/task/App.cs:line 19",
                "Shop.Repo`1.Get[TValue]",
                Some(19),
            ),
            (
                "Shop.Repo`1.Cursor..ctor(Int32 n) in /var/task/App.cs:line 22",
                "Shop.Repo`1.Cursor..ctor",
                Some(22),
            ),
            (
                "Shop.Handler.<>c.<Lambdas>b__4_0(Int32 x) in C:\\src\\My App.cs:line 59",
                "Shop.Handler.<>c.<Lambdas>b__4_0",
                Some(59),
            ),
            (
                "Shop.Handler.<Div>g__Local|5_0(Int32 y, <>c__DisplayClass5_0& ) in /a.cs:line 62",
                "Shop.Handler.<Div>g__Local|5_0",
                Some(62),
            ),
            ("Shop.Handler.<FetchAsync>d__3.MoveNext()", "Shop.Handler.FetchAsync", None),
            ("Shop.Handler.Items()+MoveNext()", "Shop.Handler.Items()+MoveNext", None),
            ("lambda_method(Closure , Object )", "lambda_method", None),
        ] {
            let entry = frame(text).unwrap();
            assert_eq!((entry.function.as_deref(), entry.line), (Some(function), line), "{text}");
        }
        for text in [
            "f (a.js:1:2)",
            "com.example.App.f(App.java:1)",
            "f()",
            "",
            "(",
            "x:line 3",
            "Array.map (<anonymous>)",
        ] {
            assert_eq!(frame(text), None, "{text}");
        }
    }

    #[test]
    fn a_posted_stack_is_calls_or_the_whole_exception() {
        let read = |stack: &[&str]| posted(&Posted { stack, error_type: None, error_message: "" }).unwrap();
        let calls = [
            "at Shop.A.B(Int32 n) in /a.cs:line 2",
            "--- End of stack trace from previous location ---",
            "at Shop.C.D()",
        ];
        assert_eq!(read(&calls).stack_trace.len(), 2);
        let whole = [
            "Shop.E: m",
            " ---> Shop.F: n",
            "   at Shop.A.B()",
            "   --- End of inner exception stack trace ---",
            "   at Shop.C.D()",
        ];
        assert_eq!(read(&whole).causes[0].error_message, "n");
    }
}
