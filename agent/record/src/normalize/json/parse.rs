//! JSON as it is found in bodies and logs, read within bounds.
//!
//! `serde_json` does the parsing. No more than [`BYTES_MAX`] is parsed at all, and of that no more than [`VALUES_MAX`] values down
//! to [`DEPTH_MAX`] levels are kept. What is below or beyond is skipped without a value, so a line of a million `[` costs one
//! scan. A text that the parser refuses is [put right](super::repair), and parsed again.

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, de};
use serde_json::{Map, Number, Value};

use crate::normalize::json::repair::repair;

/// The longest text that is parsed, in bytes. Lambda's own limit for what a function posts is 6 MiB.
pub(crate) const BYTES_MAX: usize = 8 * 1024 * 1024;

/// The deepest level of which values are kept. `serde_json` itself refuses to go below level 128.
const DEPTH_MAX: usize = 112;

/// The most values that are kept of one text.
const VALUES_MAX: usize = 200_000;

/// Parses `json` if it begins with an object. The second value is what follows it.
pub(crate) fn object(json: &[u8]) -> Option<(Map<String, Value>, Rest)> {
    match value(json, b'{')? {
        (Value::Object(object), rest) => Some((object, rest)),
        _ => None,
    }
}

/// Parses `json` if it begins with an array.
pub(crate) fn array(json: &[u8]) -> Option<(Vec<Value>, Rest)> {
    match value(json, b'[')? {
        (Value::Array(array), rest) => Some((array, rest)),
        _ => None,
    }
}

/// What follows a value in its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rest {
    /// White space at most.
    Blank,
    /// Something else.
    More,
    /// The value itself is not complete.
    Cut,
}

/// A first look at the first byte keeps the parser away from everything else.
fn value(json: &[u8], first: u8) -> Option<(Value, Rest)> {
    let json = json.strip_prefix(b"\xef\xbb\xbf").unwrap_or(json).trim_ascii();
    if json.first() != Some(&first) || json.len() > BYTES_MAX {
        return None;
    }
    let text = String::from_utf8_lossy(json);
    if let Some((value, end)) = strict(&text) {
        return Some((value, rest(&text[end..])));
    }
    let repaired = repair(&text)?;
    let (value, _) = strict(&repaired.text)?;
    Some((value, repaired.end.map_or(Rest::Cut, |end| rest(&text[end..]))))
}

fn rest(text: &str) -> Rest {
    if text.trim_start_matches([' ', '\n', '\r', '\t', '\0']).is_empty() { Rest::Blank } else { Rest::More }
}

/// The first value of a text, and where it ends.
fn strict(text: &str) -> Option<(Value, usize)> {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<Bounded>();
    let value = values.next()?.ok()?.0;
    Some((value, values.byte_offset()))
}

/// A value of which no more is kept than the bounds allow.
struct Bounded(Value);

impl<'de> Deserialize<'de> for Bounded {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let left = Cell::new(VALUES_MAX);
        Keep { depth: 0, left: &left }.deserialize(deserializer).map(Self)
    }
}

/// Keeps one value, unless it is too deep or there are too many.
#[derive(Clone, Copy)]
struct Keep<'a> {
    depth: usize,
    left: &'a Cell<usize>,
}

impl Keep<'_> {
    fn inner(self) -> Self {
        Self { depth: self.depth + 1, ..self }
    }
}

impl<'de> DeserializeSeed<'de> for Keep<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        if self.depth > DEPTH_MAX {
            deserializer.deserialize_ignored_any(IgnoredAny)?;
            return Ok(Value::Null);
        }
        self.left.set(self.left.get().saturating_sub(1));
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Keep<'_> {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Value, A::Error> {
        let mut kept = Vec::new();
        while self.left.get() > 0 {
            match elements.next_element_seed(self.inner())? {
                Some(element) => kept.push(element),
                None => return Ok(Value::Array(kept)),
            }
        }
        while elements.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Value::Array(kept))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut kept = Map::new();
        while self.left.get() > 0 {
            match members.next_key::<String>()? {
                Some(name) => drop(kept.insert(name, members.next_value_seed(self.inner())?)),
                None => return Ok(Value::Object(kept)),
            }
        }
        while members.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Value::Object(kept))
    }
}

/// A string as it stands in a value, or the text of a number: some clients post numbers as messages.
pub(crate) fn text_of(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::String(text) => Some(Cow::Borrowed(text)),
        Value::Null => None,
        Value::Array(_) | Value::Object(_) | Value::Bool(_) | Value::Number(_) => {
            Some(Cow::Owned(value.to_string()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn parsed(text: &str) -> Option<Value> {
        object(text.as_bytes()).map(|(object, _)| Value::Object(object))
    }

    #[test]
    fn what_follows_a_value_is_told() {
        assert_eq!(object(b" {} \n\0").unwrap().1, Rest::Blank);
        assert_eq!(object(b"{} {}").unwrap().1, Rest::More);
        assert_eq!(object(br#"{"a":"\ud800"} tail"#).unwrap().1, Rest::More);
        assert_eq!(array(b"[{}]").unwrap().1, Rest::Blank);
    }

    #[test]
    fn what_is_no_json_is_refused() {
        for text in
            ["", "[]", "null", "x", "{ x: 1 }", "{]", "{\"a\":'b'}", "{\"a\":wrong}", "{\"a\" {", "{é"]
        {
            assert_eq!(parsed(text), None, "{text}");
        }
    }

    #[test]
    fn depth_and_number_of_values_are_bounded() {
        let deep = format!("{{\"a\":{}{}, \"b\":1}}", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(parsed(&deep).unwrap()["b"], json!(1));
        assert!(parsed(&format!("{{\"a\":{}", "[".repeat(1_000_000))).is_some());
        let many = format!("{{\"a\":[{}1],\"b\":2}}", "1,".repeat(1_000_000));
        assert!(parsed(&many).unwrap()["a"].as_array().unwrap().len() <= VALUES_MAX);
        assert_eq!(parsed(&format!("{{\"a\":\"{}\"}}", "x".repeat(BYTES_MAX))), None);
    }
}
