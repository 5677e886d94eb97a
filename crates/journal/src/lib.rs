//! Owns the journal: append-only, hash-chained entries in SQLite, and content-addressed blobs beside it.
//!
//! What the journal does not say did not happen: state is a fold over its entries, so an entry is durable
//! before [`Journal::append`] returns, is never changed, and carries the digest of the one before. When the disk
//! budget asks for it, incidents that are closed go as a whole, and the chain says that they did.
//!
//! The chain shows every change within it. It cannot show that its newest entries were cut off: whoever
//! needs that keeps [`Journal::head`] somewhere else.

mod append;
mod backup;
mod blob_check;
mod blob_file;
mod blobs;
mod canonical;
mod code;
mod data_dir;
mod disk;
mod entry;
mod error;
mod newest;
mod prune;
mod pruned;
mod reading;
mod removed;
mod retention;
mod schema;
mod store;
mod verify;

pub use checksum::{Digest, DigestError};

pub use blobs::{BlobError, BlobFile, BlobRef, Blobs};
pub use data_dir::{DataDir, Freed};
pub use entry::{Draft, Entry};
pub use error::Error;
pub use newest::Wanted;
pub use reading::Reading;
pub use removed::Removed;
pub use retention::{Case, Plan, Retention, Stock};
pub use store::{Head, Journal};
pub use verify::{Broken, Reason, Verification};
