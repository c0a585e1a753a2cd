//! Cutting text where a character ends.

/// The longest prefix of `text` that has at most `bytes_max` bytes and ends between two characters.
#[must_use]
pub fn prefix(text: &str, bytes_max: usize) -> &str {
    if text.len() <= bytes_max {
        return text;
    }
    let mut end = bytes_max;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// Cuts `text` in place to at most `bytes_max` bytes, and says how many bytes went.
pub fn cut(text: &mut String, bytes_max: usize) -> usize {
    let kept = prefix(text, bytes_max).len();
    let gone = text.len() - kept;
    text.truncate(kept);
    gone
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_never_falls_inside_a_character() {
        // "€" is three bytes, so of eight bytes only two whole characters remain.
        assert_eq!(prefix("€€€", 8), "€€");
        assert_eq!(prefix("€€€", 9), "€€€");
        assert_eq!(prefix("€", 2), "");
        let mut text = String::from("a€");
        assert_eq!(cut(&mut text, 2), 3);
        assert_eq!(text, "a");
    }
}
