//! Values that are secret because of the names that they have: `password=hunter2`, `"apiKey": "…"`, `:token=>"…"`,
//! `<password>…</password>`, `--password …`.

use std::ops::Range;

use memchr::memmem;

use super::{Text, is_redacted};

/// The ends of names whose values AWS keeps secret. Case does not count, and `-` is `_`.
const AWS_SECRETS: &[&str] = &[
    "secret_access_key",
    "secretaccesskey",
    "session_token",
    "sessiontoken",
    "x_amz_security_token",
    "x_amz_signature",
];

/// The ends of names whose values are secret everywhere. What begins with `_` is a whole name too.
const PASSWORDS: &[&str] = &[
    "password",
    "passwd",
    "passphrase",
    "_pass",
    "_pwd",
    "api_key",
    "apikey",
    "secret_key",
    "secretkey",
    "secret_key_base",
    "private_key",
    "privatekey",
    "account_key",
    "accountkey",
    "sharedaccesskey",
    "encryption_key",
    "signing_key",
    "master_key",
    "app_key",
    "stripe_key",
    "client_secret",
    "authorization",
];

/// The ends of names that mean other things too (a parser's token, a secret's name): their values must look like secrets.
const AMBIGUOUS: &[&str] = &["secret", "token"];

/// The longest value, in bytes; what is longer is cut there and not secret as a whole.
const VALUE_BYTES_MAX: usize = 8 * 1024;

/// The shortest unquoted value behind a colon, in bytes: prose has colons too.
const PROSE_BYTES_MIN: usize = 6;

/// The shortest value of an ambiguous name, in bytes.
const AMBIGUOUS_BYTES_MIN: usize = 8;

/// What stands where there is no secret.
const NO_SECRETS: &[&str] = &[
    "none",
    "null",
    "nil",
    "undefined",
    "true",
    "false",
    "empty",
    "unset",
    "required",
    "redacted",
    "string",
];

pub(super) fn aws_secret(text: Text<'_>, found: &mut Vec<Range<usize>>) {
    assigned(text, &[(AWS_SECRETS, Trust::Full)], found);
}

pub(super) fn password(text: Text<'_>, found: &mut Vec<Range<usize>>) {
    assigned(text, &[(PASSWORDS, Trust::Full), (AMBIGUOUS, Trust::Little)], found);
    flags(text.text, found);
}

/// How far a name alone makes its value a secret.
#[derive(Clone, Copy, PartialEq)]
enum Trust {
    Full,
    Little,
}

fn assigned(text: Text<'_>, names: &[(&[&str], Trust)], found: &mut Vec<Range<usize>>) {
    let bytes = text.text.as_bytes();
    let mut from = 0;
    while let Some(at) = memchr::memchr3(b'=', b':', b'>', &bytes[from..]).map(|gap| from + gap) {
        from = at + 1;
        // `==`, `::`, `:=` and `->` assign nothing that is read here.
        if bytes[at] != b'>' && matches!(bytes.get(at + 1), Some(b'=' | b':')) {
            from = at + 2;
            continue;
        }
        let Some(name) = Name::before(bytes, at, names) else { continue };
        if bytes[at] == b'>' && !name.is_tag || bytes[at] == b':' && is_in_authority(bytes, at) {
            continue;
        }
        let value = Value::read(bytes, at);
        from = value.range.end.max(from);
        if value.is_secret(text, bytes[at], &name) && !is_redacted(text.text, value.range.start) {
            found.push(value.range);
        }
    }
}

/// A name before a separator.
struct Name {
    trust: Trust,
    quoted: bool,
    /// `<password>`.
    is_tag: bool,
}

impl Name {
    /// The name that ends before the separator at `at`, if it ends in one of `names`.
    fn before(bytes: &[u8], at: usize, names: &[(&[&str], Trust)]) -> Option<Self> {
        /// How many spaces, quotes, brackets and backslashes may stand between a name and its separator.
        const GAP_MAX: usize = 8;
        let gap =
            bytes[..at].iter().rev().take(GAP_MAX).take_while(|byte| b" \"'\\])".contains(byte)).count();
        let quoted = bytes[at - gap..at].iter().any(|byte| matches!(byte, b'"' | b'\''));
        let before = &bytes[..at - gap];
        let (_, trust) = names
            .iter()
            .flat_map(|(names, trust)| names.iter().map(move |name| (*name, *trust)))
            .find(|(name, _)| ends(before, name))?;
        let word = before.iter().rev().take(64).take_while(|byte| is_name(**byte)).count();
        Some(Self { trust, quoted, is_tag: gap == 0 && before[..before.len() - word].ends_with(b"<") })
    }
}

