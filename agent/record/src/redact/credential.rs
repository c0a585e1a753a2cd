//! Secrets that are known by what stands around them.

use std::ops::Range;

use memchr::memmem;

use super::{Text, is_delimiter, is_redacted, run_end};

/// A PEM block whose label ends in `PRIVATE KEY`, up to its end or to that of the text.
pub(super) fn private_key(text: Text<'_>, found: &mut Vec<Range<usize>>) {
    /// The longest label: `-----BEGIN ENCRYPTED PRIVATE KEY-----`.
    const LABEL_BYTES_MAX: usize = 64;
    let bytes = text.text.as_bytes();
    let mut from = 0;
    while let Some(start) = memmem::find(&bytes[from..], b"-----BEGIN ").map(|at| from + at) {
        let label = start + "-----BEGIN ".len();
        from = label;
        let window = &bytes[label..(label + LABEL_BYTES_MAX).min(bytes.len())];
        let is_private =
            |label: &[u8]| label.ends_with(b"PRIVATE KEY") || label.ends_with(b"PRIVATE KEY BLOCK");
        let Some(end) = memmem::find(window, b"-----").filter(|end| is_private(&window[..*end])) else {
            continue;
        };
        let body = label + end + "-----".len();
        let footer = memmem::find(&bytes[body..], b"-----END ").map(|at| body + at + "-----END ".len());
        let end = match footer {
            Some(footer) => {
                memmem::find(&bytes[footer..], b"-----").map_or(bytes.len(), |at| footer + at + "-----".len())
            }
            // Cut, or only the label in prose.
            None => cut_key_end(text.text, body),
        };
        if end > body {
            found.push(start..end);
        }
        from = end;
    }
}

/// Where a key ends that was cut: behind the lines of base64, whose ends may be escaped. Nothing if there is none.
fn cut_key_end(text: &str, body: usize) -> usize {
    /// What is shorter is a word.
    const BYTES_MIN: usize = 4;
    let end = run_end(text, body, |byte| byte.is_ascii_alphanumeric() || b"+/=\\\r\n".contains(&byte));
    if end - body >= BYTES_MIN && matches!(text.as_bytes()[body], b'\r' | b'\n' | b'\\') { end } else { body }
}

/// The password in `scheme://user:password@host`. An `@` in it is its own: the last one before the host ends it.
pub(super) fn url_password(text: Text<'_>, found: &mut Vec<Range<usize>>) {
    let text = text.text;
    for start in memmem::find_iter(text.as_bytes(), "://") {
        let start = start + "://".len();
        let end = run_end(text, start, |byte| byte != b'/' && !is_delimiter(byte));
        let authority = &text[start..end];
        if let (Some(colon), Some(at)) = (authority.find(':'), authority.rfind('@'))
            && colon + 1 < at
            && !is_redacted(authority, colon + 1)
        {
            found.push(start + colon + 1..start + at);
        }
    }
}

/// The password in Go's `user:password@tcp(host)/db`.
pub(super) fn dsn_password(text: Text<'_>, found: &mut Vec<Range<usize>>) {
    /// The longest password that is looked for, in bytes.
    const PASSWORD_BYTES_MAX: usize = 256;
    let bytes = text.text.as_bytes();
    for at in ["@tcp(", "@unix("].iter().flat_map(|net| memmem::find_iter(bytes, net)) {
        let from = at.saturating_sub(PASSWORD_BYTES_MAX);
        let start = bytes[from..at]
            .iter()
            .rposition(|byte| is_delimiter(*byte))
            .map_or(from, |before| from + before + 1);
        if let Some(colon) = memchr::memchr(b':', &bytes[start..at]).map(|colon| start + colon + 1)
            && colon < at
            && !is_redacted(text.text, colon)
        {
            found.push(colon..at);
        }
    }
}

/// What follows `Bearer `, and `Basic ` where an `Authorization` stands before it or base64 behind.
pub(super) fn bearer(text: Text<'_>, found: &mut Vec<Range<usize>>) {
    /// Shorter words are prose ("bearer of bad news").
    const BEARER_BYTES_MIN: usize = 16;
    /// `a:b` in base64.
    const BASIC_BYTES_MIN: usize = 4;
    /// As much as a name and a password need, where no header says what it is.
    const BARE_BASIC_BYTES_MIN: usize = 12;
    /// How far before `Basic ` the name of the header is looked for, in bytes.
    const HEADER_BYTES_MAX: usize = 24;
    let text = text.text;
    let bytes = text.as_bytes();
    for start in memchr::memchr2_iter(b'b', b'B', bytes) {
        let behind = |scheme: &str| {
            let gap = starts_ignoring_case(&bytes[start..], scheme).then_some(start + scheme.len())?;
            let more = bytes[gap..].iter().take(4).take_while(|byte| b" \"'".contains(byte)).count();
            Some(gap + more)
        };
        let (secret, bytes_min) = if let Some(secret) = behind("bearer ") {
            (secret, BEARER_BYTES_MIN)
        } else if let Some(secret) = behind("basic ") {
            let before = &bytes[start.saturating_sub(HEADER_BYTES_MAX)..start];
            let name = b"authorization";
            let is_header = before.windows(name.len()).any(|found| found.eq_ignore_ascii_case(name));
            (secret, if is_header { BASIC_BYTES_MIN } else { BARE_BASIC_BYTES_MIN })
        } else {
            continue;
        };
        let end = run_end(text, secret, |byte| !is_delimiter(byte));
        let is_prose = bytes_min == BARE_BASIC_BYTES_MIN && !is_padded_base64(&text[secret..end]);
        if end - secret >= bytes_min && !is_prose && !is_redacted(text, secret) {
            found.push(secret..end);
        }
    }
}

/// True for base64 that cannot be a word: it has a digit in it or is padded.
fn is_padded_base64(value: &str) -> bool {
    value.len().is_multiple_of(4)
        && value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte))
        && (value.ends_with('=') || value.bytes().any(|byte| byte.is_ascii_digit()))
}

/// An address: a name, an `@`, and a domain with a dot in it.
pub(super) fn email(text: Text<'_>, found: &mut Vec<Range<usize>>) {
    /// The longest name and the longest domain, in bytes (RFC 5321, section 4.5.3.1).
    const NAME_BYTES_MAX: usize = 64;
    const DOMAIN_BYTES_MAX: usize = 255;
    let bytes = text.text.as_bytes();
    for at in memchr::memchr_iter(b'@', bytes) {
        let name = |byte: &u8| byte.is_ascii_alphanumeric() || b"._%+-".contains(byte);
        let domain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-');
        let before = bytes[..at].iter().rev().take(NAME_BYTES_MAX).take_while(|byte| name(byte)).count();
        let after = bytes[at + 1..].iter().take(DOMAIN_BYTES_MAX).take_while(|byte| domain(byte)).count();
        let host = bytes[at + 1..at + 1 + after].trim_ascii_end();
        let host = host.strip_suffix(b".").unwrap_or(host);
        let dot = host.iter().rposition(|byte| *byte == b'.');
        if before > 0 && dot.is_some_and(|dot| dot > 0 && host.len() - dot > 2) {
            found.push(at - before..at + 1 + host.len());
        }
    }
}

fn starts_ignoring_case(text: &[u8], beginning: &str) -> bool {
    text.get(..beginning.len()).is_some_and(|found| found.eq_ignore_ascii_case(beginning.as_bytes()))
}
