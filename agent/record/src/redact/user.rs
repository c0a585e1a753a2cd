//! Rules that a user adds.

use std::ops::Range;

use regex_lite::{Regex, RegexBuilder};

/// The longest pattern, in bytes.
const PATTERN_BYTES_MAX: usize = 1_024;

/// The most memory that one compiled pattern may take, in bytes: `(a{1000}){1000}` is short.
const COMPILED_BYTES_MAX: usize = 1024 * 1024;

/// The longest name, in bytes: it stands in the text for each secret.
const NAME_BYTES_MAX: usize = 32;

/// A name and a pattern. `regex-lite` is in the tree already, needs time in proportion to the text, and is small enough for
/// the extension.
#[derive(Clone)]
pub(super) struct Rule {
    name: String,
    pattern: Regex,
}

impl Rule {
    pub(super) fn new(name: &str, pattern: &str) -> Result<Self, String> {
        let fits =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_';
        if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.bytes().all(fits) {
            return Err(format!(
                "{name:?} is no name of a rule: 1 to {NAME_BYTES_MAX} small letters, digits, - and _"
            ));
        }
        if pattern.len() > PATTERN_BYTES_MAX {
            return Err(format!("the pattern of {name} is longer than {PATTERN_BYTES_MAX} bytes"));
        }
        let compiled = RegexBuilder::new(pattern)
            .size_limit(COMPILED_BYTES_MAX)
            .build()
            .map_err(|error| format!("the pattern of {name}: {error}"))?;
        if compiled.is_match("") {
            return Err(format!("the pattern of {name} matches the empty text"));
        }
        Ok(Self { name: name.to_owned(), pattern: compiled })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn find(&self, text: &str, found: &mut Vec<Range<usize>>) {
        if self.pattern.captures_len() > 1 {
            let groups = self.pattern.captures_iter(text).filter_map(|captures| captures.get(1));
            found.extend(groups.map(|group| group.range()).filter(|range| !range.is_empty()));
        } else {
            let matches = self.pattern.find_iter(text).map(|found| found.range());
            found.extend(matches.filter(|range| !range.is_empty()));
        }
    }
}
