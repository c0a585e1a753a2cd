//! Numbers and strings out of a slice in the byte order and word size of the program.

use crate::memory::Endian;

/// Longest name or path that is read, in bytes: the Go linker's names of instantiated generics are the
/// longest that occur, at a few kilobytes.
const MAX_STRING: usize = 16 * 1024;

/// How the program writes numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Format {
    pub(crate) endian: Endian,
    /// Bytes of a pointer: 4 or 8.
    pub(crate) pointer: usize,
}

impl Format {
    pub(crate) fn u32(self, bytes: &[u8], offset: usize) -> Option<u32> {
        let raw = bytes.get(offset..offset.checked_add(4)?)?.try_into().ok()?;
        Some(match self.endian {
            Endian::Little => u32::from_le_bytes(raw),
            Endian::Big => u32::from_be_bytes(raw),
        })
    }

    /// A word as wide as a pointer.
    pub(crate) fn word(self, bytes: &[u8], offset: usize) -> Option<u64> {
        if self.pointer == 4 {
            return self.u32(bytes, offset).map(u64::from);
        }
        let raw = bytes.get(offset..offset.checked_add(8)?)?.try_into().ok()?;
        Some(match self.endian {
            Endian::Little => u64::from_le_bytes(raw),
            Endian::Big => u64::from_be_bytes(raw),
        })
    }
}

/// The text up to the zero byte after `offset`; of bytes that are not UTF-8, the part before them.
pub(crate) fn string_at(bytes: &[u8], offset: usize) -> Option<&str> {
    let rest = bytes.get(offset..)?;
    let window = rest.get(..rest.len().min(MAX_STRING))?;
    let length = window.iter().position(|&byte| byte == 0)?;
    let text = window.get(..length)?;
    match std::str::from_utf8(text) {
        Ok(text) => Some(text),
        Err(error) => std::str::from_utf8(text.get(..error.valid_up_to())?).ok(),
    }
}
