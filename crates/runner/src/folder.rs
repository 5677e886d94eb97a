//! Owns the files of a unit's folder: their names, their mode, and when a write is durable.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Error;

pub(crate) const INTENT: &str = "intent.json";
pub(crate) const LOCK: &str = "lock";
pub(crate) const CLAIM: &str = "claim";
pub(crate) const RUNNER: &str = "runner.json";
/// The file in a unit's folder with what it wrote to standard output, up to the limit.
pub const STDOUT: &str = "stdout";
/// The file in a unit's folder with what it wrote to standard error, up to the limit.
pub const STDERR: &str = "stderr";
pub(crate) const OUTCOME: &str = "outcome.json";
pub(crate) const BACKGROUND: &str = "background.json";
pub(crate) const LOG: &str = "runner.log";

/// The longest JSON file of a folder in bytes: an intent of the largest size that is all control characters, which
/// take six bytes each, has 7 MiB.
const JSON_BYTES_MAX: u64 = 8 << 20;

/// A unit's folder, by its absolute path: the processes of the unit are recognised by it.
#[derive(Debug, Clone)]
pub(crate) struct Folder {
    path: PathBuf,
}

/// Whether a write must still be there after the machine lost its power.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Durability {
    Durable,
    /// Not worth a sync: the file says something about a process, which would be gone as well.
    Visible,
}

// === impl Folder ===

impl Folder {
    pub(crate) fn at(path: &Path) -> Result<Self, Error> {
        match std::path::absolute(path) {
            Ok(path) => Ok(Self { path }),
            Err(source) => Err(Error::File { action: "find", path: path.to_owned(), source }),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Creates the folder for its owner alone. `false` if something is there already.
    pub(crate) fn create(&self) -> Result<bool, Error> {
        match DirBuilder::new().mode(0o700).create(&self.path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(source) => Err(self.failed("create", "", source)),
        }
    }

    /// Writes a JSON file; it appears as a whole or not at all.
    pub(crate) fn write(
        &self,
        name: &str,
        content: &impl Serialize,
        durability: Durability,
    ) -> Result<(), Error> {
        let write = || -> io::Result<()> {
            let new = self.file(&format!("{name}.new"));
            let mut file = open_new(&new)?;
            file.write_all(&serde_json::to_vec(content)?)?;
            if durability == Durability::Durable {
                file.sync_all()?;
            }
            fs::rename(new, self.file(name))?;
            if durability == Durability::Durable {
                self.sync()?;
            }
            Ok(())
        };
        write().map_err(|source| self.failed("write", name, source))
    }

    /// Reads a JSON file, if it is there.
    pub(crate) fn read<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, Error> {
        let Some(bytes) = self.read_bytes(name)? else { return Ok(None) };
        match serde_json::from_slice(&bytes) {
            Ok(content) => Ok(Some(content)),
            Err(source) => Err(Error::Damaged { path: self.file(name), source }),
        }
    }

    /// Reads a file, if it is there; what is over the limit is cut off.
    pub(crate) fn read_bytes(&self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        let read = || -> io::Result<Option<Vec<u8>>> {
            let file = match File::open(self.file(name)) {
                Ok(file) => file,
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                Err(error) => return Err(error),
            };
            let mut bytes = Vec::new();
            file.take(JSON_BYTES_MAX).read_to_end(&mut bytes)?;
            Ok(Some(bytes))
        };
        read().map_err(|source| self.failed("read", name, source))
    }

    /// Makes durable which files are in the folder.
    pub(crate) fn sync(&self) -> io::Result<()> {
        File::open(&self.path)?.sync_all()
    }

    /// Makes a new folder durable, together with the one file that it has. The file comes first: on most file
    /// systems that writes all three at once.
    pub(crate) fn sync_new(&self, name: &str) -> Result<(), Error> {
        let sync = || -> io::Result<()> {
            File::open(self.file(name))?.sync_all()?;
            self.sync()?;
            File::open(self.path.parent().unwrap_or(Path::new("/")))?.sync_all()
        };
        sync().map_err(|source| self.failed("write", name, source))
    }

    pub(crate) fn failed(&self, action: &'static str, name: &str, source: io::Error) -> Error {
        Error::File { action, path: self.file(name), source }
    }
}

/// Opens an empty file for its owner alone, whatever the umask.
pub(crate) fn open_new(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)
}