/// Whether what is before ends in a name. A name that begins with `_` may be all there is.
fn ends(before: &[u8], name: &str) -> bool {
    let same = |a: &u8, b: &u8| a.eq_ignore_ascii_case(b) || *a == b'-' && *b == b'_';
    let ends = |name: &[u8]| {
        before.len() >= name.len()
            && before[before.len() - name.len()..].iter().zip(name).all(|(a, b)| same(a, b))
    };
    let is_alone =
        |name: &[u8]| before.len() == name.len() || !is_name(before[before.len() - name.len() - 1]);
    ends(name.as_bytes())
        || name.strip_prefix('_').is_some_and(|word| ends(word.as_bytes()) && is_alone(word.as_bytes()))
}

fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}

/// Whether the colon parts a user from a password in a URL, which has a rule of its own.
fn is_in_authority(bytes: &[u8], at: usize) -> bool {
    /// The longest user, in bytes.
    const USER_BYTES_MAX: usize = 128;
    let user =
        bytes[..at].iter().rev().take(USER_BYTES_MAX).take_while(|byte| is_name(**byte) || **byte == b'.');
    let start = at - user.count();
    bytes[..start].ends_with(b"://")
}

struct Value {
    range: Range<usize>,
    quoted: bool,
    /// Nothing stands between the separator and the value.
    glued: bool,
}

impl Value {
    fn read(bytes: &[u8], separator: usize) -> Self {
        let mut start = separator + 1;
        // Ruby's and PHP's `=>`.
        start += usize::from(bytes[separator] == b'=' && bytes.get(start) == Some(&b'>'));
        let blanks = bytes[start..].iter().take(8).take_while(|byte| **byte == b' ').count();
        let glued = blanks == 0;
        start += blanks;
        // JSON in a string has its quotes escaped, and its value ends with such a quote too.
        let opening = start + wrapper(&bytes[start..]);
        let escapes = bytes[opening..].iter().take(8).take_while(|byte| **byte == b'\\').count();
        let quote = opening + escapes;
        match bytes.get(quote) {
            Some(mark @ (b'"' | b'\'' | b'`')) => {
                let range = quote + 1..quoted_end(bytes, quote + 1, *mark, escapes > 0);
                Self { range, quoted: true, glued }
            }
            _ => Self { range: start..bare_end(bytes, start), quoted: false, glued },
        }
    }

    fn is_secret(&self, text: Text<'_>, separator: u8, name: &Name) -> bool {
        let value = &text.text[self.range.clone()];
        let word = value.trim_end_matches(['.', '!']);
        let stands_for_none = value.is_empty()
            || NO_SECRETS.iter().any(|none| word.eq_ignore_ascii_case(none))
            || value.bytes().all(|byte| !byte.is_ascii_alphanumeric() && byte.is_ascii())
            || value.starts_with("arn:");
        if stands_for_none {
            return false;
        }
        let has_digit = value.bytes().any(|byte| byte.is_ascii_digit());
        if name.trust == Trust::Little {
            let looks_secret = value.len() >= AMBIGUOUS_BYTES_MIN && has_digit && !value.contains(' ');
            return looks_secret && (self.quoted || !text.is_code);
        }
        if self.quoted {
            return true;
        }
        // `%s`, `$PASSWORD`, `(not set)`, `{}`: nothing was put there. What ODBC puts into braces was.
        let is_braced = value.starts_with('{') && value.len() >= AMBIGUOUS_BYTES_MIN && has_digit;
        if text.is_code || !is_braced && value.starts_with(['%', '$', '(', '[', '{', '<', '*']) {
            return false;
        }
        let looks_random = has_digit && value.len() >= PROSE_BYTES_MIN;
        match separator {
            b'=' => self.glued || looks_random,
            b'>' => true,
            _ => looks_random || name.quoted || self.glued && value.len() >= PROSE_BYTES_MIN,
        }
    }
}

