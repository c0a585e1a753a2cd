//! Values that are secret because of the names that they have: `password=hunter2`, `"apiKey": "…"`, `:token=>"…"`.

use std::ops::Range;

use super::{Text, is_delimiter, is_redacted};

/// The ends of names whose values AWS keeps secret. Case does not count, and `-` is `_`.
const AWS_SECRETS: &[&str] = &[
    "secret_access_key",
    "secretaccesskey",
    "session_token",
    "sessiontoken",
    "x_amz_security_token",
    "x_amz_signature",
];

/// The ends of names whose values are secret everywhere.
const PASSWORDS: &[&str] = &[
    "password",
    "passwd",
    "passphrase",
    "pwd",
    "secret",
    "token",
    "api_key",
    "apikey",
    "secret_key",
    "secretkey",
    "private_key",
    "privatekey",
    "account_key",
    "accountkey",
    "sharedaccesskey",
    "authorization",
];

/// The longest value, in bytes; what is longer is cut there and not secret as a whole.
const VALUE_BYTES_MAX: usize = 8 * 1024;

/// The shortest unquoted value behind a colon, in bytes: prose has colons too.
const PROSE_BYTES_MIN: usize = 6;

pub(super) fn aws_secret(text: Text<'_>, found: &mut Vec<Range<usize>>) {
    assigned(text, AWS_SECRETS, found);
}

pub(super) fn password(text: Text<'_>, found: &mut Vec<Range<usize>>) {
    assigned(text, PASSWORDS, found);
}

fn assigned(text: Text<'_>, names: &[&str], found: &mut Vec<Range<usize>>) {
    let bytes = text.text.as_bytes();
    let mut from = 0;
    while let Some(at) = memchr::memchr2(b'=', b':', &bytes[from..]).map(|gap| from + gap) {
        from = at + 1;
        // `==`, `::` and `:=` assign nothing that is read here.
        if matches!(bytes.get(at + 1), Some(b'=' | b':')) {
            from = at + 2;
            continue;
        }
        let Some(name) = name_before(bytes, at, names) else { continue };
        let value = Value::read(text.text, at, name);
        from = value.range.end.max(from);
        if !value.range.is_empty()
            && value.is_secret(text, bytes[at])
            && !is_redacted(text.text, value.range.start)
        {
            found.push(value.range);
        }
    }
}

/// How a name is written.
#[derive(Clone, Copy, PartialEq)]
enum Name {
    Bare,
    Quoted,
}

/// The name that ends before the separator at `at`, if it ends in one of `names`.
fn name_before(bytes: &[u8], at: usize, names: &[&str]) -> Option<Name> {
    /// How many spaces, quotes and backslashes may stand between a name and its separator.
    const GAP_MAX: usize = 4;
    let gap = bytes[..at].iter().rev().take(GAP_MAX).take_while(|byte| b" \"'\\".contains(byte)).count();
    let quoted = bytes[at - gap..at].iter().any(|byte| matches!(byte, b'"' | b'\''));
    let before = &bytes[..at - gap];
    let same = |a: &u8, b: &u8| a.eq_ignore_ascii_case(b) || *a == b'-' && *b == b'_';
    let ends = |name: &&str| {
        before.len() >= name.len()
            && before[before.len() - name.len()..].iter().zip(name.as_bytes()).all(|(a, b)| same(a, b))
    };
    names.iter().any(ends).then_some(if quoted { Name::Quoted } else { Name::Bare })
}

struct Value {
    range: Range<usize>,
    quoted: bool,
    /// Nothing stands between the separator and the value.
    glued: bool,
    name: Name,
}

impl Value {
    fn read(text: &str, separator: usize, name: Name) -> Self {
        let bytes = text.as_bytes();
        let mut start = separator + 1;
        // Ruby's `=>`.
        start += usize::from(bytes.get(start) == Some(&b'>'));
        let after = start;
        while bytes.get(start) == Some(&b' ') && start - after < 8 {
            start += 1;
        }
        let glued = start == after;
        // JSON in a string has its quotes escaped, and its value ends with such a quote too.
        let escaped = bytes.get(start) == Some(&b'\\');
        let opening = start + usize::from(escaped);
        match bytes.get(opening) {
            Some(quote @ (b'"' | b'\'' | b'`')) => {
                let start = opening + 1;
                let end = quoted_end(bytes, start, *quote, escaped);
                Self { range: start..end, quoted: true, glued, name }
            }
            _ => Self { range: start..bare_end(bytes, start), quoted: false, glued, name },
        }
    }

    fn is_secret(&self, text: Text<'_>, separator: u8) -> bool {
        let value = &text.text.as_bytes()[self.range.clone()];
        if self.quoted {
            return true;
        }
        if text.is_code {
            return false;
        }
        let has_digit = value.iter().any(u8::is_ascii_digit);
        let looks_random = has_digit && value.len() >= PROSE_BYTES_MIN;
        match separator {
            b'=' => self.glued || looks_random,
            _ => looks_random || self.name == Name::Quoted || self.glued && value.len() >= PROSE_BYTES_MIN,
        }
    }
}

/// Where a quoted value ends: at its quote, or where the line or the bound does.
fn quoted_end(bytes: &[u8], start: usize, quote: u8, escaped: bool) -> usize {
    let mut at = start;
    while at < bytes.len() && at - start < VALUE_BYTES_MAX && bytes[at] != b'\n' {
        match bytes[at] {
            b'\\' if escaped => break,
            b'\\' => at += 1,
            byte if byte == quote => break,
            _ => {}
        }
        at += 1;
    }
    floor_char(bytes, at.min(bytes.len()))
}

/// Where an unquoted value ends.
fn bare_end(bytes: &[u8], start: usize) -> usize {
    let bound = (start + VALUE_BYTES_MAX).min(bytes.len());
    let ends = |at: &usize| is_delimiter(bytes[*at]) || bytes[*at] == b'&' && is_parameter(&bytes[at + 1..]);
    floor_char(bytes, (start..bound).find(ends).unwrap_or(bound))
}

/// Whether the next parameter of a query begins here, so that the `&` before is no part of a value.
fn is_parameter(bytes: &[u8]) -> bool {
    /// The longest name of a parameter that is looked for, in bytes.
    const NAME_BYTES_MAX: usize = 64;
    let name = bytes
        .iter()
        .take(NAME_BYTES_MAX)
        .take_while(|byte| byte.is_ascii_alphanumeric() || b"_.-[]".contains(byte))
        .count();
    name > 0 && bytes.get(name) == Some(&b'=')
}

/// The last boundary of a character that is not after `at`.
fn floor_char(bytes: &[u8], mut at: usize) -> usize {
    while at > 0 && at < bytes.len() && bytes[at] & 0xC0 == 0x80 {
        at -= 1;
    }
    at
}
