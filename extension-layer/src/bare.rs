//! The bare record: what is written of a failure when there is no worker to write a better one.
//!
//! It is made without reading the failure further than substrings (message, type, secrets), since reading may be what the
//! worker died of. It is one line of valid JSON with the members of every record, the original in `raw`, so that
//! `trace-agent normalize` can do later what was not done here.

use std::collections::BTreeMap;
use std::env;
use std::fmt::Write as _;
use std::sync::OnceLock;

use trace_record::culprit::OwnCode;
use trace_record::failure::FRAME_ORDER;
use trace_record::redact::Redaction;
use trace_record::{Record, fingerprint};

use crate::api::member;

/// Bytes of the original in a bare record. Escaping makes at most six of one, and the log carries a line of 256 KiB.
pub(crate) const RAW_BYTES_MAX: usize = 32 * 1024;

/// Bytes of a message or type that are copied from the original.
const TEXT_BYTES_MAX: usize = 4 * 1024;

/// Who brought a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// The runtime posted it for an invocation.
    Invocation,
    /// The runtime posted it while it started.
    Init,
    /// A handler sent it to the capture socket.
    Capture,
    /// Some items of a batch failed, as the runtime's response said.
    Batch,
    /// The platform or the log told of it, in a batch of telemetry.
    Telemetry,
}

