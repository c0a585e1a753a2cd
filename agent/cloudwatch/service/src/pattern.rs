//! The filter pattern of `FilterLogEvents`, as far as it is about unstructured text: `a "b c"` wants all of them, `?a ?b`
//! one of them, `-a` none of them. Patterns over JSON and columns are refused rather than guessed.

use crate::refusal::Refusal;

/// What a message must contain.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Pattern {
    all: Vec<String>,
    any: Vec<String>,
    none: Vec<String>,
}

impl Pattern {
    pub(crate) fn parse(text: &str) -> Result<Self, Refusal> {
        let mut pattern = Self::default();
        let mut rest = text.trim_start();
        if rest.starts_with(['{', '[', '%']) {
            return Err(Refusal::invalid(
                "Invalid filter pattern: the stand-in knows patterns of terms only",
            ));
        }
        while !rest.is_empty() {
            let (list, after) = match rest.as_bytes()[0] {
                b'?' => (&mut pattern.any, &rest[1..]),
                b'-' => (&mut pattern.none, &rest[1..]),
                _ => (&mut pattern.all, rest),
            };
            let (term, after) = term(after)?;
            list.push(term);
            rest = after.trim_start();
        }
        Ok(pattern)
    }

    pub(crate) fn matches(&self, message: &str) -> bool {
        let has = |term: &String| message.contains(term.as_str());
        // Together with terms that must be there, AWS ignores those of which one is enough.
        let any = self.any.is_empty() || !self.all.is_empty() || self.any.iter().any(has);
        any && self.all.iter().all(has) && !self.none.iter().any(has)
    }
}

/// The first term and what follows it.
fn term(text: &str) -> Result<(String, &str), Refusal> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(char::is_whitespace).unwrap_or(text.len());
        let (term, rest) = text.split_at(end);
        let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80;
        if term.is_empty() || !term.bytes().all(word) {
            return Err(Refusal::invalid(
                "Invalid filter pattern: terms with other characters than letters and digits stand in quotes",
            ));
        }
        return Ok((term.to_owned(), rest));
    };
    let mut term = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Ok((term, &quoted[at + 1..])),
            '\\' => match characters.next() {
                Some((_, escaped @ ('"' | '\\'))) => term.push(escaped),
                Some((_, other)) => term.extend(['\\', other]),
                None => break,
            },
            _ => term.push(character),
        }
    }
    Err(Refusal::invalid("Invalid filter pattern: a quote is not closed"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms_must_may_or_must_not_be_there() {
        let cases = [
            ("", "anything", true),
            ("\"a b\"", "x a b y", true),
            ("\"a b\"", "a c b", false),
            ("a b", "b then a", true),
            ("a b", "b", false),
            ("?a ?b", "b", true),
            ("?a ?b", "c", false),
            ("a -b", "a", true),
            ("a -b", "a b", false),
            ("\"\\\"id\\\":\\\"7\\\"\"", "{\"id\":\"7\"}", true),
        ];
        for (pattern, message, expected) in cases {
            assert_eq!(Pattern::parse(pattern).unwrap().matches(message), expected, "{pattern} on {message}");
        }
    }

    #[test]
    fn what_is_no_pattern_of_terms_is_refused() {
        for text in ["{ $.a = 1 }", "[a, b]", "\"open", "a:b", "\"ends in \\", "?", "-"] {
            assert!(Pattern::parse(text).is_err(), "{text}");
        }
    }
}
