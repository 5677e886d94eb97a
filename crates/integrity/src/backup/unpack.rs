//! Owns unpacking an archive into new folders: nothing but what its manifest says, in that order, byte for byte.
//!
//! An archive is believed nothing: each member has to be the next of the manifest, of that kind and size and with that
//! digest, so it writes no more, nowhere else, and nothing else than was backed up.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Read, Seek as _, SeekFrom, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Gid, Timespec, Timestamps, Uid};
use tar::EntryType;

use super::inside::Inside;
use super::member::{self, Member};
use super::stream;
use crate::attributes::Attributes;
use crate::entry::{Entry, Kind, TreePath};
use crate::manifest::{ManifestError, Reader};

/// Copied at once; a whole piece of zeros becomes a hole.
const PIECE_BYTES: usize = 64 << 10;

/// A backup cannot be unpacked.
#[derive(Debug, thiserror::Error)]
pub enum UnpackError {
    /// Something cannot be read or written.
    #[error("{} cannot be read or written", path.display())]
    Io {
        /// What.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The archive is not what its manifest says.
    #[error("the archive is not what its manifest says: {what}")]
    Differs {
        /// In what.
        what: String,
    },
    /// The archive is not whole, or takes more memory than it may.
    #[error("the archive {} cannot be unpacked: {reason}", path.display())]
    Damaged {
        /// The archive.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// Something in it is not unpacked, whoever made it.
    #[error("the archive is not unpacked: {what}")]
    Refused {
        /// What.
        what: String,
    },
    /// A manifest of it cannot be used.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
}

// === impl UnpackError ===

impl UnpackError {
    /// An archive could not be read on: because of the disk, or because of what it is.
    pub(super) fn of_archive(path: &Path, source: io::Error) -> Self {
        match stream::is_of_the_disk(&source) {
            true => Self::Io { path: path.to_owned(), source },
            false => Self::Damaged { path: path.to_owned(), reason: source.to_string() },
        }
    }
}

/// Folders whose owner, permissions and times are set when all that is in them is there.
struct Folders {
    open: Vec<(PathBuf, Entry, Attributes)>,
}

/// Unpacks the trees of an archive, each into a folder that does not exist yet.
///
/// # Errors
/// If the archive is not exactly what the manifests say, or the disk takes no more. What was unpacked stays then.
pub(super) fn unpack(archive: &Path, manifests: Vec<Reader>, into: &[PathBuf]) -> Result<(), UnpackError> {
    let mut all = Vec::new();
    for root in into {
        let made = DirBuilder::new().mode(0o700).create(root);
        made.map_err(|source| UnpackError::Io { path: root.clone(), source })?;
        all.push(Folders { open: Vec::new() });
    }
    each(archive, manifests, |tree, entry, member| {
        let folders = &mut all[tree];
        folders.close_until(&entry.path)?;
        folders.make(&into[tree], entry, member)
    })?;
    all.iter_mut().try_for_each(Folders::close_all)
}

/// Unpacks some files of an archive, each to a path of its own, and reads the rest to its end. Returns how many there
/// were.
///
/// # Errors
/// As [`unpack`] has them.
pub(super) fn extract(
    archive: &Path,
    manifests: Vec<Reader>,
    wanted: &BTreeMap<(usize, TreePath), PathBuf>,
) -> Result<usize, UnpackError> {
    let mut found = 0;
    each(archive, manifests, |tree, entry, mut member| {
        let key = (tree, entry.path.clone());
        match wanted.get(&key).filter(|_| entry.kind == Kind::File) {
            Some(to) => {
                found += 1;
                file(to, &entry, &mut member)
            }
            // What is passed over is read on the way to the next member.
            None => Ok(()),
        }
    })?;
    Ok(found)
}

/// The members of an archive beside the entries of its manifests: each has to be the next.
fn each(
    archive: &Path,
    manifests: Vec<Reader>,
    mut take: impl FnMut(usize, Entry, Member<'_, stream::Bytes>) -> Result<(), UnpackError>,
) -> Result<(), UnpackError> {
    let unreadable = |source| UnpackError::of_archive(archive, source);
    let mut opened = stream::open(archive).map_err(unreadable)?;
    let mut members = opened.entries().map_err(unreadable)?.raw(true);
    for (n, manifest) in manifests.into_iter().enumerate() {
        for entry in manifest {
            let entry = entry?;
            let next = member::next(&mut members).map_err(unreadable)?;
            let member = next.ok_or_else(|| differs(&entry.path, "is missing"))?;
            if member.name != member::name(n, entry.path.as_path()) {
                return Err(differs(
                    &entry.path,
                    &format!("is missing, and {} is there", member.name.display()),
                ));
            }
            if member.attributes.digest() != entry.attributes {
                return Err(differs(&entry.path, "has other extended attributes"));
            }
            take(n, entry, member)?;
        }
    }
    while let Some(more) = member::next(&mut members).map_err(unreadable)? {
        // What it says of itself was read where that is needed.
        if Inside::of(&more).is_none() {
            return Err(UnpackError::Differs { what: format!("{} is too many", more.name.display()) });
        }
    }
    stream::end(opened).map_err(unreadable)
}

// === impl Folders ===

impl Folders {
    fn make(
        &mut self,
        root: &Path,
        entry: Entry,
        mut member: Member<'_, impl Read>,
    ) -> Result<(), UnpackError> {
        let at = root.join(entry.path.as_path());
        // What it is in was made here, as a folder, and is ours alone until all is there.
        let parent = entry.path.as_path().parent().filter(|parent| !parent.as_os_str().is_empty());
        if parent != self.open.last().map(|(_, folder, _)| folder.path.as_path()) {
            return Err(differs(&entry.path, "is in no folder of the manifest"));
        }
        let failed = |source| UnpackError::Io { path: at.clone(), source };
        match (entry.kind, member.content.header().entry_type()) {
            (Kind::File, EntryType::Regular) => file(&at, &entry, &mut member),
            (Kind::Folder | Kind::Mount, EntryType::Directory) => {
                DirBuilder::new().mode(0o700).create(&at).map_err(failed)?;
                self.open.push((at, entry, member.attributes));
                Ok(())
            }
            (Kind::Link, EntryType::Symlink) => {
                let link = member.link.as_deref().unwrap_or(Path::new(""));
                let same = match entry.blake3 {
                    None => entry.target.as_deref().map(Path::new) == Some(link),
                    Some(digest) => crate::content::digest_of(link.as_os_str().as_bytes()) == digest,
                };
                if !same {
                    return Err(differs(&entry.path, "links to something else"));
                }
                symlink(link, &at).map_err(failed)?;
                own(&at, &entry, &member.attributes)
            }
            _ => Err(differs(&entry.path, "is another kind of thing")),
        }
    }

    /// Ends the folders that this is not in.
    fn close_until(&mut self, path: &TreePath) -> Result<(), UnpackError> {
        while self.open.last().is_some_and(|(_, folder, _)| !path.is_below(&folder.path)) {
            self.close()?;
        }
        Ok(())
    }

    fn close_all(&mut self) -> Result<(), UnpackError> {
        while !self.open.is_empty() {
            self.close()?;
        }
        Ok(())
    }

    fn close(&mut self) -> Result<(), UnpackError> {
        match self.open.pop() {
            Some((at, entry, attributes)) => own(&at, &entry, &attributes),
            None => Ok(()),
        }
    }
}

/// Unpacks one file, exactly as its entry says.
fn file(at: &Path, entry: &Entry, member: &mut Member<'_, impl Read>) -> Result<(), UnpackError> {
    if member.content.header().entry_type() != EntryType::Regular {
        return Err(differs(&entry.path, "is another kind of thing"));
    }
    let failed = |source| UnpackError::Io { path: at.to_owned(), source };
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(at).map_err(failed)?;
    let mut hasher = blake3::Hasher::new();
    let mut bytes = 0;
    let copied = copy_with_holes(&mut member.content, &mut file, |piece| {
        bytes += piece.len() as u64;
        hasher.update(piece);
        bytes <= entry.size
    });
    if !copied.map_err(failed)? {
        return Err(differs(&entry.path, "is longer"));
    }
    if bytes != entry.size || entry.blake3.is_none_or(|digest| digest.0 != *hasher.finalize().as_bytes()) {
        return Err(differs(&entry.path, "has another content"));
    }
    drop(file);
    own(at, entry, &member.attributes)
}

/// Copies what is left of `from`; pieces of zeros become holes. `seen` hears of each piece first, and may end it: then this
/// is `false`.
pub(super) fn copy_with_holes(
    from: &mut impl Read,
    to: &mut File,
    mut seen: impl FnMut(&[u8]) -> bool,
) -> io::Result<bool> {
    let (mut piece, mut bytes) = (vec![0; PIECE_BYTES], 0);
    loop {
        let n = match from.read(&mut piece) {
            Ok(0) => break,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            read => read?,
        };
        if !seen(&piece[..n]) {
            return Ok(false);
        }
        bytes += n as u64;
        if n == PIECE_BYTES && piece.iter().all(|byte| *byte == 0) {
            to.seek(SeekFrom::Current(n as i64))?;
        } else {
            to.write_all(&piece[..n])?;
        }
    }
    to.set_len(bytes)?;
    Ok(true)
}

/// Sets owner, permissions, attributes and times. Only root can give a file away; whoever is not keeps it.
pub(super) fn own(at: &Path, entry: &Entry, attributes: &Attributes) -> Result<(), UnpackError> {
    let failed = |source: io::Error| UnpackError::Io { path: at.to_owned(), source };
    if rustix::process::geteuid().is_root() {
        let (user, group) = (Uid::from_raw(entry.uid), Gid::from_raw(entry.gid));
        rustix::fs::chownat(CWD, at, Some(user), Some(group), AtFlags::SYMLINK_NOFOLLOW)
            .map_err(|error| failed(error.into()))?;
    }
    if entry.kind != Kind::Link {
        fs::set_permissions(at, Permissions::from_mode(entry.mode.into())).map_err(failed)?;
    }
    attributes.set(at).map_err(failed)?;
    let time = Timespec {
        tv_sec: entry.modified_ns.div_euclid(1_000_000_000),
        tv_nsec: entry.modified_ns.rem_euclid(1_000_000_000),
    };
    let times = Timestamps { last_access: time, last_modification: time };
    rustix::fs::utimensat(CWD, at, &times, AtFlags::SYMLINK_NOFOLLOW).map_err(|error| failed(error.into()))
}

fn differs(path: &TreePath, how: &str) -> UnpackError {
    UnpackError::Differs { what: format!("{} {how}", path.as_path().display()) }
}
