//! A stack as it stands in JSON: arrays, objects, strings, or a whole printed failure.
//!
//! ```json
//! [["/var/task/f.py", 3, "handler", "raise E()"]]                      Python up to 3.7, and our own records
//! ["  File \"/var/task/f.py\", line 3, in handler\n    raise E()\n"]    a runtime's own lines
//! [{"path": "task/main.go", "line": 19, "label": "(*Cart).Item"}]       Go; loggers have other names
//! "Traceback (most recent call last):\n…"                               loggers
//! ```

use serde_json::Value;

use crate::failure::{Frame, Kind, Record, Relation, StackEntry};
use crate::normalize::json::members::{Object, number, string};
use crate::normalize::language::Posted;
use crate::normalize::lines::{Detector, Extent};
use crate::normalize::stack::{self, Stack};
use crate::normalize::{CAUSES_DEPTH_MAX, LANGUAGES};

/// What the file of a call is called. `source` is one where nothing else is (zerolog).
const FILES: [&str; 7] = ["path", "file", "filename", "fileName", "abs_path", "sourceFile", "source"];
/// What the line is called; structlog has the text of it in `line`.
const LINES: [&str; 5] = ["lineno", "line", "lineNumber", "line_number", "LineNumber"];
/// What the function is called.
const FUNCTIONS: [&str; 8] =
    ["label", "function", "func", "method", "methodName", "functionName", "name", "declaringMethod"];
/// What the class is called of which the function is one.
const CLASSES: [&str; 4] = ["class", "className", "declaringClass", "typeName"];
/// What the text of the line is called.
const SOURCES: [&str; 4] = ["statement", "code", "context_line", "line"];
/// What the column is called.
const COLUMNS: [&str; 4] = ["column", "colno", "col", "columnNumber"];

/// What separates the failures of a chain that pino joins to one text.
pub(super) const CAUSED_BY: &str = "\ncaused by: ";

/// Reads a stack of whatever shape. What the error says of itself, as far as it is known apart from the stack, helps to tell frames
/// from lines of the message.
pub(super) fn read(stack: &Value, error_type: Option<&str>, message: Option<&str>) -> Option<Record> {
    match stack {
        Value::Array(entries) => array(entries, error_type, message),
        Value::String(text) => chained(text, error_type, message),
        Value::Object(object) => read(object.get("frames")?, error_type, message),
        _ => None,
    }
}

fn array(entries: &[Value], error_type: Option<&str>, message: Option<&str>) -> Option<Record> {
    let strings: Vec<&str> = entries.iter().filter_map(Value::as_str).collect();
    if strings.is_empty() {
        return values(entries);
    }
    posted(&strings, error_type, message)
        .or_else(|| printed(&strings.join("\n")).map(|record| unless_named(record, error_type)))
        .or_else(|| places(&strings))
}

/// A printed failure. If its type is known apart from the text, that is how its writer spells it.
fn unless_named(mut record: Record, error_type: Option<&str>) -> Record {
    if error_type.is_some() {
        record.error_type = None;
    }
    record
}

/// Shows the strings of a stack to every language.
fn posted(strings: &[&str], error_type: Option<&str>, message: Option<&str>) -> Option<Record> {
    let posted = Posted { stack: strings, error_type, error_message: message.unwrap_or_default() };
    LANGUAGES.iter().find_map(|language| (language.posted)(&posted))
}

/// A text that may hold a chain: a failure, and those behind it.
fn chained(text: &str, error_type: Option<&str>, message: Option<&str>) -> Option<Record> {
    let mut parts = text.split(CAUSED_BY).take(CAUSES_DEPTH_MAX);
    let mut record = self::text(parts.next()?, error_type, message)?;
    let mut causes: Vec<Record> = parts.map_while(|part| self::text(part, None, None)).collect();
    while let Some(cause) = causes.pop() {
        let before = causes.last_mut().unwrap_or(&mut record);
        before.causes.push(stack::cause(cause, Relation::Cause));
    }
    Some(record)
}

/// A text: a printed failure with its header, or its frames alone.
fn text(text: &str, error_type: Option<&str>, message: Option<&str>) -> Option<Record> {
    let printed = printed(text).map(|record| unless_named(record, error_type));
    if printed.as_ref().is_some_and(|record| !record.causes.is_empty()) {
        return printed;
    }
    // The strings of a posted stack are read with the message at hand, so that no line of it is taken for a frame.
    let lines: Vec<&str> = text.lines().collect();
    let as_posted = match message {
        Some(_) => posted(&lines, error_type, message),
        None => None,
    };
    as_posted
        .or(printed)
        .or_else(|| posted(&[text], error_type, message))
        .or_else(|| posted(&lines, error_type, message))
        .or_else(|| pairs(&lines))
}

