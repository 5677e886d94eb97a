//! Owns the blobs: files named by the SHA-256 of their content, for what is too large for an entry.
//!
//! A crash leaves whole blobs and names that begin with `.new-`; those are nobody's, and `DataDir::carry_out`
//! removes them.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File};
use std::io::{self, Read};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::blob_file::{Form, New};
use crate::{Digest, disk};

/// The largest blob in bytes: a log that is written faster than it is copied must end somewhere.
pub(crate) const BLOB_BYTES_MAX: u64 = 8 << 30;

/// Bytes copied and hashed at once.
pub(crate) const BUFFER_BYTES: usize = 128 << 10;

/// Names a blob, and says how long it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct BlobRef {
    /// The SHA-256 of the content.
    pub sha256: Digest,
    /// The length in bytes.
    pub bytes: u64,
}

/// What a blob takes on the disk.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BlobFile {
    /// Its room in bytes.
    pub bytes: u64,
    /// When it was put last, in milliseconds since the Unix epoch.
    pub modified_ms: i64,
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
        let mut new =
            New::create(&self.folder, Form::of(bytes.len())).map_err(|source| self.unwritten(source))?;
        new.write(bytes).and_then(|()| new.keep()).map_err(|source| self.unwritten(source))
    }

    /// Keeps the content that the regular file at `path` has now. It is on disk when this returns.
    ///
    /// # Errors
    ///
    /// The file cannot be read, is not a regular file or longer than 8 GiB, or the blob cannot be written.
    pub fn put_file(&self, path: &Path) -> Result<BlobRef, BlobError> {
        let unread = |source| BlobError::ReadSource { path: path.to_owned(), source };
        // Asked before opening: opening a pipe waits for its writer.
        if !fs::metadata(path).map_err(unread)?.is_file() {
            return Err(BlobError::NotAFile { path: path.to_owned() });
        }
        let source = File::open(path).map_err(unread)?;
        let mut buffer = Vec::with_capacity(BUFFER_BYTES);
        let fill = |buffer: &mut Vec<u8>| {
            buffer.clear();
            (&source).take(BUFFER_BYTES as u64).read_to_end(buffer).map_err(unread)
        };
        // All there is, if that is little: then it stays plain.
        fill(&mut buffer)?;
        let form = Form::of(buffer.len());
        let mut new = New::create(&self.folder, form).map_err(|source| self.unwritten(source))?;
        while !buffer.is_empty() {
            new.write(&buffer).map_err(|source| self.unwritten(source))?;
            if new.bytes() > BLOB_BYTES_MAX {
                let name = path.display().to_string();
                return Err(BlobError::TooLong { name, bytes_max: BLOB_BYTES_MAX });
            }
            fill(&mut buffer)?;
        }
        new.keep().map_err(|source| self.unwritten(source))
    }

    /// Returns the content of a blob, checked against its name, if it has at most `bytes_max` bytes. No more
    /// than that is unpacked.
    ///
    /// # Errors
    ///
    /// The blob is missing, longer, or was changed.
    pub fn read(&self, sha256: Digest, bytes_max: u64) -> Result<Vec<u8>, BlobError> {
        let failed = |source| BlobError::Read { sha256, source };
        let (form, file) = self.find(sha256).map_err(failed)?;
        let bytes = match form.read(file, bytes_max.saturating_add(1)) {
            Err(error) if error.raw_os_error().is_none() => return Err(BlobError::Changed { sha256 }),
            bytes => bytes.map_err(failed)?,
        };
        if bytes.len() as u64 > bytes_max {
            return Err(BlobError::TooLong { name: sha256.to_string(), bytes_max });
        }
        if Digest::of(&bytes) != sha256 {
            return Err(BlobError::Changed { sha256 });
        }
        Ok(bytes)
    }

    pub(crate) fn in_folder(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// Returns the folder.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Returns what there is, by name, and leaves out what is not a blob.
    pub(crate) fn list(&self) -> io::Result<BTreeMap<Digest, BlobFile>> {
        let mut blobs: BTreeMap<Digest, BlobFile> = BTreeMap::new();
        for (name, metadata) in disk::children(&self.folder)? {
            if let Some(sha256) = Form::parse(&name) {
                let blob = blobs.entry(sha256).or_default();
                blob.bytes += disk::room(&metadata);
                blob.modified_ms = blob.modified_ms.max(disk::modified_ms(&metadata));
            }
        }
        Ok(blobs)
    }

    /// Removes a blob unless it was put at `new_ms` or later. Returns the bytes that it took, if it is gone.
    pub(crate) fn remove(&self, sha256: Digest, new_ms: i64) -> io::Result<Option<u64>> {
        let folder = File::open(&self.folder)?;
        // Nobody puts one between the look and the end.
        folder.lock()?;
        let mut bytes = None;
        for form in Form::ALL {
            if let Some(more) = disk::remove_older(&self.folder.join(form.name(sha256)), new_ms)? {
                bytes = Some(bytes.unwrap_or(0) + more);
            }
        }
        Ok(bytes)
    }

    /// Removes the unfinished files that nobody has written to since `new_ms` and whose writer is gone. Returns
    /// the bytes that each took.
    pub(crate) fn remove_unfinished(&self, new_ms: i64) -> io::Result<Vec<u64>> {
        let mut removed = Vec::new();
        for (name, _) in disk::children(&self.folder)? {
            let path = self.folder.join(&name);
            if name.starts_with(disk::NEW_PREFIX)
                && File::open(&path).is_ok_and(|file| file.try_lock().is_ok())
            {
                removed.extend(disk::remove_older(&path, new_ms)?);
            }
        }
        Ok(removed)
    }

    pub(crate) fn find(&self, sha256: Digest) -> io::Result<(Form, File)> {
        let mut missing = io::Error::from(io::ErrorKind::NotFound);
        for form in Form::ALL {
            match File::open(self.folder.join(form.name(sha256))) {
                Ok(file) => return Ok((form, file)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => missing = error,
                Err(error) => return Err(error),
            }
        }
        Err(missing)
    }

    fn unwritten(&self, source: io::Error) -> BlobError {
        BlobError::Write { folder: self.folder.clone(), source }
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
