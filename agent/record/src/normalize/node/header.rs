//! The beginning of a V8 stack: what failed, and what it says of itself.
//!
//! ```text
//! TypeError: order.id is required
//! AssertionError [ERR_ASSERTION]: …       Node's own errors carry their code, which is no part of the name
//! DOMException [AbortError]: …            a class whose errors have another name: the name counts
//! Error                                   no message
//! could not parse SyntaxError: …          console.error('could not parse', error)
//! ```

use crate::text;

/// The ends of names that nobody gives to anything but an error.
const NAME_ENDS: [&str; 3] = ["Error", "Exception", "Rejection"];

/// The longest name that stands in brackets, in bytes.
const BRACKETED_BYTES_MAX: usize = 256;

/// What a header says.
#[derive(Debug, PartialEq)]
pub(super) struct Header<'a> {
    /// The name of the error, if there is one.
    pub(super) error_type: Option<&'a str>,
    /// The name with what stands beside it in brackets, if anything does.
    pub(super) raw_error_type: Option<&'a str>,
    /// The message.
    pub(super) message: &'a str,
}

/// Who wrote the text before a stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Writer {
    /// Node itself: the header begins with the name.
    Node,
    /// The program, which may put words of its own before the error.
    Program,
}

/// Parts a header, all lines of it.
pub(super) fn header(text: &str, writer: Writer) -> Header<'_> {
    let text = without_reference(text);
    let found = match writer {
        Writer::Node => typed(text),
        Writer::Program => behind_label(text),
    };
    found.unwrap_or(Header { error_type: None, raw_error_type: None, message: text })
}

/// The error behind what a program may have put before it: nothing, a label with a colon, or other words.
fn behind_label(text: &str) -> Option<Header<'_>> {
    let first = typed(text);
    if first.as_ref().is_some_and(|first| is_capital(first) && is_error(first)) {
        return first;
    }
    let labelled = first.as_ref().and_then(|first| typed(first.message)).filter(is_error);
    labelled.or(first.filter(is_capital)).or_else(|| behind_words(text))
}

/// True if a line reads like the first one of an error: it names one, perhaps behind other words.
pub(super) fn begins_error(line: &str) -> bool {
    let line = without_reference(line);
    typed(line).is_some_and(|header| is_error(&header)) || behind_words(line).is_some()
}

/// True if a stack below this line is no failure's: `console.trace`, or a warning.
pub(super) fn begins_notice(line: &str) -> bool {
    let name = line.split(':').next().unwrap_or_default();
    name == "Trace" || name.ends_with("Warning") || line.starts_with("(node:")
}

/// The header that the text begins with: a name, perhaps brackets, and a colon or the end of the line.
pub(super) fn typed(text: &str) -> Option<Header<'_>> {
    let is_part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '$' | '.' | '-' | '#');
    let end = text.find(|c: char| !is_part(c)).unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    if !name.starts_with(|c: char| c.is_alphabetic() || matches!(c, '_' | '$')) {
        return None;
    }
    let bracket = rest.strip_prefix(" [").and_then(bracketed);
    let bracket = bracket.filter(|(inner, _)| !inner.is_empty() && inner.chars().all(is_part));
    let (error_type, after) = match bracket {
        Some((inner, after)) if is_code(inner) => (name, after),
        Some((inner, after)) => (inner, after),
        None => (name, rest),
    };
    let message = match after.as_bytes() {
        [] => "",
        [b':'] => "",
        [b':', b' ', ..] => &after[2..],
        [b':', b'\n', ..] => &after[1..],
        [b'\n', ..] => &after[1..],
        _ => return None,
    };
    let raw_error_type = bracket.map(|_| &text[..text.len() - after.len()]);
    Some(Header { error_type: Some(error_type), raw_error_type, message })
}

/// Parts what stands before a closing bracket, if that is not far.
fn bracketed(text: &str) -> Option<(&str, &str)> {
    let near = text::prefix(text, BRACKETED_BYTES_MAX);
    near.find(']').map(|end| (&text[..end], &text[end + 1..]))
}