/// Reads a failure that was printed into a string, if one of its lines begins like one.
pub(super) fn printed(text: &str) -> Option<Record> {
    let text = text.trim_matches(['\n', '\r']);
    if !text.contains(['\n', '\r']) {
        return None;
    }
    let mut detector = Detector::new(Extent::Framed);
    for line in text.split('\n') {
        if let Some(record) = detector.line(line, ()).iter().find_map(|block| block.read()) {
            return Some(record);
        }
    }
    detector.finish().iter().find_map(|block| block.read())
}

/// The stack that Go's loggers print: a function, and below it a tab, its file and its line. Newest first. `debug.Stack` adds
/// arguments and offsets.
fn pairs(lines: &[&str]) -> Option<Record> {
    let mut stack = Stack::default();
    for pair in lines.windows(2) {
        let [function, place] = pair else { continue };
        let Some(place) = place.strip_prefix('\t') else { continue };
        let Some((file, line)) = self::place(place.split(" +0x").next().unwrap_or(place)) else { continue };
        let name =
            if function.ends_with(')') { function.rfind('(').map(|end| &function[..end]) } else { None };
        let name = name.unwrap_or(function);
        if name.is_empty() || name.starts_with('\t') {
            continue;
        }
        let function = Some(name.to_owned());
        stack.push(
            StackEntry { file: Some(file), line: Some(line), function, source: None },
            Frame::default(),
        );
    }
    if stack.is_empty() {
        return None;
    }
    let mut record = Record { runtime: Some("go".to_owned()), ..Record::default() };
    stack.reversed().put_into(&mut record);
    Some(record)
}

/// The places of Monolog, newest first: nothing but a file and a line each.
fn places(strings: &[&str]) -> Option<Record> {
    let mut stack = Stack::default();
    for string in strings {
        let (file, line) = place(string)?;
        stack.push(
            StackEntry { file: Some(file), line: Some(line), ..StackEntry::default() },
            Frame::default(),
        );
    }
    let mut record = Record { runtime: Some("php".to_owned()), ..Record::default() };
    stack.reversed().put_into(&mut record);
    Some(record)
}

/// `<file>:<line>`.
pub(super) fn place(text: &str) -> Option<(String, u32)> {
    let (file, line) = text.rsplit_once(':')?;
    let is_path = file.contains('/') && !file.contains([' ', '(']);
    Some((file.to_owned(), line.parse().ok()?)).filter(|_| is_path)
}

/// A stack of arrays, the most recent call last, or of objects.
fn values(entries: &[Value]) -> Option<Record> {
    let mut stack = Stack::default();
    let mut newest_first = false;
    let mut record = Record::default();
    for entry in entries {
        let (call, frame) = match entry {
            Value::Array(values) => (tuple(values), Frame::default()),
            Value::Object(members) => {
                newest_first |= !is_oldest_first(members);
                record.runtime = record.runtime.take().or_else(|| runtime(members).map(str::to_owned));
                if string(members, &["label"]) == Some("gopanic") {
                    record.kind = Some(Kind::Panic);
                }
                object(members)
            }
            _ => continue,
        };
        let is_python = |file: &String| file.ends_with(".py");
        if record.runtime.is_none() && call.file.as_ref().is_some_and(is_python) {
            record.runtime = Some("python".to_owned());
        }
        stack.push(call, frame);
    }
    if stack.is_empty() {
        return None;
    }
    if newest_first { stack.reversed() } else { stack }.put_into(&mut record);
    Some(record)
}

/// `[file, line, function, source]`.
fn tuple(values: &[Value]) -> StackEntry {
    let text = |index: usize| values.get(index).and_then(Value::as_str).map(str::to_owned);
    StackEntry {
        file: text(0),
        line: values.get(1).and_then(number),
        function: text(2),
        source: text(3).map(|source| source.trim().to_owned()).filter(|source| !source.is_empty()),
    }
}

fn object(members: &Object) -> (StackEntry, Frame) {
    let file = string(members, &FILES);
    let function = string(members, &FUNCTIONS).map(|function| match string(members, &CLASSES) {
        Some(class) => format!("{class}.{function}"),
        None => function.to_owned(),
    });
    let line = LINES.iter().find_map(|name| number(members.get(*name)?)).filter(|line| *line > 0);
    // What is no number under the name of a line is its text.
    let source = string(members, &SOURCES).filter(|text| text.parse::<u32>().is_err());
    let entry = StackEntry {
        file: file.map(str::to_owned),
        line,
        function,
        source: source.map(|text| text.trim().to_owned()),
    };
    let column = COLUMNS.iter().find_map(|name| number(members.get(*name)?));
    (entry, Frame { column, ..Frame::default() })
}

/// Python's loggers keep the order of its tracebacks; all others have the most recent call first.
fn is_oldest_first(members: &Object) -> bool {
    members.contains_key("statement") || members.contains_key("lineno")
}

/// The runtime whose names these are.
fn runtime(members: &Object) -> Option<&'static str> {
    let has = |name: &str| members.contains_key(name);
    if has("path") && has("label") || has("func") && has("source") {
        Some("go")
    } else if has("methodName") || has("class") && has("method") {
        Some("java")
    } else if has("statement") {
        Some("python")
    } else {
        None
    }
}
