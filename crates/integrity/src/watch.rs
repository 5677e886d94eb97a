//! Owns noticing that something in trees has changed, by inotify: when, and never what. A check says what.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify::{CreateFlags, ReadFlags, Reader, WatchFlags, add_watch, init};
use rustix::io::Errno;

use crate::walk::{Root, Step, Walk};

/// Folders that are watched; the kernel has a limit of its own for each user (`fs.inotify.max_user_watches`).
const FOLDERS_MAX: usize = 500_000;
/// The longest event has a name of 255 bytes.
const BUFFER_BYTES: usize = 64 << 10;

/// Watches over trees.
#[derive(Debug)]
pub struct Watcher {
    notify: OwnedFd,
    roots: Vec<PathBuf>,
}

/// Trees cannot be watched.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// A folder cannot be read or watched.
    #[error("{} cannot be watched", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// There are too many folders.
    #[error("{} has more folders than may be watched; `sysctl fs.inotify.max_user_watches` shows how many", path.display())]
    TooMany {
        /// The tree.
        path: PathBuf,
    },
    /// The kernel gives no events.
    #[error("the kernel does not tell of changes")]
    Events(#[source] io::Error),
}

// === impl Watcher ===

impl Watcher {
    /// Watches all folders of these trees.
    ///
    /// # Errors
    /// If one of them cannot be watched.
    pub fn new(roots: Vec<PathBuf>) -> Result<Self, WatchError> {
        let events = |error: Errno| WatchError::Events(error.into());
        let notify = init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).map_err(events)?;
        let watcher = Self { notify, roots };
        watcher.watch_all()?;
        Ok(watcher)
    }

    /// Waits until something has changed, at most so long; says whether it has.
    ///
    /// # Errors
    /// If the kernel gives no events, or a new folder cannot be watched.
    pub fn wait(&self, most: Duration) -> Result<bool, WatchError> {
        let events = |error: Errno| WatchError::Events(error.into());
        let most = Timespec::try_from(most).map_err(|_| events(Errno::INVAL))?;
        match poll(&mut [PollFd::new(&self.notify, PollFlags::IN)], Some(&most)) {
            Err(Errno::INTR) | Ok(0) => return Ok(false),
            polled => polled.map_err(events)?,
        };
        let mut buffer = [MaybeUninit::uninit(); BUFFER_BYTES];
        let mut reader = Reader::new(self.notify.as_fd(), &mut buffer);
        let mut has_new_folders = false;
        loop {
            match reader.next() {
                Ok(event) => {
                    // After an overflow nobody knows what is new.
                    let appeared = ReadFlags::CREATE | ReadFlags::MOVED_TO;
                    has_new_folders |= event.events().contains(ReadFlags::QUEUE_OVERFLOW)
                        || event.events().contains(ReadFlags::ISDIR) && event.events().intersects(appeared);
                }
                Err(Errno::AGAIN) => break,
                Err(Errno::INTR) => {}
                Err(error) => return Err(events(error)),
            }
        }
        if has_new_folders {
            self.watch_all()?;
        }
        Ok(true)
    }

    /// Watches every folder that there is now; one that is watched already stays so.
    fn watch_all(&self) -> Result<(), WatchError> {
        let mut folders = 0;
        for root in &self.roots {
            let unreadable = |source| WatchError::Folder { path: root.clone(), source };
            self.watch(root, root)?;
            let opened = Root::open(root).map_err(unreadable)?;
            for step in Walk::new(&opened).map_err(unreadable)? {
                let Step::Found(path) = step else { continue };
                let path = root.join(path.as_path());
                if path.symlink_metadata().is_ok_and(|file| file.is_dir()) {
                    folders += 1;
                    if folders > FOLDERS_MAX {
                        return Err(WatchError::TooMany { path: root.clone() });
                    }
                    self.watch(root, &path)?;
                }
            }
        }
        Ok(())
    }

    fn watch(&self, root: &Path, folder: &Path) -> Result<(), WatchError> {
        let changes = WatchFlags::CREATE
            | WatchFlags::DELETE
            | WatchFlags::MOVE
            | WatchFlags::CLOSE_WRITE
            | WatchFlags::MODIFY
            | WatchFlags::ATTRIB
            | WatchFlags::ONLYDIR
            | WatchFlags::DONT_FOLLOW;
        // The root itself may be a link: whoever named it meant where it leads.
        let changes = if root == folder { changes - WatchFlags::DONT_FOLLOW } else { changes };
        match add_watch(&self.notify, folder, changes) {
            // It went, or became something else, meanwhile; that is a change of the folder above it.
            Ok(_) | Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(()),
            Err(Errno::NOSPC) => Err(WatchError::TooMany { path: root.to_owned() }),
            Err(error) => Err(WatchError::Folder { path: folder.to_owned(), source: error.into() }),
        }
    }
}
