//! Logs as the AWS CLI writes them.
//!
//! ```text
//! {"events": [{"timestamp": 1795418872480, "message": "[ERROR] …", "logStreamName": "2026/11/23/[$LATEST]0f1e…"}]}
//!                              aws logs filter-log-events, get-log-events
//! {"messageType": "DATA_MESSAGE", "logStream": "…", "logEvents": [{"id": "…", "timestamp": …, "message": "…"}]}
//!                              a subscription
//! 2026-11-23T07:27:52.480000+00:00 2026/11/23/[$LATEST]0f1e… [ERROR] …
//!                              aws logs tail
//! ```

use serde_json::Value;

use crate::normalize::json::parse::{self, Rest};

/// One event of a log.
#[derive(Debug, PartialEq)]
pub(super) struct LogEvent {
    /// The name of the log stream, if it is given.
    pub(super) source: String,
    /// What was logged.
    pub(super) message: String,
}

/// Reads an export. `None` if the text is none.
pub(super) fn events(input: &[u8]) -> Option<Vec<LogEvent>> {
    if let Some((object, rest)) = parse::object(input) {
        let name = ["events", "logEvents"]
            .into_iter()
            .find(|name| object.get(*name).is_some_and(Value::is_array))?;
        let stream = object.get("logStream").and_then(Value::as_str).unwrap_or("export");
        let events = object.get(name)?.as_array()?;
        return if rest == Rest::More { None } else { read(events, stream) };
    }
    let (events, rest) = parse::array(input)?;
    if rest == Rest::More { None } else { read(&events, "export") }
}

/// `None` if nothing in the list is an event.
fn read(values: &[Value], stream: &str) -> Option<Vec<LogEvent>> {
    let event = |value: &Value| {
        value.get("timestamp")?;
        let message = value.get("message")?.as_str()?.to_owned();
        let source = value.get("logStreamName").and_then(Value::as_str).unwrap_or(stream).to_owned();
        Some(LogEvent { source, message })
    };
    let events: Vec<LogEvent> = values.iter().filter_map(event).collect();
    (!events.is_empty() || values.is_empty()).then_some(events)
}

/// An export that is too long to be parsed as a whole. The CLI prints each member on a line of its own, the stream's name before the
/// message.
#[derive(Debug, Default)]
pub(super) struct Lines {
    source: String,
}

impl Lines {
    /// A reader for the lines of a text that begins with `beginning`, if that is an export.
    pub(super) fn of(beginning: &[u8]) -> Option<Self> {
        let rest = beginning.trim_ascii_start().strip_prefix(b"{")?.trim_ascii_start();
        rest.starts_with(b"\"events\": [").then(Self::default)
    }

    /// Takes the next line, and gives the event whose message it is.
    pub(super) fn line(&mut self, line: &str) -> Option<LogEvent> {
        let member = line.trim().trim_end_matches(',');
        let (name, value) = member.split_once(": ")?;
        let text = || serde_json::from_str::<String>(value).ok();
        match name {
            "\"logStreamName\"" => self.source = text()?,
            "\"message\"" => return Some(LogEvent { source: self.source.clone(), message: text()? }),
            _ => {}
        }
        None
    }
}

/// The log stream and the message of a line of `aws logs tail`.
pub(super) fn tailed(line: &str) -> Option<(&str, &str)> {
    /// The time as Python prints it.
    const TIME: &[u8] = b"0000-00-00T00:00:00.000000+00:00 ";
    let time = line.as_bytes().get(..TIME.len())?;
    let is_time = time.iter().zip(TIME).all(|(byte, pattern)| match pattern {
        b'0' => byte.is_ascii_digit(),
        pattern => byte == pattern,
    });
    if !is_time {
        return None;
    }
    let (stream, message) = line[TIME.len()..].split_once(' ')?;
    // Lambda's streams; a service of another kind has a path too.
    stream.contains('/').then_some((stream, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_events_of_the_cli_are_read() {
        let fetched = br#"{"events": [
            {"logStreamName": "a/b", "timestamp": 1795418872480, "message": "one\n", "ingestionTime": 1, "eventId": "3"},
            {"timestamp": 1795418872481, "message": "two"}, 7], "searchedLogStreams": []}"#;
        let events = events(fetched).unwrap();
        assert_eq!(events[0], LogEvent { source: "a/b".into(), message: "one\n".into() });
        assert_eq!(events[1].source, "export");
        assert_eq!(super::events(br#"{"events": []}"#), Some(vec![]));
    }

    #[test]
    fn the_lines_of_a_long_export_are_read_one_by_one() {
        let fetched = "{\n    \"events\": [\n        {\n            \"logStreamName\": \"a\",\n            \"timestamp\": 1,\n            \"message\": \"one\\ntwo\",\n";
        let mut lines = Lines::of(fetched.as_bytes()).unwrap();
        let events: Vec<LogEvent> = fetched.lines().filter_map(|line| lines.line(line)).collect();
        assert_eq!(events, [LogEvent { source: "a".into(), message: "one\ntwo".into() }]);
        assert!(Lines::of(b"{\"a\": 1}").is_none());
    }

    #[test]
    fn other_json_is_no_export() {
        for other in [
            r#"{"events": [{"name": "x"}]}"#,
            r#"{"a": 1}"#,
            "[1]",
            r#"[{"type":"function","record":""}]"#,
            "x",
        ] {
            assert_eq!(events(other.as_bytes()), None, "{other}");
        }
    }

    #[test]
    fn a_line_of_tail_is_parted() {
        assert_eq!(
            tailed("2026-11-23T07:27:52.480000+00:00 2026/11/23/[$LATEST]0f1e [ERROR] E: m"),
            Some(("2026/11/23/[$LATEST]0f1e", "[ERROR] E: m"))
        );
        assert_eq!(tailed("2026-11-23T07:27:52.480000+00:00 message of words"), None);
        assert_eq!(tailed("2026-11-23T07:27:52.480Z a/b c"), None);
        assert_eq!(tailed("2026-11-23T07:27:52.480000+00:00 "), None);
    }
}
