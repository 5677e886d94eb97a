//! Owns the journal's database: opening it and reading from it.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions, SqliteRow, SqliteSynchronous};
use sqlx::{ConnectOptions, FromRow, Row, SqliteConnection, SqlitePool};

use crate::append::{self, Queue};
use crate::entry::{Content, check_name};
use crate::schema::{self, Standing};
use crate::{Digest, Draft, Entry, Error};

/// How long one process waits for another to finish its transaction, which takes milliseconds.
pub(crate) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a caller waits for a connection; twice the busy timeout, so that the database's own answer comes
/// first.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);

/// Readers that may be at work at once: each is a thread.
const READERS_MAX: u32 = 4;

/// How long the log stays in bytes after a long one has been moved to the database: it would keep its room.
const LOG_BYTES_KEPT: &str = "16777216";

/// The most entries that one call returns: a bound on memory.
pub(crate) const ENTRIES_MAX: u32 = 10_000;

/// What an entry takes beside its body, in bytes: digests, names, numbers and its place in the index.
pub(crate) const ENTRY_BYTES: i64 = 200;

/// The newest entry of a journal: with it kept elsewhere, nobody can cut the journal unseen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// Its place.
    pub seq: i64,
    /// Its digest, which stands for all entries up to it.
    pub digest: Digest,
}

/// An open journal. Clones share its connections; other processes may have the same file open.
#[derive(Debug, Clone)]
pub struct Journal {
    pub(crate) path: Arc<Path>,
    pub(crate) node: Arc<str>,
    queue: Queue,
    pub(crate) writer: SqlitePool,
    pub(crate) readers: SqlitePool,
}

/// A row as it is stored. Texts are bytes: one that was tampered with need not be UTF-8.
pub(crate) struct Stored {
    pub(crate) seq: i64,
    pub(crate) digest: Vec<u8>,
    pub(crate) previous: Vec<u8>,
    node: Vec<u8>,
    at_ms: i64,
    incident: Option<Vec<u8>>,
    kind: Vec<u8>,
    version: i64,
    body: Vec<u8>,
}

// === impl Journal ===

impl Journal {
    /// Opens the journal at `path`, and creates it if there is none. `node` names this host in new entries.
    ///
    /// # Errors
    ///
    /// The file cannot be created or opened, belongs to something else, or was written by a newer program.
    pub async fn open(path: impl AsRef<Path>, node: &str) -> Result<Self, Error> {
        let path: Arc<Path> = path.as_ref().into();
        check_name("node", node)?;
        create(&path).map_err(|source| Error::Create { path: path.to_path_buf(), source })?;
        let failed = |source| Error::Open { path: path.to_path_buf(), source };
        let options = SqliteConnectOptions::new()
            .filename(&path)
            .busy_timeout(BUSY_TIMEOUT)
            .synchronous(SqliteSynchronous::Full)
            .pragma("journal_size_limit", LOG_BYTES_KEPT)
            .disable_statement_logging();
        let writer = pool(1).connect_with(options.clone()).await.map_err(failed)?;
        let mut connection = writer.acquire().await.map_err(failed)?;
        match schema::prepare(&mut connection).await.map_err(failed)? {
            Standing::Empty | Standing::Older | Standing::Ours => {}
            Standing::Foreign => return Err(Error::NotAJournal { path: path.to_path_buf() }),
            Standing::Newer(found) => {
                return Err(Error::NewerSchema { path: path.to_path_buf(), found, known: schema::VERSION });
            }
        }
        drop(connection);
        let readers = pool(READERS_MAX).connect_lazy_with(options.read_only(true));
        let node: Arc<str> = node.into();
        let queue = append::start(Arc::clone(&path), Arc::clone(&node), writer.clone());
        Ok(Self { path, node, queue, writer, readers })
    }

