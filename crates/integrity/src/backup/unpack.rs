//! Owns unpacking an archive into new folders: nothing but what its manifest says, in that order, byte for byte.
//!
//! An archive is believed nothing: each member has to be the next of the manifest, of that kind and size and with that
//! digest, so it writes no more, nowhere else, and nothing else than was backed up.

use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, BufReader, Read, Seek as _, SeekFrom, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Gid, Timespec, Timestamps, Uid};
use tar::{Archive, EntryType};
use zstd::stream::read::Decoder;

use super::pack::member;
use crate::entry::{Entry, Kind, TreePath};
use crate::manifest::{ManifestError, Reader};

/// Memory that a frame may ask for: 128 MiB, the most that our own level can.
const WINDOW_LOG_MAX: u32 = 27;
/// The longest path.
const NAME_BYTES_MAX: u64 = 8192;
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
    /// A manifest of it cannot be used.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
}

/// Folders whose owner, permissions and times are set when all that is in them is there.
struct Folders {
    open: Vec<(TreePath, PathBuf, Entry)>,
    is_root: bool,
}

/// Unpacks the trees of an archive, each into a folder that does not exist yet.
///
/// # Errors
/// If the archive is not exactly what the manifests say, or the disk takes no more. What was unpacked stays then.
pub(super) fn unpack(archive: &Path, manifests: Vec<Reader>, into: &[PathBuf]) -> Result<(), UnpackError> {
    let unreadable = |source| UnpackError::Io { path: archive.to_owned(), source };
    let file = File::open(archive).map_err(unreadable)?;
    let mut decoder = Decoder::with_buffer(BufReader::with_capacity(1 << 20, file)).map_err(unreadable)?;
    decoder.window_log_max(WINDOW_LOG_MAX).map_err(unreadable)?;
    let mut archive = Archive::new(decoder);
    let mut members = archive.entries().map_err(unreadable)?.raw(true);
    for (n, (manifest, root)) in manifests.into_iter().zip(into).enumerate() {
        DirBuilder::new()
            .mode(0o700)
            .create(root)
            .map_err(|source| UnpackError::Io { path: root.clone(), source })?;
        let mut folders = Folders { open: Vec::new(), is_root: rustix::process::geteuid().is_root() };
        for entry in manifest {
            let entry = entry?;
            let (found, link, mut content) =
                next(&mut members).map_err(unreadable)?.ok_or_else(|| differs(&entry.path, "is missing"))?;
            if found != member(n, entry.path.as_path()) {
                return Err(differs(&entry.path, &format!("is missing, and {} is there", found.display())));
            }
            folders.close_until(&entry.path)?;
            folders.make(root, entry, content.header().entry_type(), link.as_deref(), &mut content)?;
        }
        folders.close_all()?;
    }
    match next(&mut members).map_err(unreadable)? {
        None => Ok(()),
        Some((more, ..)) => Err(UnpackError::Differs { what: format!("{} is too many", more.display()) }),
    }
}

type Member<'a, R> = (PathBuf, Option<PathBuf>, tar::Entry<'a, R>);

/// The next member with its name and what it links to.
fn next<'a, R: Read>(members: &mut tar::Entries<'a, R>) -> io::Result<Option<Member<'a, R>>> {
    let (mut name, mut link) = (None, None);
    loop {
        let Some(member) = members.next() else {
            return if name.is_none() && link.is_none() {
                Ok(None)
            } else {
                Err(io::ErrorKind::UnexpectedEof.into())
            };
        };
        let mut member = member?;
        let long = match member.header().entry_type() {
            EntryType::GNULongName => &mut name,
            EntryType::GNULongLink => &mut link,
            _ => {
                let path = |bytes: &[u8]| PathBuf::from(OsStr::from_bytes(bytes));
                let name = name.unwrap_or_else(|| path(&member.header().path_bytes()));
                let link = link.or_else(|| member.header().link_name_bytes().map(|bytes| path(&bytes)));
                return Ok(Some((name, link, member)));
            }
        };
        let mut bytes = Vec::new();
        if member.size() > NAME_BYTES_MAX || long.is_some() {
            return Err(io::Error::other("a name in the archive is no name"));
        }
        member.read_to_end(&mut bytes)?;
        bytes.pop_if(|last| *last == 0);
        *long = Some(PathBuf::from(OsStr::from_bytes(&bytes)));
    }
}

// === impl Folders ===

