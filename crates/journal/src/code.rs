//! Owns what SQLite's result codes mean to a journal.

/// The database or its disk has no room.
const FULL: i64 = 13;

/// The same, for the index that readers and writers of the log share.
const IOERR_SHMSIZE: i64 = 10 | 19 << 8;

/// The disk did not give back what was written: a bad sector.
const IOERR_READ: i64 = 10 | 1 << 8;

/// Another process holds the database.
const BUSY: i64 = 5;

/// A page is not what a page of a database looks like.
const CORRUPT: i64 = 11;

/// The first page is not that of a database.
const NOTADB: i64 = 26;

/// Says whether there was no room left on the disk.
pub(crate) fn is_full(error: &sqlx::Error) -> bool {
    matches!(code(error), Some(code) if code & 0xff == FULL || code == IOERR_SHMSIZE)
}

/// Says whether another process, or another task of this one, held the database for too long.
pub(crate) fn is_busy(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::PoolTimedOut) || matches!(code(error), Some(code) if code & 0xff == BUSY)
}

/// Says whether what was read is damaged: pages that cannot be read, or a row of other types than its table.
pub(crate) fn is_damage(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::ColumnDecode { .. })
        || matches!(code(error), Some(code) if matches!(code & 0xff, CORRUPT | NOTADB) || code == IOERR_READ)
}

/// Returns SQLite's extended result code.
fn code(error: &sqlx::Error) -> Option<i64> {
    error.as_database_error()?.code()?.parse().ok()
}
