//! The limits of CloudWatch Logs. Each is from the API reference of the operation that it is named after, unless another
//! source is given.

use crate::refusal::Refusal;

/// Events of one `PutLogEvents`, at most; one at least.
pub const BATCH_EVENTS_MAX: usize = 10_000;

/// Bytes of one `PutLogEvents`: the messages in UTF-8, and [`EVENT_OVERHEAD_BYTES`] for each.
pub const BATCH_BYTES_MAX: usize = 1_048_576;

/// What each event counts beyond its message, in bytes.
pub const EVENT_OVERHEAD_BYTES: usize = 26;

/// Bytes of one event's message: an event of 1 MiB, its overhead counted.
pub const EVENT_BYTES_MAX: usize = BATCH_BYTES_MAX - EVENT_OVERHEAD_BYTES;

/// Bytes of one event's message where the limit of before 2025 still holds (256 KiB).
pub const EVENT_BYTES_MAX_BEFORE_2025: usize = 262_144;

/// From the first to the last valid event of one `PutLogEvents`, in milliseconds (24 hours).
pub const BATCH_SPAN_MS_MAX: i64 = 24 * 60 * 60 * 1_000;

/// How old an event may be, in milliseconds (14 days).
pub const EVENT_AGE_MS_MAX: i64 = 14 * 24 * 60 * 60 * 1_000;

/// How far ahead an event may be, in milliseconds (2 hours).
pub const EVENT_AHEAD_MS_MAX: i64 = 2 * 60 * 60 * 1_000;

/// Bytes of a request's body, as sent and as unpacked; more is answered by 413. AWS names no number. This one lets the
/// largest batch through in its longest spelling, six bytes of JSON for one of a message.
pub const BODY_BYTES_MAX: usize = 8 * 1_048_576;

/// Characters of the name of a group or stream.
const NAME_CHARACTERS_MAX: usize = 512;

/// Days that `PutRetentionPolicy` takes.
pub(crate) const RETENTION_DAYS: [i64; 22] = [
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1_096, 1_827, 2_192, 2_557, 2_922, 3_288,
    3_653,
];

/// The name of a group: 1 to 512 of letters, digits and `.-_/#`, and AWS's own begin with `aws/`.
pub(crate) fn group_name(name: Option<&str>, member: &str) -> Result<String, Refusal> {
    let name = length(name, member)?;
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".-_/#".contains(&byte);
    if !name.bytes().all(allowed) {
        let rule = "Member must satisfy regular expression pattern: [\\.\\-_/#A-Za-z0-9]+";
        return Err(Refusal::constraint(&format!("'{name}'"), member, rule));
    }
    if name.starts_with("aws/") {
        return Err(Refusal::invalid("Log groups starting with AWS/ are reserved for AWS."));
    }
    Ok(name.to_owned())
}

/// The name of a stream: 1 to 512 characters without `:` and `*`.
pub(crate) fn stream_name(name: Option<&str>, member: &str) -> Result<String, Refusal> {
    let name = length(name, member)?;
    if name.contains([':', '*']) {
        let rule = "Member must satisfy regular expression pattern: [^:*]*";
        return Err(Refusal::constraint(&format!("'{name}'"), member, rule));
    }
    Ok(name.to_owned())
}

fn length<'a>(name: Option<&'a str>, member: &str) -> Result<&'a str, Refusal> {
    let name = name.ok_or_else(|| Refusal::constraint("null", member, "Member must not be null"))?;
    if name.is_empty() {
        let rule = "Member must have length greater than or equal to 1";
        return Err(Refusal::constraint("''", member, rule));
    }
    if name.chars().count() > NAME_CHARACTERS_MAX {
        let rule = "Member must have length less than or equal to 512";
        return Err(Refusal::constraint(&format!("'{name}'"), member, rule));
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_has_1_to_512_allowed_characters() {
        let ok = |name: &str| group_name(Some(name), "logGroupName").is_ok();
        assert!(ok("a") && ok(&"a".repeat(512)) && ok("/aws/lambda/a.b-c_d#1"));
        assert!(!ok("") && !ok(&"a".repeat(513)) && !ok("a b") && !ok("ä") && !ok("a:b") && !ok("aws/a"));
        assert!(group_name(None, "logGroupName").is_err());
    }

    #[test]
    fn a_stream_has_1_to_512_characters_but_two() {
        let ok = |name: &str| stream_name(Some(name), "logStreamName").is_ok();
        assert!(ok("a") && ok(&"ä".repeat(512)) && ok("2026/11/27/[$LATEST]x y"));
        assert!(!ok("") && !ok(&"ä".repeat(513)) && !ok("a:b") && !ok("a*b"));
    }
}
