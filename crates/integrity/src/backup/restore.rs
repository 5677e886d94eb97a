//! Owns putting a backup back: unpacked beside the data, proven there, and exchanged with them at one stroke.
//!
//! Whenever this is interrupted, the old tree or the new one stands at its place, whole. What stood there before is kept
//! beside it under a name of its own. A tree that is being unpacked has a mark beside it; without the mark it may be the
//! old one, which nobody deletes.

use std::collections::BTreeSet;
use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use chrono::DateTime;
use rustix::fs::{CWD, RenameFlags, renameat_with};

use super::catalogue::{Backup, Catalogue};
use super::mend::{MendError, mend};
use super::prove::{ProveError, look, place, remove_tree};
use crate::entry::TreePath;

/// A restore.
#[derive(Clone, Copy, Debug)]
pub struct Restore<'a> {
    /// Where the backup is.
    pub catalogue: &'a Catalogue,
    /// What is put back.
    pub backup: &'a Backup,
    /// Only these files, each with the number of its tree; all else stays as it is now. Everything where there is nothing.
    pub only: Option<&'a BTreeSet<(usize, TreePath)>>,
    /// A folder of this process alone, for copies of databases.
    pub scratch: &'a Path,
    /// When it begins: milliseconds since 1970.
    pub now_ms: i64,
}

/// A tree that was put back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed {
    /// Where it is.
    pub root: PathBuf,
    /// Where that is now what was there before; nothing where nothing was.
    pub kept: Option<PathBuf>,
}

