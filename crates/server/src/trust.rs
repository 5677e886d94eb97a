//! Owns the question whether a runbook may say what is done here: only where nobody but root, the user of `serve` and one
//! more that the configuration names can have written it.
//!
//! Looked at is the whole way: each folder, each symbolic link, and the file itself, opened once and read from that handle.
//! As nobody else can change any of what was passed, nothing can be exchanged behind the look. Lists of access rights
//! need no look of their own: what they allow shows in the bits of the group.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs::{self, File, Metadata};
use std::io::{self, Read as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Component, Path, PathBuf};

use rustix::fs::OFlags;

use crate::config::Config;

/// Bits with which somebody else may write.
const OTHERS_WRITE: u32 = 0o022;

/// In a folder with this bit only the owner of something can replace it.
const STICKY: u32 = 0o1000;

/// So many symbolic links, one after another, as the kernel follows (path_resolution(7)).
const LINKS_MAX: u32 = 40;

/// A larger file is no runbook.
const BYTES_MAX: u64 = 16 << 20;

/// Who may write runbooks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trust {
    /// The numbers of the users.
    users: Vec<u32>,
}

/// Why a runbook is not used.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// It cannot be read.
    #[error("the file `{}` cannot be read", runbook.display())]
    Read {
        /// The runbook.
        runbook: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It, or something on the way to it, belongs to somebody else.
    #[error(
        "the file `{}` is not trusted: `{}` belongs to user {owner} (mode {mode:04o}), who could say what is done \
         here; `chown root {}` mends that, or the key `trusted_owner`", runbook.display(), culprit.display(), culprit.display()
    )]
    Owner {
        /// The runbook.
        runbook: PathBuf,
        /// What belongs to somebody else.
        culprit: PathBuf,
        /// To whom.
        owner: u32,
        /// Its bits.
        mode: u32,
    },
    /// It, or a folder on the way to it, can be written by others.
    #[error(
        "the file `{}` is not trusted: `{}` (of user {owner}, mode {mode:04o}) can be written by others, who could \
         say what is done here; `chmod go-w {}` mends that", runbook.display(), culprit.display(), culprit.display()
    )]
    Writable {
        /// The runbook.
        runbook: PathBuf,
        /// What can be written.
        culprit: PathBuf,
        /// Whose it is.
        owner: u32,
        /// Its bits.
        mode: u32,
    },
}

// === impl Trust ===

impl Trust {
    /// The `trusted_owner` of a configuration, where nobody on this machine has that name.
    pub fn unknown_owner(config: &Config) -> Option<&str> {
        config.trusted_owner.as_deref().filter(|name| user(name).is_none())
    }

    /// Root, the user of this process, and `trusted_owner`. A name that nobody has adds nobody.
    pub fn of(config: &Config) -> Self {
        let mut users = vec![0, rustix::process::geteuid().as_raw()];
        users.extend(config.trusted_owner.as_ref().and_then(|name| user(name)));
        Self { users }
    }

    /// Reads a runbook that is trusted.
    ///
    /// # Errors
    /// Where it cannot be read, or somebody else could have written it.
    pub fn read(&self, runbook: &Path) -> Result<Vec<u8>, TrustError> {
        let fail = |source| TrustError::Read { runbook: runbook.to_owned(), source };
        let end = self.walk(runbook)?;
        // What waits for a writer, such as a pipe, must not hold us up.
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let open = File::options().read(true).custom_flags(flags.bits().cast_signed()).open(&end);
        let file = open.map_err(fail)?;
        let metadata = file.metadata().map_err(fail)?;
        if !metadata.is_file() {
            return Err(fail(io::Error::other("it is no file")));
        }
        self.look(runbook, &end, &metadata)?;
        if metadata.mode() & OTHERS_WRITE != 0 {
            return Err(writable(runbook, &end, &metadata));
        }
        let mut bytes = Vec::new();
        file.take(BYTES_MAX + 1).read_to_end(&mut bytes).map_err(fail)?;
        if bytes.len() as u64 > BYTES_MAX {
            return Err(fail(io::Error::other(format!("it has more than {BYTES_MAX} bytes"))));
        }
        Ok(bytes)
    }

    /// Goes to a file as the kernel would, and looks at each folder and each link; says where it really is.
    fn walk(&self, runbook: &Path) -> Result<PathBuf, TrustError> {
        let fail = |source| TrustError::Read { runbook: runbook.to_owned(), source };
        let mut ahead = steps(&std::path::absolute(runbook).map_err(fail)?);
        let mut here = PathBuf::from("/");
        let mut links = 0;
        self.folder(runbook, &here, &fs::symlink_metadata(&here).map_err(fail)?)?;
        while let Some(step) = ahead.pop_front() {
            if step == ".." {
                // What is above was passed on the way here.
                here.pop();
                continue;
            }
            let next = here.join(&step);
            let metadata = fs::symlink_metadata(&next).map_err(fail)?;
            if metadata.is_symlink() {
                self.look(runbook, &next, &metadata)?;
                links += 1;
                if links > LINKS_MAX {
                    return Err(fail(io::Error::other("too many symbolic links")));
                }
                let target = fs::read_link(&next).map_err(fail)?;
                if target.is_absolute() {
                    here = PathBuf::from("/");
                }
                for step in steps(&target).into_iter().rev() {
                    ahead.push_front(step);
                }
                continue;
            }
            if !ahead.is_empty() {
                self.folder(runbook, &next, &metadata)?;
            }
            here = next;
        }
        Ok(here)
    }

    fn folder(&self, runbook: &Path, folder: &Path, metadata: &Metadata) -> Result<(), TrustError> {
        self.look(runbook, folder, metadata)?;
        let mode = metadata.mode();
        if mode & OTHERS_WRITE != 0 && mode & STICKY == 0 {
            return Err(writable(runbook, folder, metadata));
        }
        Ok(())
    }

    /// Whether somebody trusted owns something.
    fn look(&self, runbook: &Path, culprit: &Path, metadata: &Metadata) -> Result<(), TrustError> {
        if self.users.contains(&metadata.uid()) {
            return Ok(());
        }
        let (owner, mode) = (metadata.uid(), metadata.mode() & 0o7777);
        Err(TrustError::Owner { runbook: runbook.to_owned(), culprit: culprit.to_owned(), owner, mode })
    }
}

fn writable(runbook: &Path, culprit: &Path, metadata: &Metadata) -> TrustError {
    let (owner, mode) = (metadata.uid(), metadata.mode() & 0o7777);
    TrustError::Writable { runbook: runbook.to_owned(), culprit: culprit.to_owned(), owner, mode }
}

/// The names of a path, and where it goes up.
fn steps(path: &Path) -> VecDeque<OsString> {
    let step = |component: Component<'_>| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    };
    path.components().filter_map(step).collect()
}

/// The number of a user of this machine, by name or number.
fn user(name: &str) -> Option<u32> {
    host::user_number(&host::Roots::default(), name).or_else(|| name.parse().ok())
}

#[cfg(test)]
mod tests;