/// The line of one failure, with its line end. `raw` is cut at [`RAW_BYTES_MAX`].
pub(crate) fn line(source: Source, request_id: Option<&str>, raw: &[u8]) -> String {
    let (kind, phase, witness) = match source {
        Source::Invocation => ("exception", "invoke", "runtime-api"),
        Source::Init => ("init", "init", "runtime-api"),
        Source::Batch => ("partial-batch", "invoke", "runtime-api"),
        Source::Capture => ("panic", "invoke", "capture"),
        Source::Telemetry => ("exception", "invoke", "platform"),
    };
    let mut redacted = BTreeMap::new();
    let message = redacted_literal(raw, "errorMessage", &mut redacted);
    let message = message.as_deref().unwrap_or("\"the handler failed; what it said of it is in raw\"");
    let error_type = literal(raw, "errorType").unwrap_or("null");
    let kept = &raw[..raw.len().min(RAW_BYTES_MAX)];
    let mut text = String::from_utf8_lossy(kept).into_owned();
    redaction().text(&mut text, &mut redacted);
    let names = names(message, error_type, request_id, raw);
    let mut line = format!(
        r#"{{"errorMessage":{message},"stackTrace":[],"errorType":{error_type},"frameOrder":"{FRAME_ORDER}","kind":"{kind}","phase":"{phase}","witnesses":["{witness}"],{names}"#
    );
    if let Some(request_id) = request_id {
        line.push_str(",\"requestId\":");
        escape(&mut line, request_id);
    }
    line.push_str(",\"raw\":");
    escape(&mut line, &text);
    if !redacted.is_empty() {
        let counts: Vec<String> =
            redacted.iter().map(|(rule, count)| format!(r#""{rule}":{count}"#)).collect();
        // Writing to a String does not fail.
        let _ = write!(line, r#","redacted":{{{}}}"#, counts.join(","));
    }
    if kept.len() < raw.len() {
        // Writing to a String does not fail.
        let _ = write!(line, r#","truncated":{{"raw":{}}}"#, raw.len() - kept.len());
    }
    line.push_str(",\"schema\":1}\n");
    line
}

/// The members `id`, `fingerprint` and `fingerprintVersion` of a record of which no more is known than these two literals and the original.
fn names(message: &str, error_type: &str, request_id: Option<&str>, raw: &[u8]) -> String {
    let mut record = Record {
        error_message: serde_json::from_str(message).unwrap_or_default(),
        error_type: serde_json::from_str(error_type).unwrap_or_default(),
        ..Record::default()
    };
    fingerprint::set(&mut record, &OwnCode::default());
    let raw = String::from_utf8_lossy(&raw[..raw.len().min(RAW_BYTES_MAX)]);
    fingerprint::set_id(&mut record, &format!("bare/{}/{raw}", request_id.unwrap_or_default()));
    let Record { id, fingerprint, fingerprint_version, .. } = record;
    format!(
        r#""id":"{}","fingerprint":"{}","fingerprintVersion":{}"#,
        id.unwrap_or_default(),
        fingerprint.unwrap_or_default(),
        fingerprint_version.unwrap_or_default()
    )
}

/// What the user calls secret, read when the first bare record is made: almost no environment ever makes one. The worker says what is wrong
/// with the words.
fn redaction() -> &'static Redaction {
    static REDACTION: OnceLock<Redaction> = OnceLock::new();
    REDACTION.get_or_init(|| {
        env::var("TRACE_AGENT_REDACT").ok().and_then(|words| words.parse().ok()).unwrap_or_default()
    })
}

/// As [`literal`], without secrets. `None` also if a secret took half of an escape along: `raw` has the rest.
fn redacted_literal(json: &[u8], name: &str, counts: &mut BTreeMap<String, u32>) -> Option<String> {
    let mut text = literal(json, name)?.to_owned();
    redaction().text(&mut text, counts);
    (string(text.as_bytes())? == text).then_some(text)
}

/// The value of the first member called `name` as it stands in `json`, quotes included, if it is a short valid string.
fn literal<'a>(json: &'a [u8], name: &str) -> Option<&'a str> {
    string(member(json, name)?)
}

/// The string, quotes included, with which `value` begins, if it is short and valid.
fn string(value: &[u8]) -> Option<&str> {
    let inner = value.strip_prefix(b"\"")?;
    let mut at = 0;
    loop {
        let skipped = memchr::memchr2(b'"', b'\\', inner.get(at..inner.len().min(TEXT_BYTES_MAX))?)?;
        at += skipped;
        if inner[at] == b'"' {
            break;
        }
        match inner.get(at + 1)? {
            b'u' => {
                let digits = inner.get(at + 2..at + 6)?;
                digits.iter().all(u8::is_ascii_hexdigit).then_some(())?;
                at += 6;
            }
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => at += 2,
            _ => return None,
        }
    }
    let quoted = std::str::from_utf8(&value[..at + 2]).ok()?;
    quoted.bytes().all(|byte| byte >= b' ').then_some(quoted)
}

/// Writes `text` as a JSON string.
fn escape(line: &mut String, text: &str) {
    line.push('"');
    for character in text.chars() {
        match character {
            '"' => line.push_str("\\\""),
            '\\' => line.push_str("\\\\"),
            '\n' => line.push_str("\\n"),
            '\r' => line.push_str("\\r"),
            '\t' => line.push_str("\\t"),
            control if control < ' ' => {
                // Writing to a String does not fail.
                let _ = write!(line, "\\u{:04x}", u32::from(control));
            }
            other => line.push(other),
        }
    }
    line.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_and_type_are_cut_out_of_a_posted_body() {
        // The body that awslambdaric 4.2.2 posts.
        let body = br#"{"errorMessage": "I \"failed\"!", "errorType": "Exception", "requestId": "8476a536", "stackTrace": ["  File \"a\", line 1\n"]}"#;
        assert_eq!(
            line(Source::Invocation, Some("8476a536"), body),
            concat!(
                r#"{"errorMessage":"I \"failed\"!","stackTrace":[],"errorType":"Exception","frameOrder":"recent-last","kind":"exception","phase":"invoke","#,
                r#""witnesses":["runtime-api"],"id":"14b436c5edf34f9c275d6f4a33cf05e9","fingerprint":"814df5b79b6cacb35b6d677d3cbb24b3","fingerprintVersion":2,"requestId":"8476a536","#,
                r#""raw":"{\"errorMessage\": \"I \\\"failed\\\"!\", \"errorType\": \"Exception\", \"requestId\": \"8476a536\", "#,
                r#"\"stackTrace\": [\"  File \\\"a\\\", line 1\\n\"]}","schema":1}"#,
                "\n"
            )
        );
    }

    #[test]
    fn secrets_are_taken_out_and_the_line_stays_json() {
        // The key is the one that AWS's documentation uses in examples.
        let body = br#"{"errorMessage":"AKIAIOSFODNN7EXAMPLE denied","errorType":"E"}"#;
        let bare = line(Source::Invocation, None, body);
        assert!(
            !bare.contains("AKIA") && bare.contains(r#""errorMessage":"[redacted:aws-key] denied""#),
            "{bare}"
        );
        assert!(bare.contains(r#""redacted":{"aws-key":2}"#), "{bare}");
        for body in [
            r#"{"errorMessage":"Bearer abcdefghijklmnopqrst\"quoted"}"#,
            r#"{"errorMessage":"aws_secret_access_key="wJalrXUtnFEMI""}"#,
            r#"{"errorMessage":"postgres://app:hunter2"@db"}"#,
        ] {
            let bare = line(Source::Invocation, None, body.as_bytes());
            assert!(serde_json::from_str::<serde_json::Value>(&bare).is_ok(), "{bare}");
        }
    }

    #[test]
    fn what_is_no_valid_string_is_not_copied() {
        for body in [
            &br#"{"errorMessage":"cut"#[..],
            br#"{"errorMessage":"bad \x"}"#,
            br#"{"errorMessage":"bad \u12g4"}"#,
            b"{\"errorMessage\":\"line\nend\"}",
            b"{\"errorMessage\":\"\xff\"}",
            br#"{"errorMessage":17}"#,
            br#"{"errorMessage":"\"#,
            b"",
        ] {
            assert_eq!(literal(body, "errorMessage"), None, "{body:?}");
        }
    }

    #[test]
    fn a_binary_original_is_escaped_and_cut() {
        let raw = vec![0x01; RAW_BYTES_MAX + 7];
        let line = line(Source::Capture, None, &raw);
        assert!(line.ends_with("\\u0001\",\"truncated\":{\"raw\":7},\"schema\":1}\n"));
        assert!(line.len() < 256 * 1024);
        assert_eq!(line.lines().count(), 1);
    }
}
