//! The one place where a bare record becomes a complete one.

use std::time::{Duration, UNIX_EPOCH};

use serde_json::{Map, Value};

use crate::culprit::{self, OwnCode};
use crate::failure::{Cause, FRAME_ORDER, Kind, Phase, Record, SCHEMA, Witness};
use crate::metrics::dimensions::Dimensions;
use crate::redact::Redaction;
use crate::source::{self, SourceText};
use crate::{fingerprint, text};

/// The longest message that is kept, in bytes: no sink takes a line of more than a mebibyte, and what goes need not be searched for
/// secrets.
const MESSAGE_BYTES_MAX: usize = 1024 * 1024;

/// What the languages raise when the memory ran out, and the type that Lambda gives to it.
const OUT_OF_MEMORY: [&str; 7] = [
    "Runtime.OutOfMemory",
    "MemoryError",
    "java.lang.OutOfMemoryError",
    "NoMemoryError",
    "Function<NoMemoryError>",
    "OutOfMemoryException",
    "System.OutOfMemoryException",
];

/// What the side that saw the failure knows about it.
#[derive(Clone, Debug, Default)]
pub struct Completion {
    /// When the failure was seen, in milliseconds since 1970; absent where an old text is read, whose record then has
    /// no time but its own.
    pub seen_ms: Option<i64>,
    /// Where the failure happened, in words that every witness of it knows; see [`crate::fingerprint`].
    pub origin: String,
    /// The function's name.
    pub function_name: Option<String>,
    /// The function's version.
    pub function_version: Option<String>,
    /// The invocation, for a record that does not name it.
    pub request_id: Option<String>,
    /// The invocation's X-Ray header.
    pub trace_id: Option<String>,
    /// Whether the invocation was the environment's first.
    pub cold_start: Option<bool>,
    /// The phase in which it happened.
    pub phase: Option<Phase>,
    /// The machine, outside Lambda.
    pub host: Option<Map<String, Value>>,
}

/// What the user decides for every record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// Whose code is whose.
    pub own_code: OwnCode,
    /// What is secret.
    pub redaction: Redaction,
    /// What its metrics stand under.
    pub dimensions: Dimensions,
}

/// Completes a record: context, source text, redaction, culprit, fingerprint and id, in this order.
///
/// What the record already says is kept. Native frames must have been symbolized before, since culprit and
/// fingerprint depend on their names.
pub fn complete(record: &mut Record, with: &Completion, policy: &Policy, source_text: &mut dyn SourceText) {
    fill_context(record, with);
    source::fill(record, source_text);
    // A printed backtrace shows what its printer chose to show; only what the hook saw holds the hook itself.
    if record.witnesses.contains(&Witness::Capture) {
        culprit::trim_panic_machinery(record);
    }
    shorten(record);
    policy.redaction.record(record);
    culprit::find(record, &policy.own_code);
    fingerprint::set(record, &policy.own_code);
    if record.id.is_none() {
        fingerprint::set_id(record, &with.origin);
    }
}

fn shorten(record: &mut Record) {
    fn causes(list: &mut [Cause]) -> usize {
        list.iter_mut()
            .map(|cause| text::cut(&mut cause.error_message, MESSAGE_BYTES_MAX) + causes(&mut cause.causes))
            .sum()
    }
    let gone = text::cut(&mut record.error_message, MESSAGE_BYTES_MAX) + causes(&mut record.causes);
    if gone > 0 {
        *record.truncated.entry("errorMessage".to_owned()).or_default() += gone as u64;
    }
}

fn fill_context(record: &mut Record, with: &Completion) {
    fn fill<T: Clone>(member: &mut Option<T>, value: &Option<T>) {
        if member.is_none() {
            member.clone_from(value);
        }
    }
    fill(&mut record.function_name, &with.function_name);
    fill(&mut record.function_version, &with.function_version);
    fill(&mut record.request_id, &with.request_id);
    fill(&mut record.trace_id, &with.trace_id);
    fill(&mut record.cold_start, &with.cold_start);
    fill(&mut record.phase, &with.phase);
    fill(&mut record.host, &with.host);
    let raised = raised(record);
    fill(&mut record.kind, &Some(raised));
    fill(&mut record.timestamp, &with.seen_ms.map(rfc3339));
    record.frame_order = Some(FRAME_ORDER.to_owned());
    record.schema = Some(SCHEMA);
}

/// The sort of a failure that was raised in the program's own language.
fn raised(record: &Record) -> Kind {
    if record.error_type.as_deref().is_some_and(|name| OUT_OF_MEMORY.contains(&name)) {
        Kind::Oom
    } else if record.phase == Some(Phase::Init) {
        Kind::Init
    } else {
        Kind::Exception
    }
}

/// A time in milliseconds since 1970 as RFC 3339 in UTC; times before 1970 or beyond year 9999 become its ends.
#[must_use]
pub fn rfc3339(time_ms: i64) -> String {
    /// The last millisecond of year 9999.
    const LAST_MS: u64 = 253_402_300_799_999;
    let time = UNIX_EPOCH + Duration::from_millis(u64::try_from(time_ms).unwrap_or(0).min(LAST_MS));
    humantime::format_rfc3339_millis(time).to_string()
}

/// The time that an RFC 3339 text names, in milliseconds since 1970.
#[must_use]
pub fn parse_rfc3339(text: &str) -> Option<i64> {
    let time = humantime::parse_rfc3339_weak(text).ok()?;
    i64::try_from(time.duration_since(UNIX_EPOCH).ok()?.as_millis()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::NoSource;

    #[test]
    fn times_are_printed_as_lambda_prints_them() {
        assert_eq!(rfc3339(1_795_419_012_532), "2026-11-23T07:30:12.532Z");
        assert_eq!(parse_rfc3339("2026-11-23T07:30:12.532Z"), Some(1_795_419_012_532));
        assert_eq!(rfc3339(-1), "1970-01-01T00:00:00.000Z");
        assert_eq!(rfc3339(i64::MAX), "9999-12-31T23:59:59.999Z");
    }

    #[test]
    fn completing_twice_changes_nothing() {
        let mut record: Record = serde_json::from_str(
            r#"{"errorMessage":"Bearer abcdefghijklmnopqrstuvwxyz","stackTrace":[["/var/task/a.py",1,"f",null]],"errorType":"E"}"#,
        )
        .unwrap();
        let with = Completion {
            function_name: Some("f".into()),
            seen_ms: Some(1),
            origin: "o".into(),
            ..Completion::default()
        };
        complete(&mut record, &with, &Policy::default(), &mut NoSource);
        let once = record.clone();
        complete(&mut record, &Completion { seen_ms: Some(2), ..with }, &Policy::default(), &mut NoSource);
        assert_eq!(record, once);
        assert_eq!(record.redacted["bearer"], 1);
    }
}
