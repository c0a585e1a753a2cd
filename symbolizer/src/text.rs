//! Cutting text that somebody else made as long as they liked.

/// The beginning of `text`: whole characters, at most `bytes_max` bytes of them.
pub(crate) fn head(text: &str, bytes_max: usize) -> &str {
    // A character has at most four bytes, so one of the four places is a boundary.
    let end =
        (bytes_max.saturating_sub(3)..=bytes_max.min(text.len())).rfind(|end| text.is_char_boundary(*end));
    if text.len() <= bytes_max { text } else { &text[..end.unwrap_or(0)] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cut_between_characters() {
        assert_eq!(head("abc", 3), "abc");
        assert_eq!(head("abcd", 3), "abc");
        assert_eq!(head("aé", 2), "a");
        assert_eq!(head("a😀b", 4), "a");
        assert_eq!(head("a😀b", 5), "a😀");
        assert_eq!(head("😀", 2), "");
        assert_eq!(head("a", 0), "");
    }
}
