//! Words that are different each time: ids, hashes, numbers, and in messages what is quoted and where files lie.

/// The length, in bytes, from which a run of digits and hexadecimal letters with a digit in it is an id.
const ID_BYTES_MIN: usize = 6;

/// The length, in bytes, from which any run of letters and digits with a digit in it is an id. Names such as
/// `base64` and `python312` are shorter.
const MIXED_BYTES_MIN: usize = 16;

/// The length of a UUID's text.
const UUID_BYTES: usize = 36;

/// The longest quoted text that is taken for one, in bytes: an apostrophe without its partner must not swallow a message.
const QUOTED_BYTES_MAX: usize = 1_024;

/// A name without the ids in it: each is `0`.
pub(super) fn without_ids(name: &str) -> String {
    runs(name, |run| if is_id(run) { None } else { Some(run) })
}

/// A message without what is different each time: ids and numbers are `0`, what is quoted is `""`, a path is `/`.
pub(super) fn message(message: &str) -> String {
    let mut plain = String::with_capacity(message.len().min(4_096));
    let mut rest = message;
    let mut before = ' ';
    while let Some(c) = rest.chars().next() {
        let opens = !before.is_alphanumeric();
        let special = match c {
            '\'' | '"' | '`' if opens => quoted(rest).map(|length| (length, "\"\"")),
            '/' if opens => path(rest).map(|length| (length, "/")),
            _ if opens && is_uuid(rest) => Some((UUID_BYTES, "0")),
            _ => None,
        };
        if let Some((length, stands)) = special {
            plain.push_str(stands);
            before = ' ';
            rest = &rest[length..];
            continue;
        }
        let word = rest.find(|c: char| !c.is_alphanumeric()).unwrap_or(rest.len());
        if word == 0 {
            plain.push(c);
            before = c;
            rest = &rest[c.len_utf8()..];
        } else {
            plain.push_str(&numberless(&rest[..word]));
            before = 'x';
            rest = &rest[word..];
        }
    }
    collapse(&plain)
}

/// A word of a message: `0` if it is an id, else with every number in it as `0`.
fn numberless(word: &str) -> String {
    if is_id(word) {
        return "0".to_owned();
    }
    let mut plain = String::with_capacity(word.len());
    for c in word.chars() {
        match c {
            '0'..='9' if plain.ends_with('0') => {}
            '0'..='9' => plain.push('0'),
            c => plain.push(c),
        }
    }
    plain
}

/// Numbers with points, signs and groups in them, versions, times and UUIDs are one number each.
fn collapse(plain: &str) -> String {
    let mut joined = String::with_capacity(plain.len());
    let mut chars = plain.chars().peekable();
    while let Some(c) = chars.next() {
        let between = matches!(c, '.' | '-' | ':' | ',' | '_' | '+')
            && joined.ends_with('0')
            && chars.peek() == Some(&'0');
        if between {
            chars.next();
        } else {
            joined.push(c);
        }
    }
    joined
}

fn is_id(run: &str) -> bool {
    let run = run.strip_prefix("0x").unwrap_or(run);
    let has_digit = run.bytes().any(|byte| byte.is_ascii_digit());
    let is_hex = run.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_word = run.bytes().all(|byte| byte.is_ascii_alphanumeric());
    has_digit && (is_hex && run.len() >= ID_BYTES_MIN || is_word && run.len() >= MIXED_BYTES_MIN)
}

/// Whether `text` begins with a UUID. Its groups may have no digit in them, so that only the whole is known.
fn is_uuid(text: &str) -> bool {
    let Some(uuid) = text.as_bytes().get(..UUID_BYTES) else { return false };
    uuid.iter().enumerate().all(|(at, byte)| match at {
        8 | 13 | 18 | 23 => *byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    })
}

/// Applies `keep` to every run of letters and digits; `None` stands for `0`.
fn runs<'a>(text: &'a str, keep: impl Fn(&'a str) -> Option<&'a str>) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        let word = rest.find(|c: char| !c.is_alphanumeric()).unwrap_or(rest.len());
        if word > 0 {
            plain.push_str(keep(&rest[..word]).unwrap_or("0"));
            rest = &rest[word..];
        }
        let gap = rest.find(char::is_alphanumeric).unwrap_or(rest.len());
        plain.push_str(&rest[..gap]);
        rest = &rest[gap..];
    }
    plain
}

/// The length of the quoted text that `text` begins with.
fn quoted(text: &str) -> Option<usize> {
    let quote = text.as_bytes()[0];
    let bytes = &text.as_bytes()[1..];
    let bytes = &bytes[..bytes.len().min(QUOTED_BYTES_MAX)];
    let end = memchr::memchr2(quote, b'\n', bytes)?;
    (bytes[end] == quote).then_some(end + 2)
}

/// The length of the path that `text` begins with: at least two elements.
fn path(text: &str) -> Option<usize> {
    let end = text
        .find(|c: char| {
            c.is_whitespace() || matches!(c, '"' | '\'' | '`' | ',' | ';' | ')' | ']' | '>' | ':')
        })
        .unwrap_or(text.len());
    (text[1..end].contains('/')).then_some(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_lose_what_is_different_each_time() {
        for (text, normal) in [
            ("timed out after 3.00 seconds", "timed out after 0 seconds"),
            ("order 7f3c9a12-face-4d5e-beef-a1b2c3d4e5f6 not found", "order 0 not found"),
            ("cannot open '/tmp/a/b.txt'", "cannot open \"\""),
            ("cannot open /tmp/a/b.txt: denied", "cannot open /: denied"),
            ("at 0x7ffe12345678", "at 0"),
            ("don't panic, it isn't 5", "don't panic, it isn't 0"),
            ("2026-11-26T10:15:00.123Z late", "0T0Z late"),
            ("python3.12 base64", "python0 base0"),
            ("key \"a b\" and `c`", "key \"\" and \"\""),
            ("", ""),
        ] {
            assert_eq!(message(text), normal, "{text}");
        }
    }
}
