//! One line of a V8 stack.
//!
//! ```text
//! at validate (/var/task/index.js:2:24)                       a function and its place
//! at async file:///var/task/my%20app.mjs:3:1                  a place alone: the function has no name
//! at Timeout.tick [as _onTimeout] (node:internal/timers:5:1)  another name under which it was called
//! at async Promise.all (index 1)                              no place: built into the engine
//! at eval (eval at run (/var/task/index.js:11:60), <anonymous>:3:13)
//! at wasm://wasm/0145fffe:wasm-function[0]:0x1e
//! ```
//!
//! Names and paths may hold spaces and parentheses, so a line is taken apart from its end.

use crate::failure::{Frame, StackEntry};
use crate::percent;

/// The beginnings of places that stand for themselves, whatever the name before them looks like.
const ROOTS: [&str; 17] = [
    "/",
    "file:",
    "node:",
    "<",
    "[",
    "eval at ",
    "native",
    "index ",
    "wasm:",
    "webpack",
    "internal/",
    "http:",
    "https:",
    "data:",
    "evalmachine.",
    "./",
    "../",
];

/// How many parentheses of a path are looked at: each takes a look at all of the path before it.
const CLOSES_MAX: usize = 16;

/// Reads a line of a stack without the white space before its `at `.
pub(super) fn call(line: &str) -> Option<(StackEntry, Frame)> {
    let call = line.strip_prefix("at ")?;
    let call = call.strip_prefix("async ").unwrap_or(call);
    let (name, place) = match named(call) {
        Some((name, place)) => (Some(name).filter(|name| *name != "<anonymous>"), place),
        None => (None, place(call)?),
    };
    let entry = StackEntry {
        file: place.file.map(path),
        line: place.line,
        function: name.or(place.function).map(str::to_owned),
        source: None,
    };
    let address = place.address.map(str::to_owned);
    Some((entry, Frame { column: place.column, address, ..Frame::default() }))
}

/// The path of a `file:` URL, or the file as it is printed.
pub(super) fn path(file: &str) -> String {
    let Some(path) = file.strip_prefix("file://") else { return file.to_owned() };
    let path = percent::decoded(path);
    match path.as_bytes() {
        [b'/', drive, b':', b'/', ..] if drive.is_ascii_alphabetic() => path[1..].replace('/', "\\"),
        _ => path,
    }
}

/// `path:line` or `path:line:column`, as it stands above a source line.
pub(super) fn file_and_line(text: &str) -> Option<(&str, u32)> {
    let (file, line) = numbered(text)?;
    Some((file, line?))
}

/// Where a call stands, in the words of the line.
#[derive(Default)]
struct Place<'a> {
    file: Option<&'a str>,
    line: Option<u32>,
    column: Option<u32>,
    /// Only WebAssembly names functions and addresses in the place.
    function: Option<&'a str>,
    address: Option<&'a str>,
}

/// Parts `name (place)`. Of the two spaces with a parenthesis at which the place may begin, the one that balances the last
/// parenthesis goes before the first one of all.
fn named(call: &str) -> Option<(&str, Place<'_>)> {
    let inner = call.strip_suffix(')')?;
    let starts = [balanced(inner), inner.find(" (").map(|space| space + 1)];
    let at = |start: usize| Some((inner[..start].strip_suffix(' ')?, &inner[start + 1..]));
    let candidates = || starts.into_iter().flatten().filter_map(at).filter(|(name, _)| !name.is_empty());
    let (name, text) = candidates()
        .find(|(_, text)| is_rooted(text) && place(text).is_some())
        .or_else(|| candidates().find(|(_, text)| place(text).is_some()))?;
    Some((name, place(text)?))
}

/// Where the parenthesis stands that one behind the end of `text` would close.
fn balanced(text: &str) -> Option<usize> {
    let mut depth = 1_usize;
    text.bytes().rposition(|byte| {
        match byte {
            b')' => depth += 1,
            b'(' => depth -= 1,
            _ => {}
        }
        depth == 0
    })
}

