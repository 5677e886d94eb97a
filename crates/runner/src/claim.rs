//! Owns the claim: the one name in the folder that decides whether a unit may have begun. It is never deleted.
//!
//! It is a symbolic link that points nowhere: its target is the word of who has it. Like a file created with
//! `O_EXCL` only one can create it, but it has its content from the first moment.

use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;

use crate::Error;
use crate::folder::{CLAIM, Folder};

/// Who may have the claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Claimant {
    /// Then the statement may have begun.
    Runner,
    /// Then it never will.
    Engine,
}

/// What came of taking the claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Claim {
    /// It is ours, and durable.
    Won,
    /// This one has it.
    Lost(Claimant),
}

/// Takes the claim of a unit, for ever.
pub(crate) fn take(folder: &Folder, claimant: Claimant) -> Result<Claim, Error> {
    let take = || -> io::Result<Claim> {
        match symlink(claimant.word(), folder.file(CLAIM)) {
            Ok(()) => folder.sync().map(|()| Claim::Won),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                let word = std::fs::read_link(folder.file(CLAIM))?;
                let engine = word.as_os_str().as_bytes() == Claimant::Engine.word().as_bytes();
                Ok(Claim::Lost(if engine { Claimant::Engine } else { Claimant::Runner }))
            }
            Err(error) => Err(error),
        }
    };
    take().map_err(|source| folder.failed("create", CLAIM, source))
}

// === impl Claimant ===

impl Claimant {
    fn word(self) -> &'static str {
        match self {
            Self::Runner => "runner",
            Self::Engine => "engine",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Claim, Claimant, take};
    use crate::folder::Folder;

    #[test]
    fn the_first_one_has_it_for_ever() {
        for (first, second) in [(Claimant::Runner, Claimant::Engine), (Claimant::Engine, Claimant::Runner)] {
            let temporary = tempfile::tempdir().unwrap();
            let folder = Folder::at(temporary.path()).unwrap();
            assert_eq!(take(&folder, first).unwrap(), Claim::Won);
            assert_eq!(take(&folder, second).unwrap(), Claim::Lost(first));
            assert_eq!(take(&folder, first).unwrap(), Claim::Lost(first));
        }
    }
}
