//! Owns a backup that is an archive alone, ours or somebody's: what it is becomes a catalogue of its own, for as long as
//! it is needed.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use incident::error_chain;
use integrity::Patterns;
use integrity::backup::{Backup, Catalogue, Create, Listed, Told, Tree, open_foreign, remove_tree, told};
use process::lock::Lock;

use super::{BackupError, Backups, patterns, seal};

/// A backup in a catalogue of its own.
#[derive(Debug)]
pub struct Alone {
    /// All that can be done with it.
    pub backups: Backups,
    /// The backup.
    pub backup: Backup,
    /// Who stands for it.
    pub word: Word,
    // In this order: the folder goes before others may have the lock.
    _folder: Folder,
    _lock: Lock,
}

/// Who stands for an archive.
#[derive(Debug)]
pub enum Word {
    /// This host, by a seal in it.
    Sealed,
    /// It says what it is, and this host has not sealed that, for this reason.
    Unsealed(BackupError),
    /// It is somebody's and says nothing of itself, but for a list of sums that may be in it.
    Foreign(Option<Listed>),
}

/// A folder that goes with whoever has it.
#[derive(Debug)]
pub(super) struct Folder(pub(super) PathBuf);

// === impl Folder ===

impl Drop for Folder {
    fn drop(&mut self) {
        // What is left is removed by the next one.
        let _ = remove_tree(&self.0);
    }
}

// === impl Alone ===

impl Alone {
    /// Whether it may be put back: where this host does not stand for it, only if whoever asks has said so.
    ///
    /// # Errors
    /// If not.
    pub fn check_word(&self, name: &str, takes_unsealed: bool) -> Result<(), BackupError> {
        match &self.word {
            _ if takes_unsealed => Ok(()),
            Word::Sealed => Ok(()),
            Word::Unsealed(BackupError::Seal { problem, .. }) => {
                Err(BackupError::Seal { id: name.to_owned(), problem: problem.clone() })
            }
            Word::Unsealed(other) => {
                Err(BackupError::Seal { id: name.to_owned(), problem: error_chain(other) })
            }
            Word::Foreign(_) => Err(BackupError::Foreign { name: name.to_owned() }),
        }
    }
}

// === impl Backups ===

impl Backups {
    /// Opens an archive that is alone: a name in the folder of the backups, or a path. One of somebody else is taken for the
    /// data of this server.
    ///
    /// # Errors
    /// If it is not whole, or has in it what is not unpacked.
    pub fn alone(&self, name: &str) -> Result<Alone, BackupError> {
        let archive = self.catalogue.folder().join(name);
        let (lock, scratch) = self.begin()?;
        let folder = Folder(scratch.join("alone"));
        let unusable = |source| BackupError::Folder { path: folder.0.clone(), source };
        remove_tree(&folder.0).and_then(|()| fs::create_dir_all(&folder.0)).map_err(unusable)?;
        let bad = |source| BackupError::Alone { name: name.to_owned(), source };
        let (told, word) = match told(&archive, &folder.0.join("told")).map_err(bad)? {
            Some(told) => {
                let sealed = seal::check_inside(&told, &self.keys);
                (told, sealed.map_or_else(Word::Unsealed, |()| Word::Sealed))
            }
            None => self.foreign(&archive, name, &folder.0)?,
        };
        // Whoever has it judges by the word that was given.
        let backups = Self { catalogue: told.catalogue, takes_unsealed: true, ..self.clone() };
        Ok(Alone { backups, backup: told.backup, word, _folder: folder, _lock: lock })
    }

    /// Makes a backup of what is in an archive of somebody else, as if it were from here.
    fn foreign(&self, archive: &Path, name: &str, folder: &Path) -> Result<(Told, Word), BackupError> {
        let bad = |source| BackupError::Alone { name: name.to_owned(), source };
        let unpacked = folder.join("unpacked");
        let roots: Vec<&Path> = self.subject.trees.iter().map(|tree| tree.path.as_path()).collect();
        let found = open_foreign(archive, &roots, &unpacked).map_err(bad)?;
        let modified = fs::metadata(archive)
            .map_err(|source| BackupError::Folder { path: archive.to_owned(), source })?
            .mtime();
        let may_change: Vec<Patterns> = self.subject.trees.iter().map(patterns).collect::<Result<_, _>>()?;
        let trees: Vec<Tree<'_>> = (roots.iter().zip(&found.trees).zip(&may_change))
            .map(|((root, at), may_change)| Tree { root, at, may_change })
            .collect();
        let what = Create {
            server: &self.server,
            trees: &trees,
            databases: &[],
            scratch: folder,
            now_ms: modified.saturating_mul(1000),
            throttle: None,
        };
        let catalogue = Catalogue::at(folder.join("made"));
        let backup = integrity::backup::create(&catalogue, &what, |_, _| Ok(None))?;
        remove_tree(&unpacked).map_err(|source| BackupError::Folder { path: unpacked, source })?;
        Ok((Told { catalogue, backup, record: Vec::new(), seal: None }, Word::Foreign(found.listed)))
    }
}
