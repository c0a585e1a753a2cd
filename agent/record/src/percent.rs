//! Percent-encoding, in which URLs write the bytes that mean something else in them.

/// Decodes `%20`. What is no such escape, or gives no UTF-8, stays as it is.
pub(crate) fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let digits = bytes.get(at + 1..at + 3).filter(|_| *byte == b'%');
        let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        match digits.and_then(|digits| Some(digit(digits[0])? * 16 + digit(digits[1])?)) {
            Some(escaped) => {
                decoded.push(escaped);
                at += 3;
            }
            None => {
                decoded.push(*byte);
                at += 1;
            }
        }
    }
    String::from_utf8(decoded).unwrap_or_else(|_| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_decoded_and_everything_else_stays() {
        assert_eq!(decoded("/my%20lib%20(v1).mjs"), "/my lib (v1).mjs");
        assert_eq!(decoded("%e6%97%A5"), "日");
        for plain in ["", "%", "%2", "%zz", "100%", "%é9", "%ff"] {
            assert_eq!(decoded(plain), plain);
        }
    }
}
