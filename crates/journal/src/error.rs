//! Owns what can go wrong with a journal.

use std::io;
use std::path::PathBuf;

/// Why the journal could not be opened, appended to or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file could not be created.
    #[error("cannot create the journal `{}`", path.display())]
    Create {
        /// The journal's file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The file could not be opened as a database, or is damaged.
    #[error("cannot open the journal `{}`", path.display())]
    Open {
        /// The journal's file.
        path: PathBuf,
        /// The cause.
        source: sqlx::Error,
    },
    /// The file is a database, but of something else.
    #[error("`{}` is a database, but not a journal", path.display())]
    NotAJournal {
        /// The file.
        path: PathBuf,
    },
    /// A newer version of the program wrote it. It was left as it is.
    #[error("the journal `{}` has schema {found}, newer than {known}, the newest this program knows", path.display())]
    NewerSchema {
        /// The journal's file.
        path: PathBuf,
        /// Its schema.
        found: i64,
        /// The newest schema that this program reads.
        known: i64,
    },
    /// A name in the draft (or the node) is empty.
    #[error("the `{field}` of a journal entry is empty")]
    Empty {
        /// The field.
        field: &'static str,
    },
    /// A field of the draft is over its limit.
    #[error("the `{field}` of a journal entry has {bytes} bytes, more than {bytes_max}")]
    TooLong {
        /// The field.
        field: &'static str,
        /// Its length in bytes.
        bytes: usize,
        /// The limit in bytes.
        bytes_max: usize,
    },
    /// The body is nested too deep to be read back.
    #[error("the `body` of a journal entry is nested deeper than {depth_max}")]
    BodyTooDeep {
        /// The limit.
        depth_max: usize,
    },
    /// The entry was not appended; or, if the disk failed in the very end, may have been.
    #[error("cannot append to the journal `{}`", path.display())]
    Append {
        /// The journal's file.
        path: PathBuf,
        /// The cause.
        source: sqlx::Error,
    },
    /// Entries could not be read.
    #[error("cannot read the journal `{}`", path.display())]
    Read {
        /// The journal's file.
        path: PathBuf,
        /// The cause.
        source: sqlx::Error,
    },
    /// A stored entry is not one that the journal wrote: it was changed from outside.
    #[error("entry {seq} of the journal `{}` is damaged", path.display())]
    Damaged {
        /// The journal's file.
        path: PathBuf,
        /// The entry.
        seq: i64,
    },
    /// An incident has more entries than may be read at once.
    #[error("the incident `{incident}` has more than {entries_max} journal entries")]
    IncidentTooLong {
        /// The incident.
        incident: String,
        /// The limit.
        entries_max: u32,
    },
}
