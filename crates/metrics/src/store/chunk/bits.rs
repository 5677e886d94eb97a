//! Owns a stream of bits in bytes, the highest bit of each byte first.

/// As many bytes as a stream grows by when it is full: most series gain less than a byte per sample.
const GROWTH_BYTES: usize = 16;

/// Whoever writes keeps the count of free bits, where it takes no room.
#[derive(Debug, Clone, Default)]
pub(super) struct Writer {
    bytes: Vec<u8>,
}

#[derive(Debug)]
pub(super) struct Reader<'b> {
    pub(super) bytes: &'b [u8],
    pub(super) at_bit: usize,
}

// === impl Writer ===

impl Writer {
    /// Adds the lower `count` bits of a number, 64 at most; `free` bits of the last byte are not written yet.
    pub(super) fn put(&mut self, free: &mut u8, number: u64, count: u32) {
        let mut left = count;
        while left > 0 {
            if *free == 0 {
                if self.bytes.len() == self.bytes.capacity() {
                    self.bytes.reserve_exact(GROWTH_BYTES.max(self.bytes.len() / 8));
                }
                self.bytes.push(0);
                *free = 8;
            }
            let taken = left.min(u32::from(*free));
            let bits = (number >> (left - taken)) as u8 & (0xff >> (8 - taken));
            *free -= taken as u8;
            if let Some(last) = self.bytes.last_mut() {
                *last |= bits << *free;
            }
            left -= taken;
        }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

// === impl Reader ===

impl<'b> Reader<'b> {
    /// Tells whether nothing was taken that lies beyond the end, where there are only zeros.
    #[inline]
    pub(super) fn is_within(&self) -> bool {
        self.at_bit <= self.bytes.len() * 8
    }

    /// Takes `count` bits, 64 at most.
    #[inline]
    pub(super) fn take(&mut self, count: u32) -> u64 {
        if count > 56 {
            let high = self.take(count - 32);
            return high << 32 | self.take(32);
        }
        let word = self.word();
        self.skip(count);
        // In two steps, because `count` may be 0.
        word >> 1 >> (63 - count)
    }

    #[inline]
    pub(super) fn skip(&mut self, count: u32) {
        self.at_bit += count as usize;
    }

    /// Returns the next 57 bits or more at the top of a number, with zeros beyond the end.
    #[inline]
    pub(super) fn word(&self) -> u64 {
        let at = self.at_bit / 8;
        let word = match self.bytes.get(at..at + 8).and_then(<[u8]>::first_chunk::<8>) {
            Some(word) => u64::from_be_bytes(*word),
            None => self.last_word(at),
        };
        word << (self.at_bit % 8)
    }

    /// Returns the bytes from there on, fewer than eight. Of a stream that hardly changes most samples lie there.
    #[inline]
    fn last_word(&self, at: usize) -> u64 {
        let Some(word) = self.bytes.last_chunk::<8>() else {
            let rest = self.bytes.iter().skip(at).zip((0..8).rev());
            return rest.fold(0, |word, (byte, place)| word | u64::from(*byte) << (8 * place));
        };
        let n_before = 8u32.saturating_sub(self.bytes.len().saturating_sub(at) as u32);
        u64::from_be_bytes(*word).checked_shl(8 * n_before).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_found_wherever_they_lie() {
        let bytes: Vec<u8> = (0..20).map(|byte: u8| byte.wrapping_mul(91).wrapping_add(37)).collect();
        for length in 0..=bytes.len() {
            for at_bit in 0..=8 * length + 70 {
                let bit = |at: usize| match bytes[..length].get(at / 8) {
                    Some(byte) => u64::from(byte >> (7 - at % 8) & 1),
                    None => 0,
                };
                for count in [0, 1, 7, 31, 56, 57, 63, 64] {
                    let expect = (at_bit..at_bit + count).fold(0, |word, at| word << 1 | bit(at));
                    let mut reader = Reader { bytes: &bytes[..length], at_bit };
                    assert_eq!(
                        reader.take(count as u32),
                        expect,
                        "{count} bits at {at_bit} of {length} bytes"
                    );
                    assert_eq!(reader.is_within(), at_bit + count <= 8 * length);
                }
            }
        }
    }
}
