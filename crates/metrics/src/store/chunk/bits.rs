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
    bytes: &'b [u8],
    at_bit: usize,
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
    pub(super) fn new(bytes: &'b [u8]) -> Self {
        Self { bytes, at_bit: 0 }
    }

    /// Takes `count` bits, 64 at most, if there are as many.
    #[inline]
    pub(super) fn take(&mut self, count: u32) -> Option<u64> {
        if count > 56 {
            let high = self.take(count - 32)?;
            return Some(high << 32 | self.take(32)?);
        }
        if self.at_bit + count as usize > self.bytes.len() * 8 {
            return None;
        }
        if count == 0 {
            return Some(0);
        }
        let word = self.word();
        self.at_bit += count as usize;
        Some(word >> (64 - count))
    }

    /// Counts ones up to the first 0, which is taken as well, or up to `most`.
    #[inline]
    pub(super) fn ones(&mut self, most: u32) -> Option<u32> {
        let ones = self.word().leading_ones().min(most);
        self.take(if ones < most { ones + 1 } else { ones })?;
        Some(ones)
    }

    /// Returns the next 57 bits or more at the top of a number, with zeros beyond the end.
    #[inline]
    fn word(&self) -> u64 {
        let rest = &self.bytes[(self.at_bit / 8).min(self.bytes.len())..];
        let word = match rest.first_chunk::<8>() {
            Some(word) => u64::from_be_bytes(*word),
            None => {
                let mut word = [0; 8];
                word[..rest.len()].copy_from_slice(rest);
                u64::from_be_bytes(word)
            }
        };
        word << (self.at_bit % 8)
    }
}
