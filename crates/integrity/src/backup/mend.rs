//! Owns a tree in which only some files are those of a backup: all others are copied from the tree of now.
//!
//! Nothing is linked, so that the tree of now, which is kept, stays what it is whoever writes later.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, symlink};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode};

use super::catalogue::{Backup, Catalogue};
use super::prove::{ProveError, room, take_out};
use super::unpack::{copy_with_holes, own};
use crate::attributes::Attributes;
use crate::entry::{Entry, Kind, TreePath};
use crate::look::{Look, Seen};
use crate::walk::{Root, Step, Walk};

/// What SQLite keeps beside a database: of another state of it than the one that is put back.
const LOGS: [&str; 3] = ["-wal", "-shm", "-journal"];

/// Files of a backup cannot be put among the others.
#[derive(Debug, thiserror::Error)]
pub enum MendError {
    /// The backup is not good, or nobody knows.
    #[error(transparent)]
    Prove(#[from] ProveError),
    /// A file that is wanted is not in it.
    #[error("the backup does not have {}; restore the whole of it, or take another", path.display())]
    Lacks {
        /// The file.
        path: PathBuf,
    },
    /// Its folder is gone.
    #[error("the folder of {} is gone as well: restore the whole backup", path.display())]
    NoFolder {
        /// The file.
        path: PathBuf,
    },
    /// Another file system is mounted in the tree.
    #[error("another file system is mounted at {}: restore the whole backup", path.display())]
    Mount {
        /// Where.
        path: PathBuf,
    },
    /// A file of now cannot be copied.
    #[error("{} cannot be copied", path.display())]
    Copy {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
}

/// Fills folders, which are not there yet, with what the trees have now, but for `only`: these files come from the backup.
pub(super) fn mend(
    catalogue: &Catalogue,
    backup: &Backup,
    only: &BTreeSet<(usize, TreePath)>,
    into: &[PathBuf],
) -> Result<(), MendError> {
    let mut taken = BTreeMap::new();
    for (n, (beside, tree)) in into.iter().zip(&backup.record.trees).enumerate() {
        let failed = |source| MendError::Copy { path: beside.clone(), source };
        DirBuilder::new().mode(0o700).create(beside).map_err(failed)?;
        room(beside, tree.manifest.bytes)?;
        let wanted = only.iter().filter(|(tree, _)| *tree == n);
        taken
            .extend(wanted.enumerate().map(|(k, key)| (key.clone(), beside.join(format!(".paramedic-{k}")))));
    }
    take_out(catalogue, backup, &taken)?;
    if let Some(((n, path), _)) = taken.iter().find(|(_, at)| fs::symlink_metadata(at).is_err()) {
        return Err(MendError::Lacks { path: backup.record.trees[*n].root.join(path.as_path()) });
    }
    for (n, (beside, tree)) in into.iter().zip(&backup.record.trees).enumerate() {
        let mut wanted: BTreeMap<TreePath, PathBuf> = taken
            .iter()
            .filter(|((tree, _), _)| *tree == n)
            .map(|((_, path), at)| (path.clone(), at.clone()))
            .collect();
        copy_tree(&tree.root, beside, &mut wanted)?;
    }
    Ok(())
}

/// Copies a tree, except `instead`: these files are moved to their places.
fn copy_tree(root: &Path, to: &Path, instead: &mut BTreeMap<TreePath, PathBuf>) -> Result<(), MendError> {
    let failed = |path: &Path| {
        let path = root.join(path);
        move |source: io::Error| MendError::Copy { path, source }
    };
    let opened = Root::open(root).map_err(failed(Path::new("")))?;
    let device = rustix::fs::fstat(opened.fd()).map_err(|error| failed(Path::new(""))(error.into()))?.st_dev;
    let look = Look {
        root: &opened,
        device,
        with_sha256: false,
        throttle: None,
        progress: None,
        began_ns: i64::MAX,
    };
    let logs: BTreeSet<PathBuf> = (instead.keys())
        .flat_map(|path| {
            LOGS.map(|log| {
                let mut name = path.as_path().as_os_str().to_owned();
                name.push(log);
                PathBuf::from(name)
            })
        })
        .collect();
    let mut folders = Vec::new();
    for step in Walk::new(&opened).map_err(failed(Path::new("")))? {
        let path = match step {
            Step::Found(path) => path,
            Step::Unreadable(path, source) => return Err(failed(path.as_path())(source)),
        };
        if logs.contains(path.as_path()) {
            continue;
        }
        let at = to.join(path.as_path());
        if let Some(taken) = instead.remove(&path) {
            fs::rename(taken, &at).map_err(failed(path.as_path()))?;
            continue;
        }
        let entry = match look.without_content(&path) {
            Seen::Is { entry, .. } => entry,
            // Nobody may write now; who does it all the same is seen by the check that follows.
            _ => continue,
        };
        if entry.kind == Kind::Mount {
            return Err(MendError::Mount { path: root.join(path.as_path()) });
        }
        copy(&look, &entry, &at).map_err(failed(path.as_path()))?;
        let attributes = Attributes::of(&root.join(path.as_path()));
        if entry.kind == Kind::Folder {
            folders.push((at, entry, attributes));
        } else {
            own(&at, &entry, &attributes).map_err(ProveError::from)?;
        }
    }
    for (path, taken) in std::mem::take(instead) {
        let at = to.join(path.as_path());
        if !at.parent().is_some_and(Path::is_dir) {
            return Err(MendError::NoFolder { path: root.join(path.as_path()) });
        }
        fs::rename(taken, &at).map_err(failed(path.as_path()))?;
    }
    // A folder last, and the innermost first: what is put into it changes its time.
    for (at, entry, attributes) in folders.iter().rev() {
        own(at, entry, attributes).map_err(ProveError::from)?;
    }
    Ok(())
}

fn copy(look: &Look<'_>, entry: &Entry, at: &Path) -> io::Result<()> {
    let from = look.root.path().join(entry.path.as_path());
    match entry.kind {
        Kind::Folder | Kind::Mount => DirBuilder::new().mode(0o700).create(at),
        Kind::Link => symlink(from.read_link()?, at),
        Kind::Special => {
            let is = fs::symlink_metadata(&from)?;
            let kind = FileType::from_raw_mode(is.mode());
            Ok(rustix::fs::mknodat(CWD, at, kind, Mode::from_raw_mode(0o600), is.rdev())?)
        }
        Kind::File => {
            let mut file = look.open(entry.path.as_path())?;
            let mut to: File = OpenOptions::new().write(true).create_new(true).mode(0o600).open(at)?;
            // A file system that shares blocks copies nothing.
            if rustix::fs::ioctl_ficlone(&to, &file).is_ok() {
                return Ok(());
            }
            copy_with_holes(&mut file, &mut to, |_| true).map(drop)
        }
    }
}
