//! Bits in bytes, least significant first: the lowest layer of every coded section.

/// Appends bits to a byte vector.
#[derive(Default)]
pub(crate) struct BitWriter {
    bytes: Vec<u8>,
    pending: u64,
    count: u32,
}

impl BitWriter {
    /// Appends the low `count` (at most 32) bits of `value`.
    pub(crate) fn put(&mut self, value: u32, count: u32) {
        let mask = (1_u64 << count.min(32)) - 1;
        self.pending |= (u64::from(value) & mask) << self.count;
        self.count += count.min(32);
        while self.count >= 8 {
            self.bytes.push((self.pending & 0xff) as u8);
            self.pending >>= 8;
            self.count -= 8;
        }
    }

    /// Fills the last byte with zeros and returns the number of bytes so far.
    pub(crate) fn align(&mut self) -> usize {
        if self.count > 0 {
            self.bytes.push((self.pending & 0xff) as u8);
            self.pending = 0;
            self.count = 0;
        }
        self.bytes.len()
    }

    /// The number of bits written so far.
    pub(crate) fn position(&self) -> usize {
        self.bytes.len() * 8 + self.count as usize
    }

    /// The bytes, the last one filled with zeros.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.align();
        self.bytes
    }
}

/// Reads bits from a slice. Past the end there are only zeros, so a reader of damaged input goes on in
/// well-defined nonsense; its loops are bounded by counts, never by the input's end.
pub(crate) struct BitReader<'a> {
    bytes: &'a [u8],
    position: usize,
    pending: u64,
    count: u32,
}

impl<'a> BitReader<'a> {
    /// A reader that begins at this bit.
    pub(crate) fn at_bit(bytes: &'a [u8], bit: usize) -> Self {
        let mut reader = Self { bytes, position: bit / 8, pending: 0, count: 0 };
        reader.refill();
        reader.skip((bit % 8) as u32);
        reader.refill();
        reader
    }

    /// Makes at least 56 bits available.
    #[inline]
    pub(crate) fn refill(&mut self) {
        let word = match self.bytes.get(self.position..).and_then(<[u8]>::first_chunk::<8>) {
            Some(chunk) => u64::from_le_bytes(*chunk),
            None => self.tail(),
        };
        self.pending |= word << self.count;
        let taken = (63 - self.count) >> 3;
        self.position = self.position.saturating_add(taken as usize);
        self.count |= 56;
    }

    /// The last bytes of the input, followed by zeros.
    #[cold]
    fn tail(&self) -> u64 {
        let rest = self.bytes.get(self.position..).unwrap_or_default();
        rest.iter().take(8).rev().fold(0, |word, &byte| (word << 8) | u64::from(byte))
    }

    /// The next bits, not consumed.
    #[inline]
    pub(crate) fn peek(&self) -> u64 {
        self.pending
    }

    /// Consumes bits that are available (see [`BitReader::refill`]).
    #[inline]
    pub(crate) fn skip(&mut self, count: u32) {
        let count = count.min(self.count);
        self.pending >>= count;
        self.count -= count;
    }
}
