//! Owns appending: entries that several callers append at the same time share one transaction, and so one sync.
//!
//! One task for each open journal takes all that is waiting and writes it together; what comes meanwhile waits
//! for the next time. Nothing is ever held back for company. If a batch fails, each of its entries is tried
//! alone: one that does not fit on the disk takes no other with it.
//!
//! Transactions are plain statements here. The library's own counts `BEGIN` and `ROLLBACK`, and SQLite ends a
//! transaction by itself when the disk is full: the count was off for good, and the journal with it.

use std::path::Path;
use std::slice;
use std::sync::Arc;

use sqlx::{SqliteConnection, SqlitePool};
use tokio::sync::{mpsc, oneshot};

use crate::store::head;
use crate::{Digest, Draft, Entry, Error};

/// The most entries of one transaction, and as many may wait: a bound on memory of twice that many bodies.
const BATCH_MAX: usize = 128;

/// Where callers leave what is to be appended.
pub(crate) type Queue = mpsc::Sender<Request>;

/// One entry to be appended, and who waits for it.
pub(crate) struct Request {
    draft: Draft,
    body: String,
    answer: oneshot::Sender<Result<Entry, Error>>,
}

/// The one who writes.
struct Writer {
    path: Arc<Path>,
    node: Arc<str>,
    pool: SqlitePool,
}

// === impl Writer ===

impl Writer {
    async fn run(self, mut waiting: mpsc::Receiver<Request>) {
        let mut batch = Vec::new();
        while waiting.recv_many(&mut batch, BATCH_MAX).await > 0 {
            self.answer(std::mem::take(&mut batch)).await;
        }
    }

    /// Writes a batch and tells everybody who still waits.
    async fn answer(&self, batch: Vec<Request>) {
        let answers = match self.write(&batch).await {
            Ok(entries) => entries.into_iter().map(Ok).collect(),
            // Alone, each would wait as long again.
            Err(Error::Busy { path }) => {
                batch.iter().map(|_| Err(Error::Busy { path: path.clone() })).collect()
            }
            Err(_) => {
                let mut answers = Vec::new();
                for request in &batch {
                    let written = self.write(slice::from_ref(request)).await;
                    answers.push(written.map(|mut entries| entries.swap_remove(0)));
                }
                answers
            }
        };
        for (request, answer) in batch.into_iter().zip(answers) {
            let _ = request.answer.send(answer);
        }
    }

    /// Returns one entry for each request; all are on disk, or none is.
    async fn write(&self, batch: &[Request]) -> Result<Vec<Entry>, Error> {
        let failed = |source| Error::append(&self.path, source);
        let mut connection = self.pool.acquire().await.map_err(failed)?;
        begin(&mut connection).await.map_err(failed)?;
        let entries = self.write_within(&mut connection, batch).await;
        end(&mut connection, entries, failed).await
    }

    async fn write_within(
        &self,
        connection: &mut SqliteConnection,
        batch: &[Request],
    ) -> Result<Vec<Entry>, Error> {
        let failed = |source| Error::append(&self.path, source);
        let mut entries = Vec::new();
        // Read under the write lock: nobody else can append before the end of the transaction.
        let mut newest = head(connection).await.map_err(failed)?;
        for Request { draft, body, .. } in batch {
            let (seq, previous) = next(&self.path, newest.as_ref())?;
            let entry = draft.clone().into_entry(body, &self.node, seq, previous);
            insert(connection, &entry, body).await.map_err(failed)?;
            newest = Some((seq, entry.digest.as_bytes().to_vec()));
            entries.push(entry);
        }
        Ok(entries)
    }
}

/// Starts the task that writes, until the last clone of the queue is gone.
pub(crate) fn start(path: Arc<Path>, node: Arc<str>, pool: SqlitePool) -> Queue {
    let (queue, waiting) = mpsc::channel(BATCH_MAX);
    tokio::spawn(Writer { path, node, pool }.run(waiting));
    queue
}

