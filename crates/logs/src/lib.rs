//! Owns reading log files: their end, with their rotated predecessors, what is added to them, and searching all of them.
//!
//! A log is FILE, with FILE.1, FILE.2 and so on before it, the newest first: as the guard writes and rotates it. Whatever
//! size they have, what is held in memory is bounded: the file is read from its end, and no further than was asked for.

mod analysis;
mod compress;
mod entry;
mod files;
mod follow;
pub mod journal;
mod level;
mod line;
mod lines;
mod open;
mod pattern;
pub mod redact;
mod search;
pub mod secrets;
mod stamp;
mod tail;

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

pub use analysis::{Analysis, Call, Calls, Change, Cluster, Kind, Report, SLOW_MS, Slow, Unanswered};
pub use compress::compress;
pub use entry::Entry;
pub use follow::Follower;
pub use level::Level;
pub use line::{Line, Said};
pub use lines::{Found, Lines};
pub use pattern::{Invalid, Pattern};
pub use search::{Filter, Merged, Search, Sieve};
pub use stamp::{Clock, LocalTime, time_of_machine};
pub use tail::{Tail, Wanted, tail};

/// So many rotated files are looked for: more than anybody keeps.
const FILES_MAX: u32 = 99;

/// Bytes that are read at once.
const CHUNK_BYTES: usize = 64 << 10;

/// A longer line is cut to this: its end is of no use to anybody, and it must not fill the memory.
const LINE_BYTES_MAX: usize = 1 << 20;

/// What a file is, whatever its name: its device and its inode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Identity(u64, u64);

// === impl Identity ===

impl Identity {
    fn of(metadata: &Metadata) -> Self {
        Self(metadata.dev(), metadata.ino())
    }
}

/// The log that was rotated away `number` times; 0 is the one that is written.
fn numbered(path: &Path, number: u32) -> PathBuf {
    if number == 0 {
        return path.to_owned();
    }
    let mut path = path.as_os_str().to_owned();
    path.push(format!(".{number}"));
    path.into()
}