/// The length of what a language puts around a literal: `b`, `Some(`, `[`, `string(10) `. Nothing if no quote follows.
fn wrapper(value: &[u8]) -> usize {
    /// The longest of them, in bytes.
    const WRAPPER_BYTES_MAX: usize = 16;
    let length = value
        .iter()
        .take(WRAPPER_BYTES_MAX)
        .take_while(|byte| byte.is_ascii_alphanumeric() || b"_([ )".contains(byte))
        .count();
    let is_quoted =
        value[length..].iter().find(|byte| **byte != b'\\').is_some_and(|byte| b"\"'".contains(byte));
    let wrapper = &value[..length];
    let is_prefix = wrapper.len() <= 2 && wrapper.iter().all(|byte| b"bBuUrRfFL".contains(byte));
    let is_wrapper =
        is_prefix || wrapper.ends_with(b"(") || wrapper.ends_with(b"[") || wrapper.ends_with(b") ");
    if is_quoted && is_wrapper { length } else { 0 }
}

/// Where a quoted value ends: at its quote, or where the line or the bound does.
fn quoted_end(bytes: &[u8], start: usize, quote: u8, escaped: bool) -> usize {
    let mut at = start;
    while at < bytes.len() && at - start < VALUE_BYTES_MAX && bytes[at] != b'\n' {
        match bytes[at] {
            b'\\' if escaped => break,
            b'\\' => at += 1,
            // A quote that is doubled is in the value.
            byte if byte == quote && bytes.get(at + 1) == Some(&quote) && at > start => at += 1,
            byte if byte == quote => break,
            _ => {}
        }
        at += 1;
    }
    floor_char(bytes, at.min(bytes.len()))
}

/// Where an unquoted value ends. Brackets are in it unless nothing but the end follows.
fn bare_end(bytes: &[u8], start: usize) -> usize {
    let bound = (start + VALUE_BYTES_MAX).min(bytes.len());
    if bytes.get(start) == Some(&b'{') {
        // A connection string of ODBC puts braces around what holds its separators.
        let closing =
            memchr::memchr2(b'}', b'\n', &bytes[start..bound]).filter(|at| bytes[start + at] == b'}');
        return closing.map_or(start, |at| start + at + 1);
    }
    let is_end = |at: usize| {
        let rest = &bytes[at..];
        match rest[0] {
            byte if byte.is_ascii_whitespace() => true,
            b'"' | b'\'' | b'`' | b',' | b';' | b'<' | b'>' | b'\\' => true,
            b'&' => is_parameter(&rest[1..]),
            b')' | b']' | b'}' => closes(&rest[1..]),
            _ => false,
        }
    };
    floor_char(bytes, (start..bound).find(|at| is_end(*at)).unwrap_or(bound))
}

/// Whether what is behind a bracket is no part of a value.
fn closes(rest: &[u8]) -> bool {
    /// More brackets than this are part of it.
    const BRACKETS_MAX: usize = 8;
    let more = rest.iter().take(BRACKETS_MAX).take_while(|byte| b")]}.".contains(byte)).count();
    rest.get(more).is_none_or(|byte| byte.is_ascii_whitespace() || b"\"',;:<>`\\".contains(byte))
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

/// `--password hunter2`, `--db-password hunter2`.
fn flags(text: &str, found: &mut Vec<Range<usize>>) {
    /// The longest name of a flag, in bytes.
    const NAME_BYTES_MAX: usize = 32;
    let bytes = text.as_bytes();
    for start in memmem::find_iter(bytes, "--").map(|at| at + 2) {
        let name = bytes[start..].iter().take(NAME_BYTES_MAX).take_while(|byte| is_name(**byte)).count();
        let value = start + name + 1;
        let is_flag = bytes.get(value - 1) == Some(&b' ')
            && PASSWORDS.iter().any(|word| ends(&bytes[start..value - 1], word));
        let end = if is_flag { bare_end(bytes, value.min(bytes.len())) } else { value };
        let is_value = bytes.get(value).is_some_and(|byte| byte.is_ascii_alphanumeric());
        if is_flag && is_value && end > value && bytes[value..end].iter().any(u8::is_ascii_digit) {
            found.push(value..end);
        }
    }
}

/// The last boundary of a character that is not after `at`.
fn floor_char(bytes: &[u8], mut at: usize) -> usize {
    while at > 0 && at < bytes.len() && bytes[at] & 0xC0 == 0x80 {
        at -= 1;
    }
    at
}
