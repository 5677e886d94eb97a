//! Owns how sums are written down: SHA-256 as 64 digits, other bytes as two digits each, lower case everywhere.

mod digest;
pub mod hex;

pub use digest::{Digest, DigestError};
