//! The JSON of a failure: the body that a runtime posts, and the JSON log line that tells of the same failure.
//!
//! Real clients differ, so this reader asks for little: an object with `errorMessage` or `errorType`. The stack is in
//! `stackTrace` or `trace`, and its entries are
//!
//! - `[file, line, function, source]` (Python up to 3.7, and our own records),
//! - strings in the language's own form (Python 3.8 and later; those of others are kept in `raw` for now),
//! - objects `{path, line, label}` (Go).
//!
//! In a log line the same members stand at the top (Python) or inside `message` (Node).

use serde_json::{Map, Value};

use crate::failure::{Record, StackEntry};
use crate::normalize::{FRAMES_MAX, python};
use crate::text;

/// The deepest object in which a failure is looked for: a log line's `message`.
const DEPTH_MAX: usize = 2;

/// Reads a JSON object that tells of a failure by itself: it has an `errorType`, or an `errorMessage` with a stack.
#[must_use]
pub fn read(json: &[u8]) -> Option<Record> {
    let object = object(json)?;
    let inner = failure_in(&object, DEPTH_MAX)?;
    let mut record = from_object(inner);
    // The members around a nested failure are its context.
    record.request_id = record.request_id.or_else(|| string(&object, &["requestId", "AWSRequestId"]));
    record.timestamp = record.timestamp.or_else(|| string(&object, &["timestamp", "time"]));
    Some(record)
}

/// Reads a JSON object that was posted as an error, so that it is one whatever it holds.
#[must_use]
pub fn read_posted(json: &[u8]) -> Option<Record> {
    let object = object(json)?;
    let mut record = from_object(&object);
    if failure_in(&object, 1).is_none() {
        record.raw = Some(text::prefix(&String::from_utf8_lossy(json), super::RAW_BYTES_MAX).to_owned());
    }
    Some(record)
}

/// Parses `json` if it is one object. A first look at the first byte keeps the parser away from everything else.
fn object(json: &[u8]) -> Option<Map<String, Value>> {
    let json = json.trim_ascii();
    if json.first() != Some(&b'{') {
        return None;
    }
    serde_json::from_slice(json).ok()
}

fn failure_in(object: &Map<String, Value>, depth: usize) -> Option<&Map<String, Value>> {
    let has_stack = ["stackTrace", "trace", "stack"].iter().any(|member| object.contains_key(*member));
    if object.get("errorType").is_some_and(|value| value.is_string() || value.is_null())
        && (object.contains_key("errorMessage") || has_stack)
        || object.get("errorMessage").is_some_and(Value::is_string) && has_stack
    {
        return Some(object);
    }
    object.get("message")?.as_object().filter(|_| depth > 1).and_then(|inner| failure_in(inner, depth - 1))
}

fn from_object(object: &Map<String, Value>) -> Record {
    // Our own record, or one of a later version: every member is kept.
    if object.contains_key("schema")
        && let Ok(record) = serde_json::from_value::<Record>(Value::Object(object.clone()))
    {
        return record;
    }
    let stack = ["stackTrace", "trace", "stack"].iter().find_map(|member| object.get(*member)?.as_array());
    let mut record = Record {
        error_message: message(object),
        error_type: string(object, &["errorType"]),
        request_id: string(object, &["requestId"]),
        ..Record::default()
    };
    for entry in stack.into_iter().flatten().take(FRAMES_MAX) {
        push(entry, &mut record);
    }
    record
}

