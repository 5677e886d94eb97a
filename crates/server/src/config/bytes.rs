//! Owns sizes as the configuration writes them: `512MiB`, `8GiB`, or a plain number of bytes.

use std::fmt;
use std::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A size in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bytes(pub u64);

/// A text that is no size.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no size; write it as 512MiB or 8GiB")]
pub struct NotBytes(String);

/// Units, largest first, so that a size is written with the largest that divides it.
const UNITS: [(&str, u64); 5] =
    [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

// === impl Bytes ===

impl FromStr for Bytes {
    type Err = NotBytes;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
        let factor = match unit.trim_start() {
            "" => Some(1),
            unit => UNITS.iter().find(|(name, _)| *name == unit).map(|(_, factor)| *factor),
        };
        let bytes = number.parse().ok().zip(factor).and_then(|(number, factor)| factor.checked_mul(number));
        bytes.map(Self).ok_or_else(|| NotBytes(text.to_owned()))
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fits = |(_, factor): &&(&str, u64)| self.0 >= *factor && self.0.is_multiple_of(*factor);
        match UNITS.iter().find(fits) {
            Some((unit, factor)) => write!(f, "{}{unit}", self.0 / factor),
            None => write!(f, "{}B", self.0),
        }
    }
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_and_written() {
        for (text, bytes, written) in [
            ("8GiB", 8 << 30, "8GiB"),
            ("512 MiB", 512 << 20, "512MiB"),
            ("1000", 1000, "1000B"),
            ("1024", 1024, "1KiB"),
            ("0", 0, "0B"),
        ] {
            let read: Bytes = text.parse().expect(text);
            assert_eq!((read.0, read.to_string().as_str()), (bytes, written), "{text}");
        }
        for text in ["", "GiB", "8GB", "-1", "1.5GiB", "99999999999TiB", "8GiB8"] {
            assert!(text.parse::<Bytes>().is_err(), "{text}");
        }
    }
}
