//! Owns what can go wrong with a journal.

use std::io;
use std::path::{Path, PathBuf};

use crate::{Broken, code};

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
    /// A draft has a kind that the journal keeps for itself.
    #[error("the kind `{kind}` is the journal's own")]
    ReservedKind {
        /// The kind.
        kind: String,
    },
    /// There is no room on the disk. Nothing of the entry was written; once there is room, appending works.
    #[error("no room on the disk for the journal `{}`", path.display())]
    Full {
        /// The journal's file.
        path: PathBuf,
        /// The cause.
        source: sqlx::Error,
    },
    /// Somebody else held the journal for more than 5 seconds. Nothing of the entry was written.
    #[error("the journal `{}` is held by another process", path.display())]
    Busy {
        /// The journal's file.
        path: PathBuf,
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
    /// A part of the file cannot be read. [`crate::Journal::verify`] names the first entry in it; those before
    /// can be read.
    #[error("the journal `{}` is damaged", path.display())]
    Corrupt {
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
    /// The chain is broken, and what is left of it is evidence: nothing was removed.
    #[error("nothing is removed from the journal `{}`, because {broken}", path.display())]
    Broken {
        /// The journal's file.
        path: PathBuf,
        /// Where it breaks.
        broken: Broken,
    },
    /// An incident that was to be removed has got an entry since it was decided. Nothing was removed.
    #[error("the journal `{}` has moved on since it was decided what to remove", path.display())]
    Outdated {
        /// The journal's file.
        path: PathBuf,
    },
    /// A folder of the data directory could not be looked through.
    #[error("cannot look through `{}`", path.display())]
    Measure {
        /// The folder.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A file or folder could not be removed.
    #[error("cannot remove `{}`", path.display())]
    Remove {
        /// The file or folder.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// There is something of the name that the copy was to have. It was left as it is.
    #[error("`{}` is there already", path.display())]
    BackupExists {
        /// The copy's file.
        path: PathBuf,
    },
    /// The copy could not be made.
    #[error("cannot copy the journal to `{}`", path.display())]
    Backup {
        /// The copy's file.
        path: PathBuf,
        /// The cause.
        source: sqlx::Error,
    },
}

// === impl Error ===

impl Error {
    /// Says what it means that writing failed.
    pub(crate) fn append(path: &Path, source: sqlx::Error) -> Self {
        let path = path.to_path_buf();
        match source {
            source if code::is_full(&source) => Self::Full { path, source },
            source if code::is_busy(&source) => Self::Busy { path },
            source if code::is_damage(&source) => Self::Corrupt { path, source },
            source => Self::Append { path, source },
        }
    }

    /// Says what it means that reading failed.
    pub(crate) fn read(path: &Path, source: sqlx::Error) -> Self {
        let path = path.to_path_buf();
        if code::is_damage(&source) { Self::Corrupt { path, source } } else { Self::Read { path, source } }
    }
}