/// Adds one entry of a posted stack, in whichever form it came.
fn push(entry: &Value, record: &mut Record) {
    let entries = &mut record.stack_trace;
    match entry {
        Value::String(line) => {
            if python::posted_frame(line, entries) {
                record.runtime = Some("python".to_owned());
            } else {
                // A form that no reader takes yet. It is no source text, so it is kept where originals are.
                let raw = record.raw.get_or_insert_default();
                let room = super::RAW_BYTES_MAX.saturating_sub(raw.len() + 1);
                if room > 0 {
                    raw.push_str(text::prefix(line.trim_end(), room));
                    raw.push('\n');
                }
            }
        }
        Value::Array(values) => entries.push(StackEntry {
            file: values.first().and_then(Value::as_str).map(str::to_owned),
            line: values.get(1).and_then(line),
            function: values.get(2).and_then(Value::as_str).map(str::to_owned),
            source: values.get(3).and_then(Value::as_str).map(|source| source.trim().to_owned()),
        }),
        Value::Object(values) => entries.push(StackEntry {
            file: string(values, &["path", "file", "filename"]),
            line: values.get("line").and_then(line),
            function: string(values, &["label", "function"]),
            source: string(values, &["source", "statement"]),
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) => entries.push(StackEntry::default()),
    }
}

/// What the failure says of itself; a logger's own `message` where the failure's is not there at all.
fn message(object: &Map<String, Value>) -> String {
    let member = if object.contains_key("errorMessage") { "errorMessage" } else { "message" };
    string(object, &[member]).unwrap_or_default()
}

fn line(value: &Value) -> Option<u32> {
    value.as_u64().and_then(|line| u32::try_from(line).ok())
}

fn string(object: &Map<String, Value>, members: &[&str]) -> Option<String> {
    members
        .iter()
        .find_map(|member| object.get(*member)?.as_str())
        .filter(|text| !text.is_empty())
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_of_awslambdaric_is_read() {
        // Recorded: awslambdaric 4.2.2 on CPython 3.11.7.
        let record = read(br#"{"errorMessage": "I failed!", "errorType": "Exception", "requestId": "8476a536-e9f4-11e8-9739-2dfe598c3fc1", "stackTrace": ["  File \"/var/task/app.py\", line 1, in always_failed_handler\n    def always_failed_handler(event, context): raise Exception('I failed!')\n"]}"#).unwrap();
        assert_eq!(record.runtime.as_deref(), Some("python"));
        assert_eq!(record.request_id.as_deref(), Some("8476a536-e9f4-11e8-9739-2dfe598c3fc1"));
        assert_eq!(record.stack_trace[0].function.as_deref(), Some("always_failed_handler"));
        assert_eq!(
            record.stack_trace[0].source.as_deref(),
            Some("def always_failed_handler(event, context): raise Exception('I failed!')")
        );
    }

    #[test]
    fn the_objects_of_go_are_read() {
        // Recorded: aws-lambda-go, a panic.
        let record = read(br#"{"errorMessage":"boom","errorType":"string","stackTrace":[{"path":"app/main.go","line":9,"label":"handler"}]}"#).unwrap();
        assert_eq!(record.stack_trace[0].file.as_deref(), Some("app/main.go"));
        assert_eq!(record.stack_trace[0].line, Some(9));
        assert_eq!(record.stack_trace[0].function.as_deref(), Some("handler"));
    }

    #[test]
    fn a_json_log_line_is_read_with_its_context() {
        let record = read(br#"{"timestamp":"2026-11-23T07:16:39Z","level":"ERROR","requestId":"8476a536","message":{"errorType":"Error","errorMessage":"I failed!","stackTrace":["Error: I failed!"]}}"#).unwrap();
        assert_eq!(record.error_message, "I failed!");
        assert_eq!(record.request_id.as_deref(), Some("8476a536"));
        assert_eq!(record.timestamp.as_deref(), Some("2026-11-23T07:16:39Z"));
    }

    #[test]
    fn odd_shapes_give_a_smaller_record() {
        for odd in [
            r#"{"errorType":7,"errorMessage":[],"stackTrace":"none"}"#,
            r#"{"errorType":null,"errorMessage":null,"stackTrace":{}}"#,
            r#"{"errorType":"E","errorMessage":"m","stackTrace":[null,1,true,[],{},["f",-1,2,3]]}"#,
            r"{}",
        ] {
            assert!(read_posted(odd.as_bytes()).is_some(), "{odd}");
        }
        for not_json in ["", "{", "[]", "null", "\u{feff}{}", "{\"errorType\":\"E\"} trailing"] {
            assert_eq!(read_posted(not_json.as_bytes()), None, "{not_json}");
        }
    }

    #[test]
    fn a_stack_that_no_reader_takes_is_kept_as_it_came() {
        // Recorded: aws-lambda-ric 4.0.2.
        let record = read(br#"{"errorType":"Error","errorMessage":"I failed!","trace":["Error: I failed!","    at handler (/var/task/index.js:2:9)"]}"#).unwrap();
        assert_eq!(record.stack_trace, []);
        assert_eq!(
            record.raw.as_deref(),
            Some("Error: I failed!\n    at handler (/var/task/index.js:2:9)\n")
        );
    }

    #[test]
    fn a_loggers_message_stands_in_for_a_missing_one() {
        let read = |json: &str| read(json.as_bytes()).unwrap().error_message;
        assert_eq!(
            read(r#"{"level":"ERROR","message":"cannot pay","errorType":"E","stackTrace":[]}"#),
            "cannot pay"
        );
        assert_eq!(read(r#"{"message":"cannot pay","errorType":"E","errorMessage":""}"#), "");
    }

    #[test]
    fn an_ordinary_log_object_is_no_failure() {
        assert_eq!(read(br#"{"level":"INFO","message":"errorType is a word"}"#), None);
        assert_eq!(read(br#"{"errorMessage":"only words"}"#), None);
    }
}