    /// Appends one entry. It is on disk, and part of the chain, when this returns. Entries that are appended at
    /// the same time share one sync; one whose caller gives up waiting may be appended all the same.
    ///
    /// # Errors
    ///
    /// The draft is over a limit, another process held the journal for more than 5 seconds, the disk is full
    /// ([`Error::Full`]) or has failed, or the runtime in which the journal was opened has ended.
    pub async fn append(&self, draft: Draft) -> Result<Entry, Error> {
        append::append(&self.queue, &self.path, draft).await
    }

    /// Returns the entries with a greater `seq`, oldest first, at most `limit` and never more than 10,000.
    ///
    /// # Errors
    ///
    /// The journal cannot be read, or one of the entries was tampered with.
    pub async fn entries_after(&self, seq: i64, limit: u32) -> Result<Vec<Entry>, Error> {
        let Some(from) = seq.checked_add(1) else { return Ok(Vec::new()) };
        let mut connection = self.readers.acquire().await.map_err(|source| self.unread(source))?;
        let rows = rows_from(&mut connection, from, limit.min(ENTRIES_MAX)).await;
        let rows = rows.map_err(|source| self.unread(source))?;
        rows.into_iter().map(|row| self.entry(row)).collect()
    }

    /// Returns the entries of these kinds that belong to no incident and have a greater `seq`, oldest first, at most
    /// `limit` and never more than 10,000.
    ///
    /// # Errors
    ///
    /// The journal cannot be read, or one of the entries was tampered with.
    pub async fn loose_after(&self, kinds: &[&str], seq: i64, limit: u32) -> Result<Vec<Entry>, Error> {
        let rows: Vec<Stored> = sqlx::query_as(
            "SELECT * FROM entry WHERE seq > ? AND incident IS NULL AND kind IN (SELECT value FROM json_each(?))
             ORDER BY seq LIMIT ?",
        )
        .bind(seq)
        .bind(serde_json::Value::from(kinds).to_string())
        .bind(limit.min(ENTRIES_MAX))
        .fetch_all(&self.readers)
        .await
        .map_err(|source| self.unread(source))?;
        rows.into_iter().map(|row| self.entry(row)).collect()
    }

    /// Returns all entries of one incident, oldest first.
    ///
    /// # Errors
    ///
    /// The journal cannot be read, one of the entries was tampered with, or there are more than 10,000.
    pub async fn of_incident(&self, incident: &str) -> Result<Vec<Entry>, Error> {
        let rows: Vec<Stored> = sqlx::query_as("SELECT * FROM entry WHERE incident = ? ORDER BY seq LIMIT ?")
            .bind(incident)
            .bind(ENTRIES_MAX + 1)
            .fetch_all(&self.readers)
            .await
            .map_err(|source| self.unread(source))?;
        if rows.len() > ENTRIES_MAX as usize {
            return Err(Error::IncidentTooLong { incident: incident.to_owned(), entries_max: ENTRIES_MAX });
        }
        rows.into_iter().map(|row| self.entry(row)).collect()
    }

    /// Returns the newest entry's place and digest, or `None` for an empty journal.
    ///
    /// # Errors
    ///
    /// The journal cannot be read, or the newest entry was tampered with.
    pub async fn head(&self) -> Result<Option<Head>, Error> {
        let mut connection = self.readers.acquire().await.map_err(|source| self.unread(source))?;
        let Some((seq, digest)) = head(&mut connection).await.map_err(|source| self.unread(source))? else {
            return Ok(None);
        };
        let digest = Digest::try_from(&*digest).map_err(|_| self.damaged(seq))?;
        Ok(Some(Head { seq, digest }))
    }

    /// Returns what the entries of each incident take, in bytes.
    pub(crate) async fn incident_bytes(&self) -> Result<BTreeMap<String, u64>, Error> {
        let rows: Vec<(String, i64)> = sqlx::query_as(
            "SELECT incident, sum(octet_length(body) + ?) FROM entry
             WHERE incident IS NOT NULL GROUP BY incident",
        )
        .bind(ENTRY_BYTES)
        .fetch_all(&self.readers)
        .await
        .map_err(|source| self.unread(source))?;
        Ok(rows.into_iter().map(|(incident, bytes)| (incident, bytes.unsigned_abs())).collect())
    }

