//! Owns small documents in the data directory: read whole, changed by one command at a time, and put in the place of the
//! old one whole or not at all. Commands work on them with and without a running `serve`.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use process::lock::{Lock, LockError};

use crate::config::Config;

/// The largest document, in bytes: a thousand windows or silences with the longest texts.
const BYTES_MAX: u64 = 4 * 1024 * 1024;

/// What is kept as a document.
pub(crate) trait Document: Default {
    /// Its file in the data directory, without the ending.
    const STEM: &'static str;
    /// What it holds, for people.
    const WHAT: &'static str;
    /// What follows where it cannot be used, for people; empty where the caller says so.
    const ADVICE: &'static str;
    /// What can be wrong with its content.
    type Problem: std::error::Error + 'static;

    /// Reads its content.
    ///
    /// # Errors
    /// Where it is not understood as a whole.
    fn parse(text: &str) -> Result<Self, Self::Problem>;

    /// Writes its content.
    ///
    /// # Errors
    /// Where it has no such form.
    fn to_json(&self) -> Result<String, Self::Problem>;
}

/// Why a document cannot be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum DocumentError<P: std::error::Error + 'static> {
    /// The file cannot be read or written.
    #[error("{what} `{}` failed", path.display())]
    Io {
        /// What was done.
        what: &'static str,
        /// To what.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// What stands in it cannot be used.
    #[error("the {what} in `{}` cannot be used{advice}", path.display())]
    Content {
        /// What it holds.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What follows.
        advice: &'static str,
        /// What is wrong with it.
        source: P,
    },
    /// The change was not made: there is something wrong with it.
    #[error(transparent)]
    Change(P),
    /// Another command is at it.
    #[error("another command changes the {what} at this moment; try it again")]
    Locked {
        /// What it holds.
        what: &'static str,
        /// Who has it.
        source: LockError,
    },
}

/// The file of a document.
pub(crate) fn path<D: Document>(config: &Config) -> PathBuf {
    config.data_dir.join(format!("{}.json", D::STEM))
}

/// Reads a document; where there is no file it is the default.
pub(crate) fn load<D: Document>(config: &Config) -> Result<D, DocumentError<D::Problem>> {
    let path = path::<D>(config);
    let text = match read(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(D::default()),
        other => other.map_err(|source| io_error("reading", &path, source))?,
    };
    let (what, advice) = (D::WHAT, D::ADVICE);
    D::parse(&text).map_err(|source| DocumentError::Content { what, path, advice, source })
}

/// Changes a document. Where that cannot be done it stands as it was.
pub(crate) fn change<D: Document, T>(
    config: &Config,
    change: impl FnOnce(&mut D) -> Result<T, D::Problem>,
) -> Result<T, DocumentError<D::Problem>> {
    let folder = &config.data_dir;
    crate::private_folder(folder)
        .map_err(|error| io_error("making the folder", folder, io::Error::other(error)))?;
    let _lock = Lock::acquire(&folder.join(format!("{}.lock", D::STEM)))
        .map_err(|source| DocumentError::Locked { what: D::WHAT, source })?;
    let mut document: D = load(config)?;
    let done = change(&mut document).map_err(DocumentError::Change)?;
    let text = document.to_json().map_err(DocumentError::Change)?;
    let path = path::<D>(config);
    replace(&path, &text).map_err(|source| io_error("writing", &path, source))?;
    Ok(done)
}

fn io_error<P: std::error::Error>(what: &'static str, path: &Path, source: io::Error) -> DocumentError<P> {
    DocumentError::Io { what, path: path.to_owned(), source }
}

fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(BYTES_MAX + 1).read_to_string(&mut text)?;
    if text.len() as u64 > BYTES_MAX {
        return Err(io::Error::other(format!("it has more than {BYTES_MAX} bytes, the most that is read")));
    }
    Ok(text)
}

/// Puts a text in the place of a small file, durably; at no moment is there half of it.
pub(crate) fn replace(path: &Path, text: &str) -> io::Result<()> {
    if text.len() as u64 > BYTES_MAX {
        return Err(io::Error::other(format!(
            "it would have more than {BYTES_MAX} bytes, the most that is read"
        )));
    }
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    let new = PathBuf::from(new);
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    File::open(path.parent().unwrap_or(Path::new("/")))?.sync_all()
}
