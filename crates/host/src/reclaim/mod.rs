//! Owns giving back space: which files may go, by a list of places with their owners and ages, and removing them.
//!
//! What is not on the list stays: nothing under `/tmp` but what package managers leave there by their own names, no log of
//! the system, no evidence. A file goes if it is a regular one with one name, belongs to whom the place belongs, is old
//! enough, and nobody has it open. Links are never followed, and a file that is another one by then stays.

mod opened;
mod places;
mod walk;

use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags, openat2, statat, unlinkat};
use rustix::io::Errno;
use serde::Serialize;

pub use opened::Opened;
pub use places::{Places, RECLAIM_AGE_MIN};

/// What may be given back.
#[derive(Debug, Default, Serialize)]
pub struct Plan {
    /// The files, the largest first.
    pub files: Vec<Reclaimable>,
    /// What they take together.
    pub bytes: u64,
    /// How many files of the places stay, and why.
    pub kept: Kept,
    /// Whether there was more than is looked at.
    pub is_cut: bool,
}

/// Why files of the places stay.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize)]
pub struct Kept {
    /// They are too young.
    pub young: usize,
    /// Somebody has them open.
    pub open: usize,
    /// They belong to somebody else than their place.
    pub foreign: usize,
    /// They have a second name, or are no regular files.
    pub odd: usize,
}

/// A file that may go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reclaimable {
    /// Where it is.
    pub path: PathBuf,
    /// What it is.
    pub what: &'static str,
    /// Whether it is text that may be compressed in place of being removed.
    pub is_log: bool,
    /// Whose it is.
    pub uid: u32,
    /// How long ago it was written, in seconds.
    pub age_seconds: u64,
    /// What it takes on its disk.
    pub bytes: u64,
    #[serde(skip)]
    place: PathBuf,
    #[serde(skip)]
    within: PathBuf,
    #[serde(skip)]
    is: (u64, u64, i64),
}

/// Why a file was not removed.
#[derive(Debug, thiserror::Error)]
pub enum RemoveError {
    /// It could not be looked at or removed.
    #[error("`{}` could not be removed", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: Errno,
    },
    /// It is not the one that was looked at.
    #[error("`{}` has changed meanwhile, and stays", .0.display())]
    Changed(PathBuf),
    /// Somebody has opened it.
    #[error("`{}` is open by now, and stays", .0.display())]
    Open(PathBuf),
}

/// Looks what may go. `now` is in seconds since the Unix epoch; `age_min` may make files wait longer than their place says,
/// never shorter.
pub fn plan(places: &Places, opened: &Opened, now_seconds: i64, age_min: Duration) -> Plan {
    let mut plan = Plan::default();
    for place in &places.0 {
        walk::walk(place, opened, now_seconds, age_min, &mut plan);
    }
    plan.files.sort_by_key(|file| std::cmp::Reverse(file.bytes));
    plan.bytes = plan.files.iter().map(|file| file.bytes).sum();
    plan
}

// === impl Reclaimable ===

impl Reclaimable {
    /// Removes it, and returns what that gives back.
    ///
    /// # Errors
    /// Where it is another one by now, is open by now, or cannot be removed.
    pub fn remove(&self, opened: &Opened) -> Result<u64, RemoveError> {
        let io = |source| RemoveError::Io { path: self.path.clone(), source };
        let (folder, name) = self.folder().map_err(io)?;
        let now = statat(&folder, name.as_os_str(), AtFlags::SYMLINK_NOFOLLOW).map_err(io)?;
        let is = (now.st_dev, now.st_ino, now.st_mtime);
        if is != self.is || now.st_nlink != 1 || FileType::from_raw_mode(now.st_mode) != FileType::RegularFile
        {
            return Err(RemoveError::Changed(self.path.clone()));
        }
        if opened.has(now.st_dev, now.st_ino) {
            return Err(RemoveError::Open(self.path.clone()));
        }
        unlinkat(&folder, name.as_os_str(), AtFlags::empty()).map_err(io)?;
        Ok(self.bytes)
    }

    /// Whether this is still the file that was looked at, and nobody has it open.
    pub fn is_still(&self, now: &std::fs::Metadata, opened: &Opened) -> bool {
        use std::os::unix::fs::MetadataExt as _;
        (now.dev(), now.ino(), now.mtime()) == self.is
            && now.nlink() == 1
            && !opened.has(now.dev(), now.ino())
    }

    /// Its folder, opened without following a link below the place, and its name there.
    fn folder(&self) -> Result<(OwnedFd, OsString), Errno> {
        let name = self.within.file_name().ok_or(Errno::INVAL)?.to_owned();
        let place = rustix::fs::open(&self.place, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        let parent = self.within.parent().filter(|parent| !parent.as_os_str().is_empty());
        let parent = parent.unwrap_or(Path::new("."));
        let how = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
        Ok((openat2(place, parent, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty(), how)?, name))
    }
}

#[cfg(test)]
mod tests;
