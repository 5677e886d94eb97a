//! Owns looking at one thing of a tree: what it is now, reading its content only where that is asked for.

use std::fs::File;
use std::io::{self, Seek as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::time::Duration;

use rustix::fs::{AtFlags, FileType, OFlags, Stat};
use rustix::io::Errno;

use crate::attributes::Attributes;
use crate::content::{self, Progress, Throttle};
use crate::entry::{Entry, Kind, TreePath};
use crate::format::{Format, Wholeness};
use crate::walk::Root;

/// How often a file that is being written is read again before that is said.
const TRIES: usize = 3;
/// A file that was written so shortly before may be half of what it will be in a moment: nanoseconds.
const JUST_NOW_NS: i64 = 2_000_000_000;
/// How long such a one is waited for, each time.
const SETTLE: Duration = Duration::from_millis(100);

/// How it is looked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Look<'a> {
    pub(crate) root: &'a Root,
    pub(crate) device: u64,
    /// Whether SHA-256 is computed beside BLAKE3.
    pub(crate) with_sha256: bool,
    pub(crate) throttle: Option<&'a Throttle>,
    pub(crate) progress: Option<&'a Progress>,
    /// When it began: nanoseconds since 1970.
    pub(crate) began_ns: i64,
}

/// What came of looking at one thing.
#[derive(Debug)]
pub(crate) enum Seen {
    /// It is this. Where its content was read now and has a format of its own, that is told.
    Is { entry: Entry, format: Option<Format> },
    /// It is this, and by its own format it is not whole.
    Broken(Entry, String),
    /// It is not there any more.
    Gone,
    /// It was written each time it was read: this is what it was the last time, without a digest.
    Changing(Entry),
    /// It is there, and its content cannot be read.
    Unreadable(Entry, io::Error),
    /// Not even that can be said.
    Unknown(io::Error),
}

// === impl Look ===

