//! Owns the compressed form of samples: a stream of bits in which a sample that is like the one before costs two.
//!
//! The first sample is its value, 64 bits; its time stands beside the stream. Then, for each sample:
//!
//! ```text
//! time, by how much its distance to the one before differs from the distance before that, zigzag:
//!   0   not at all        10  6 bits        110  10 bits        1110  16 bits        1111  64 bits
//! value:
//!   0   the same bits
//!   10  both are whole numbers: 2 bits say 4, 8, 16 or 32, then as many bits of the difference, zigzag
//!   110 the bits that differ lie where those of the last such sample lay: as many bits
//!   111 6 bits: zeros in front; 6 bits: how many bits follow, less one; the bits that differ
//! ```
//!
//! Times and values are exact to the bit, whatever they are: NaN with its payload, infinities, -0, times that overflow.
//! Gorilla (Pelkonen et al., VLDB 2015) is where the idea comes from; the whole numbers are ours, because most
//! metrics count something.

mod bits;

use crate::code::{unzigzag, zigzag};
use bits::{Reader, Writer};

/// Whole numbers up to here are exact in a float, and so are their differences in an integer.
const WHOLE_MAX: i64 = 1 << 53;
/// The widths of differences between whole numbers; two bits name one.
const WIDTHS: [u32; 4] = [4, 8, 16, 32];

/// A chunk that samples are added to. It is small, because every series has one.
#[derive(Debug, Clone, Default)]
pub(super) struct Head {
    stream: Writer,
    first_ms: i64,
    last_ms: i64,
    last: f64,
    distance: i64,
    n_samples: u16,
    window: Window,
    /// Bits of the last byte of the stream that are not written yet.
    free: u8,
}

/// A chunk that is complete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Chunk {
    pub(super) first_ms: i64,
    pub(super) last_ms: i64,
    pub(super) n_samples: u16,
    pub(super) bytes: Box<[u8]>,
}

/// The samples of a chunk, in order; ends early where the stream does.
#[derive(Debug)]
pub(super) struct Samples<'c> {
    stream: Reader<'c>,
    n_samples: u16,
    place: Place,
}

/// A sample of a chunk, and where the next one begins: whoever keeps it can read on, even after samples were added.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Place {
    pub(super) at_ms: i64,
    pub(super) value: f64,
    distance: i64,
    at_bit: u32,
    /// How many samples of the chunk were read.
    n_read: u16,
    window: Window,
}

/// Where the bits that differ lay in the last value that was written in full.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Window {
    leading: u8,
    /// None was written yet if this is 0.
    length: u8,
}

// === impl Head ===

impl Head {
    /// Adds a sample; its time is later than that of the last one, which the caller has looked at.
    pub(super) fn push(&mut self, at_ms: i64, value: f64) {
        if self.n_samples == 0 {
            self.first_ms = at_ms;
            self.put(value.to_bits(), 64);
        } else {
            let distance = at_ms.wrapping_sub(self.last_ms);
            let change = distance.wrapping_sub(self.distance);
            self.distance = distance;
            if value.to_bits() == self.last.to_bits() {
                self.put_time(change, 1);
            } else {
                self.put_time(change, 0);
                self.put_value(value);
            }
        }
        self.last_ms = at_ms;
        self.last = value;
        self.n_samples += 1;
    }

    fn put(&mut self, number: u64, count: u32) {
        self.stream.put(&mut self.free, number, count);
    }

    /// Writes a time, followed by `zeros` bits of 0.
    fn put_time(&mut self, change: i64, zeros: u32) {
        let code = zigzag(change);
        match code {
            0 => self.put(0, 1 + zeros),
            1..0x40 => self.put((0b10 << 6 | code) << zeros, 8 + zeros),
            0x40..0x400 => self.put((0b110 << 10 | code) << zeros, 13 + zeros),
            0x400..0x1_0000 => self.put((0b1110 << 16 | code) << zeros, 20 + zeros),
            _ => {
                self.put(0b1111, 4);
                self.put(code, 64);
                self.put(0, zeros);
            }
        }
    }

