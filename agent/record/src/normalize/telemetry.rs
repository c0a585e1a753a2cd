//! Events of the Telemetry API, each `{"time","type","record"}`: in batches, which are arrays, and one on a line, as the platform
//! logs them where a function's log format is JSON.
//!
//! ```json
//! {"time":"2026-11-23T09:00:00.020Z","type":"platform.runtimeDone","record":{"requestId":"8f50…","status":"error","errorType":"Runtime.Unknown"}}
//! ```
//!
//! The set of types and fields is open, and an event that cannot be read costs itself and no neighbour. A record of a function
//! that is longer than 256 KiB comes in several events, which are one again here.

use serde_json::{Map, Value};

use crate::failure::{Kind, Phase, Record, Witness};
use crate::normalize::json::parse::{self, Rest};
use crate::normalize::lines::BLOCK_BYTES_MAX;
use crate::normalize::platform;

/// The longest record of one event, in bytes; what is longer goes on in the next event (AWS: "Telemetry API, buffering").
const RECORD_BYTES_MAX: usize = 256 * 1024;

/// One event.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// When it happened, in milliseconds since 1970.
    pub time_ms: Option<i64>,
    /// What happened.
    pub what: What,
}

/// What an event tells.
#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// The function logged this: one line, or several where the runtime framed them. A JSON line that came as an object
    /// is text again.
    Function(String),
    /// An extension logged this.
    Extension(String),
    /// The platform tells something, such as `platform.runtimeDone`.
    Platform {
        /// The type.
        name: String,
        /// What it says.
        record: Map<String, Value>,
    },
}

/// Reads a batch. `None` if the bytes are no array of objects at all.
#[must_use]
pub fn events(batch: &[u8]) -> Option<Vec<Event>> {
    let (values, rest) = parse::array(batch)?;
    if rest == Rest::More {
        return None;
    }
    let mut events: Vec<Event> = Vec::with_capacity(values.len());
    for next in values.iter().filter_map(event) {
        match (events.last_mut().map(|event| &mut event.what), next) {
            (Some(What::Function(text)), Event { what: What::Function(more), .. })
                if goes_on(text, &more) =>
            {
                text.push_str(&more);
            }
            (_, next) => events.push(next),
        }
    }
    Some(events)
}

/// Reads a line that is one event.
#[must_use]
pub fn line(line: &str) -> Option<Event> {
    // A first look keeps the parser away from other objects: only these three members come first.
    let line = line.trim_ascii_start();
    let begins = line.starts_with('{')
        && ["{\"time\"", "{\"type\"", "{\"record\""].iter().any(|beginning| line.starts_with(beginning));
    if !begins || memchr::memmem::find(line.as_bytes(), b"\"record\"").is_none() {
        return None;
    }
    let (object, _) = parse::object(line.as_bytes())?;
    let name = object.get("type")?.as_str()?;
    let is_event = name.starts_with("platform.") || matches!(name, "function" | "extension");
    if is_event && object.contains_key("time") { event(&Value::Object(object)) } else { None }
}

/// True if a record was cut where `more` goes on: it has the full length, and no end.
fn goes_on(text: &str, more: &str) -> bool {
    let cut = text.len() % RECORD_BYTES_MAX;
    // A character is not parted, so a few bytes may be missing.
    let is_full = text.len() >= RECORD_BYTES_MAX - 3 && (cut <= 3 || cut >= RECORD_BYTES_MAX - 3);
    is_full && !text.ends_with('\n') && text.len() + more.len() <= BLOCK_BYTES_MAX
}

fn event(value: &Value) -> Option<Event> {
    let name = value.get("type")?.as_str()?;
    let record = value.get("record")?;
    let line = || record.as_str().map_or_else(|| record.to_string(), str::to_owned);
    let what = match name {
        // The Logs API's word for a process that ended, in the platform's own text.
        "function" | "platform.fault" => What::Function(line()),
        "extension" => What::Extension(line()),
        name => What::Platform { name: name.to_owned(), record: record.as_object()?.clone() },
    };
    let time_ms = value.get("time").and_then(Value::as_str).and_then(crate::complete::parse_rfc3339);
    Some(Event { time_ms, what })
}

/// The record of a failure of which an event of the platform tells. It knows a type at most, so what the function itself says
/// of the same request is better.
#[must_use]
pub fn failure(name: &str, record: &Map<String, Value>) -> Option<Record> {
    let string = |member: &str| record.get(member).and_then(Value::as_str).filter(|text| !text.is_empty());
    let phase = match name {
        "platform.runtimeDone" | "platform.report" => Phase::Invoke,
        "platform.initRuntimeDone" | "platform.initReport" => Phase::Init,
        "platform.restoreRuntimeDone" | "platform.restoreReport" => Phase::Restore,
        "platform.extension" => return extension(string("errorType")?),
        _ => return None,
    };
    let error_type = match string("status")? {
        "timeout" => Some(string("errorType").unwrap_or("Sandbox.Timedout")),
        "error" | "failure" => string("errorType"),
        _ => return None,
    };
    let mut failure = platform::told(error_type, "").unwrap_or_else(|| Record {
        error_type: error_type.map(str::to_owned),
        witnesses: vec![Witness::Platform],
        ..Record::default()
    });
    failure.phase = Some(phase);
    failure.request_id = string("requestId").map(str::to_owned);
    failure.trace_id =
        record.get("tracing").and_then(|tracing| tracing.get("value")?.as_str()).map(str::to_owned);
    Some(failure)
}

