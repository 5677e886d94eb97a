//! Owns the ids of traces and spans: 16 and 8 bytes, written as hexadecimal digits, never all zero.

use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};

/// The id of a trace.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TraceId([u8; 16]);

/// The id of a span within its trace.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SpanId([u8; 8]);

/// A text that is no id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an id has {0} hexadecimal digits, not all of them 0")]
pub struct NoId(usize);

/// Makes ids: a sequence that begins at random, mixed so that its members look like random numbers. Unlike a question
/// to the kernel for each, it costs nanoseconds. Nothing that has to be secret may be made of it.
#[derive(Debug)]
pub struct Ids(AtomicU64);

// === impl TraceId, SpanId ===

macro_rules! id {
    ($name:ident, $bytes:literal) => {
        impl $name {
            /// The id of these bytes; none where there are more, fewer, or only zeros.
            pub fn of(bytes: &[u8]) -> Option<Self> {
                let bytes: [u8; $bytes] = bytes.try_into().ok()?;
                (bytes != [0; $bytes]).then_some(Self(bytes))
            }

            /// Its bytes.
            pub fn bytes(&self) -> &[u8; $bytes] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = NoId;

            /// # Errors
            /// Where it is not the right number of hexadecimal digits, in whatever case, or all of them are 0.
            fn from_str(text: &str) -> Result<Self, NoId> {
                let no = NoId(2 * $bytes);
                let mut bytes = [0; $bytes];
                if text.len() != 2 * $bytes {
                    return Err(no);
                }
                for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
                    let digit = |at: usize| char::from(digits[at]).to_digit(16).ok_or(no);
                    *byte = (digit(0)? * 16 + digit(1)?) as u8;
                }
                Self::of(&bytes).ok_or(no)
            }
        }
    };
}

id!(TraceId, 16);
id!(SpanId, 8);

// === impl Ids ===

impl Ids {
    /// Ids that begin at a number, which should be random.
    pub fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }

    /// The next id of a trace.
    pub fn trace(&self) -> TraceId {
        let (high, low) = (self.next(), self.next());
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&high.to_be_bytes());
        bytes[8..].copy_from_slice(&low.to_be_bytes());
        // Two numbers of one sequence are not both 0.
        TraceId(bytes)
    }

    /// The next id of a span.
    pub fn span(&self) -> SpanId {
        SpanId(self.next().max(1).to_be_bytes())
    }

    /// The next number of the sequence: SplitMix64, which has each of the 2^64 once.
    fn next(&self) -> u64 {
        const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
        let mut number = self.0.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP);
        number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        number ^ (number >> 31)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn ids_are_hexadecimal_digits() {
        let text = "4bf92f3577b34da6a3ce929d0e0e4736";
        assert_eq!(text.parse::<TraceId>().unwrap().to_string(), text);
        assert_eq!(text.to_uppercase().parse::<TraceId>().unwrap().to_string(), text);
        assert_eq!("00f067aa0ba902b7".parse::<SpanId>().unwrap().to_string(), "00f067aa0ba902b7");
        for wrong in
            ["", "0", &"0".repeat(32), &text[1..], &format!("{text}0"), &"g".repeat(32), "äääääääääääääääá"]
        {
            assert_eq!(wrong.parse::<TraceId>(), Err(NoId(32)), "{wrong}");
        }
    }

    #[test]
    fn made_ids_are_different() {
        let ids = Ids::new(7);
        let spans: BTreeSet<_> = (0..10_000).map(|_| ids.span()).collect();
        let traces: BTreeSet<_> = (0..10_000).map(|_| ids.trace()).collect();
        assert_eq!((spans.len(), traces.len()), (10_000, 10_000));
    }
}
