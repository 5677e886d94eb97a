//! Owns the copy of a journal that is in use: of one moment, whole, and checked before it has its name.
//!
//! `VACUUM INTO` reads the moment at which it began and writes a new database without free pages. Appending goes
//! on meanwhile; only the log cannot be shortened before the end. The copy is written under a name of its own
//! (`.new-…` in the same folder), synced, checked, and then linked to its name, which fails if there is one. A
//! crash leaves at most the `.new-` file.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use sqlx::ConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;

use crate::disk::{NEW_PREFIX, Unfinished};
use crate::{Error, Journal, Verification, verify};

// === impl Journal ===

impl Journal {
    /// Copies the journal as it is at this moment to the file `to`, for its owner alone, and returns what the
    /// check of the copy found. A broken chain is copied too: it is evidence.
    ///
    /// # Errors
    ///
    /// There is something named `to` already ([`Error::BackupExists`]), its folder cannot be written or has no
    /// hard links, its path is not UTF-8, or the journal is damaged so that it cannot be read.
    pub async fn backup(&self, to: &Path) -> Result<Verification, Error> {
        let failed = |source| Error::Backup { path: to.to_owned(), source };
        let unwritten = |source| failed(sqlx::Error::Io(source));
        if fs::symlink_metadata(to).is_ok() {
            return Err(Error::BackupExists { path: to.to_owned() });
        }
        let new = create(to).map_err(unwritten)?;
        let name = new.0.to_str().ok_or_else(|| unwritten(io::ErrorKind::InvalidFilename.into()))?;
        sqlx::query("VACUUM INTO ?").bind(name).execute(&self.readers).await.map_err(failed)?;
        let copy = SqliteConnectOptions::new().filename(&new.0).immutable(true).disable_statement_logging();
        let found = verify::verify(&mut copy.connect().await.map_err(failed)?).await.map_err(failed)?;
        let named = to.to_owned();
        match tokio::task::spawn_blocking(move || keep(new, &named)).await.map_err(io::Error::from).flatten()
        {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                Err(Error::BackupExists { path: to.to_owned() })
            }
            kept => kept.map(|()| found).map_err(unwritten),
        }
    }
}

/// Creates an empty file beside `to`: SQLite fills one that is there, but would let the umask decide.
fn create(to: &Path) -> io::Result<Unfinished> {
    let mut name = OsString::from(format!("{NEW_PREFIX}{}-", std::process::id()));
    name.push(to.file_name().ok_or(io::ErrorKind::InvalidFilename)?);
    let path = to.with_file_name(name);
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
    Ok(Unfinished(path))
}

/// Gives the copy its name, if nothing has it.
fn keep(new: Unfinished, to: &Path) -> io::Result<()> {
    File::open(&new.0)?.sync_all()?;
    fs::hard_link(&new.0, to)?;
    drop(new);
    let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}