impl Folders {
    fn make(
        &mut self,
        root: &Path,
        entry: Entry,
        kind: EntryType,
        link: Option<&Path>,
        content: &mut impl Read,
    ) -> Result<(), UnpackError> {
        let at = root.join(entry.path.as_path());
        // What it is in was made here, as a folder, and is ours alone until all is there.
        let parent = entry.path.as_path().parent().filter(|parent| !parent.as_os_str().is_empty());
        if parent != self.open.last().map(|(path, ..)| path.as_path()) {
            return Err(differs(&entry.path, "is in no folder of the manifest"));
        }
        let failed = |source| UnpackError::Io { path: at.clone(), source };
        match (entry.kind, kind) {
            (Kind::File, EntryType::Regular) => self.file(&at, &entry, content),
            (Kind::Folder | Kind::Mount, EntryType::Directory) => {
                DirBuilder::new().mode(0o700).create(&at).map_err(failed)?;
                self.open.push((entry.path.clone(), at, entry));
                Ok(())
            }
            (Kind::Link, EntryType::Symlink) => {
                let link = link.unwrap_or(Path::new(""));
                let same = match entry.blake3 {
                    None => entry.target.as_deref().map(Path::new) == Some(link),
                    Some(digest) => crate::content::digest_of(link.as_os_str().as_bytes()) == digest,
                };
                if !same {
                    return Err(differs(&entry.path, "links to something else"));
                }
                symlink(link, &at).map_err(failed)?;
                self.own(&at, &entry)
            }
            _ => Err(differs(&entry.path, "is another kind of thing")),
        }
    }

    fn file(&self, at: &Path, entry: &Entry, content: &mut impl Read) -> Result<(), UnpackError> {
        let failed = |source| UnpackError::Io { path: at.to_owned(), source };
        let mut file =
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(at).map_err(failed)?;
        let mut hasher = blake3::Hasher::new();
        let (mut piece, mut bytes) = (vec![0; PIECE_BYTES], 0);
        loop {
            let n = content.read(&mut piece).map_err(failed)?;
            if n == 0 {
                break;
            }
            bytes += n as u64;
            if bytes > entry.size {
                return Err(differs(&entry.path, "is longer"));
            }
            hasher.update(&piece[..n]);
            let is_hole = n == PIECE_BYTES && piece.iter().all(|byte| *byte == 0);
            let written = if is_hole {
                file.seek(SeekFrom::Current(n as i64)).map(|_| ())
            } else {
                file.write_all(&piece[..n])
            };
            written.map_err(failed)?;
        }
        if bytes != entry.size || entry.blake3.is_none_or(|digest| digest.0 != *hasher.finalize().as_bytes())
        {
            return Err(differs(&entry.path, "has another content"));
        }
        file.set_len(bytes).map_err(failed)?;
        drop(file);
        self.own(at, entry)
    }

    /// Sets owner, permissions and times. Only root can give a file away; whoever is not keeps it.
    fn own(&self, at: &Path, entry: &Entry) -> Result<(), UnpackError> {
        let failed = |source: io::Error| UnpackError::Io { path: at.to_owned(), source };
        if self.is_root {
            let (user, group) = (Uid::from_raw(entry.uid), Gid::from_raw(entry.gid));
            rustix::fs::chownat(CWD, at, Some(user), Some(group), AtFlags::SYMLINK_NOFOLLOW)
                .map_err(|error| failed(error.into()))?;
        }
        if entry.kind != Kind::Link {
            fs::set_permissions(at, Permissions::from_mode(entry.mode.into())).map_err(failed)?;
        }
        let time = Timespec {
            tv_sec: entry.modified_ns.div_euclid(1_000_000_000),
            tv_nsec: entry.modified_ns.rem_euclid(1_000_000_000),
        };
        let times = Timestamps { last_access: time, last_modification: time };
        rustix::fs::utimensat(CWD, at, &times, AtFlags::SYMLINK_NOFOLLOW)
            .map_err(|error| failed(error.into()))
    }

    /// Ends the folders that this is not in.
    fn close_until(&mut self, path: &TreePath) -> Result<(), UnpackError> {
        while self.open.last().is_some_and(|(folder, ..)| !path.is_below(folder)) {
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
            Some((_, at, entry)) => self.own(&at, &entry),
            None => Ok(()),
        }
    }
}

fn differs(path: &TreePath, how: &str) -> UnpackError {
    UnpackError::Differs { what: format!("{} {how}", path.as_path().display()) }
}
