//! Owns sums of any length as values: BLAKE3, MD5, SHA-256.

use std::fmt;

use checksum::hex;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A digest of `N` bytes; written as `2 * N` lower-case digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Hex<const N: usize>(pub [u8; N]);

impl<const N: usize> fmt::Display for Hex<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::write(&self.0))
    }
}

impl<const N: usize> fmt::Debug for Hex<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<const N: usize> Serialize for Hex<N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex::write(&self.0))
    }
}

impl<'de, const N: usize> Deserialize<'de> for Hex<N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let digits = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse(&digits).ok_or_else(|| serde::de::Error::custom(format!("a digest has {} digits", 2 * N)))
    }
}

impl<const N: usize> Hex<N> {
    /// Reads exactly so many digits, in lower case: a digest has one form.
    pub fn parse(digits: &str) -> Option<Self> {
        hex::read_array(digits).map(Self)
    }
}
