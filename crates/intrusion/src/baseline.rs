//! Owns the baseline of a server: what belongs to it and to its machine, learned when a person says so, and kept in a file.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::access::Known;
use crate::files::Files;
use crate::processes::Belonging;

/// The form that this version writes.
const VERSION: u32 = 1;
/// Ten thousand files with their digests come to two megabytes.
const BYTES_MAX: u64 = 64 << 20;

/// What is known of a server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Baseline {
    /// The form; 1.
    pub version: u32,
    /// The server.
    pub server: String,
    /// When it was learned: milliseconds since 1970.
    pub learned_ms: i64,
    /// Who said so.
    pub by: String,
    /// Its processes and connections; nothing where it did not run.
    pub belonging: Option<Belonging>,
    /// Files.
    pub files: Files,
    /// Who comes in.
    pub access: Known,
}

/// A baseline cannot be read or kept.
#[derive(Debug, thiserror::Error)]
pub enum BaselineError {
    /// The file cannot be read or written.
    #[error("the baseline {} cannot be read or written", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// It is none.
    #[error("{} is no baseline of this version: {reason}; learn it again with `paramedic security baseline`", path.display())]
    Form {
        /// The file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
}

// === impl Baseline ===

impl Baseline {
    /// A baseline of now.
    pub fn new(
        server: &str,
        by: &str,
        now_ms: i64,
        belonging: Option<Belonging>,
        files: Files,
        access: Known,
    ) -> Self {
        let (server, by) = (server.to_owned(), by.to_owned());
        Self { version: VERSION, server, learned_ms: now_ms, by, belonging, files, access }
    }

    /// Reads the one in this file; none where there is no such file.
    ///
    /// # Errors
    /// If it cannot be read, or is no baseline.
    pub fn read(path: &Path) -> Result<Option<Self>, BaselineError> {
        let io = |source| BaselineError::Io { path: path.to_owned(), source };
        let form = |reason: String| BaselineError::Form { path: path.to_owned(), reason };
        let bytes = match fs::metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Ok(of) if of.len() > BYTES_MAX => return Err(form("it is too large".to_owned())),
            _ => fs::read(path).map_err(io)?,
        };
        let baseline: Self = serde_json::from_slice(&bytes).map_err(|error| form(error.to_string()))?;
        if baseline.version != VERSION {
            return Err(form(format!("it has version {}", baseline.version)));
        }
        Ok(Some(baseline))
    }

    /// Keeps it in this file, whole or not at all; nobody else may read it.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn keep(&self, path: &Path) -> Result<(), BaselineError> {
        let io = |source| BaselineError::Io { path: path.to_owned(), source };
        let beside = path.with_extension("new");
        let kept = (|| {
            if let Some(folder) = path.parent() {
                fs::create_dir_all(folder)?;
            }
            let mut options = File::options();
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
            let mut file = options.write(true).create(true).truncate(true).open(&beside)?;
            file.write_all(&serde_json::to_vec(self)?)?;
            file.sync_all()?;
            fs::rename(&beside, path)
        })();
        kept.map_err(io)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_comes_back_and_what_is_none_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("security/notes.json");
        assert_eq!(Baseline::read(&path).unwrap(), None);
        let files = Files::look(Path::new("/nowhere"), &[], None);
        let belonging = Belonging { peers: ["10.0.0.1".parse().unwrap()].into(), ..Belonging::default() };
        let baseline = Baseline::new("notes", "alice", 5, Some(belonging), files, Known::default());
        baseline.keep(&path).unwrap();
        assert_eq!(Baseline::read(&path).unwrap(), Some(baseline));
        for bad in ["", "{}", r#"{"version":2}"#, "[1]"] {
            fs::write(&path, bad).unwrap();
            let error = Baseline::read(&path).unwrap_err().to_string();
            assert!(error.contains("security/notes.json") && error.contains("learn it again"), "{error}");
        }
    }
}