impl Look<'_> {
    /// Looks at one thing. `trusted` decides, by what it is now, whether the digests that are known still hold where
    /// the kernel saw no change.
    pub(crate) fn at(
        &self,
        path: &TreePath,
        known: Option<&Entry>,
        trusted: impl Fn(&Entry) -> bool,
    ) -> Seen {
        let mut entry = match self.without_content(path) {
            Seen::Is { entry, .. } => entry,
            seen => return seen,
        };
        if let Some(known) = known.filter(|known| same_thing(known, &entry) && trusted(&entry)) {
            entry.target.clone_from(&known.target);
            (entry.blake3, entry.sha256, entry.attributes) = (known.blake3, known.sha256, known.attributes);
            return Seen::Is { entry, format: None };
        }
        match entry.kind {
            Kind::File => return self.read(path, entry),
            Kind::Link => match self.root.path().join(path.as_path()).read_link() {
                Ok(target) => {
                    // A target that is no text is told apart by its digest.
                    entry.blake3 =
                        target.to_str().is_none().then(|| content::digest_of(target.as_os_str().as_bytes()));
                    entry.target = Some(target.to_string_lossy().into_owned());
                }
                Err(error) => return Seen::Unreadable(entry, error),
            },
            Kind::Folder | Kind::Mount | Kind::Special => {}
        }
        entry.attributes = Attributes::of(&self.root.path().join(path.as_path())).digest();
        Seen::Is { entry, format: None }
    }

    /// Whether a thing is as it is known, and `trusted` says that its digests still hold.
    pub(crate) fn is_as_known(
        &self,
        path: &TreePath,
        known: &Entry,
        trusted: impl Fn(&Entry) -> bool,
    ) -> bool {
        let rights = |entry: &Entry| (entry.mode, entry.uid, entry.gid);
        match self.without_content(path) {
            Seen::Is { entry, .. } => {
                same_thing(known, &entry) && rights(known) == rights(&entry) && trusted(&entry)
            }
            _ => false,
        }
    }

    /// Looks at one thing and does not open it: neither digests nor the target of a link are there.
    pub(crate) fn without_content(&self, path: &TreePath) -> Seen {
        match rustix::fs::statat(self.root.fd(), path.as_path(), AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Seen::Is { entry: self.entry(path, &stat), format: None },
            Err(Errno::NOENT) => Seen::Gone,
            Err(error) => Seen::Unknown(error.into()),
        }
    }

    fn read(&self, path: &TreePath, mut entry: Entry) -> Seen {
        for n in 1..=TRIES {
            let mut file = match self.open(path.as_path()) {
                Ok(file) => file,
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Seen::Gone,
                Err(error) => return Seen::Unreadable(entry, error),
            };
            let read = (|| {
                let before = rustix::fs::fstat(&file)?;
                if FileType::from_raw_mode(before.st_mode) != FileType::RegularFile {
                    return Err(io::Error::other("it is not a file any more"));
                }
                let digests = content::digests(
                    &mut file,
                    before.st_size.cast_unsigned(),
                    self.with_sha256,
                    self.throttle,
                    self.progress,
                )?;
                let format = Format::of(path.as_path(), &digests.head[..digests.bytes.min(16) as usize]);
                let wholeness = match format {
                    Some(format) => {
                        file.rewind()?;
                        format.prove(&mut file)?
                    }
                    None => Wholeness::Whole,
                };
                Ok((
                    self.entry(path, &before),
                    digests,
                    format,
                    wholeness,
                    self.entry(path, &rustix::fs::fstat(&file)?),
                ))
            })();
            let (before, digests, format, wholeness, after) = match read {
                Ok(read) => read,
                Err(error) => return Seen::Unreadable(entry, error),
            };
            let stood_still = before == after && digests.bytes == after.size;
            entry = after;
            let is_fresh = entry.modified_ns >= self.began_ns.saturating_sub(JUST_NOW_NS);
            if stood_still && is_fresh && n < TRIES && wholeness != Wholeness::Whole {
                std::thread::sleep(SETTLE);
                continue;
            }
            if stood_still {
                (entry.blake3, entry.sha256) = (Some(digests.blake3), digests.sha256);
                entry.attributes = Attributes::of(&self.root.path().join(path.as_path())).digest();
                return match wholeness {
                    Wholeness::Whole => Seen::Is { entry, format },
                    Wholeness::Broken(how) => Seen::Broken(entry, how),
                };
            }
        }
        Seen::Changing(entry)
    }

    /// Opens a file for reading, without a trace in its times where we may do that.
    pub(crate) fn open(&self, path: &Path) -> io::Result<File> {
        match self.root.open_below(path, OFlags::RDONLY | OFlags::NOATIME) {
            Err(error) if error.raw_os_error() == Some(Errno::PERM.raw_os_error()) => {
                self.root.open_below(path, OFlags::RDONLY).map(File::from)
            }
            opened => opened.map(File::from),
        }
    }

    pub(crate) fn entry(&self, path: &TreePath, stat: &Stat) -> Entry {
        let kind = match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => Kind::File,
            FileType::Symlink => Kind::Link,
            FileType::Directory if stat.st_dev == self.device => Kind::Folder,
            FileType::Directory => Kind::Mount,
            _ => Kind::Special,
        };
        let nanoseconds = |seconds: i64, rest: u64| {
            seconds.saturating_mul(1_000_000_000).saturating_add(rest.cast_signed())
        };
        Entry {
            path: path.clone(),
            kind,
            mode: (stat.st_mode & 0o7777) as u16,
            uid: stat.st_uid,
            gid: stat.st_gid,
            size: if kind == Kind::File { stat.st_size.cast_unsigned() } else { 0 },
            modified_ns: nanoseconds(stat.st_mtime, stat.st_mtime_nsec),
            changed_ns: nanoseconds(stat.st_ctime, stat.st_ctime_nsec),
            inode: stat.st_ino,
            target: None,
            blake3: None,
            sha256: None,
            attributes: None,
        }
    }
}

/// Whether two looks saw the same thing in the same state, as far as the kernel tells without reading.
fn same_thing(known: &Entry, now: &Entry) -> bool {
    known.kind == now.kind
        && now.is_untouched_since(known)
        && (now.kind != Kind::File || known.blake3.is_some())
}
