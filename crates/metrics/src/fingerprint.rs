//! Owns the short name of a label set: a 64-bit hash that is the same in every run and on every machine.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::labels::Labels;

/// A stable 64-bit hash of a label set (FNV-1a), shown as 16 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fingerprint(u64);

/// A text that is not a fingerprint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a fingerprint of 16 hexadecimal digits")]
pub struct InvalidFingerprint(String);

// === impl Fingerprint ===

impl Fingerprint {
    /// Returns the fingerprint of a label set.
    pub fn of(labels: &Labels) -> Self {
        const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
        const PRIME: u64 = 0x0000_0100_0000_01b3;
        // No label contains this byte, so names and values cannot run into one another.
        const SEPARATOR: [u8; 1] = [0xff];
        let bytes = labels
            .iter()
            .flat_map(|(name, value)| [name.as_bytes(), &SEPARATOR, value.as_bytes(), &SEPARATOR])
            .flatten();
        Self(bytes.fold(OFFSET, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(PRIME)))
    }

    /// Returns the hash.
    pub fn number(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl FromStr for Fingerprint {
    type Err = InvalidFingerprint;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let number = if digits { u64::from_str_radix(text, 16).ok() } else { None };
        number.map(Self).ok_or_else(|| InvalidFingerprint(text.to_owned()))
    }
}

impl Serialize for Fingerprint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Fingerprint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_the_same_in_every_run() {
        // Frozen: it is written into journals.
        let labels = Labels::from_iter([("alertname", "MCPServerDown"), ("server_name", "mem")]);
        assert_eq!(Fingerprint::of(&labels).to_string(), "d0387d3da083d109");
        assert_eq!(Fingerprint::of(&Labels::empty()).to_string(), "cbf29ce484222325");
    }

    #[test]
    fn is_read_back() {
        let fingerprint = Fingerprint::of(&Labels::metric("up", &[]));
        assert_eq!(fingerprint.to_string().parse(), Ok(fingerprint));
        for text in ["", "0", "+000000000000000", "cbf29ce48422232g"] {
            assert!(text.parse::<Fingerprint>().is_err(), "{text}");
        }
    }

    #[test]
    fn names_and_values_do_not_run_together() {
        let one = Labels::from_iter([("a", "bc")]);
        let other = Labels::from_iter([("ab", "c")]);
        assert_ne!(Fingerprint::of(&one), Fingerprint::of(&other));
    }
}
