//! The body of PutLogEvents, written in one go.
//!
//! The SDK builds a structure of every event before it serializes them, which copies each line twice and allocates for each. A batch is
//! one allocation here.

use trace_agent_core::sink::Destination;
use trace_record::batch::Batch;

/// What an event takes beside its message: names, marks and a time.
const EVENT_BYTES: usize = 64;

/// How much longer a line becomes by escaping: a record is JSON inside JSON, and about each tenth byte of it a quotation mark.
const ESCAPED_PERCENT: usize = 115;

/// Writes the request's JSON.
pub(crate) fn put_log_events(to: &Destination, batch: &Batch) -> Vec<u8> {
    let events = batch.events();
    let mut out =
        Vec::with_capacity(batch.bytes() * ESCAPED_PERCENT / 100 + events.len() * EVENT_BYTES + 1_024);
    out.extend_from_slice(b"{\"logGroupName\":");
    string(&to.group, &mut out);
    out.extend_from_slice(b",\"logStreamName\":");
    string(&to.stream, &mut out);
    out.extend_from_slice(b",\"logEvents\":[");
    for (index, event) in events.iter().enumerate() {
        out.extend_from_slice(if index == 0 { b"{\"timestamp\":" } else { b",{\"timestamp\":" });
        number(event.timestamp_ms, &mut out);
        out.extend_from_slice(b",\"message\":");
        string(&event.message, &mut out);
        out.push(b'}');
    }
    out.extend_from_slice(b"]}");
    out
}

/// How a byte is written: 0 for itself, `u` for the six characters of `\u00..`, else what follows the backslash.
static ESCAPES: [u8; 256] = {
    let mut escapes = [0; 256];
    let mut byte = 0;
    while byte < 0x20 {
        escapes[byte] = b'u';
        byte += 1;
    }
    escapes[b'\n' as usize] = b'n';
    escapes[b'\r' as usize] = b'r';
    escapes[b'\t' as usize] = b't';
    escapes[0x08] = b'b';
    escapes[0x0c] = b'f';
    escapes[b'"' as usize] = b'"';
    escapes[b'\\' as usize] = b'\\';
    escapes
};

fn string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    let bytes = text.as_bytes();
    let mut plain = 0;
    for (at, byte) in bytes.iter().enumerate() {
        let escape = ESCAPES[usize::from(*byte)];
        if escape == 0 {
            continue;
        }
        out.extend_from_slice(&bytes[plain..at]);
        plain = at + 1;
        if escape == b'u' {
            let digit = |value: u8| b"0123456789abcdef"[usize::from(value & 0xf)];
            out.extend_from_slice(&[b'\\', b'u', b'0', b'0', digit(byte >> 4), digit(*byte)]);
        } else {
            out.extend_from_slice(&[b'\\', escape]);
        }
    }
    out.extend_from_slice(&bytes[plain..]);
    out.push(b'"');
}

fn number(value: i64, out: &mut Vec<u8>) {
    let mut digits = [0; 20];
    let (mut at, mut left) = (digits.len(), value.unsigned_abs());
    loop {
        at -= 1;
        // Always below ten.
        digits[at] = b'0' + u8::try_from(left % 10).unwrap_or_default();
        left /= 10;
        if left == 0 {
            break;
        }
    }
    if value < 0 {
        out.push(b'-');
    }
    out.extend_from_slice(&digits[at..]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};
    use trace_record::batch::{Event, batches};

    /// The judge is serde_json.
    #[test]
    fn the_body_says_what_it_was_given() {
        let every: String =
            (0..0x250).filter_map(char::from_u32).chain(['€', '\u{2028}', '\u{ffff}', '😀']).collect();
        let messages = ["{\"a\":\"b\\\\c\"}", &every, "\0", "\"", "plain"];
        let event = |(index, message): (usize, &&str)| Event {
            timestamp_ms: 1_795_419_012_532 + i64::try_from(index).unwrap(),
            message: (*message).to_owned(),
        };
        let events: Vec<Event> = messages.iter().enumerate().map(event).collect();
        let batch = batches(events.clone(), 1_795_419_012_532).0.remove(0);
        let to = Destination { group: "/a/größe".into(), stream: "\"[$LATEST]".into() };
        let written: Value = serde_json::from_slice(&put_log_events(&to, &batch)).unwrap();
        let wanted: Vec<Value> = events
            .iter()
            .map(|event| json!({"timestamp": event.timestamp_ms, "message": event.message}))
            .collect();
        assert_eq!(
            written,
            json!({"logGroupName": to.group, "logStreamName": to.stream, "logEvents": wanted})
        );
    }

    #[test]
    fn numbers_are_written_to_their_ends() {
        for value in [0, 9, 10, -1, i64::MAX, i64::MIN] {
            let mut out = Vec::new();
            number(value, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), value.to_string());
        }
    }

    #[test]
    fn a_batch_of_records_is_one_allocation() {
        let message = r#"{"errorMessage":"no such order","stackTrace":[["/var/task/app.py",3,"handle","raise KeyError(order)"]]}"#;
        let events = vec![Event { timestamp_ms: 1, message: message.repeat(5) }; 1_000];
        let batch = batches(events, 1).0.remove(0);
        let written = put_log_events(&Destination { group: "g".into(), stream: "s".into() }, &batch);
        let reserved = batch.bytes() * ESCAPED_PERCENT / 100 + 1_000 * EVENT_BYTES + 1_024;
        assert!(written.len() <= reserved, "{} of {reserved}", written.len());
        assert_eq!(written.capacity(), reserved);
    }
}
