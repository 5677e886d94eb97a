//! Owns backups of a server's data: where they are, which of them is the right one, how one is made and proven.

mod alone;
mod dumped;
mod error;
mod putting;
mod seal;
mod target;

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use incident::error_chain;
use integrity::backup::{Backup, Catalogue, Create, Proof, Tree};
use integrity::{Patterns, damaged_since};
use process::lock::{Lock, LockError};

use crate::config::{self, Config, Data};
use crate::data::{DataError, PATIENCE, Subject};
use crate::evidence::evidence_key_folder;
pub use alone::{Alone, Word};
pub use error::BackupError;
pub use seal::verify_bundle;
pub use target::Elsewhere;

/// The backups of one server.
#[derive(Clone, Debug)]
pub struct Backups {
    /// Whose.
    pub server: String,
    /// What there is.
    pub catalogue: Catalogue,
    subject: Subject,
    keep: usize,
    /// Where they go as well.
    target: Option<config::Target>,
    /// Where the key of this host is.
    keys: PathBuf,
    /// Whether those count that this host has not sealed.
    takes_unsealed: bool,
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

// === impl Backups ===

impl Backups {
    /// The backups of a server of the configuration.
    ///
    /// # Errors
    /// If there is no such server, or it has no data.
    pub fn of_server(config: &Config, server: &str) -> Result<Self, BackupError> {
        let subject = Subject::of_server(config, server)?;
        let catalogue = Catalogue::at(config.backup.dir.join(server));
        Ok(Self {
            server: server.to_owned(),
            catalogue,
            subject,
            keep: config.backup.keep,
            target: config.backup.target.clone(),
            keys: evidence_key_folder(config),
            takes_unsealed: false,
        })
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
                    && (!proven || one.is_proven() && self.check_seal(&one.id).is_ok())
            }),
        };
        found.ok_or_else(|| BackupError::None { server: self.server.clone() })
    }

    /// The same, and those count as well that this host has not sealed: of a host that is lost, or made before there were
    /// seals.
    #[must_use]
    pub fn with_unsealed(self) -> Self {
        Self { takes_unsealed: true, ..self }
    }

    fn check_seal(&self, id: &str) -> Result<(), BackupError> {
        if self.takes_unsealed { Ok(()) } else { seal::check_own(&self.catalogue, id, &self.keys) }
    }

    /// Whether this host stands for a backup.
    pub fn is_sealed(&self, backup: &Backup) -> bool {
        seal::check_own(&self.catalogue, &backup.id, &self.keys).is_ok()
    }

    /// The moment before which a backup is one from before the damage: milliseconds since 1970. It is the end of the
    /// last check that found nothing.
    ///
    /// # Errors
    /// If no check has found damage, or none has found none before.
    pub fn before_damage(&self) -> Result<i64, BackupError> {
        let history = self.subject.history();
        let pasts = history
            .read()
            .map_err(|source| BackupError::Folder { path: self.subject.state.clone(), source })?;
        let since =
            damaged_since(&pasts).ok_or_else(|| BackupError::NoDamage { server: self.server.clone() })?;
        // What was begun with that check is as good as it.
        since
            .last_whole_ms
            .map(|ms| ms.saturating_add(1))
            .ok_or_else(|| BackupError::AlwaysDamaged { server: self.server.clone() })
    }

    /// Makes a backup, proves it, and lets the oldest go. `now_ms` is when it begins, in milliseconds since 1970. The data
    /// are read where `read_at` says for their folders, and otherwise in them; `copied` hears when that is over.
    ///
    /// # Errors
    /// If it cannot be made. One that is made and not good stays, and has the proof of that with it.
    pub fn create(
        &self,
        now_ms: i64,
        clock: impl Fn() -> i64,
        read_at: &[(PathBuf, PathBuf)],
        copied: impl FnOnce(),
    ) -> Result<Backup, BackupError> {
        if let Some((root, _)) =
            read_at.iter().find(|(root, _)| self.subject.trees.iter().all(|tree| tree.path != *root))
        {
            return Err(BackupError::NoFolder { server: self.server.clone(), path: root.clone() });
        }
        let (_lock, scratch) = self.begin()?;
        let dumps = self.dump(&scratch)?;
        let mut all: Vec<(&Path, Patterns)> = Vec::new();
        for tree in &self.subject.trees {
            all.push((&tree.path, patterns(tree)?));
        }
        if let Some(dumps) = &dumps {
            all.push((dumps, Patterns::new([]).map_err(DataError::from)?));
        }
        let trees: Vec<Tree<'_>> = all
            .iter()
            .map(|(root, may_change)| {
                let at = read_at.iter().find(|(of, _)| of == root).map_or(*root, |(_, at)| at.as_path());
                Tree { root, at, may_change }
            })
            .collect();
        let databases: Vec<String> = self.subject.databases.iter().map(|one| one.postgres.clone()).collect();
        let what = Create {
            server: &self.server,
            trees: &trees,
            databases: &databases,
            scratch: &scratch,
            now_ms,
            throttle: None,
        };
        let created = integrity::backup::create(&self.catalogue, &what, |id, record| {
            seal::inside(id, record, &self.keys).map(Some).map_err(|error| error_chain(&error))
        });
        copied();
        self.forget_dumps()?;
        let backup = created?;
        seal::set(&self.catalogue, &backup.id, &self.keys)?;
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
        self.check_seal(&backup.id)?;
        let proven = integrity::backup::prove(&self.catalogue, &backup, scratch, |trees| {
            dumped::prove(&self.subject.databases, &backup, trees, scratch, now_ms)
        });
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

    /// Where dumps are on their way into a backup and out of it.
    fn dumps(&self) -> PathBuf {
        self.subject.state.join("dumps")
    }

    fn forget_dumps(&self) -> Result<(), BackupError> {
        let path = self.dumps();
        match fs::remove_dir_all(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                Err(BackupError::Folder { path, source })
            }
            _ => Ok(()),
        }
    }

    /// Dumps the databases, where there are any; returns the folder.
    fn dump(&self, scratch: &Path) -> Result<Option<PathBuf>, BackupError> {
        if self.subject.databases.is_empty() {
            return Ok(None);
        }
        self.forget_dumps()?;
        let path = self.dumps();
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&path);
        made.map_err(|source| BackupError::Folder { path: path.clone(), source })?;
        dumped::dump(&self.subject.databases, &path, scratch)?;
        Ok(Some(path))
    }

    /// Nobody else does anything about these backups meanwhile; and a folder for what is needed in between.
    fn begin(&self) -> Result<(Lock, PathBuf), BackupError> {
        let scratch = self.catalogue.scratch();
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&scratch);
        made.map_err(|source| BackupError::Folder { path: scratch.clone(), source })?;
        let path = self.catalogue.lock();
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