fn is_rooted(place: &str) -> bool {
    let has_drive =
        matches!(place.as_bytes(), [drive, b':', b'\\' | b'/', ..] if drive.is_ascii_alphabetic());
    has_drive || ROOTS.iter().any(|root| place.starts_with(root))
}

fn place(text: &str) -> Option<Place<'_>> {
    let is_index = |text: &str| text.strip_prefix("index ").is_some_and(is_number);
    if matches!(text, "<anonymous>" | "native" | "unknown location") || is_index(text) {
        return Some(Place::default());
    }
    if text.starts_with("eval at ") {
        return evaluated(text);
    }
    if text.starts_with("wasm://") {
        return wasm(text);
    }
    let (rest, column) = numbered(text)?;
    let (file, line) = numbered(rest)?;
    Some(Place { file: Some(file), line, column, ..Place::default() })
}

/// `eval at run (/var/task/index.js:11:60), <anonymous>:3:13`, perhaps nested: the place at which the outermost text was
/// evaluated, for the text itself has no file.
fn evaluated(text: &str) -> Option<Place<'_>> {
    let mut place = text;
    while let Some(rest) = place.strip_prefix("eval at ") {
        place = &rest[rest.find(" (")? + " (".len()..];
    }
    let mut closes = place.match_indices(')').map(|(end, _)| end).take(CLOSES_MAX);
    let end = closes.find(|end| {
        let has_column = numbered(&place[..*end]).is_some_and(|(rest, _)| numbered(rest).is_some());
        has_column || &place[..*end] == "<anonymous>"
    })?;
    if &place[..end] == "<anonymous>" {
        return Some(Place::default());
    }
    let (rest, column) = numbered(&place[..end])?;
    let (file, line) = numbered(rest)?;
    Some(Place { file: Some(file), line, column, ..Place::default() })
}

/// `wasm://wasm/0145fffe:wasm-function[0]:0x1e`.
fn wasm(text: &str) -> Option<Place<'_>> {
    let (file, rest) = text.split_once(":wasm-function[")?;
    let function = &text[file.len() + 1..][.."wasm-function[".len() + rest.find(']')? + 1];
    let address =
        rest.rsplit_once(':').map(|(_, address)| address).filter(|address| address.starts_with("0x"))?;
    Some(Place { file: Some(file), function: Some(function), address: Some(address), ..Place::default() })
}

