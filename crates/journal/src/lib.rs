//! Owns the journal: append-only, hash-chained entries in SQLite, and content-addressed blobs beside it.
//!
//! What the journal does not say did not happen: state is a fold over its entries, so an entry is durable
//! before [`Journal::append`] returns, is never changed, and carries the digest of the one before.
//!
//! The chain shows every change within it. It cannot show that its newest entries were cut off: whoever
//! needs that keeps [`Journal::head`] somewhere else.

mod blobs;
mod canonical;
mod digest;
mod entry;
mod error;
mod schema;
mod store;
mod verify;

pub use blobs::{BlobError, BlobRef, Blobs};
pub use digest::{Digest, DigestError};
pub use entry::{Draft, Entry};
pub use error::Error;
pub use store::{Head, Journal};
pub use verify::{Broken, Reason, Verification};
