//! Text in memory of a fixed size: there is no other.

use core::ffi::{CStr, c_char};

/// Bytes of the longest text, a zero byte at its end included: what is handed over to the extension, which takes 16 KiB.
const BYTES_MAX: usize = 16 * 1024;

/// A text. What does not fit is not there, and [`Text::is_whole`] says so.
pub(crate) struct Text {
    bytes: [u8; BYTES_MAX],
    length: usize,
    is_whole: bool,
}

impl Text {
    /// An empty one.
    pub(crate) fn new() -> Self {
        Self { bytes: [0; BYTES_MAX], length: 0, is_whole: true }
    }

    /// Adds these bytes, or none of them.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        let end = self.length + bytes.len();
        // The last byte stays zero.
        match self.bytes[..BYTES_MAX - 1].get_mut(self.length..end) {
            Some(room) => {
                room.copy_from_slice(bytes);
                self.length = end;
            }
            None => self.is_whole = false,
        }
    }

    /// Adds a number in decimal digits.
    pub(crate) fn push_number(&mut self, number: usize) {
        if number >= 10 {
            self.push_number(number / 10);
        }
        self.push(&[b'0' + (number % 10) as u8]);
    }

    /// True if everything fitted.
    pub(crate) fn is_whole(&self) -> bool {
        self.is_whole
    }

    /// The text.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    /// The text with a zero byte behind it.
    pub(crate) fn c_str(&self) -> Option<&CStr> {
        CStr::from_bytes_until_nul(&self.bytes).ok()
    }

    /// Where it begins. A zero byte is behind it.
    pub(crate) fn as_ptr(&self) -> *const c_char {
        self.bytes.as_ptr().cast()
    }
}
