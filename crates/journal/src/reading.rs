//! Owns reading a journal without writing to it: to check one that somebody else may be writing, or that is evidence.
//!
//! SQLite writes beside a database even to read it: it makes the log's index. While nobody has the database open
//! there is no log (`-wal`), and then it is read as a file that cannot change. Should a writer come meanwhile, the
//! look is taken again.

use std::path::{Path, PathBuf};

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, SqliteConnection};

use crate::schema::{self, Standing};
use crate::store::{BUSY_TIMEOUT, ENTRIES_MAX, rows_from};
use crate::{Entry, Error, Verification, verify};

/// One moment of a journal.
pub struct Reading {
    path: PathBuf,
    connection: SqliteConnection,
}

// === impl Reading ===

impl Reading {
    /// Looks at the journal at `path` as it is at one moment.
    ///
    /// # Errors
    ///
    /// There is no such file, it is no journal or a newer one, it cannot be read, or `look` fails.
    pub async fn of<T>(path: &Path, look: impl AsyncFn(&mut Self) -> Result<T, Error>) -> Result<T, Error> {
        let mut log = path.as_os_str().to_owned();
        log.push("-wal");
        let is_in_use = || Path::new(&log).exists();
        if !is_in_use() {
            let looked = Self::once(path, true, &look).await;
            if !is_in_use() {
                return looked;
            }
        }
        Self::once(path, false, &look).await
    }

    async fn once<T>(
        path: &Path,
        immutable: bool,
        look: &impl AsyncFn(&mut Self) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let failed = |source| Error::read(path, source);
        let options = SqliteConnectOptions::new()
            .filename(path)
            .read_only(true)
            .immutable(immutable)
            .busy_timeout(BUSY_TIMEOUT)
            .disable_statement_logging();
        let mut connection = options.connect().await.map_err(failed)?;
        let path = path.to_path_buf();
        match schema::standing(&mut connection).await.map_err(failed)? {
            Standing::Older | Standing::Ours => {}
            Standing::Empty | Standing::Foreign => return Err(Error::NotAJournal { path }),
            Standing::Newer(found) => return Err(Error::NewerSchema { path, found, known: schema::VERSION }),
        }
        sqlx::query("BEGIN").execute(&mut connection).await.map_err(failed)?;
        let mut reading = Self { path, connection };
        let looked = look(&mut reading).await;
        // Nothing was written: what does not close well leaves nothing behind.
        let _ = reading.connection.close().await;
        looked
    }

    /// Checks every entry, oldest first, and stops at the first broken one.
    ///
    /// # Errors
    ///
    /// The journal cannot be read, for another reason than that it is damaged.
    pub async fn verify(&mut self) -> Result<Verification, Error> {
        verify::verify(&mut self.connection).await.map_err(|source| Error::read(&self.path, source))
    }

    /// Returns the entries with a greater `seq`, oldest first, at most `limit` and never more than 10,000.
    ///
    /// # Errors
    ///
    /// The journal cannot be read, or one of the entries was tampered with.
    pub async fn entries_after(&mut self, seq: i64, limit: u32) -> Result<Vec<Entry>, Error> {
        let Some(from) = seq.checked_add(1) else { return Ok(Vec::new()) };
        let rows = rows_from(&mut self.connection, from, limit.min(ENTRIES_MAX)).await;
        let rows = rows.map_err(|source| Error::read(&self.path, source))?;
        let entry = |row: crate::store::Stored| {
            let seq = row.seq;
            row.into_entry().ok_or_else(|| Error::Damaged { path: self.path.clone(), seq })
        };
        rows.into_iter().map(entry).collect()
    }
}
