//! Text in memory of a fixed size: there is no other.

use core::ffi::CStr;

/// Bytes of the longest path, a zero byte at its end included (Linux, `PATH_MAX`).
pub(crate) const PATH_BYTES_MAX: usize = 4096;

/// A text of less than `MAX` bytes. What does not fit is not there, and then there is no [`Text::c_str`].
pub(crate) struct Text<const MAX: usize> {
    bytes: [u8; MAX],
    length: usize,
    is_whole: bool,
}

impl<const MAX: usize> Text<MAX> {
    /// An empty one.
    pub(crate) fn new() -> Self {
        Self { bytes: [0; MAX], length: 0, is_whole: true }
    }

    /// Adds these bytes, or none of them.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        let end = self.length + bytes.len();
        // The last byte stays zero.
        match self.bytes[..MAX - 1].get_mut(self.length..end) {
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

    /// What fitted.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    /// The text with a zero byte behind it, if everything fitted.
    pub(crate) fn c_str(&self) -> Option<&CStr> {
        CStr::from_bytes_until_nul(&self.bytes).ok().filter(|_| self.is_whole)
    }
}
