//! A place in a section, from which numbers are read. At the end of the section every read answers `None`, which ends
//! what is being read and nothing else.

/// Bytes of one LEB128 number at most: what 64 bits take.
const LEB_BYTES_MAX: u32 = 10;

/// Reads a section from front to back.
#[derive(Clone, Copy)]
pub(crate) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
    big_endian: bool,
}

impl<'a> Cursor<'a> {
    /// Reads `bytes` from offset `at`, which may lie outside: then there is nothing to read.
    pub(crate) fn new(bytes: &'a [u8], at: usize, big_endian: bool) -> Cursor<'a> {
        Cursor { bytes, at, big_endian }
    }

    /// The offset of the next byte.
    #[inline]
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// Goes on at offset `at`.
    #[inline]
    pub(crate) fn seek(&mut self, at: usize) {
        self.at = at;
    }

    /// The bytes that are left.
    #[inline]
    pub(crate) fn left(&self) -> usize {
        self.bytes.len().saturating_sub(self.at)
    }

    #[inline]
    pub(crate) fn skip(&mut self, bytes: usize) -> Option<()> {
        let at = self.at.checked_add(bytes)?;
        (at <= self.bytes.len()).then(|| self.at = at)
    }

    #[inline]
    pub(crate) fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let end = self.at.checked_add(length)?;
        let taken = self.bytes.get(self.at..end)?;
        self.at = end;
        Some(taken)
    }

    #[inline]
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    #[inline]
    pub(crate) fn u8(&mut self) -> Option<u8> {
        let byte = *self.bytes.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    #[inline]
    pub(crate) fn u16(&mut self) -> Option<u16> {
        let array = self.array()?;
        Some(if self.big_endian { u16::from_be_bytes(array) } else { u16::from_le_bytes(array) })
    }

    #[inline]
    pub(crate) fn u32(&mut self) -> Option<u32> {
        let array = self.array()?;
        Some(if self.big_endian { u32::from_be_bytes(array) } else { u32::from_le_bytes(array) })
    }

    #[inline]
    pub(crate) fn u64(&mut self) -> Option<u64> {
        let array = self.array()?;
        Some(if self.big_endian { u64::from_be_bytes(array) } else { u64::from_le_bytes(array) })
    }

    /// A number of `size` bytes: 1 to 8.
    #[inline]
    pub(crate) fn unsigned(&mut self, size: u8) -> Option<u64> {
        match size {
            1 => self.u8().map(u64::from),
            2 => self.u16().map(u64::from),
            4 => self.u32().map(u64::from),
            8 => self.u64(),
            3 | 5 | 6 | 7 => {
                let bytes = self.take(usize::from(size))?;
                let push = |number: u64, byte: &u8| number << 8 | u64::from(*byte);
                Some(if self.big_endian {
                    bytes.iter().fold(0, push)
                } else {
                    bytes.iter().rev().fold(0, push)
                })
            }
            _ => None,
        }
    }

    /// An unsigned LEB128 number; bits beyond 64 are dropped.
    #[inline]
    pub(crate) fn uleb(&mut self) -> Option<u64> {
        let first = self.u8()?;
        if first < 0x80 {
            return Some(u64::from(first));
        }
        let mut number = u64::from(first & 0x7f);
        for index in 1..LEB_BYTES_MAX {
            let byte = self.u8()?;
            number |= u64::from(byte & 0x7f) << (7 * index);
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }

    /// A signed LEB128 number.
    #[inline]
    pub(crate) fn sleb(&mut self) -> Option<i64> {
        let mut number = 0_i64;
        for index in 0..LEB_BYTES_MAX {
            let byte = self.u8()?;
            let shift = 7 * index;
            number |= i64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                let unused = 64_u32.saturating_sub(shift + 7);
                return Some(if unused > 0 { number << unused >> unused } else { number });
            }
        }
        None
    }

    /// Goes past a LEB128 number.
    #[inline]
    pub(crate) fn skip_leb(&mut self) -> Option<()> {
        while self.u8()? >= 0x80 {}
        Some(())
    }

    /// The bytes up to the next NUL, which is read and not part of them.
    #[inline]
    pub(crate) fn text(&mut self) -> Option<&'a [u8]> {
        let rest = self.bytes.get(self.at..)?;
        let length = memchr::memchr(0, rest)?;
        self.at += length + 1;
        rest.get(..length)
    }

    /// A length as it begins units and tables, and whether offsets in what follows have 8 bytes (64-bit DWARF) or 4.
    pub(crate) fn initial_length(&mut self) -> Option<(u64, u8)> {
        match self.u32()? {
            0xffff_ffff => Some((self.u64()?, 8)),
            // Reserved by the standard.
            0xffff_fff0..=0xffff_fffe => None,
            length => Some((u64::from(length), 4)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cursor(bytes: &[u8]) -> Cursor<'_> {
        Cursor::new(bytes, 0, false)
    }

    /// The examples of DWARF 5, section 7.6.
    #[test]
    fn leb128_numbers_are_those_of_the_standard() {
        for (number, bytes) in
            [(2, &[2][..]), (127, &[127]), (128, &[0x80, 1]), (129, &[0x81, 1]), (12_857, &[0xb9, 0x64])]
        {
            assert_eq!(cursor(bytes).uleb(), Some(number));
        }
        for (number, bytes) in [
            (2, &[2][..]),
            (-2, &[0x7e]),
            (127, &[0xff, 0]),
            (-127, &[0x81, 0x7f]),
            (128, &[0x80, 1]),
            (-128, &[0x80, 0x7f]),
            (i64::MIN, &[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x7f]),
        ] {
            assert_eq!(cursor(bytes).sleb(), Some(number));
        }
        assert_eq!(cursor(&[0xff; 20]).uleb(), None, "longer than 64 bits");
        assert_eq!(cursor(&[0x80]).uleb(), None, "cut off");
    }

    #[test]
    fn numbers_have_the_byte_order_of_the_file() {
        let bytes = [1, 2, 3, 4, 5, 6, 7, 8];
        assert_eq!(Cursor::new(&bytes, 0, false).unsigned(3), Some(0x03_0201));
        assert_eq!(Cursor::new(&bytes, 0, true).unsigned(3), Some(0x01_0203));
        assert_eq!(Cursor::new(&bytes, 4, true).u32(), Some(0x0506_0708));
        assert_eq!(Cursor::new(&bytes, 0, false).unsigned(9), None);
    }

    #[test]
    fn reading_past_the_end_is_none_and_moves_nothing() {
        let mut cursor = cursor(&[1, 2]);
        assert_eq!(cursor.u32(), None);
        assert_eq!(cursor.skip(3), None);
        assert_eq!((cursor.at(), cursor.left()), (0, 2));
        cursor.seek(usize::MAX);
        assert_eq!((cursor.u8(), cursor.text(), cursor.left()), (None, None, 0));
    }
}
