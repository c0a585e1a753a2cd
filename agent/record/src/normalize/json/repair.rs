//! What serializers write although RFC 8259 has no such thing, put right in one pass.
//!
//! | what | who writes it | becomes |
//! |---|---|---|
//! | half of a surrogate pair, `\ud800` | Node before 12, Python's `surrogateescape` | U+FFFD |
//! | `NaN`, `Infinity`, `undefined` | Python's `json.dumps` | `null` |
//! | control characters within strings | shell scripts | their escapes |
//! | unknown escapes, `\d` | shell scripts, on Windows' paths | `\\d` |
//! | a text that ends too early | CloudWatch and the Telemetry API, which cut | closed |

use std::fmt::Write as _;

use serde_json::Number;

/// A text that was put right.
pub(super) struct Repaired {
    /// JSON as the parser wants it.
    pub(super) text: String,
    /// Where in the original text the first value ends; `None` if the text ends before it.
    pub(super) end: Option<usize>,
}

/// Puts right what can be put right of the first value in `text`. `None` if it is no JSON at all.
pub(super) fn repair(text: &str) -> Option<Repaired> {
    let mut repair = Repair {
        text,
        at: 0,
        out: String::with_capacity(text.len() + 64),
        open: Vec::new(),
        string: Place::Value,
    };
    while let Some(byte) = repair.byte() {
        match byte {
            b'"' => {
                let start = repair.out.len();
                if !repair.string() {
                    return Some(repair.cut(Some(start)));
                }
            }
            b'{' | b'[' => {
                repair.open.push(byte + 2);
                repair.string = if byte == b'{' { Place::Name } else { Place::Value };
                repair.copy(1);
            }
            b'}' | b']' => {
                if repair.open.pop() != Some(byte) {
                    return None;
                }
                repair.copy(1);
                repair.string = Place::Value;
                if repair.open.is_empty() {
                    return Some(Repaired { end: Some(repair.at), text: repair.out });
                }
            }
            b',' => {
                repair.string = if repair.open.last() == Some(&b'}') { Place::Name } else { Place::Value };
                repair.copy(1);
            }
            b':' => {
                repair.string = Place::Value;
                repair.copy(1);
            }
            b' ' | b'\t' | b'\n' | b'\r' => repair.copy(1),
            b'-' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => repair.word()?,
            _ => return None,
        }
    }
    Some(repair.cut(None))
}

/// What the next string is, or the last one was.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Name,
    Value,
}

struct Repair<'a> {
    text: &'a str,
    at: usize,
    out: String,
    /// The bytes that close what is open, the innermost last.
    open: Vec<u8>,
    string: Place,
}