    fn put_value(&mut self, value: f64) {
        if let Some(code) = whole(self.last).zip(whole(value)).and_then(|(old, new)| whole_code(new - old)) {
            self.put(code.0, code.1);
            return;
        }
        let differ = value.to_bits() ^ self.last.to_bits();
        let (leading, trailing) = (differ.leading_zeros(), differ.trailing_zeros());
        let Window { leading: known, length } = self.window;
        let (known, length) = (u32::from(known), u32::from(length));
        let fits = length > 0 && leading >= known && trailing >= 64 - known - length;
        // A window that is much too wide costs more, over time, than to name a new one.
        if fits && length <= 64 - leading - trailing + 16 {
            self.put(0b110, 3);
            self.put(differ >> (64 - known - length), length);
            return;
        }
        let length = 64 - leading - trailing;
        let header = 0b111 << 12 | u64::from(leading) << 6 | u64::from(length - 1);
        self.put(header, 15);
        self.put(differ >> trailing, length);
        self.window = Window { leading: leading as u8, length: length as u8 };
    }

    pub(super) fn len(&self) -> usize {
        usize::from(self.n_samples)
    }

    pub(super) fn first_ms(&self) -> i64 {
        self.first_ms
    }

    /// Returns the last sample that was pushed.
    pub(super) fn last(&self) -> Option<(i64, f64)> {
        (self.n_samples > 0).then_some((self.last_ms, self.last))
    }

    pub(super) fn bytes(&self) -> usize {
        self.stream.bytes().len()
    }

    pub(super) fn first_byte(&self) -> Option<u8> {
        self.stream.bytes().first().copied()
    }

    pub(super) fn samples(&self) -> Samples<'_> {
        self.samples_after(Place::start(self.first_ms))
    }

    /// Returns the samples after a place that was reached in this chunk.
    pub(super) fn samples_after(&self, place: Place) -> Samples<'_> {
        Samples::new(self.n_samples, self.stream.bytes(), place)
    }

    /// Returns the chunk as it is now.
    pub(super) fn chunk(&self) -> Chunk {
        Chunk {
            first_ms: self.first_ms,
            last_ms: self.last_ms,
            n_samples: self.n_samples,
            bytes: self.stream.bytes().into(),
        }
    }

    /// Returns the chunk, and begins anew.
    pub(super) fn seal(&mut self) -> Chunk {
        let chunk = self.chunk();
        *self = Self::default();
        chunk
    }

    /// Returns a chunk as one that can be added to.
    pub(super) fn of(chunk: &Chunk) -> Self {
        let mut head = Self::default();
        for (at_ms, value) in chunk.samples() {
            head.push(at_ms, value);
        }
        head
    }
}

// === impl Samples ===

impl<'c> Samples<'c> {
    fn new(n_samples: u16, bytes: &'c [u8], place: Place) -> Self {
        Self { stream: Reader { bytes, at_bit: place.at_bit as usize }, n_samples, place }
    }

    /// Adds the samples after one moment and not after another to a buffer.
    pub(super) fn read(self, from_ms: i64, to_ms: i64, into: &mut Vec<(i64, f64)>) {
        into.reserve(usize::from(self.left()));
        for (at_ms, value) in self {
            if at_ms > to_ms {
                break;
            }
            if at_ms > from_ms {
                into.push((at_ms, value));
            }
        }
    }

    /// Returns the place of the first sample after a moment, and how many samples there are from it on.
    pub(super) fn first_after(mut self, from_ms: i64) -> Option<(Place, u16)> {
        while self.place.n_read == 0 || self.place.at_ms <= from_ms {
            self.next()?;
        }
        Some((Place { at_bit: self.stream.at_bit as u32, ..self.place }, self.left() + 1))
    }

    fn left(&self) -> u16 {
        self.n_samples.saturating_sub(self.place.n_read)
    }