/// Has one draft written; `path` is for messages.
pub(crate) async fn append(queue: &Queue, path: &Path, draft: Draft) -> Result<Entry, Error> {
    let body = draft.body_text()?;
    let (answer, answered) = oneshot::channel();
    // Its task is gone while there are callers only if the runtime that opened the journal is.
    let gone = || Error::append(path, sqlx::Error::WorkerCrashed);
    queue.send(Request { draft, body, answer }).await.map_err(|_| gone())?;
    answered.await.map_err(|_| gone())?
}

/// Inserts a finished entry; `body` is its canonical text.
pub(crate) async fn insert(
    connection: &mut SqliteConnection,
    entry: &Entry,
    body: &str,
) -> Result<(), sqlx::Error> {
    let insert = sqlx::query(
        "INSERT INTO entry (seq, node, at_ms, incident, kind, version, body, previous, digest)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
    );
    let insert = insert.bind(entry.seq).bind(&*entry.node).bind(entry.at_ms).bind(entry.incident.as_deref());
    let insert = insert.bind(&*entry.kind).bind(entry.version).bind(body);
    let insert = insert.bind(&entry.previous.as_bytes()[..]).bind(&entry.digest.as_bytes()[..]);
    insert.execute(connection).await.map(drop)
}

/// Begins a transaction that nobody else can write beside.
pub(crate) async fn begin(connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    sqlx::query("BEGIN IMMEDIATE").execute(connection).await.map(drop)
}

/// Ends a transaction: all of it is on disk when this returns `done`, and nothing of it after an error.
pub(crate) async fn end<T>(
    connection: &mut SqliteConnection,
    done: Result<T, Error>,
    failed: impl FnOnce(sqlx::Error) -> Error,
) -> Result<T, Error> {
    let done = match done {
        Ok(value) => sqlx::query("COMMIT").execute(&mut *connection).await.map(|_| value).map_err(failed),
        Err(error) => Err(error),
    };
    if done.is_err() {
        // Fails if SQLite has done so by itself.
        let _ = sqlx::query("ROLLBACK").execute(connection).await;
    }
    done
}

/// Returns the place of the next entry and the digest that it follows, given the newest one as it is stored.
pub(crate) fn next(path: &Path, newest: Option<&(i64, Vec<u8>)>) -> Result<(i64, Digest), Error> {
    let Some((seq, digest)) = newest else { return Ok((1, Digest::ZERO)) };
    let damaged = || Error::Damaged { path: path.to_path_buf(), seq: *seq };
    Ok((seq.checked_add(1).ok_or_else(damaged)?, Digest::try_from(&**digest).map_err(|_| damaged())?))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::{Draft, Error, Journal};

    #[tokio::test]
    async fn a_full_database_says_so_and_goes_on_once_it_may_grow() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::open(folder.path().join("journal.db"), "host-a").await.unwrap();
        let may_have = async |pages: &'static str| {
            sqlx::query(pages).execute(&journal.writer).await.unwrap();
        };
        let append = |bytes| {
            let body = json!("x".repeat(bytes));
            let draft = Draft { at_ms: 0, incident: None, kind: "note".to_owned(), version: 1, body };
            let journal = journal.clone();
            tokio::spawn(async move { journal.append(draft).await })
        };
        may_have("PRAGMA max_page_count = 12").await;
        // One batch: the large one has no room, and the small ones that come behind it do.
        let (large, small, other) = (append(1 << 19), append(10), append(10));
        assert!(matches!(large.await.unwrap(), Err(Error::Full { .. })));
        assert_eq!((small.await.unwrap().unwrap().seq, other.await.unwrap().unwrap().seq), (1, 2));
        let mut entries = 2;
        let full = loop {
            match append(3000).await.unwrap() {
                Ok(_) => entries += 1,
                Err(error) => break error,
            }
        };
        assert!(matches!(full, Error::Full { .. }), "{full:?}");
        assert_eq!(journal.verify().await.unwrap().entries, entries);

        may_have("PRAGMA max_page_count = 1000").await;
        assert_eq!(append(3000).await.unwrap().unwrap().seq, entries as i64 + 1);
        let found = journal.verify().await.unwrap();
        assert_eq!((found.entries, found.broken), (entries + 1, None));
    }
}
