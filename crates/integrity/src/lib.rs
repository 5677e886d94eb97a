//! Owns trees of data: what is in them, what of that differs from what it was, and whether that is damage.
//!
//! A [`manifest`] says what a tree was. [`scan`] looks at the tree beside it, in one pass: the result is a new manifest,
//! and each difference with whether it is damage ([`Expect`]).

pub mod backup;
mod check;
mod compare;
mod content;
mod entry;
mod format;
mod hex;
mod history;
mod look;
pub mod manifest;
mod patterns;
mod scan;
mod sqlite;
mod walk;
mod watch;

pub use check::{CheckError, Keep, Places, Report, check};
pub use compare::{Change, Difference, Expect};
pub use content::{Throttle, digest_of};
pub use entry::{Entry, Kind, TreePath};
pub use hex::Hex;
pub use history::{History, Past, PastTree, Since, damaged_since};
pub use patterns::{ALWAYS, PatternError, Patterns};
pub use scan::{Options, Outcome, ScanError, scan};
pub use sqlite::SqliteError;
pub use walk::Root;
pub use watch::{WatchError, Watcher};

/// The threads that read, as many as there are processors unless somebody says otherwise.
pub fn threads() -> rayon::ThreadPoolBuilder {
    rayon::ThreadPoolBuilder::new().thread_name(|n| format!("integrity-{n}"))
}
