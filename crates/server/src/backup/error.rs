//! Owns why something cannot be done about backups.

use std::io;
use std::path::PathBuf;

use host::Writer;
use integrity::backup::{LostError, PackError, ProveError, RestoreError, UnpackError};
use process::lock::LockError;

use crate::data::DataError;

/// Why something cannot be done about backups.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The server has no data, or somebody works on them.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The folder of the backups cannot be used.
    #[error("the folder `{}` of the backups cannot be used", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// Something is being done about the same backups.
    #[error("something is being done about the same backups; wait for it")]
    Busy(#[source] LockError),
    /// There is no such backup.
    #[error("there is no such backup of `{server}`; `paramedic backup list {server}` shows what there is")]
    None {
        /// The server.
        server: String,
    },
    /// Nobody knows of any damage.
    #[error("no check has found damage in the data of `{server}`; name a time with `--before`")]
    NoDamage {
        /// The server.
        server: String,
    },
    /// Nobody knows of a time without damage.
    #[error(
        "no check has found the data of `{server}` whole before they were damaged; name a time with `--before`"
    )]
    AlwaysDamaged {
        /// The server.
        server: String,
    },
    /// It cannot be made.
    #[error("no backup was made")]
    Create(#[from] PackError),
    /// Nobody stands for a backup, or somebody else.
    #[error("the backup {id} is not one that this host has sealed: {problem}")]
    Seal {
        /// Its name.
        id: String,
        /// In which way not.
        problem: String,
    },
    /// The key of this host cannot be used.
    #[error("the key that seals backups cannot be used")]
    Key(#[from] evidence::Error),
    /// An archive that is alone cannot be used.
    #[error("the archive {name} cannot be used")]
    Alone {
        /// Its name.
        name: String,
        /// Why not.
        source: UnpackError,
    },
    /// Nobody stands for an archive of somebody else.
    #[error("nothing in {name} says who made it; with `--unsealed` it is put back all the same")]
    Foreign {
        /// Its name.
        name: String,
    },
    /// The target is away, or does not take it.
    #[error("{target}: {problem}")]
    Target {
        /// Where.
        target: String,
        /// Why.
        problem: String,
    },
    /// There is no target.
    #[error("the configuration has no `[backup.target]`")]
    NoTarget,
    /// It is no folder of the data.
    #[error("`{}` is no folder of the data of `{server}`", path.display())]
    NoFolder {
        /// The server.
        server: String,
        /// The folder.
        path: PathBuf,
    },
    /// A database cannot be dumped or asked.
    #[error("the database {name}: {problem}")]
    Database {
        /// Its name.
        name: String,
        /// Why not.
        problem: String,
    },
    /// It is not good.
    #[error("the backup {id} is not good")]
    Bad {
        /// Its name.
        id: String,
        /// Why.
        source: ProveError,
    },
    /// Whether it is good cannot be found out.
    #[error("whether the backup {id} is good cannot be found out")]
    NotKnown {
        /// Its name.
        id: String,
        /// Why not.
        source: ProveError,
    },
    /// Somebody would write into the data while they are exchanged, and go on with the old ones.
    #[error("nothing was put back: {} has `{}` open to write; stop it first (`paramedic server stop`)", named(.0), .0.path)]
    Writers(Writer),
    /// What a restore would lose cannot be found out.
    #[error("what would be lost cannot be found out")]
    Lost(#[source] LostError),
    /// Not everything that is damaged can be put back file by file.
    #[error("nothing was put back: {reason}; restore the whole backup")]
    NotByFile {
        /// Why not.
        reason: String,
    },
    /// Nothing is damaged.
    #[error("nothing was put back: no file of `{server}` is damaged")]
    Whole {
        /// The server.
        server: String,
    },
    /// Nothing was put back.
    #[error("nothing was put back")]
    Restore(#[from] RestoreError),
}

fn named(writer: &Writer) -> String {
    format!("the process {} ({})", writer.pid, writer.name)
}
