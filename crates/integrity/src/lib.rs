//! Owns trees of data: what is in them, what of that differs from what it was, and whether that is damage.
//!
//! A [`manifest`] says what a tree was. [`scan`] looks at the tree beside it, in one pass: the result is a new manifest,
//! and each difference with whether it is damage ([`Expect`]).

mod attributes;
pub mod backup;
mod check;
mod compare;
mod content;
mod entry;
mod filesystem;
mod format;
mod hex;
mod history;
mod look;
pub mod manifest;
mod patterns;
mod rewrite;
mod scan;
mod sqlite;
mod sums;
mod tables;
mod walk;
mod watch;

pub use check::{CheckError, Keep, Places, Report, check};
pub use compare::{Change, Difference, Expect};
pub use content::{Progress, Throttle, digest_of};
pub use entry::{Entry, Kind, TreePath};
pub use filesystem::{FileSystem, FileSystemError, FileSystemReport, check_file_system};
pub use format::is_database;
pub use hex::Hex;
pub use history::{History, Past, PastTree, Since, damaged_since};
pub use patterns::{ALWAYS, PatternError, Patterns};
pub use scan::{Options, Outcome, ScanError, scan};
pub use sqlite::SqliteError;
pub use sums::{Algorithm, SumChange, SumDiffers, SumsError, check_sums, write_sums};
pub use tables::{Table, TableLoss, losses, tables};
pub use walk::Root;
pub use watch::{WatchError, Watcher};

/// The threads that read, as many as there are processors unless somebody says otherwise.
pub fn threads() -> rayon::ThreadPoolBuilder {
    rayon::ThreadPoolBuilder::new().thread_name(|n| format!("integrity-{n}"))
}
