//! The build-id: the linker's name for one exact link of one program (the `NT_GNU_BUILD_ID` note), the same in
//! the program, in its stripped copy and in its debug file.

use std::fmt;
use std::str::FromStr;

/// Linkers write 8 (fast), 16 (md5, uuid) or 20 (sha1) bytes; `--build-id=0x...` takes anything. Longer than this
/// is no id but somebody's note.
const BUILD_ID_BYTES_MAX: usize = 64;

/// The first byte names a directory below `.build-id`, the rest a file in it, so there must be a rest.
const BUILD_ID_BYTES_MIN: usize = 2;

/// A build-id. Prints, and is read, as hexadecimal digits: `9d2c…`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BuildId(Box<[u8]>);

/// Text that is no build-id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a build-id, expected 4 to 128 hexadecimal digits in pairs: {text:?}")]
pub struct BuildIdError {
    text: String,
}

impl BuildId {
    /// `None` if `bytes` are too few or too many for a build-id.
    pub fn new(bytes: &[u8]) -> Option<Self> {
        (BUILD_ID_BYTES_MIN..=BUILD_ID_BYTES_MAX).contains(&bytes.len()).then(|| BuildId(bytes.into()))
    }

    /// The bytes of the note.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl FromStr for BuildId {
    type Err = BuildIdError;

    /// Reads hexadecimal digits of either case.
    fn from_str(text: &str) -> Result<Self, BuildIdError> {
        let digit = |byte: u8| char::from(byte).to_digit(16);
        let bytes: Option<Vec<u8>> = text
            .as_bytes()
            .chunks(2)
            .take(BUILD_ID_BYTES_MAX + 1)
            .map(|pair| match pair {
                // Two digits below 16 fit a byte.
                [high, low] => Some((digit(*high)? << 4 | digit(*low)?) as u8),
                _ => None,
            })
            .collect();
        bytes
            .and_then(|bytes| BuildId::new(&bytes))
            .ok_or_else(|| BuildIdError { text: text.chars().take(2 * BUILD_ID_BYTES_MAX).collect() })
    }
}

impl fmt::Display for BuildId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for BuildId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BuildId({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_of_either_case_are_read_and_lower_case_is_printed() {
        let id: BuildId = "9D2c00ff".parse().unwrap();
        assert_eq!(id.as_bytes(), [0x9d, 0x2c, 0x00, 0xff]);
        assert_eq!(id.to_string(), "9d2c00ff");
    }

    #[test]
    fn what_is_no_build_id_is_said_to_be_none() {
        let long = "ab".repeat(65);
        for text in ["", "9d", "9d2", "9d2g", "0x9d2c", "é2", "+1+1", &long] {
            let error = text.parse::<BuildId>().unwrap_err();
            assert!(error.to_string().starts_with("not a build-id"), "{text}: {error}");
        }
        assert_eq!("ab".repeat(64).parse::<BuildId>().unwrap().as_bytes().len(), 64);
    }
}
