//! Owns walking a tree: every name in it once, in the order of its path, without leaving it.
//!
//! No link is followed, not even one that takes a folder's place while the walk goes on, and no other file system is
//! entered: the kernel itself refuses both (`openat2`). What cannot be read is said and passed over.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Dir, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use crate::entry::TreePath;

/// The folder at the top of a tree, held open: what is found below it is below this folder, whatever is renamed.
#[derive(Debug)]
pub struct Root {
    path: PathBuf,
    folder: OwnedFd,
}

/// One name that the walk came to.
#[derive(Debug)]
pub(crate) enum Step {
    /// There is something of that name.
    Found(TreePath),
    /// It is a folder, and cannot be read.
    Unreadable(TreePath, io::Error),
}

/// The walk; an iterator.
#[derive(Debug)]
pub(crate) struct Walk<'a> {
    root: &'a Root,
    /// The names that are still to come, of each open folder the last first.
    levels: Vec<(PathBuf, Vec<Name>)>,
}

#[derive(Debug)]
struct Name {
    name: OsString,
    is_folder: bool,
}

// === impl Step ===

impl Step {
    pub(crate) fn path(&self) -> &TreePath {
        match self {
            Self::Found(path) | Self::Unreadable(path, _) => path,
        }
    }
}

// === impl Root ===

impl Root {
    /// Opens the folder.
    ///
    /// # Errors
    /// If it is not there, or is no folder that may be read.
    pub fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = rustix::fs::openat(CWD, path, flags, Mode::empty())?;
        Ok(Self { path: path.to_owned(), folder })
    }

    /// The path that it was opened by.
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.folder.as_fd()
    }

    /// Opens what is below, never over a link and never on another file system. It does not wait for whoever should
    /// write into a pipe.
    pub(crate) fn open_below(&self, path: &Path, flags: OFlags) -> io::Result<OwnedFd> {
        let flags = flags | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let stay = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
        loop {
            match rustix::fs::openat2(self.fd(), path, flags, Mode::empty(), stay) {
                // The kernel asks for a second try when something was renamed meanwhile.
                Err(Errno::AGAIN | Errno::INTR) => {}
                opened => return Ok(opened?),
            }
        }
    }
}

// === impl Walk ===

impl<'a> Walk<'a> {
    /// Begins below the root.
    ///
    /// # Errors
    /// If the root cannot be read.
    pub(crate) fn new(root: &'a Root) -> io::Result<Self> {
        let names = names(root.open_below(Path::new("."), OFlags::RDONLY | OFlags::DIRECTORY)?)?;
        Ok(Self { root, levels: vec![(PathBuf::new(), names)] })
    }

    fn enter(&mut self, folder: &Path) -> io::Result<()> {
        let opened = match self.root.open_below(folder, OFlags::RDONLY | OFlags::DIRECTORY) {
            // Another file system, or it has just become something else: it is seen, and not entered.
            Err(error)
                if [Errno::XDEV, Errno::NOTDIR, Errno::LOOP, Errno::NOENT].contains(&errno(&error)) =>
            {
                return Ok(());
            }
            opened => opened?,
        };
        let names = names(opened)?;
        self.levels.push((folder.to_owned(), names));
        Ok(())
    }
}

impl Iterator for Walk<'_> {
    type Item = Step;

    fn next(&mut self) -> Option<Step> {
        loop {
            let (folder, names) = self.levels.last_mut()?;
            let Some(Name { name, is_folder }) = names.pop() else {
                self.levels.pop();
                continue;
            };
            let path = TreePath::child(folder, &name);
            if !is_folder {
                return Some(Step::Found(path));
            }
            return Some(match self.enter(path.as_path()) {
                Ok(()) => Step::Found(path),
                Err(error) => Step::Unreadable(path, error),
            });
        }
    }
}

/// The names in a folder, the last first. All of one folder are in memory at once.
fn names(folder: OwnedFd) -> io::Result<Vec<Name>> {
    let mut names = Vec::new();
    for one in Dir::new(folder)? {
        let one = one?;
        let name = OsStr::from_bytes(one.file_name().to_bytes());
        if name == "." || name == ".." {
            continue;
        }
        // A file system that does not say is asked by trying to enter.
        let is_folder = matches!(one.file_type(), FileType::Directory | FileType::Unknown);
        names.push(Name { name: name.to_owned(), is_folder });
    }
    names.sort_unstable_by(|one, two| two.name.cmp(&one.name));
    Ok(names)
}

fn errno(error: &io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::IO, Errno::from_raw_os_error)
}
