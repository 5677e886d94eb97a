//! Owns the tables of the journal's database, their version, and who may open them.

use std::time::Duration;

use sqlx::{Connection, Sqlite, SqliteConnection, pool::PoolConnection};

use crate::code::is_busy;

/// The newest schema that this program reads and writes.
pub(crate) const VERSION: i64 = 2;

/// "PARJ": tells a journal from the database of another program, and `file` shows it.
const APPLICATION_ID: i64 = 0x5041_524a;

/// How often, and after which pause, the change to WAL is tried: it needs the database for itself, and SQLite
/// does not wait for that by itself. Together as long as the busy timeout.
const WAL_TRIES: u32 = 250;
const WAL_PAUSE: Duration = Duration::from_millis(20);

/// Schema 1. The triggers keep the file append-only for every program that opens it. `INSERT OR REPLACE` deletes
/// without a trigger, so an insert is checked for its place as well.
const CREATE: &str = "
CREATE TABLE entry (
    seq      INTEGER PRIMARY KEY,
    node     TEXT    NOT NULL,
    at_ms    INTEGER NOT NULL,
    incident TEXT,
    kind     TEXT    NOT NULL,
    version  INTEGER NOT NULL,
    body     TEXT    NOT NULL,
    previous BLOB    NOT NULL,
    digest   BLOB    NOT NULL
) STRICT;
CREATE INDEX entry_incident ON entry (incident, seq) WHERE incident IS NOT NULL;
CREATE TRIGGER entry_insert BEFORE INSERT ON entry
WHEN NEW.seq IS NOT (SELECT coalesce(max(seq), 0) + 1 FROM entry)
  OR NEW.previous IS NOT coalesce((SELECT digest FROM entry ORDER BY seq DESC LIMIT 1), zeroblob(32))
BEGIN SELECT RAISE(ABORT, 'a journal entry follows the newest one'); END;
CREATE TRIGGER entry_update BEFORE UPDATE ON entry
BEGIN SELECT RAISE(ABORT, 'a journal is append-only'); END;
CREATE TRIGGER entry_delete BEFORE DELETE ON entry
BEGIN SELECT RAISE(ABORT, 'a journal is append-only'); END;
PRAGMA application_id = 0x5041524a;
PRAGMA user_version = 1;
";

/// Schema 2: entries may be missing, where one of the kind `journal_pruned` says so. A program that knows schema 1
/// only would take that for tampering, so it must not open the journal any more.
const UPGRADE: &str = "
CREATE INDEX entry_pruned ON entry (seq) WHERE kind = 'journal_pruned';
PRAGMA user_version = 2;
";

/// Lets entries be deleted for the rest of the transaction. It must end with `FORBID_DELETE`.
pub(crate) const ALLOW_DELETE: &str = "DROP TRIGGER entry_delete";

/// The trigger of schema 1 again.
pub(crate) const FORBID_DELETE: &str = "
CREATE TRIGGER entry_delete BEFORE DELETE ON entry
BEGIN SELECT RAISE(ABORT, 'a journal is append-only'); END
";

/// What a database file is to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Nobody's: it has no tables.
    Empty,
    /// A journal of an older program.
    Older,
    /// A journal that this program can use.
    Ours,
    /// A journal of a newer program, with its schema.
    Newer(i64),
    /// The database of something else.
    Foreign,
}

/// Makes an empty database a journal, brings an older one up to date, and puts it into WAL mode; leaves any
/// other as it is.
pub(crate) async fn prepare(connection: &mut PoolConnection<Sqlite>) -> Result<Standing, sqlx::Error> {
    let standing = standing(connection).await?;
    if matches!(standing, Standing::Newer(_) | Standing::Foreign) {
        return Ok(standing);
    }
    if standing == Standing::Empty {
        // Before anything else is written: what is removed later can then give its room back to the disk.
        sqlx::query("PRAGMA auto_vacuum = INCREMENTAL").execute(&mut **connection).await?;
    }
    use_wal(connection).await?;
    if standing == Standing::Ours {
        return Ok(standing);
    }
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    // Another process may have been faster.
    let standing = self::standing(&mut transaction).await?;
    if standing == Standing::Empty {
        sqlx::raw_sql(CREATE).execute(&mut *transaction).await?;
    }
    if matches!(standing, Standing::Empty | Standing::Older) {
        sqlx::raw_sql(UPGRADE).execute(&mut *transaction).await?;
        transaction.commit().await?;
        return Ok(Standing::Ours);
    }
    Ok(standing)
}

pub(crate) async fn standing(connection: &mut SqliteConnection) -> Result<Standing, sqlx::Error> {
    // One statement, so that all three are of one moment.
    let (application, version, tables): (i64, i64, i64) = sqlx::query_as(
        "SELECT application_id, user_version, (SELECT count(*) FROM sqlite_schema)
         FROM pragma_application_id, pragma_user_version",
    )
    .fetch_one(connection)
    .await?;
    Ok(match (application, version) {
        (0, 0) if tables == 0 => Standing::Empty,
        (APPLICATION_ID, ..VERSION) => Standing::Older,
        (APPLICATION_ID, VERSION) => Standing::Ours,
        (APPLICATION_ID, newer) => Standing::Newer(newer),
        _ => Standing::Foreign,
    })
}

/// Changes to WAL. A file system without shared memory keeps the rollback journal: slower, as durable.
async fn use_wal(connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    let mut tries = 1;
    loop {
        match sqlx::query("PRAGMA journal_mode = WAL").execute(&mut *connection).await {
            Err(error) if tries < WAL_TRIES && is_busy(&error) => tries += 1,
            done => return done.map(drop),
        }
        tokio::time::sleep(WAL_PAUSE).await;
    }
}
