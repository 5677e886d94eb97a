//! Owns whether a database of SQLite is whole: asked of a copy, so that nobody who uses it is held up or disturbed.
//!
//! The original is never opened as a database: even a reader takes locks and may write beside it. Its file and its log
//! are copied, which on some file systems costs nothing. A copy that was taken while somebody wrote proves nothing if
//! it looks broken, so it is taken again.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _, Row as _};

/// How often a copy is taken again because somebody wrote meanwhile.
const TRIES: usize = 5;
/// So many problems of one database are named.
const PROBLEMS_MAX: u32 = 20;
/// How long a writer may hold its lock while one moment of a database is read.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// What was found out about a database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// Every page and every index is as it should be.
    Whole,
    /// These are its problems, in SQLite's words.
    Broken(Vec<String>),
    /// Somebody wrote whenever a copy was taken, and no copy was whole: nothing is known.
    Changing,
}

/// A database could not be looked at.
#[derive(Debug, thiserror::Error)]
pub enum SqliteError {
    /// No copy of it could be made.
    #[error("the database {} cannot be copied to {}", path.display(), to.display())]
    Copy {
        /// The database.
        path: PathBuf,
        /// Where the copy should be.
        to: PathBuf,
        /// The cause.
        source: io::Error,
    },
}

/// Asks whether a database is whole. `deep` compares every index with its table as well, which takes far longer.
/// `scratch` is a folder of this process alone, on a disk with room for the database.
///
/// # Errors
/// If it cannot be copied, such as for want of room.
pub(crate) async fn check(path: &Path, deep: bool, scratch: &Path) -> Result<Found, SqliteError> {
    let copy = scratch.join("copy.db");
    let failed = |source| SqliteError::Copy { path: path.to_owned(), to: copy.clone(), source };
    for _ in 0..TRIES {
        let before = states(path).map_err(failed)?;
        copy_all(path, &copy).map_err(failed)?;
        let stood_still = states(path).map_err(failed)? == before;
        let problems = problems(&copy, deep).await;
        remove_all(&copy);
        match problems {
            problems if problems.is_empty() => return Ok(Found::Whole),
            problems if stood_still => return Ok(Found::Broken(problems)),
            _ => {}
        }
    }
    Ok(Found::Changing)
}

/// A copy of a database as it was at one moment, whole, with its log taken in. The file has no name any more.
///
/// # Errors
/// A sentence, if there is no room for a copy, it is broken, or somebody writes all the time.
pub(crate) async fn copy_of_one_moment(path: &Path, scratch: &Path) -> Result<File, String> {
    let copy = scratch.join("copy.db");
    let said = |error: io::Error| format!("copying it to {}: {error}", scratch.display());
    for _ in 0..TRIES {
        let before = states(path).map_err(said)?;
        copy_all(path, &copy).map_err(said)?;
        if states(path).map_err(said)? != before {
            continue;
        }
        let taken_in = take_in_log(&copy).await;
        let opened = File::open(&copy);
        remove_all(&copy);
        return match taken_in {
            // What is broken is backed up as it is: the proof will say so.
            Ok(()) | Err(sqlx::Error::Database(_)) => opened.map_err(said),
            Err(error) => Err(error.to_string()),
        };
    }
    remove_all(&copy);
    // It is never still: then SQLite itself reads one moment of it, under its lock.
    let options = SqliteConnectOptions::new().filename(path).read_only(true).busy_timeout(BUSY_TIMEOUT);
    let vacuumed = async {
        let mut connection = options.disable_statement_logging().connect().await?;
        let name = copy.to_string_lossy().into_owned();
        sqlx::query("VACUUM INTO ?").bind(name).execute(&mut connection).await?;
        connection.close().await
    };
    let vacuumed = vacuumed.await.map_err(|error| error.to_string());
    let opened = File::open(&copy);
    remove_all(&copy);
    vacuumed.and_then(|()| opened.map_err(said))
}

/// Brings what is in the log of a copy into the copy itself.
async fn take_in_log(copy: &Path) -> sqlx::Result<()> {
    let options = SqliteConnectOptions::new().filename(copy).disable_statement_logging();
    let mut connection = options.connect().await?;
    sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&mut connection).await?;
    // Reading it makes a journal that was left behind be rolled back.
    sqlx::query("SELECT count(*) FROM sqlite_schema").execute(&mut connection).await?;
    connection.close().await
}

/// The files that make up a database: itself, and its log of either kind.
fn files(path: &Path) -> [PathBuf; 3] {
    ["", "-wal", "-journal"].map(|suffix| {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        PathBuf::from(name)
    })
}

/// Inode, size, when it was written, when it was changed.
type State = (u64, u64, i64, i64, i64);

/// What tells that somebody has written: inode, size and times of each file that is there.
fn states(path: &Path) -> io::Result<Vec<Option<State>>> {
    let state = |path: &PathBuf| match fs::metadata(path) {
        Ok(file) => Ok(Some((file.ino(), file.len(), file.mtime(), file.mtime_nsec(), file.ctime_nsec()))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    };
    files(path).iter().map(state).collect()
}

pub(crate) fn copy_all(path: &Path, copy: &Path) -> io::Result<()> {
    remove_all(copy);
    let [database, logs @ ..] = files(path);
    let [its_copy, log_copies @ ..] = files(copy);
    // The log after the database: it has at least what the copy of the database lacks.
    fs::copy(database, its_copy)?;
    for (log, its_copy) in logs.iter().zip(log_copies) {
        match fs::copy(log, its_copy) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

pub(crate) fn remove_all(copy: &Path) {
    for file in files(copy).into_iter().chain([copy.with_extension("db-shm")]) {
        // What is not there need not go.
        let _ = fs::remove_file(file);
    }
}

/// What SQLite says against a database that nobody else uses; what keeps it from asking is a problem too.
async fn problems(path: &Path, deep: bool) -> Vec<String> {
    let asked = async {
        let options = SqliteConnectOptions::new().filename(path).disable_statement_logging();
        let mut connection = options.connect().await?;
        let question = if deep { "PRAGMA integrity_check" } else { "PRAGMA quick_check" };
        let question = sqlx::AssertSqlSafe(format!("{question}({PROBLEMS_MAX})"));
        let rows = sqlx::query(question).fetch_all(&mut connection).await?;
        let lines = rows.iter().map(|row| row.try_get::<String, _>(0)).collect::<Result<Vec<_>, _>>()?;
        connection.close().await?;
        Ok::<_, sqlx::Error>(lines)
    };
    match asked.await {
        Ok(lines) => lines.into_iter().filter(|line| line != "ok").collect(),
        Err(error) => vec![error.to_string()],
    }
}
