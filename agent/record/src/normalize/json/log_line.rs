//! A log line that is an object: is there a failure in it, and what does the logger say around it?

use serde_json::Value;

use crate::complete::{parse_rfc3339, rfc3339};
use crate::failure::{Location, Record};
use crate::normalize::json::members::{
    CONTAINERS, CONTEXTS, FAILURES, FUNCTIONS, LEVELS, LOGGED, LOGGERS, NESTED, Names, Object, POSTED,
    REQUEST_IDS, TEXTS, TIMES, error_type, first, inner, is_empty, message, number, string,
};
use crate::normalize::json::{body, frames, parse};
use crate::normalize::line::is_failure_level;

/// How many objects within objects are looked into.
const DEPTH_MAX: usize = 3;

/// Reads an object that tells of a failure by itself. A line of a level at which nothing fails tells of none.
pub(super) fn read(object: &Object) -> Option<Record> {
    let level = is_failure(object);
    if level == Some(false) {
        return None;
    }
    let mut record = failure(object, level == Some(true), DEPTH_MAX)?;
    context(object, &mut record);
    Some(record)
}

/// What a quick look finds out: whether [`read`] may find something. Nothing within a string is looked at.
pub(super) fn may_be_failure(object: &Object) -> bool {
    let may_hold_one = |text: &str| text.starts_with('{') || text.contains(['\n', '\r']);
    let texts = || TEXTS.iter().filter_map(|name| object.get(*name)?.as_str());
    is_failure(object) != Some(false)
        && (is_posted(object)
            || first(object, LOGGED.stack).is_some()
            || CONTAINERS.iter().any(|name| inner(object, name).is_some())
            || texts().any(may_hold_one)
            || reported(object).is_some())
}

/// True for an object of the shape that runtimes post. A layout that always writes these members has `null` in all of them where
/// there is no failure.
fn is_posted(object: &Object) -> bool {
    // `trace` is a trace's id elsewhere.
    let is_stack = |value: &Value| value.is_array() || value.as_str().is_some_and(|text| text.contains('\n'));
    let has_stack = || POSTED.stack.iter().any(|name| object.get(*name).is_some_and(is_stack));
    let has_message = || object.get("errorMessage").is_some_and(Value::is_string);
    match object.get("errorType") {
        Some(Value::String(_)) => object.contains_key("errorMessage") || has_stack(),
        Some(Value::Null) => has_message() || has_stack(),
        _ => has_message() && has_stack(),
    }
}

/// The first failure that is found in an object. `is_error` if its level says that there is one.
fn failure(object: &Object, is_error: bool, depth: usize) -> Option<Record> {
    if is_posted(object) {
        return Some(posted(object));
    }
    let (read, unread) = logged(object);
    read.or_else(|| contained(object, is_error, depth))
        .or_else(|| {
            let printed =
                TEXTS.iter().find_map(|name| printed(object.get(*name)?.as_str()?, is_error, depth));
            printed.filter(|record| is_error || !record.stack_trace.is_empty())
        })
        .or_else(|| reported(object))
        .or(unread.filter(|_| is_error))
}

/// A failure in one of the objects within an object.
fn contained(object: &Object, is_error: bool, depth: usize) -> Option<Record> {
    let nested = |name: &str, inner: &Object| {
        let failure = FAILURES.contains(&name).then(|| nested(inner, is_error)).flatten();
        failure.or_else(|| if depth > 1 { self::failure(inner, is_error, depth - 1) } else { None })
    };
    CONTAINERS.iter().find_map(|name| nested(name, &*inner(object, name)?))
}

/// A failure in a text: JSON again, or what a language prints.
fn printed(text: &str, is_error: bool, depth: usize) -> Option<Record> {
    if depth > 1
        && let Some((object, _)) = parse::object(text.as_bytes())
    {
        return failure(&object, is_error, depth - 1);
    }
    frames::printed(text)
}

/// A failure as runtimes post it. A logger's own message stands in for one that is missing.
fn posted(object: &Object) -> Record {
    let mut record = body::record(object, &POSTED);
    if !object.contains_key("errorMessage")
        && record.error_message.is_empty()
        && let Some(message) = string(object, &TEXTS)
    {
        message.clone_into(&mut record.error_message);
    }
    record
}

/// A stack among the members of the logger. A name alone may mean something else, so it must be one that can be read; the second
/// record is that of a stack which cannot, beside the name of a type.
fn logged(object: &Object) -> (Option<Record>, Option<Record>) {
    let mut unread = None;
    for name in LOGGED.stack {
        let Some(value) = object.get(*name).filter(|value| !is_empty(value)) else { continue };
        let record = match value {
            Value::Array(failures) if failures.iter().any(|failure| failure.get("exc_type").is_some()) => {
                return (body::chained(failures), None);
            }
            Value::String(_) | Value::Array(_) => {
                body::record(object, &Names { stack: std::slice::from_ref(name), ..LOGGED })
            }
            _ => continue,
        };
        if record.raw.is_none() && (!record.stack_trace.is_empty() || !record.causes.is_empty()) {
            return (Some(with_message(record, object)), None);
        }
        unread = unread.or(Some(record).filter(|record| record.error_type.is_some()));
    }
    (None, unread)
}