/// Parts what stands before a last `:number`. A number that is too large is a number, but not known.
fn numbered(text: &str) -> Option<(&str, Option<u32>)> {
    let (rest, number) = text.rsplit_once(':')?;
    (is_number(number) && !rest.is_empty()).then(|| (rest, number.parse().ok()))
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> (Option<String>, Option<u32>, Option<u32>, Option<String>) {
        let (entry, frame) = call(line).expect(line);
        (entry.file, entry.line, frame.column, entry.function)
    }

    fn known(
        file: &str,
        line: u32,
        column: u32,
        function: Option<&str>,
    ) -> (Option<String>, Option<u32>, Option<u32>, Option<String>) {
        (Some(file.into()), Some(line), Some(column), function.map(Into::into))
    }

    #[test]
    fn each_form_of_a_line_is_read() {
        // Node 20.20.2.
        assert_eq!(read("at start (/var/task/main.js:3:7)"), known("/var/task/main.js", 3, 7, Some("start")));
        assert_eq!(read("at /var/task/lib.js:1:56"), known("/var/task/lib.js", 1, 56, None));
        assert_eq!(read("at async /app/a.js:75:104"), known("/app/a.js", 75, 104, None));
        assert_eq!(read("at new A (/app/a.js:62:47)"), known("/app/a.js", 62, 47, Some("new A")));
        assert_eq!(read("at #p (/app/a.js:61:79)"), known("/app/a.js", 61, 79, Some("#p")));
        assert_eq!(
            read("at get p [as p] (/app/a.js:60:42)"),
            known("/app/a.js", 60, 42, Some("get p [as p]"))
        );
        assert_eq!(
            read("at <anonymous> (/var/task/src/index.ts:8:45)"),
            known("/var/task/src/index.ts", 8, 45, None)
        );
        assert_eq!(read("at my file.js:2:7"), known("my file.js", 2, 7, None));
        assert_eq!(read("at [eval]-wrapper:6:24"), known("[eval]-wrapper", 6, 24, None));
        for built_in in ["Array.forEach (<anonymous>)", "async Promise.all (index 1)", "eval (native)"] {
            let name = built_in.strip_prefix("async ").unwrap_or(built_in);
            let name = &name[..name.find(" (").unwrap()];
            assert_eq!(read(&format!("at {built_in}")), (None, None, None, Some(name.into())));
        }
        assert_eq!(read("at <anonymous>"), (None, None, None, None));
    }

    #[test]
    fn names_and_paths_may_hold_spaces_and_parentheses() {
        assert_eq!(
            read("at boom (file:///var/task/my%20lib%20(v1).mjs:1:50)"),
            known("/var/task/my lib (v1).mjs", 1, 50, Some("boom"))
        );
        assert_eq!(
            read("at q (/app/my dir (x)/f (1).js:1:21)"),
            known("/app/my dir (x)/f (1).js", 1, 21, Some("q"))
        );
        assert_eq!(read("at q (/app/a (b/f.js:1:21)"), known("/app/a (b/f.js", 1, 21, Some("q")));
        assert_eq!(read("at a (b) (/app/a.js:64:47)"), known("/app/a.js", 64, 47, Some("a (b)")));
        let windows = r"C:\Users\dev\My App\handler.js";
        assert_eq!(read(&format!("at load ({windows}:2:9)")), known(windows, 2, 9, Some("load")));
        assert_eq!(read(&format!("at {windows}:4:1")), known(windows, 4, 1, None));
        assert_eq!(read("at f (file:///C:/a%20b/x.js:4:1)"), known(r"C:\a b\x.js", 4, 1, Some("f")));
    }

    #[test]
    fn evaluated_text_stands_where_it_was_evaluated() {
        assert_eq!(
            read("at eval (eval at <anonymous> (/var/task/index.js:11:60), <anonymous>:3:13)"),
            known("/var/task/index.js", 11, 60, Some("eval"))
        );
        assert_eq!(
            read("at q (eval at f (eval at go (/app/a (1).js:46:20), <anonymous>:1:1), <anonymous>:1:21)"),
            known("/app/a (1).js", 46, 20, Some("q"))
        );
        assert_eq!(
            read("at eval (eval at go (/app/a.js:46:20), <anonymous>:2:1)"),
            known("/app/a.js", 46, 20, Some("eval"))
        );
    }

    #[test]
    fn a_function_of_webassembly_has_an_address() {
        let (entry, frame) = call("at wasm://wasm/0145fffe:wasm-function[0]:0x1e").unwrap();
        assert_eq!(entry.file.as_deref(), Some("wasm://wasm/0145fffe"));
        assert_eq!(entry.function.as_deref(), Some("wasm-function[0]"));
        assert_eq!(frame.address.as_deref(), Some("0x1e"));
        let (entry, _) = call("at add (wasm://wasm/d42138b1:wasm-function[0]:0x1f)").unwrap();
        assert_eq!(entry.function.as_deref(), Some("add"));
    }

    #[test]
    fn other_lines_are_no_calls() {
        for line in [
            "at com.example.Shop.pay(Shop.java:12)",
            "at com.example.Shop.pay (Shop.java:12)",
            "at Shop.Handler.Run(String c) in /var/task/App.cs:line 86",
            "at lambda_method(Closure , Object )",
            "at noon we left",
            "at ",
            "at (",
            "at )",
            "at x ()",
            "at eval (eval at )",
            "at wasm://:1:2",
            "at wasm://x:wasm-function[",
            "at :1:2",
        ] {
            assert_eq!(call(line), None, "{line}");
        }
        assert_eq!(
            read("at f (/x.js:99999999999:1)"),
            (Some("/x.js".into()), None, Some(1), Some("f".into()))
        );
    }
}