/// Nothing was put back: the data are as they were before.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The backup is not good, or nobody knows.
    #[error(transparent)]
    Prove(#[from] ProveError),
    /// Some files of it cannot be put among the others.
    #[error(transparent)]
    Mend(#[from] MendError),
    /// A folder is where it cannot be exchanged.
    #[error("{} is where another file system is mounted, or the topmost folder: it cannot be exchanged", path.display())]
    Mount {
        /// The folder.
        path: PathBuf,
    },
    /// The exchange did not work.
    #[error("{} cannot be put in its place", path.display())]
    Exchange {
        /// The folder.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The new data did not pass, and the old ones stand again.
    #[error("what was put back did not pass, so the data from before stand again: {reason}")]
    Refused {
        /// Why.
        reason: String,
    },
}

/// One tree and the names around it.
struct Site {
    root: PathBuf,
    /// Where the new tree is unpacked.
    beside: PathBuf,
    /// Tells that what is there is not whole yet.
    mark: PathBuf,
    /// Where the old tree goes.
    kept: PathBuf,
}

/// Puts all trees of a backup back. `passes` looks at them in their places; if it says no, everything is as before.
///
/// # Errors
/// If the backup is not good, or a tree cannot be exchanged. Then the data are as they were.
pub fn restore(
    what: &Restore<'_>,
    passes: impl FnOnce(&[Placed]) -> Result<(), String>,
) -> Result<Vec<Placed>, RestoreError> {
    let trees = &what.backup.record.trees;
    let sites = trees.iter().map(|tree| Site::of(&tree.root, what.now_ms)).collect::<Result<Vec<_>, _>>()?;
    for site in &sites {
        site.prepare()?;
    }
    let unpacked: Vec<PathBuf> = sites.iter().map(|site| site.beside.clone()).collect();
    let filled = match what.only {
        None => place(what.catalogue, what.backup, &unpacked).map_err(RestoreError::from),
        Some(only) => mend(what.catalogue, what.backup, only, &unpacked).map_err(RestoreError::from),
    };
    let ready = filled
        .and_then(|()| Ok(look(&unpacked, what.scratch)?))
        .and_then(|()| sites.iter().try_for_each(Site::seal));
    if let Err(error) = ready {
        for site in &sites {
            // What is left of it is removed by the next one.
            let _ = remove_tree(&site.beside).and_then(|()| remove_tree(&site.mark));
        }
        return Err(error);
    }
    let mut placed = Vec::new();
    for site in &sites {
        match site.exchange() {
            Ok(one) => placed.push(one),
            Err(error) => {
                undo(&sites, &placed)?;
                return Err(error);
            }
        }
    }
    if let Err(reason) = passes(&placed) {
        undo(&sites, &placed)?;
        return Err(RestoreError::Refused { reason });
    }
    Ok(placed)
}

/// Puts back what was there before, the last first.
fn undo(sites: &[Site], placed: &[Placed]) -> Result<(), RestoreError> {
    for (site, placed) in sites.iter().zip(placed).rev() {
        let failed = |source| RestoreError::Exchange { path: site.root.clone(), source };
        match &placed.kept {
            Some(kept) => {
                swap(kept, &site.root).map_err(failed)?;
                remove_tree(kept).map_err(failed)?;
            }
            None => remove_tree(&site.root).map_err(failed)?,
        }
        sync_folder(&site.root).map_err(failed)?;
    }
    Ok(())
}

// === impl Site ===

impl Site {
    fn of(root: &Path, now_ms: i64) -> Result<Self, RestoreError> {
        let mount = || RestoreError::Mount { path: root.to_owned() };
        let (folder, name) = root.parent().zip(root.file_name()).ok_or_else(mount)?;
        let device = |path: &Path| fs::symlink_metadata(path).ok().map(|file| file.dev());
        if device(root).is_some_and(|one| Some(one) != device(folder)) {
            return Err(mount());
        }
        let time = DateTime::from_timestamp_millis(now_ms).unwrap_or_default().format("%Y%m%dT%H%M%SZ");
        let named = |before: &str, after: &str| {
            let mut all = std::ffi::OsString::from(before);
            all.push(name);
            all.push(after);
            folder.join(all)
        };
        let kept = (1..).map(|n| match n {
            1 => named("", &format!(".before-{time}")),
            n => named("", &format!(".before-{time}-{n}")),
        });
        let kept = kept.into_iter().find(|path| fs::symlink_metadata(path).is_err()).ok_or_else(mount)?;
        Ok(Self {
            root: root.to_owned(),
            beside: named(".", ".restore"),
            mark: named(".", ".restoring"),
            kept,
        })
    }

    /// Removes what an interrupted restore was unpacking. What it had exchanged already is kept under a name of its own.
    fn prepare(&self) -> Result<(), RestoreError> {
        let failed = |source| RestoreError::Exchange { path: self.beside.clone(), source };
        if self.mark.exists() {
            remove_tree(&self.beside).map_err(failed)?;
        } else if fs::symlink_metadata(&self.beside).is_ok() {
            let aside = self.kept.with_added_extension("interrupted");
            fs::rename(&self.beside, aside).map_err(failed)?;
        }
        File::create(&self.mark).and_then(|file| file.sync_all()).map_err(failed)?;
        sync_folder(&self.root).map_err(failed)
    }

    /// Makes an unpacked tree one that may take the place of the old one: on disk, with the rights of the old one, and
    /// without the mark.
    fn seal(&self) -> Result<(), RestoreError> {
        let sealed = (|| {
            let (mode, owner) = match fs::metadata(&self.root) {
                Ok(old) => (old.mode() & 0o7777, Some((old.uid(), old.gid()))),
                Err(_) => (0o755, None),
            };
            if let Some((user, group)) = owner.filter(|_| rustix::process::geteuid().is_root()) {
                std::os::unix::fs::chown(&self.beside, Some(user), Some(group))?;
            }
            fs::set_permissions(&self.beside, Permissions::from_mode(mode))?;
            rustix::fs::syncfs(File::open(&self.beside)?)?;
            fs::remove_file(&self.mark)?;
            sync_folder(&self.root)
        })();
        sealed.map_err(|source| RestoreError::Exchange { path: self.beside.clone(), source })
    }

    fn exchange(&self) -> Result<Placed, RestoreError> {
        let exchanged = (|| {
            if fs::symlink_metadata(&self.root).is_err() {
                renameat_with(CWD, &self.beside, CWD, &self.root, RenameFlags::NOREPLACE)?;
                sync_folder(&self.root)?;
                return Ok(None);
            }
            swap(&self.beside, &self.root)?;
            // From here on what is beside is the old tree.
            fs::rename(&self.beside, &self.kept)?;
            sync_folder(&self.root)?;
            Ok(Some(self.kept.clone()))
        })();
        exchanged
            .map(|kept| Placed { root: self.root.clone(), kept })
            .map_err(|source| RestoreError::Exchange { path: self.root.clone(), source })
    }
}

/// Exchanges two names at one stroke.
fn swap(one: &Path, two: &Path) -> io::Result<()> {
    Ok(renameat_with(CWD, one, CWD, two, RenameFlags::EXCHANGE)?)
}

/// Makes the names around a tree last.
fn sync_folder(root: &Path) -> io::Result<()> {
    File::open(root.parent().unwrap_or(Path::new("/")))?.sync_all()
}