    /// Returns what the database takes without the pages that are free for new entries, in bytes.
    pub(crate) async fn used_bytes(&self) -> Result<u64, Error> {
        let bytes: i64 = sqlx::query_scalar(
            "SELECT (page_count - freelist_count) * page_size
             FROM pragma_page_count, pragma_freelist_count, pragma_page_size",
        )
        .fetch_one(&self.readers)
        .await
        .map_err(|source| self.unread(source))?;
        Ok(bytes.unsigned_abs())
    }

    pub(crate) fn entry(&self, row: Stored) -> Result<Entry, Error> {
        let seq = row.seq;
        row.into_entry().ok_or_else(|| self.damaged(seq))
    }

    fn damaged(&self, seq: i64) -> Error {
        Error::Damaged { path: self.path.to_path_buf(), seq }
    }

    pub(crate) fn unread(&self, source: sqlx::Error) -> Error {
        Error::read(&self.path, source)
    }
}

// === impl Stored ===

impl Stored {
    /// Returns the digest that the stored fields ask for.
    pub(crate) fn computed_digest(&self) -> Digest {
        Content {
            seq: self.seq,
            node: &self.node,
            at_ms: self.at_ms,
            incident: self.incident.as_deref(),
            kind: &self.kind,
            version: self.version,
            body: &self.body,
            previous: &self.previous,
        }
        .digest()
    }

    /// Returns the entry, or `None` if the row is not one that the journal wrote.
    pub(crate) fn into_entry(self) -> Option<Entry> {
        Some(Entry {
            seq: self.seq,
            node: String::from_utf8(self.node).ok()?,
            at_ms: self.at_ms,
            incident: self.incident.map(String::from_utf8).transpose().ok()?,
            kind: String::from_utf8(self.kind).ok()?,
            version: self.version.try_into().ok()?,
            body: serde_json::from_slice(&self.body).ok()?,
            previous: Digest::try_from(&*self.previous).ok()?,
            digest: Digest::try_from(&*self.digest).ok()?,
        })
    }
}

impl FromRow<'_, SqliteRow> for Stored {
    fn from_row(row: &SqliteRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            seq: row.try_get("seq")?,
            digest: row.try_get("digest")?,
            previous: row.try_get("previous")?,
            node: row.try_get("node")?,
            at_ms: row.try_get("at_ms")?,
            incident: row.try_get("incident")?,
            kind: row.try_get("kind")?,
            version: row.try_get("version")?,
            body: row.try_get("body")?,
        })
    }
}

/// Connections that live as long as the journal: each keeps its prepared statements.
fn pool(connections: u32) -> SqlitePoolOptions {
    SqlitePoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .max_lifetime(None)
        .idle_timeout(None)
        .test_before_acquire(false)
}

/// Returns the rows from `seq` on as they are stored.
pub(crate) async fn rows_from(
    connection: &mut SqliteConnection,
    seq: i64,
    limit: u32,
) -> Result<Vec<Stored>, sqlx::Error> {
    sqlx::query_as("SELECT * FROM entry WHERE seq >= ? ORDER BY seq LIMIT ?")
        .bind(seq)
        .bind(limit)
        .fetch_all(connection)
        .await
}

/// Returns the newest row's place and digest.
pub(crate) async fn head(connection: &mut SqliteConnection) -> Result<Option<(i64, Vec<u8>)>, sqlx::Error> {
    sqlx::query_as("SELECT seq, digest FROM entry ORDER BY seq DESC LIMIT 1").fetch_optional(connection).await
}

/// Creates the file, if there is none, for its owner alone: SQLite would let the umask decide.
fn create(path: &Path) -> io::Result<()> {
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
        Err(error) => return Err(error),
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}
