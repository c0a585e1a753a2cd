//! One pass over a line for the signs of all languages.
//!
//! Nearly every line has none of them, and then no language is asked anything: this is what a log without failures costs. The pass
//! compares sixteen or more bytes at once, however many languages there are.

use std::sync::LazyLock;

use crate::normalize::LANGUAGES;
use crate::words::Words;

/// The byte of marks below a line of code (`    ^^^^`), which may be the only one of such a line: it is a sign by itself.
const MARK: char = '^';

/// The languages that cannot say what their signs are: a bit for each row of [`LANGUAGES`].
const UNSIGNED: u32 = {
    let mut unsigned = 0;
    let mut row = 0;
    while row < LANGUAGES.len() {
        unsigned |= (LANGUAGES[row].signs.is_empty() as u32) << row;
        row += 1;
    }
    unsigned
};

static SIGNS: LazyLock<Words> = LazyLock::new(|| {
    let all: Vec<&str> = LANGUAGES.iter().flat_map(|language| language.signs).copied().collect();
    // A sign that holds another one adds nothing.
    let holds_none = |sign: &&str| !all.iter().any(|other| other != sign && sign.contains(other));
    let mut signs: Vec<&str> = all.iter().copied().filter(holds_none).collect();
    signs.sort_unstable();
    signs.dedup();
    Words::new(&signs)
});

/// Which of the languages `wanted` the line may be of, by the signs in it.
pub(super) fn languages(wanted: u32, line: &str) -> u32 {
    let is_mark = || line.trim_start().starts_with(MARK);
    if wanted & !UNSIGNED == 0 || SIGNS.any_in(line) || is_mark() { wanted } else { wanted & UNSIGNED }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_processor_looks_for_all_signs_at_once() {
        assert!(SIGNS.is_fast(), "the search holds at most 64 signs");
        assert_eq!(languages(!UNSIGNED, "priced order 17 in 12 ms"), 0);
        assert_eq!(languages(!UNSIGNED, "thread 'main' panicked at src/main.rs:3:5:"), !UNSIGNED);
        assert_eq!(languages(u32::MAX, "priced order 17 in 12 ms"), UNSIGNED);
    }
}