    /// Goes to the next sample. A look at one word is enough for most: a time takes 20 bits, a whole number 36.
    #[inline]
    fn advance(&mut self) -> Option<()> {
        let mut word = self.stream.word();
        if self.place.n_read == 0 {
            self.place.value = f64::from_bits(self.stream.take(64));
            return self.stream.is_within().then_some(());
        }
        let (change, used) = match word.leading_ones() {
            0 => (0, 1),
            1 => (word << 2 >> 58, 8),
            2 => (word << 3 >> 54, 13),
            3 => (word << 4 >> 48, 20),
            _ => {
                self.stream.skip(4);
                let change = self.stream.take(64);
                word = self.stream.word();
                (change, 0)
            }
        };
        self.place.distance = self.place.distance.wrapping_add(unzigzag(change));
        self.place.at_ms = self.place.at_ms.wrapping_add(self.place.distance);
        word <<= used;
        match word.leading_ones() {
            0 => self.stream.skip(used + 1),
            1 => {
                let width = WIDTHS[(word >> 60 & 3) as usize];
                let difference = unzigzag(word << 4 >> (64 - width));
                self.place.value = (self.place.value as i64).saturating_add(difference) as f64;
                self.stream.skip(used + 4 + width);
            }
            ones => {
                self.stream.skip(used + 3);
                if ones > 2 {
                    let header = self.stream.take(12);
                    self.place.window =
                        Window { leading: (header >> 6) as u8, length: (header & 0x3f) as u8 + 1 };
                }
                let Window { leading, length } = self.place.window;
                let trailing = 64u32.checked_sub(u32::from(leading) + u32::from(length))?;
                let differ = self.stream.take(u32::from(length)).checked_shl(trailing)?;
                self.place.value = f64::from_bits(self.place.value.to_bits() ^ differ);
            }
        }
        self.stream.is_within().then_some(())
    }
}

impl Iterator for Samples<'_> {
    type Item = (i64, f64);

    #[inline]
    fn next(&mut self) -> Option<(i64, f64)> {
        if self.left() == 0 {
            return None;
        }
        if self.advance().is_none() {
            self.place.n_read = self.n_samples;
            return None;
        }
        self.place.n_read += 1;
        Some((self.place.at_ms, self.place.value))
    }
}

// === impl Place ===

impl Place {
    /// Before the first sample of a chunk.
    pub(super) fn start(first_ms: i64) -> Self {
        Self { at_ms: first_ms, ..Self::default() }
    }
}

// === impl Chunk ===

impl Chunk {
    pub(super) fn samples(&self) -> Samples<'_> {
        self.samples_after(Place::start(self.first_ms))
    }

    /// Returns the samples after a place that was reached in this chunk.
    pub(super) fn samples_after(&self, place: Place) -> Samples<'_> {
        Samples::new(self.n_samples, &self.bytes, place)
    }

    /// Returns how many bytes of memory it takes.
    pub(super) fn size(&self) -> usize {
        size_of::<Self>() + self.bytes.len()
    }

    /// Hands each sample to `see`, and tells whether the stream holds as many as the chunk says, the last one at its time
    /// and each later than the one before: what was read from a disk is believed only then.
    pub(super) fn is_whole(&self, mut see: impl FnMut(i64, f64)) -> bool {
        let (mut n_samples, mut last_ms) = (0, None);
        for (at_ms, value) in self.samples() {
            if last_ms.is_some_and(|last_ms| last_ms >= at_ms) {
                return false;
            }
            (n_samples, last_ms) = (n_samples + 1, Some(at_ms));
            see(at_ms, value);
        }
        n_samples > 0 && n_samples == self.n_samples && last_ms == Some(self.last_ms)
    }
}

/// Returns the integer that a float is, if it is one exactly; -0 is none.
pub(super) fn whole(value: f64) -> Option<i64> {
    let number = value as i64;
    let exact = (number as f64).to_bits() == value.to_bits();
    (exact && number.abs() < WHOLE_MAX).then_some(number)
}

/// Returns the code of a difference between whole numbers, and how many bits it has.
fn whole_code(difference: i64) -> Option<(u64, u32)> {
    let code = zigzag(difference);
    let index = WIDTHS.iter().position(|width| code < 1 << width)?;
    Some((((0b10 << 2 | index as u64) << WIDTHS[index]) | code, 4 + WIDTHS[index]))
}

#[cfg(test)]
mod tests;