impl Repair<'_> {
    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// Takes over so many bytes, which end between two characters.
    fn copy(&mut self, bytes: usize) {
        self.out.push_str(&self.text[self.at..self.at + bytes]);
        self.at += bytes;
    }

    /// A number, or a word of which JSON knows three.
    fn word(&mut self) -> Option<()> {
        let rest = &self.text[self.at..];
        let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'+' | b'.');
        let length = rest.bytes().take_while(|byte| is_part(byte)).count();
        let word = &rest[..length];
        let is_last = length == rest.len();
        let replaced = match word {
            "NaN" | "Infinity" | "-Infinity" | "undefined" => "null",
            "true" | "false" | "null" => word,
            _ if serde_json::from_str::<Number>(word).is_ok() => word,
            // The beginning of a word or a number that was cut.
            _ if is_last => "null",
            _ => return None,
        };
        self.out.push_str(replaced);
        self.at += length;
        Some(())
    }

    /// A string with its quotes. False if the text ends within it.
    fn string(&mut self) -> bool {
        self.copy(1);
        loop {
            let rest = &self.text.as_bytes()[self.at..];
            let plain =
                rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1f)).unwrap_or(rest.len());
            self.copy(plain);
            match self.byte() {
                None => return false,
                Some(b'"') => {
                    self.copy(1);
                    return true;
                }
                Some(b'\\') if self.at + 1 == self.text.len() => {
                    self.at += 1;
                    return false;
                }
                Some(b'\\') => self.escape(),
                Some(control) => {
                    let _ = write!(self.out, "\\u{control:04x}");
                    self.at += 1;
                }
            }
        }
    }

    fn escape(&mut self) {
        match self.text.as_bytes()[self.at + 1] {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => self.copy(2),
            b'u' => self.unicode(),
            _ => {
                self.out.push_str("\\\\");
                self.at += 1;
            }
        }
    }

    /// `\u` and four digits, which may be half of a character that takes two of them.
    fn unicode(&mut self) {
        match (self.unit(self.at), self.unit(self.at + 6)) {
            (Some(0xd800..=0xdbff), Some(0xdc00..=0xdfff)) => self.copy(12),
            (Some(0xd800..=0xdfff), _) => {
                self.out.push_str("\\ufffd");
                self.at += 6;
            }
            (Some(_), _) => self.copy(6),
            (None, _) => {
                self.out.push_str("\\\\");
                self.at += 1;
            }
        }
    }

    /// The code unit that is written as an escape at `at`.
    fn unit(&self, at: usize) -> Option<u32> {
        let escape = self.text.as_bytes().get(at..at + 6)?;
        let digits = escape.strip_prefix(b"\\u").filter(|digits| digits.iter().all(u8::is_ascii_hexdigit))?;
        u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
    }

    /// Closes a text that ends too early. `string` is where in the output a string begins that has no end.
    fn cut(mut self, string: Option<usize>) -> Repaired {
        match (string, self.string) {
            (Some(_), Place::Value) => self.out.push('"'),
            (Some(start), Place::Name) => self.out.truncate(start),
            (None, _) => {}
        }
        let kept = self.out.trim_end().len();
        self.out.truncate(kept);
        match self.out.as_bytes().last() {
            Some(b',') => drop(self.out.pop()),
            Some(b':') => self.out.push_str("null"),
            Some(b'"') if string.is_none() && self.string == Place::Name => self.out.push_str(":null"),
            _ => {}
        }
        while let Some(close) = self.open.pop() {
            self.out.push(char::from(close));
        }
        Repaired { text: self.out, end: None }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::normalize::json::parse::{Rest, object};

    fn parsed(text: &str) -> Option<Value> {
        object(text.as_bytes()).map(|(object, _)| Value::Object(object))
    }

    #[test]
    fn what_serializers_write_beyond_the_standard_is_read() {
        // Node's JSON.stringify before 12, Python's surrogateescape, Python's json.dumps(float("nan")).
        assert_eq!(parsed(r#"{"a":"x\ud800y"}"#), Some(json!({"a": "x\u{fffd}y"})));
        assert_eq!(parsed(r#"{"a":"\udc80\ud83d\ude00\ud83d"}"#), Some(json!({"a": "\u{fffd}😀\u{fffd}"})));
        assert_eq!(
            parsed(r#"{"a":NaN,"b":-Infinity,"c":[Infinity,1e5]}"#),
            Some(json!({"a":null,"b":null,"c":[null,1e5]}))
        );
        assert_eq!(parsed("{\"a\":\"tab\there\"}"), Some(json!({"a": "tab\there"})));
        assert_eq!(parsed(r#"{"a":"C:\dir\u12"}"#), Some(json!({"a": "C:\\dir\\u12"})));
        assert_eq!(parsed("\u{feff}{\"a\":1}"), Some(json!({"a": 1})));
        assert_eq!(object(b"{\"a\":\"\xff\"}").unwrap().0["a"], json!("\u{fffd}"));
        assert_eq!(parsed(r#"{"a":1,"a":2}"#), Some(json!({"a": 2})));
    }

    #[test]
    fn a_text_that_was_cut_is_closed() {
        let whole = r#"{"a": "b\n\u00e9", "c": [1, {"d": true}], "e": -1.5}"#;
        for end in 1..whole.len() {
            let (cut, rest) = object(&whole.as_bytes()[..end]).unwrap_or_else(|| panic!("{}", &whole[..end]));
            assert_eq!(rest, Rest::Cut);
            assert!(cut.len() <= 3);
        }
        assert_eq!(parsed(r#"{"a":"lo"#), Some(json!({"a": "lo"})));
        assert_eq!(parsed(r#"{"a":1,"b"#), Some(json!({"a": 1})));
        assert_eq!(parsed(r#"{"a":1,"b""#), Some(json!({"a": 1, "b": null})));
        assert_eq!(parsed(r#"{"a":[1,{"b":"#), Some(json!({"a": [1, {"b": null}]})));
    }
}
