//! Colours in printed text.

use std::borrow::Cow;

/// The text without its colours: the sequences `ESC [ … letter` (ECMA-48, section 5.4).
pub(crate) fn without_colours(text: &str) -> Cow<'_, str> {
    if memchr::memchr(0x1b, text.as_bytes()).is_none() {
        return Cow::Borrowed(text);
    }
    let mut plain = String::with_capacity(text.len());
    let mut parts = text.split('\u{1b}');
    plain.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let sequence = part.strip_prefix('[').and_then(|rest| {
            let parameters = rest.bytes().take_while(|byte| (0x20..0x40).contains(byte)).count();
            rest.as_bytes().get(parameters).filter(|end| (0x40..0x7f).contains(*end)).map(|_| parameters + 2)
        });
        match sequence {
            Some(length) => plain.push_str(&part[length..]),
            // Something else than a colour, which is kept.
            None => {
                plain.push('\u{1b}');
                plain.push_str(part);
            }
        }
    }
    Cow::Owned(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_go_and_nothing_else() {
        assert_eq!(
            without_colours("\u{1b}[1mwrapped (\u{1b}[1;4mE\u{1b}[m\u{1b}[1m)\u{1b}[m"),
            "wrapped (E)"
        );
        for text in ["", "plain", "\u{1b}", "\u{1b}[", "\u{1b}[1", "\u{1b}]0;x", "\u{1b}[é"] {
            assert_eq!(without_colours(text), text);
        }
    }
}
