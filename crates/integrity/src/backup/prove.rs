//! Owns proving a backup: every byte of it read, unpacked into a tree of its own, and that tree asked whether it is whole.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::catalogue::{Backup, Catalogue};
use super::stream;
use super::unpack::{UnpackError, extract, unpack};
use crate::check::{CheckError, Keep, Places, check};
use crate::compare::Expect;
use crate::entry::TreePath;
use crate::manifest::{ManifestError, Reader};
use crate::patterns::Patterns;
use crate::scan::Options;

/// What may be needed beside the bytes of the files themselves.
const SPARE_BYTES: u64 = 16 << 20;

/// A backup is not good, or nobody knows.
#[derive(Debug, thiserror::Error)]
pub enum ProveError {
    /// The archive is another one than was written.
    #[error("the archive {} is not the one that was written: {how}", path.display())]
    Archive {
        /// The archive.
        path: PathBuf,
        /// How it differs.
        how: String,
    },
    /// A manifest is another one than was written.
    #[error("the manifest {} is not the one that was written", path.display())]
    Other {
        /// The manifest.
        path: PathBuf,
    },
    /// It cannot be unpacked.
    #[error(transparent)]
    Unpack(#[from] UnpackError),
    /// What was unpacked cannot be looked at.
    #[error(transparent)]
    Check(#[from] CheckError),
    /// It was damaged when it was made.
    #[error("it was made of data that were damaged already: {what}")]
    Damaged {
        /// The first damaged file, and how many there are.
        what: String,
    },
    /// Files of it were written while they were read.
    #[error("{what} was written all the while it was read: nobody knows of which moment it is")]
    Moving {
        /// The first of them.
        what: String,
    },
    /// A dump in it cannot be restored.
    #[error("the dump of the database {name} cannot be restored: {problem}")]
    Dump {
        /// The database.
        name: String,
        /// Why not.
        problem: String,
    },
    /// A dump in it cannot be tried. That says nothing about the backup.
    #[error("the dump of the database {name} cannot be tried: {problem}")]
    NoServer {
        /// The database.
        name: String,
        /// Why not.
        problem: String,
    },
    /// There is no room. That says nothing about the backup.
    #[error("unpacking takes {needed} bytes, and {free} are free in {}", path.display())]
    Room {
        /// Where.
        path: PathBuf,
        /// How many it takes.
        needed: u64,
        /// How many are free.
        free: u64,
    },
    /// A disk fails. That says nothing about the backup.
    #[error("{} cannot be used", path.display())]
    Io {
        /// What.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
}

// === impl ProveError ===

impl ProveError {
    /// Whether this says that the backup is bad; otherwise it says nothing about it.
    pub fn is_verdict(&self) -> bool {
        match self {
            Self::Archive { .. }
            | Self::Other { .. }
            | Self::Damaged { .. }
            | Self::Moving { .. }
            | Self::Dump { .. } => true,
            Self::Unpack(
                UnpackError::Differs { .. }
                | UnpackError::Damaged { .. }
                | UnpackError::Refused { .. }
                | UnpackError::Manifest(_),
            ) => true,
            Self::Unpack(UnpackError::Io { .. })
            | Self::Check(_)
            | Self::Room { .. }
            | Self::Io { .. }
            | Self::NoServer { .. } => false,
        }
    }
}

/// Proves a backup in a folder that is removed afterwards. `more` looks at what was unpacked as well: where there are
/// databases, the last of the folders has their dumps.
///
/// # Errors
/// If it is not good ([`ProveError::is_verdict`]), or that cannot be found out.
pub fn prove(
    catalogue: &Catalogue,
    backup: &Backup,
    scratch: &Path,
    more: impl FnOnce(&[PathBuf]) -> Result<(), ProveError>,
) -> Result<(), ProveError> {
    let folder = scratch.join(format!(".proof-{}", backup.id));
    let proven = (|| {
        let fresh = |source| ProveError::Io { path: folder.clone(), source };
        remove_tree(&folder).map_err(fresh)?;
        fs::create_dir_all(&folder).map_err(fresh)?;
        let trees: Vec<PathBuf> =
            (0..backup.record.trees.len()).map(|n| folder.join(n.to_string())).collect();
        place(catalogue, backup, &trees)?;
        look(&trees, &folder)?;
        more(&trees)
    })();
    let removed = remove_tree(&folder).map_err(|source| ProveError::Io { path: folder.clone(), source });
    proven.and(removed)
}

/// Reads a backup to its end and unpacks each of its trees into a folder that is not there yet.
pub(super) fn place(catalogue: &Catalogue, backup: &Backup, trees: &[PathBuf]) -> Result<(), ProveError> {
    let readers = readers(catalogue, backup)?;
    for (path, tree) in trees.iter().zip(&backup.record.trees) {
        room(path, tree.manifest.bytes)?;
    }
    Ok(unpack(&catalogue.archive(&backup.id), readers, trees)?)
}

/// Reads a backup to its end and unpacks some of its files, each to a path of its own. Returns how many it has of them.
///
/// # Errors
/// If the backup is not what was written, or that cannot be found out.
pub fn take_out(
    catalogue: &Catalogue,
    backup: &Backup,
    wanted: &BTreeMap<(usize, TreePath), PathBuf>,
) -> Result<usize, ProveError> {
    let readers = readers(catalogue, backup)?;
    Ok(extract(&catalogue.archive(&backup.id), readers, wanted)?)
}

/// The manifests of a backup, when it is proven that they and the archive are those that were written.
fn readers(catalogue: &Catalogue, backup: &Backup) -> Result<Vec<Reader>, ProveError> {
    if let Some(what) = backup.record.moving.first() {
        return Err(ProveError::Moving { what: what.clone() });
    }
    same_archive(catalogue, backup)?;
    let mut readers = Vec::new();
    for (n, tree) in backup.record.trees.iter().enumerate() {
        let path = catalogue.manifest(&backup.id, n);
        let unusable = |error: ManifestError| match error {
            ManifestError::Io { path, source } if source.kind() != io::ErrorKind::NotFound => {
                ProveError::Io { path, source }
            }
            _ => ProveError::Other { path: path.clone() },
        };
        let mut reader = Reader::open(&path).map_err(unusable)?;
        // All of it before any of it is used: its end proves the rest, and the record proves its end.
        reader.by_ref().try_for_each(|entry| entry.map(drop)).map_err(unusable)?;
        if reader.end() != Some(tree.manifest) {
            return Err(ProveError::Other { path });
        }
        readers.push(Reader::open(&path).map_err(unusable)?);
    }
    Ok(readers)
}

/// Asks unpacked trees whether they are whole by themselves: databases and documents.
pub(super) fn look(trees: &[PathBuf], scratch: &Path) -> Result<(), ProveError> {
    let may_change = Patterns::new([]).expect("the patterns that always hold are good ones");
    for tree in trees {
        let manifest = scratch.join("look.jsonl");
        let options = Options {
            expect: Expect::Changes,
            may_change: &may_change,
            reads_all: true,
            with_sha256: false,
            throttle: None,
            progress: None,
        };
        let places = Places { manifest: &manifest, scratch };
        let report = check(tree, options, Keep::Look, places, i64::MAX)?;
        if let Some(first) = report.differences.iter().find(|one| one.is_damage) {
            let what = format!(
                "{} {}, {} in all",
                first.path.as_path().display(),
                first.change.word(),
                report.damaged
            );
            return Err(ProveError::Damaged { what });
        }
    }
    Ok(())
}

fn same_archive(catalogue: &Catalogue, backup: &Backup) -> Result<(), ProveError> {
    let path = catalogue.archive(&backup.id);
    let failed = |source| ProveError::Io { path: path.clone(), source };
    let other = |how: String| Err(ProveError::Archive { path: path.clone(), how });
    let (found, expected) = (fs::metadata(&path).map_err(failed)?.len(), backup.archive.bytes);
    if found != expected {
        return other(format!("it has {found} bytes, not {expected}"));
    }
    match stream::sum(&path).map_err(failed)? == backup.archive {
        true => Ok(()),
        false => other("its SHA-256 is another".to_owned()),
    }
}

/// Whether so many bytes fit beside this path.
pub(super) fn room(path: &Path, bytes: u64) -> Result<(), ProveError> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    let failed = |source| ProveError::Io { path: folder.to_owned(), source };
    let (needed, free) = (bytes.saturating_add(SPARE_BYTES), free_bytes(folder).map_err(failed)?);
    if free < needed { Err(ProveError::Room { path: folder.to_owned(), needed, free }) } else { Ok(()) }
}

/// How many bytes may be written into a folder.
///
/// # Errors
/// If it is not there.
pub fn free_bytes(folder: &Path) -> io::Result<u64> {
    let disk = rustix::fs::statvfs(folder)?;
    Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
}

/// Removes a tree of ours, whatever its folders allow; it need not be there.
///
/// # Errors
/// If something of it cannot be removed.
pub fn remove_tree(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
        Ok(file) if !file.is_dir() => return fs::remove_file(path),
        Ok(_) => {}
    }
    open_up(path)?;
    fs::remove_dir_all(path)
}

/// Makes every folder of a tree one that its owner may empty.
fn open_up(path: &Path) -> io::Result<()> {
    fs::set_permissions(path, fs::Permissions::from_mode(0o700))?;
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            open_up(&entry.path())?;
        }
    }
    Ok(())
}
