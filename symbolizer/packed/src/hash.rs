//! Hashing: the packer's tables are asked so often that the standard hasher would be much of the work.

use std::hash::{BuildHasher, Hasher, RandomState};

/// Makes hashers with a key of their own, so that input cannot be made to collide.
#[derive(Clone, Copy)]
pub(crate) struct FastHashing(u64);

impl Default for FastHashing {
    fn default() -> Self {
        Self(RandomState::new().hash_one(0_u8) | 1)
    }
}

impl BuildHasher for FastHashing {
    type Hasher = FastHasher;

    fn build_hasher(&self) -> FastHasher {
        FastHasher(self.0)
    }
}

/// Multiplies and folds every number into the hash.
pub(crate) struct FastHasher(u64);

impl Hasher for FastHasher {
    fn write(&mut self, bytes: &[u8]) {
        let (chunks, rest) = bytes.as_chunks::<8>();
        chunks.iter().for_each(|chunk| self.write_u64(u64::from_le_bytes(*chunk)));
        // The length tells the last chunk from one that ends in zeros.
        let last = rest.iter().fold(rest.len() as u64, |last, &byte| (last << 8) | u64::from(byte));
        self.write_u64(last);
    }

    #[inline]
    fn write_u8(&mut self, value: u8) {
        self.write_u64(u64::from(value));
    }

    #[inline]
    fn write_u32(&mut self, value: u32) {
        self.write_u64(u64::from(value));
    }

    #[inline]
    fn write_u64(&mut self, value: u64) {
        let product = u128::from(self.0 ^ value).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
        self.0 = (product >> 64) as u64 ^ product as u64;
    }

    #[inline]
    fn finish(&self) -> u64 {
        self.0
    }
}
