//! Owns the blobs: files named by the SHA-256 of their content, for what is too large for an entry.
//!
//! A blob is written to a temporary file, synced and renamed, so a name always has its whole content. Names
//! starting with `.new-` are writes that a crash cut off; they are nobody's and may be deleted.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::Digest;

/// The largest blob in bytes: a log that is written faster than it is copied must end somewhere.
const BLOB_BYTES_MAX: u64 = 8 << 30;

/// Bytes copied and hashed at once.
const BUFFER_BYTES: usize = 128 << 10;

/// Names a blob, and says how long it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct BlobRef {
    /// The SHA-256 of the content.
    pub sha256: Digest,
    /// The length in bytes.
    pub bytes: u64,
}

/// A folder of blobs. All calls block on the disk; several processes may use one folder.
#[derive(Debug, Clone)]
pub struct Blobs {
    folder: PathBuf,
}

/// Why a blob could not be written or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BlobError {
    /// The folder could not be created.
    #[error("cannot open the blobs in `{}`", folder.display())]
    Open {
        /// The folder.
        folder: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The file to be kept could not be read.
    #[error("cannot read `{}`", path.display())]
    ReadSource {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The file to be kept is a pipe, a device or a folder.
    #[error("`{}` is not a regular file", path.display())]
    NotAFile {
        /// The file.
        path: PathBuf,
    },
    /// The content is longer than a blob may be, or than the reader asked for.
    #[error("`{name}` is longer than {bytes_max} bytes")]
    TooLong {
        /// The file or the blob.
        name: String,
        /// The limit in bytes.
        bytes_max: u64,
    },
    /// The blob could not be written.
    #[error("cannot write a blob into `{}`", folder.display())]
    Write {
        /// The folder.
        folder: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The blob is not there or cannot be read.
    #[error("cannot read the blob `{sha256}`")]
    Read {
        /// The blob.
        sha256: Digest,
        /// The cause.
        source: io::Error,
    },
    /// The content is not what its name says: it was changed.
    #[error("the blob `{sha256}` was changed")]
    Changed {
        /// The blob.
        sha256: Digest,
    },
}

/// A temporary file that is deleted unless it was kept.
struct New<'a> {
    folder: &'a Path,
    path: PathBuf,
    file: File,
    hasher: Sha256,
    bytes: u64,
}

// === impl Blobs ===

impl Blobs {
    /// Opens the blobs in `folder`, and creates it, for its owner alone, if there is none.
    ///
    /// # Errors
    ///
    /// The folder cannot be created.
    pub fn open(folder: impl Into<PathBuf>) -> Result<Self, BlobError> {
        let folder = folder.into();
        match DirBuilder::new().recursive(true).mode(0o700).create(&folder) {
            Ok(()) => Ok(Self { folder }),
            Err(source) => Err(BlobError::Open { folder, source }),
        }
    }

    /// Keeps `bytes`. It is on disk when this returns.
    ///
    /// # Errors
    ///
    /// The blob cannot be written.
    pub fn put(&self, bytes: &[u8]) -> Result<BlobRef, BlobError> {
        let failed = |source| BlobError::Write { folder: self.folder.clone(), source };
        let mut new = New::create(&self.folder).map_err(failed)?;
        new.write(bytes).map_err(failed)?;
        new.keep().map_err(failed)
    }

    /// Keeps the content that the regular file at `path` has now. It is on disk when this returns.
    ///
    /// # Errors
    ///
    /// The file cannot be read, is not a regular file or longer than 8 GiB, or the blob cannot be written.
    pub fn put_file(&self, path: &Path) -> Result<BlobRef, BlobError> {
        let unread = |source| BlobError::ReadSource { path: path.to_owned(), source };
        let failed = |source| BlobError::Write { folder: self.folder.clone(), source };
        // Asked before opening: opening a pipe waits for its writer.
        if !fs::metadata(path).map_err(unread)?.is_file() {
            return Err(BlobError::NotAFile { path: path.to_owned() });
        }
        let mut source = File::open(path).map_err(unread)?;
        let mut new = New::create(&self.folder).map_err(failed)?;
        let mut buffer = vec![0; BUFFER_BYTES];
        loop {
            let count = match source.read(&mut buffer) {
                Ok(0) => return new.keep().map_err(failed),
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(unread(error)),
            };
            new.write(&buffer[..count]).map_err(failed)?;
            if new.bytes > BLOB_BYTES_MAX {
                let name = path.display().to_string();
                return Err(BlobError::TooLong { name, bytes_max: BLOB_BYTES_MAX });
            }
        }
    }

    /// Returns the content of a blob, checked against its name, if it has at most `bytes_max` bytes.
    ///
    /// # Errors
    ///
    /// The blob is missing, longer, or was changed.
    pub fn read(&self, sha256: Digest, bytes_max: u64) -> Result<Vec<u8>, BlobError> {
        let failed = |source| BlobError::Read { sha256, source };
        let file = File::open(self.folder.join(sha256.to_string())).map_err(failed)?;
        let mut bytes = Vec::new();
        file.take(bytes_max.saturating_add(1)).read_to_end(&mut bytes).map_err(failed)?;
        if bytes.len() as u64 > bytes_max {
            return Err(BlobError::TooLong { name: sha256.to_string(), bytes_max });
        }
        if Digest::of(&bytes) != sha256 {
            return Err(BlobError::Changed { sha256 });
        }
        Ok(bytes)
    }
}

// === impl New ===

impl<'a> New<'a> {
    fn create(folder: &'a Path) -> io::Result<Self> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        loop {
            let count = COUNT.fetch_add(1, Ordering::Relaxed);
            let path = folder.join(format!(".new-{}-{count}", std::process::id()));
            match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path) {
                Ok(file) => return Ok(Self { folder, path, file, hasher: Sha256::new(), bytes: 0 }),
                // Left by a process that had our id; the count gets past it.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)?;
        self.hasher.update(bytes);
        self.bytes += bytes.len() as u64;
        Ok(())
    }

    fn keep(mut self) -> io::Result<BlobRef> {
        self.file.sync_all()?;
        let blob = BlobRef { sha256: std::mem::take(&mut self.hasher).into(), bytes: self.bytes };
        // Over one of the same name as well: that may be damaged, this one is not.
        fs::rename(&self.path, self.folder.join(blob.sha256.to_string()))?;
        File::open(self.folder)?.sync_all()?;
        Ok(blob)
    }
}

impl Drop for New<'_> {
    fn drop(&mut self) {
        // Fails when the file was kept: then the name is gone.
        let _ = fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;

    use super::{BlobError, Blobs};
    use crate::Digest;

    #[test]
    fn keeps_bytes_and_files() {
        let folder = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(folder.path().join("a/blobs")).unwrap();
        let long = vec![7; 300_000];
        fs::write(folder.path().join("log"), &long).unwrap();
        let from_file = blobs.put_file(&folder.path().join("log")).unwrap();
        assert_eq!(from_file.bytes, 300_000);
        assert_eq!(from_file, blobs.put(&long).unwrap());
        assert_eq!(blobs.read(from_file.sha256, 300_000).unwrap(), long);

        let names: Vec<_> = fs::read_dir(&blobs.folder).unwrap().map(|entry| entry.unwrap()).collect();
        assert_eq!(names.len(), 1, "one content has one file: {names:?}");
        assert_eq!(names[0].metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(&blobs.folder).unwrap().permissions().mode() & 0o777, 0o700);
    }

    #[test]
    fn reads_only_what_was_put() {
        let folder = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(folder.path()).unwrap();
        let blob = blobs.put(b"evidence").unwrap();
        assert!(matches!(blobs.read(blob.sha256, 7), Err(BlobError::TooLong { bytes_max: 7, .. })));
        assert!(matches!(blobs.read(Digest::ZERO, 7), Err(BlobError::Read { .. })));

        let path = folder.path().join(blob.sha256.to_string());
        fs::write(&path, b"evidenc3").unwrap();
        assert!(matches!(blobs.read(blob.sha256, 8), Err(BlobError::Changed { .. })));
        blobs.put(b"evidence").unwrap();
        assert_eq!(blobs.read(blob.sha256, 8).unwrap(), b"evidence", "putting it again repairs it");
    }

    #[test]
    fn refuses_what_is_not_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(folder.path()).unwrap();
        for path in ["/dev/zero", "/"] {
            assert!(matches!(blobs.put_file(Path::new(path)), Err(BlobError::NotAFile { .. })), "{path}");
        }
        let missing = folder.path().join("missing");
        assert!(matches!(blobs.put_file(&missing), Err(BlobError::ReadSource { .. })));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "no temporary file is left");
    }
}
