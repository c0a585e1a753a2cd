//! Batches of the Telemetry API: a JSON array of events, each `{"time","type","record"}`.
//!
//! The set of types and fields is open, and an event that cannot be read costs itself and no neighbour.

use serde_json::{Map, Value};

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
    let batch = batch.trim_ascii();
    if batch.first() != Some(&b'[') {
        return None;
    }
    let values: Vec<Value> = serde_json::from_slice(batch).ok()?;
    Some(values.iter().filter_map(event).collect())
}

fn event(value: &Value) -> Option<Event> {
    let name = value.get("type")?.as_str()?;
    let record = value.get("record")?;
    let line = || record.as_str().map_or_else(|| record.to_string(), str::to_owned);
    let what = match name {
        "function" => What::Function(line()),
        "extension" => What::Extension(line()),
        name => What::Platform { name: name.to_owned(), record: record.as_object()?.clone() },
    };
    let time_ms = value.get("time").and_then(Value::as_str).and_then(crate::complete::parse_rfc3339);
    Some(Event { time_ms, what })
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
    }

    #[test]
    fn an_event_that_cannot_be_read_costs_only_itself() {
        let batch = br#"[7, {"type":"platform.fault","record":"a string"}, {"type":7,"record":{}}, {"type":"function"},
            {"type":"platform.new","record":{}}, {"time":"yesterday","type":"function","record":{"level":"INFO"}}]"#;
        let events = events(batch).unwrap();
        assert_eq!(events.len(), 2);
        assert_eq!(events[1], Event { time_ms: None, what: What::Function("{\"level\":\"INFO\"}".into()) });
    }
}
