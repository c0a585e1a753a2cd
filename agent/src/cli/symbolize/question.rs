//! What a line asks: an address, or the name of a symbol, in a program.
//!
//! Each tool reads a line in its own way, and programs that drive them rely on it: whatever stands on a line, there is
//! one answer for it.

use std::path::{Path, PathBuf};

use super::style::Dialect;

/// One question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Question {
    /// The program; `None` if it is not known.
    pub(super) object: Option<PathBuf>,
    pub(super) place: Place,
    pub(super) subject: Subject,
    /// The line, for those who echo it.
    pub(super) typed: String,
}

/// A place in a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    Address(u64),
    /// The name of a symbol, and how many bytes behind its start.
    Symbol(String, u64),
    /// The line makes no sense.
    Nowhere,
}

/// What is wanted of a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Subject {
    Code,
    Data,
}

impl Question {
    /// Reads a line. `object` is the program, if all lines are about one.
    pub(super) fn read(line: &str, object: Option<&Path>, dialect: Dialect) -> Question {
        let typed = line.trim_matches(['\r', ' ', '\t']);
        let (subject, rest) = subject(typed);
        let (object, rest) = match object {
            Some(object) => (Some(object.to_owned()), rest),
            None => with_object(rest),
        };
        Question { object, place: place(rest, dialect), subject, typed: typed.to_owned() }
    }
}

/// Takes off the word in front of an address that says what is wanted.
fn subject(text: &str) -> (Subject, &str) {
    for (word, subject) in [("CODE ", Subject::Code), ("DATA ", Subject::Data)] {
        if let Some(rest) = text.strip_prefix(word) {
            return (subject, rest.trim_start());
        }
    }
    (Subject::Code, text)
}

/// Splits `OBJ 0xADDR`, where the path may stand in quotes or behind `FILE:`.
fn with_object(text: &str) -> (Option<PathBuf>, &str) {
    let text = text.strip_prefix("FILE:").unwrap_or(text);
    for quote in ['"', '\''] {
        if let Some((path, rest)) = text.strip_prefix(quote).and_then(|text| text.split_once(quote)) {
            return (Some(PathBuf::from(path)), rest.trim_start());
        }
    }
    match text.split_once([' ', '\t']) {
        Some((path, rest)) => (Some(PathBuf::from(path)), rest.trim_start()),
        None => (None, text),
    }
}

/// Reads an address or a name as the tool of the `dialect` does.
fn place(text: &str, dialect: Dialect) -> Place {
    let word = text.split([' ', '\t', '\r']).next().unwrap_or_default();
    match dialect {
        Dialect::Native => hexadecimal(word).map_or(Place::Nowhere, Place::Address),
        Dialect::Gnu => match leading_hexadecimal(word) {
            Some(address) => Place::Address(address),
            None => symbol(word),
        },
        Dialect::LlvmAddr2line | Dialect::Elfutils => {
            hexadecimal(word).map_or_else(|| symbol(word), Place::Address)
        }
        Dialect::Llvm => any_radix(word).map_or_else(|| symbol(word), Place::Address),
    }
}

fn symbol(word: &str) -> Place {
    let (name, offset) = word.split_once('+').unwrap_or((word, "0"));
    match any_radix(offset) {
        Some(offset)
            if name.starts_with(|first: char| first.is_alphabetic() || first == '_' || first == '.') =>
        {
            Place::Symbol(name.to_owned(), offset)
        }
        _ => Place::Nowhere,
    }
}

fn without_prefix(word: &str) -> Option<&str> {
    word.strip_prefix("0x").or_else(|| word.strip_prefix("0X"))
}

/// A whole number in hexadecimal digits.
fn hexadecimal(word: &str) -> Option<u64> {
    let digits = without_prefix(word).unwrap_or(word);
    if digits.starts_with('+') {
        return None;
    }
    u64::from_str_radix(digits, 16).ok()
}

/// The hexadecimal number that a word begins with, as `strtoul` reads it: `c_entry` is 0xc.
fn leading_hexadecimal(word: &str) -> Option<u64> {
    let word = word.strip_prefix('+').unwrap_or(word);
    let digits = without_prefix(word).unwrap_or(word);
    let end = digits.find(|digit: char| !digit.is_ascii_hexdigit()).unwrap_or(digits.len());
    u64::from_str_radix(&digits[..end], 16).ok()
}

/// A whole number, decimal unless its prefix says otherwise: `0x` for hexadecimal, `0b` for binary, `0` for octal.
fn any_radix(word: &str) -> Option<u64> {
    if word.starts_with('+') {
        return None;
    }
    if let Some(digits) = without_prefix(word) {
        return u64::from_str_radix(digits, 16).ok();
    }
    if let Some(digits) = word.strip_prefix("0b").or_else(|| word.strip_prefix("0B")) {
        return u64::from_str_radix(digits, 2).ok();
    }
    match word.strip_prefix('0').filter(|digits| !digits.is_empty()) {
        Some(digits) => u64::from_str_radix(digits.strip_prefix('o').unwrap_or(digits), 8).ok(),
        None => word.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_tool_reads_a_number_in_its_own_way() {
        let at = |text, dialect| place(text, dialect);
        for (text, gnu, llvm_addr2line, llvm) in [
            ("1360", Some(0x1360), Some(0x1360), Some(1360)),
            ("0x1360", Some(0x1360), Some(0x1360), Some(0x1360)),
            ("010", Some(0x10), Some(0x10), Some(8)),
            ("dead", Some(0xdead), Some(0xdead), None),
            ("c_entry", Some(0xc), None, None),
            ("1360 trailing", Some(0x1360), Some(0x1360), Some(1360)),
        ] {
            for (dialect, expected) in
                [(Dialect::Gnu, gnu), (Dialect::LlvmAddr2line, llvm_addr2line), (Dialect::Llvm, llvm)]
            {
                let place = at(text, dialect);
                let address = match place {
                    Place::Address(address) => Some(address),
                    _ => None,
                };
                assert_eq!(address, expected, "{text} {dialect:?}");
            }
        }
        assert_eq!(at("main+4", Dialect::Gnu), Place::Symbol("main".into(), 4));
        assert_eq!(at(",", Dialect::Gnu), Place::Nowhere);
        assert_eq!(at("", Dialect::Llvm), Place::Nowhere);
        assert_eq!(at("+0x1360", Dialect::Llvm), Place::Nowhere);
        assert_eq!(at("0xffffffffffffffffff", Dialect::Native), Place::Nowhere);
    }

    #[test]
    fn a_line_may_name_its_program() {
        let read = |line| Question::read(line, None, Dialect::Llvm);
        for line in ["app 0x10", "CODE app 0x10", "\"app\" 0x10", "CODE \"app\" 0x10\r", "FILE:app 0x10"] {
            let question = read(line);
            assert_eq!(
                (question.object.as_deref(), question.place),
                (Some(Path::new("app")), Place::Address(16)),
                "{line}"
            );
        }
        assert_eq!(read("\"a b\" 0x10").object.as_deref(), Some(Path::new("a b")));
        assert_eq!(read("nothing").object, None);
    }
}