/// An object that is nothing but a failure. A type alone counts only on a line that says that it is an error.
fn nested(object: &Object, is_error: bool) -> Option<Record> {
    let has_type = error_type(object, NESTED.error_type).is_some();
    let has_message = message(object, NESTED.message).is_some();
    let has_stack = first(object, NESTED.stack).is_some();
    let tells = has_stack || is_error && has_type && has_message;
    if !tells {
        return None;
    }
    let mut record = body::record(object, &NESTED);
    record.location = record.location.take().or_else(|| thrown_at(object, &record));
    (record.raw.is_none() || has_type || is_error).then_some(record)
}

/// The place where an error was thrown, if no frame says it: Monolog's frames begin with the call above it, and Powertools for
/// TypeScript names the place of an error whose stack may be gone.
fn thrown_at(object: &Object, record: &Record) -> Option<Location> {
    let names: &[&str] = if record.stack_trace.is_empty() { &["file", "location"] } else { &["file"] };
    let (file, line) = frames::place(string(object, names)?)?;
    let is_known = record
        .stack_trace
        .iter()
        .any(|entry| entry.file.as_deref() == Some(&file) && entry.line == Some(line));
    (!is_known).then_some(Location { file, line, column: None })
}

/// The place that Google's error reporting wants to be told.
fn reported(object: &Object) -> Option<Record> {
    let place = object.get("context")?.get("reportLocation")?.as_object()?;
    let entry = serde_json::json!([
        place.get("filePath"),
        place.get("lineNumber").and_then(number),
        place.get("functionName")
    ]);
    let record = frames::read(&Value::Array(vec![entry]), None, None)?;
    Some(with_message(record, object))
}

/// The logger's own message for a failure that has none.
fn with_message(mut record: Record, object: &Object) -> Record {
    if record.error_message.is_empty()
        && record.error_type.is_none()
        && let Some(message) = string(object, &TEXTS)
    {
        message.clone_into(&mut record.error_message);
    }
    record
}

/// Whether the level says that something failed; `None` if there is no level.
fn is_failure(object: &Object) -> Option<bool> {
    let level = LEVELS
        .iter()
        .find_map(|name| object.get(*name))
        .or_else(|| object.get("log")?.get("level"))
        // loguru keeps a name and a number.
        .or_else(|| object.get("record")?.get("level")?.get("name"))?;
    match level {
        Value::String(level) => match level.parse() {
            Ok(level) => Some(is_failure_number(level)),
            Err(_) => Some(is_failure_level(level) || level.eq_ignore_ascii_case("emergency")),
        },
        Value::Number(level) => level.as_i64().map(is_failure_number),
        _ => None,
    }
}

/// Levels as numbers: syslog counts down to 0, bunyan and pino count up by tens, Monolog by hundreds.
fn is_failure_number(level: i64) -> bool {
    matches!(level, 0..=3 | 50..=99 | 400..)
}

/// What the members around a failure say of it.
pub(super) fn context(object: &Object, record: &mut Record) {
    let around = |names: &[&str]| {
        string(object, names)
            .or_else(|| CONTEXTS.iter().find_map(|context| string(object.get(*context)?.as_object()?, names)))
            .map(str::to_owned)
    };
    record.request_id = record.request_id.take().or_else(|| around(&REQUEST_IDS));
    record.function_name = record.function_name.take().or_else(|| around(&FUNCTIONS));
    record.timestamp = record.timestamp.take().or_else(|| first(object, &TIMES).and_then(time));
    record.cold_start = record.cold_start.or_else(|| object.get("cold_start").and_then(Value::as_bool));
    let own = string(object, &TEXTS);
    if string(object, &LOGGERS).is_some() && own.is_some_and(|own| own != record.error_message) {
        record.handled = Some(true);
    }
}

/// A time as RFC 3339, from that or from seconds or milliseconds since 1970.
fn time(value: &Value) -> Option<String> {
    /// Above this, a number counts milliseconds: as seconds it would be in the year 5138.
    const SECONDS_MAX: f64 = 1e11;
    match value {
        Value::String(text) => parse_rfc3339(text).map(|_| text.clone()),
        Value::Number(number) => {
            let number = number.as_f64().filter(|number| *number > 0.0 && *number < 1e15)?;
            let time_ms = if number < SECONDS_MAX { number * 1e3 } else { number };
            #[expect(clippy::cast_possible_truncation, reason = "at most 1e15")]
            Some(rfc3339(time_ms as i64))
        }
        _ => None,
    }
}
