//! Owns backups of a server's data: where they are, which of them is the right one, and its restore with all that has to be
//! so before and after.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use host::{Roots, Writer, writers_below};
use incident::error_chain;
use integrity::backup::{
    Backup, Catalogue, Create, PackError, Placed, Proof, ProveError, Restore, RestoreError, Tree,
};
use integrity::{Keep, Patterns};
use process::lock::{Lock, LockError};

use crate::config::{Config, Data};
use crate::data::{DataError, Manner, PATIENCE, Subject};

/// The backups of one server.
#[derive(Debug)]
pub struct Backups {
    /// Whose.
    pub server: String,
    /// What there is.
    pub catalogue: Catalogue,
    subject: Subject,
    keep: usize,
}

/// Which backup is meant.
#[derive(Clone, Debug)]
pub enum Choice {
    /// The one of that name.
    Named(String),
    /// The newest that was begun before this moment, in milliseconds since 1970, if there is one.
    Newest {
        /// The moment.
        before_ms: Option<i64>,
        /// Whether it has to be proven good.
        proven: bool,
    },
}

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
    /// It cannot be made.
    #[error("no backup was made")]
    Create(#[from] PackError),
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
    /// Nothing was put back.
    #[error("nothing was put back")]
    Restore(#[from] RestoreError),
}

fn named(writer: &Writer) -> String {
    format!("the process {} ({})", writer.pid, writer.name)
}

// === impl Backups ===

impl Backups {
    /// The backups of a server of the configuration.
    ///
    /// # Errors
    /// If there is no such server, or it has no data.
    pub fn of_server(config: &Config, server: &str) -> Result<Self, BackupError> {
        let subject = Subject::of_server(config, server)?;
        let catalogue = Catalogue::at(config.backup.dir.join(server));
        Ok(Self { server: server.to_owned(), catalogue, subject, keep: config.backup.keep })
    }

    /// All backups, newest first, and the names beside them that belong to none.
    ///
    /// # Errors
    /// If the folder cannot be read.
    pub fn list(&self) -> Result<(Vec<Backup>, Vec<String>), BackupError> {
        let path = self.catalogue.folder().to_owned();
        self.catalogue.list().map_err(|source| BackupError::Folder { path, source })
    }

    /// The backup that is meant.
    ///
    /// # Errors
    /// If there is none.
    pub fn choose(&self, choice: &Choice) -> Result<Backup, BackupError> {
        let found = match choice {
            Choice::Named(id) => self.list()?.0.into_iter().find(|one| one.id == *id),
            Choice::Newest { before_ms, proven } => self.list()?.0.into_iter().find(|one| {
                before_ms.is_none_or(|before_ms| one.record.created_ms < before_ms)
                    && (one.is_proven() || !proven)
            }),
        };
        found.ok_or_else(|| BackupError::None { server: self.server.clone() })
    }

    /// Makes a backup, proves it, and lets the oldest go. `now_ms` is when it begins, in milliseconds since 1970.
    ///
    /// # Errors
    /// If it cannot be made. One that is made and not good stays, and has the proof of that with it.
    pub fn create(&self, now_ms: i64, clock: impl Fn() -> i64) -> Result<Backup, BackupError> {
        let (_lock, scratch) = self.begin()?;
        let patterns = self.subject.trees.iter().map(patterns).collect::<Result<Vec<_>, _>>()?;
        let trees: Vec<Tree<'_>> = (self.subject.trees.iter().zip(&patterns))
            .map(|(tree, may_change)| Tree { root: &tree.path, may_change })
            .collect();
        let what = Create { server: &self.server, trees: &trees, scratch: &scratch, now_ms, throttle: None };
        let backup = integrity::backup::create(&self.catalogue, &what)?;
        let backup = self.prove_locked(backup, &scratch, clock())?;
        let (backups, _) = self.list()?;
        for old in Catalogue::surplus(&backups, self.keep) {
            let path = self.catalogue.folder().to_owned();
            self.catalogue.remove(old).map_err(|source| BackupError::Folder { path, source })?;
        }
        Ok(backup)
    }

    /// Reads a backup to its end, unpacks it and asks whether it is whole; what comes of it is written down.
    ///
    /// # Errors
    /// If it is not good, or nobody can tell.
    pub fn prove(&self, backup: Backup, now_ms: i64) -> Result<Backup, BackupError> {
        let (_lock, scratch) = self.begin()?;
        self.prove_locked(backup, &scratch, now_ms)
    }

    fn prove_locked(&self, backup: Backup, scratch: &Path, now_ms: i64) -> Result<Backup, BackupError> {
        let proven = integrity::backup::prove(&self.catalogue, &backup, scratch);
        let id = backup.id.clone();
        let problem = match proven {
            Ok(()) => None,
            Err(source) if !source.is_verdict() => return Err(BackupError::NotKnown { id, source }),
            Err(source) => Some(source),
        };
        let proof = Proof { at_ms: now_ms, problem: problem.as_ref().map(|error| error_chain(error)) };
        let path = self.catalogue.folder().to_owned();
        self.catalogue.set_proof(&id, &proof).map_err(|source| BackupError::Folder { path, source })?;
        match problem {
            None => Ok(Backup { proof: Some(proof), ..backup }),
            Some(source) => Err(BackupError::Bad { id, source }),
        }
    }

    /// Puts a backup in the place of the data. Who may write there must have stopped; afterwards what was put back is
    /// what later checks compare with.
    ///
    /// # Errors
    /// If somebody would write, or the backup is not good, or it cannot be exchanged: then the data are as before.
    pub fn restore(&self, backup: &Backup, now_ms: i64, roots: &Roots) -> Result<Vec<Placed>, BackupError> {
        let (_lock, scratch) = self.begin()?;
        for tree in &backup.record.trees {
            if let Some(writer) = writers_below(roots, &tree.root).into_iter().next() {
                return Err(BackupError::Writers(writer));
            }
        }
        let what = Restore { catalogue: &self.catalogue, backup, scratch: &scratch, now_ms };
        let passes = |_: &[Placed]| {
            let keep = Keep::Baseline { accepts_damage: false };
            let manner = Manner { reads_all: true, keep, rate: None, threads: None, patience: PATIENCE };
            let answers = self.subject.check(manner, now_ms).map_err(|error| error_chain(&error))?;
            for (root, answer) in answers {
                let report = answer.map_err(|error| error_chain(&error))?;
                if !report.is_kept {
                    return Err(format!("{} is damaged", root.display()));
                }
            }
            Ok(())
        };
        Ok(integrity::backup::restore(&what, passes)?)
    }

    /// Nobody else does anything about these backups meanwhile; and a folder for what is needed in between.
    fn begin(&self) -> Result<(Lock, PathBuf), BackupError> {
        let scratch = self.catalogue.folder().join("scratch");
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&scratch);
        made.map_err(|source| BackupError::Folder { path: scratch.clone(), source })?;
        let path = self.catalogue.folder().join("lock");
        let lock = Lock::acquire_within(&path, PATIENCE).map_err(|error| match error {
            LockError::Io { path, source } => BackupError::Folder { path, source },
            held => BackupError::Busy(held),
        })?;
        Ok((lock, scratch))
    }
}

fn patterns(tree: &Data) -> Result<Patterns, BackupError> {
    Ok(Patterns::new(tree.may_change.iter().map(String::as_str)).map_err(DataError::from)?)
}