/// `<ref *1> Error: …`: something below refers back to this error.
pub(super) fn without_reference(text: &str) -> &str {
    let rest = text.strip_prefix("<ref *").and_then(|rest| rest.split_once("> "));
    rest.filter(|(number, _)| number.bytes().all(|byte| byte.is_ascii_digit())).map_or(text, |(_, rest)| rest)
}

/// The first error that a line names behind other words.
fn behind_words(text: &str) -> Option<Header<'_>> {
    let line = &text[..text.find('\n').unwrap_or(text.len())];
    let spaces = line.match_indices(' ').map(|(space, _)| space + 1);
    spaces.filter(|start| !line[*start..].starts_with('[')).find_map(|start| {
        typed(&text[start..])
            .filter(|header| is_error(header) && is_capital(header) && !is_word(header, line))
    })
}

/// A name that ends its line may be the last word of a sentence: `no Error`.
fn is_word(header: &Header<'_>, line: &str) -> bool {
    let name = header.raw_error_type.or(header.error_type).unwrap_or_default();
    header.message.is_empty() && name.len() <= "Error".len() && line.ends_with(name)
}

fn is_error(header: &Header<'_>) -> bool {
    header.error_type.is_some_and(|name| NAME_ENDS.iter().any(|end| name.ends_with(end)))
        || header.raw_error_type.is_some()
}

fn is_capital(header: &Header<'_>) -> bool {
    header.error_type.is_some_and(|name| name.starts_with(char::is_uppercase) || name.contains('.'))
}

/// `ERR_ASSERTION`, `ENOENT`: no name of a class is written so.
fn is_code(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parted(text: &str, writer: Writer) -> (Option<&str>, &str) {
        let header = header(text, writer);
        (header.error_type, header.message)
    }

    #[test]
    fn what_node_writes_is_parted_at_the_name() {
        let node = |text| parted(text, Writer::Node);
        assert_eq!(node("Error: one\ntwo: three"), (Some("Error"), "one\ntwo: three"));
        assert_eq!(node("Error"), (Some("Error"), ""));
        assert_eq!(node("AssertionError [ERR_ASSERTION]: not\n"), (Some("AssertionError"), "not\n"));
        assert_eq!(node("DOMException [AbortError]: aborted"), (Some("AbortError"), "aborted"));
        assert_eq!(node("<ref *1> Error: circ"), (Some("Error"), "circ"));
        assert_eq!(node("Überfehler: größe"), (Some("Überfehler"), "größe"));
        assert_eq!(
            node("Runtime.ImportModuleError: Error: no"),
            (Some("Runtime.ImportModuleError"), "Error: no")
        );
        assert_eq!(node("Custom: TypeError: inner"), (Some("Custom"), "TypeError: inner"));
        assert_eq!(node("Bad thing: m"), (None, "Bad thing: m"));
        assert_eq!(header("Foo [Error]: m", Writer::Node).raw_error_type, Some("Foo [Error]"));
    }

    #[test]
    fn words_of_the_program_before_the_error_are_no_part_of_it() {
        let program = |text| parted(text, Writer::Program);
        assert_eq!(
            program("could not parse SyntaxError: Unexpected end"),
            (Some("SyntaxError"), "Unexpected end")
        );
        assert_eq!(program("failed: TypeError: x is not"), (Some("TypeError"), "x is not"));
        assert_eq!(program("Failed: TypeError: x is not"), (Some("TypeError"), "x is not"));
        assert_eq!(program("caught it NotFoundError"), (Some("NotFoundError"), ""));
        assert_eq!(program("Error: cannot: TypeError: x"), (Some("Error"), "cannot: TypeError: x"));
        assert_eq!(program("Custom: no"), (Some("Custom"), "no"));
        assert_eq!(program("request failed"), (None, "request failed"));
    }
}
