//! Owns the quick hash by which a text is recognised that was read before, and the hasher of what is hashed already.

use std::hash::{BuildHasher, Hasher};

/// An odd number without a pattern: the fraction of the golden ratio.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

/// The hasher of numbers that are hashes already.
#[derive(Debug, Clone, Default)]
pub(crate) struct Given(u64);

/// Returns a hash of some bytes. With a key that nobody outside knows, nobody outside can make two texts collide, other
/// than by luck: one chance in 2^64.
#[inline]
pub(crate) fn hash(key: u64, bytes: &[u8]) -> u64 {
    let (pairs, rest) = bytes.as_chunks::<16>();
    let mut state = key ^ SPREAD.wrapping_mul(bytes.len() as u64 + 1);
    for pair in pairs {
        state = step(state, key, *pair);
    }
    let mut last = [0; 16];
    last[..rest.len()].copy_from_slice(rest);
    fold(step(state, key, last), SPREAD)
}

#[inline]
fn step(state: u64, key: u64, pair: [u8; 16]) -> u64 {
    let pair = u128::from_le_bytes(pair);
    fold(pair as u64 ^ state, (pair >> 64) as u64 ^ key ^ SPREAD)
}

/// Multiplies, and lets both halves of the product count.
#[inline]
fn fold(one: u64, other: u64) -> u64 {
    let product = u128::from(one) * u128::from(other);
    product as u64 ^ (product >> 64) as u64
}

// === impl Given ===

impl Hasher for Given {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = hash(self.0, bytes);
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }
}

impl BuildHasher for Given {
    type Hasher = Self;

    fn build_hasher(&self) -> Self {
        Self::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bit_or_a_zero_more_makes_a_difference() {
        for length in 0..70 {
            let bytes = vec![0; length];
            assert_ne!(hash(1, &bytes), hash(1, &vec![0; length + 1]));
            assert_ne!(hash(1, &bytes), hash(2, &bytes));
            for bit in 0..length * 8 {
                let mut other = bytes.clone();
                other[bit / 8] ^= 1 << (bit % 8);
                assert_ne!(hash(1, &bytes), hash(1, &other), "bit {bit} of {length} bytes");
            }
        }
    }
}
