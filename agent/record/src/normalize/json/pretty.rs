//! JSON that is printed over several lines.
//!
//! ```text
//! Error raised from handler method
//! {
//!   "errorMessage": "order id missing",
//!   "errorType": "Function<ArgumentError>",
//!   "stackTrace": [
//!     "/var/task/lambda_function.rb:4:in `validate'"
//!   ]
//! }
//! ```
//!
//! Ruby's client logs its failures so. No string of JSON goes on in the next line, so a count of the brackets outside of
//! strings is all that must be known from line to line.

/// The deepest nesting that is followed.
const DEPTH_MAX: usize = 250;

/// How many brackets are open after `line` if so many were before it, without the line end. Zero means that the value is
/// complete. `None` if the line is not one of pretty-printed JSON, or nests too deeply.
pub(crate) fn depth(before: u8, line: &str) -> Option<u8> {
    let line = line.trim_ascii();
    if !looks_like_json(line) {
        return None;
    }
    let mut depth = usize::from(before);
    let mut bytes = line.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => skip_string(&mut bytes),
            b'{' | b'[' => depth += 1,
            b'}' | b']' => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    break;
                }
            }
            _ => {}
        }
    }
    u8::try_from(depth).ok().filter(|depth| usize::from(*depth) <= DEPTH_MAX)
}

/// Goes to the end of a string, whose first quote was read.
fn skip_string(bytes: &mut std::str::Bytes<'_>) {
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => return,
            b'\\' => {
                bytes.next();
            }
            _ => {}
        }
    }
}

/// True for a line that a printer of JSON writes: a bracket, a member, an element.
fn looks_like_json(line: &str) -> bool {
    let bare = line.strip_suffix(',').unwrap_or(line);
    match line.as_bytes().first() {
        Some(b'{' | b'[') => true,
        Some(b'}' | b']') => bare.trim_start_matches(['}', ']']).is_empty(),
        Some(b'"') => true,
        Some(b'-' | b'0'..=b'9') => bare.parse::<f64>().is_ok(),
        _ => matches!(bare, "true" | "false" | "null"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_in_strings_do_not_count() {
        assert_eq!(depth(0, "{"), Some(1));
        assert_eq!(depth(1, r#"  "a}": "\"}}", "#), Some(1));
        assert_eq!(depth(1, r#"  "a": [{"#), Some(3));
        assert_eq!(depth(3, "  }],"), Some(1));
        assert_eq!(depth(1, "}\r"), Some(0));
        assert_eq!(depth(1, "}]}"), Some(0));
    }

    #[test]
    fn other_lines_are_no_json() {
        for line in [
            "",
            "2026-11-23 07:30:12 INFO",
            "12 apples",
            "} else {",
            "at f (a.js:1:2)",
            "errorType: 'E',",
            "nullable",
        ] {
            assert_eq!(depth(1, line), None, "{line}");
        }
        assert_eq!(depth(0, "}"), None);
        assert_eq!(depth(200, &"[".repeat(100)), None);
    }
}
