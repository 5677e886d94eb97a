//! Owns texts in addresses: whatever stands in them, it is data there.

use std::fmt::Write as _;

/// A text as the value of a field in the query of an address.
pub fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => encoded.push(byte.into()),
            // A string takes everything.
            _ => drop(write!(encoded, "%{byte:02X}")),
        }
    }
    encoded
}
