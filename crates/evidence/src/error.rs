//! Owns what can go wrong when evidence is kept, said so that a person knows what to do next.

use std::io;
use std::path::{Path, PathBuf};

/// Why evidence could not be kept or read.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each field is what its name says")]
pub enum Error {
    #[error("cannot read `{}`", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("cannot write `{}`", path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error("`{}` is no {what}: {reason}", path.display())]
    Malformed { path: PathBuf, what: &'static str, reason: String },
    #[error("the key `{}` can be read by others than its owner: it seals nothing any more; make a new one and keep the old public key", path.display())]
    ExposedKey { path: PathBuf },
    #[error("there is no randomness for a key")]
    Random(#[source] io::Error),
    #[error("the bundle `{}` exists already", path.display())]
    Exists { path: PathBuf },
}

// === impl Error ===

impl Error {
    pub(crate) fn read(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Read { path, source }
    }

    pub(crate) fn write(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Write { path, source }
    }

    /// Whether the disk, or what one may use of it, is full.
    pub fn is_full(&self) -> bool {
        let full = [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded, io::ErrorKind::FileTooLarge];
        matches!(self, Self::Write { source, .. } if full.contains(&source.kind()))
    }
}