fn extension(error_type: &str) -> Option<Record> {
    Some(Record {
        error_type: Some(error_type.to_owned()),
        kind: Some(Kind::Extension),
        witnesses: vec![Witness::Platform],
        ..Record::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_emulator_sends_is_read() {
        // Recorded: AWS's Runtime Interface Emulator, Managed Instances mode.
        let batch = br#"[{"time":"2026-11-23T07:27:52.480Z","type":"platform.start","record":{"requestId":"c46635b5","version":"$LATEST"}},
            {"time":"2026-11-23T07:27:52.488Z","type":"function","record":"{\"level\": \"ERROR\"}"},
            {"time":"2026-11-23T07:27:52.488Z","type":"platform.report","record":{"requestId":"c46635b5","status":"error","metrics":{"durationMs":8.271},"errorType":"Runtime.Unknown"}}]"#;
        let events = events(batch).unwrap();
        assert_eq!(events.len(), 3);
        assert_eq!(events[0].time_ms, Some(1_795_418_872_480));
        assert_eq!(events[1].what, What::Function("{\"level\": \"ERROR\"}".into()));
        let What::Platform { name, record } = &events[2].what else { panic!("a platform event") };
        assert_eq!((name.as_str(), record["status"].as_str()), ("platform.report", Some("error")));
        let failure = failure(name, record).unwrap();
        assert_eq!(failure.error_type.as_deref(), Some("Runtime.Unknown"));
        assert_eq!(failure.request_id.as_deref(), Some("c46635b5"));
    }

    #[test]
    fn an_event_that_cannot_be_read_costs_only_itself() {
        let batch = br#"[7, {"type":"platform.fault","record":"a string"}, {"type":7,"record":{}}, {"type":"function"},
            {"type":"platform.new","record":{}}, {"time":"yesterday","type":"function","record":{"level":"INFO"}}]"#;
        let events = events(batch).unwrap();
        assert_eq!(events.len(), 3);
        assert_eq!(events[0].what, What::Function("a string".into()));
        assert_eq!(events[2], Event { time_ms: None, what: What::Function("{\"level\":\"INFO\"}".into()) });
    }

    #[test]
    fn a_record_that_was_parted_is_whole_again() {
        let event = |text: &str| serde_json::json!({"type": "function", "record": text});
        let part = "x".repeat(RECORD_BYTES_MAX);
        let batch = serde_json::json!([event(&part), event(&part), event("tail"), event("next")]);
        let events = events(batch.to_string().as_bytes()).unwrap();
        let lengths: Vec<usize> = events
            .iter()
            .map(|event| if let What::Function(text) = &event.what { text.len() } else { 0 })
            .collect();
        assert_eq!(lengths, [2 * RECORD_BYTES_MAX + 4, 4]);
    }

    #[test]
    fn a_line_is_one_event_only_if_it_says_so() {
        let line = |text: &str| super::line(text).is_some();
        assert!(line(
            r#"{"time":"2026-11-23T09:00:00.020Z","type":"platform.report","record":{"status":"timeout"}}"#
        ));
        assert!(line(r#"{"time":"2026-11-23T09:00:00.020Z","type":"function","record":"a line"}"#));
        assert!(!line(r#"{"time":1,"type":"order","record":{}}"#));
        assert!(!line(r#"{"level":"ERROR","message":"the \"record\" of a \"type\""}"#));
    }

    #[test]
    fn only_what_went_wrong_is_a_failure() {
        let told = |name: &str, record: &str| failure(name, &serde_json::from_str(record).unwrap());
        assert_eq!(told("platform.runtimeDone", r#"{"requestId":"1","status":"success"}"#), None);
        assert_eq!(told("platform.start", r#"{"requestId":"1","status":"error"}"#), None);
        assert_eq!(told("platform.extension", r#"{"name":"x","state":"Ready"}"#), None);
        let timeout = told("platform.runtimeDone", r#"{"requestId":"1","status":"timeout"}"#).unwrap();
        assert_eq!(
            (timeout.kind, timeout.error_type.as_deref()),
            (Some(Kind::Timeout), Some("Sandbox.Timedout"))
        );
        let init =
            told("platform.initReport", r#"{"status":"error","errorType":"Runtime.ExitError"}"#).unwrap();
        assert_eq!((init.phase, init.kind), (Some(Phase::Init), Some(Kind::Exit)));
        let crashed = told("platform.extension", r#"{"name":"x","errorType":"Extension.Crash"}"#).unwrap();
        assert_eq!(crashed.kind, Some(Kind::Extension));
    }
}
