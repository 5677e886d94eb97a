//! Owns what of a database of SQLite is damaged, table by table, and what two states of it have in common.
//!
//! Only copies are opened, as for a check. A row that cannot be read ends the way that leads to it; so a table is read from
//! its first row on and from its last row back, and what lies between is what is damaged.

use std::path::Path;

use futures_util::TryStreamExt as _;
use serde::Serialize;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteRow};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Row as _};

use crate::sqlite::{copy_all, remove_all};

/// So many tables of a database are looked at.
const TABLES_MAX: usize = 200;
/// So many problems of one table are named.
const PROBLEMS_MAX: u32 = 5;

/// One table of a database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Table {
    /// Its name.
    pub name: String,
    /// How many of its rows can be read.
    pub rows: u64,
    /// The first and the last number of the rows that cannot be read, as far as they have numbers: nothing where all can.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unreadable: Option<(Option<i64>, Option<i64>)>,
    /// What SQLite says against it and its indexes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<String>,
}

/// One table now and in a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TableLoss {
    /// Its name.
    pub name: String,
    /// How many of its rows can be read now; nothing where there is no such table.
    pub rows_now: Option<u64>,
    /// How many the backup has.
    pub rows_before: Option<u64>,
    /// How many of the rows that can be read now the backup does not have; nothing where that cannot be found out.
    pub rows_only_now: Option<u64>,
}

// === impl Table ===

impl Table {
    /// Whether nothing is wrong with it.
    pub fn is_whole(&self) -> bool {
        self.unreadable.is_none() && self.problems.is_empty()
    }
}

/// The tables of a database, by a copy in `scratch`.
///
/// # Errors
/// A sentence, if it cannot be copied, or not even its list of tables be read.
pub fn tables(path: &Path, scratch: &Path) -> Result<Vec<Table>, String> {
    with_copy(path, scratch, async |connection| {
        let mut found = Vec::new();
        for name in names(connection, "main").await? {
            found.push(table(connection, &name).await);
        }
        Ok(found)
    })
}

/// Compares a database of now with the same one of a backup; `before` is nobody else's.
///
/// # Errors
/// As [`tables`] has them.
pub fn losses(path: &Path, before: &Path, scratch: &Path) -> Result<Vec<TableLoss>, String> {
    with_copy(path, scratch, async |connection| {
        let attach = sqlx::query("ATTACH DATABASE ? AS before").bind(before.to_string_lossy().into_owned());
        attach.execute(&mut *connection).await?;
        let mut all = names(connection, "main").await.unwrap_or_default();
        all.extend(names(connection, "before").await?);
        all.sort_unstable();
        all.dedup();
        let mut found = Vec::new();
        for name in all {
            found.push(loss(connection, name).await);
        }
        Ok(found)
    })
}

fn with_copy<T>(
    path: &Path,
    scratch: &Path,
    ask: impl AsyncFnOnce(&mut SqliteConnection) -> sqlx::Result<T>,
) -> Result<T, String> {
    let copy = scratch.join("scope.db");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    copy_all(path, &copy).map_err(|error| format!("copying it to {}: {error}", scratch.display()))?;
    let answer = runtime.block_on(async {
        let options = SqliteConnectOptions::new().filename(&copy).disable_statement_logging();
        let mut connection = options.connect().await?;
        let answer = ask(&mut connection).await;
        // What it is good for is over.
        let _ = connection.close().await;
        answer
    });
    remove_all(&copy);
    answer.map_err(|error| error.to_string())
}

async fn names(connection: &mut SqliteConnection, of: &str) -> sqlx::Result<Vec<String>> {
    let question = format!(
        "SELECT name FROM {of}.sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' \
         ORDER BY name LIMIT {TABLES_MAX}"
    );
    let rows = sqlx::query(AssertSqlSafe(question)).fetch_all(connection).await?;
    rows.iter().map(|row| row.try_get(0)).collect()
}

async fn table(connection: &mut SqliteConnection, name: &str) -> Table {
    let (up, broke) = read(connection, name, "ASC").await;
    let mut rows = up.rows;
    let unreadable = match broke {
        None => None,
        Some(_) => {
            let (down, _) = read(connection, name, "DESC").await;
            rows += down.rows;
            let next = |last: Option<i64>, step: i64| last.map(|last| last.saturating_add(step));
            Some((next(up.last, 1), next(down.last, -1)))
        }
    };
    let question = format!("PRAGMA integrity_check({})", quoted(name));
    let problems = match sqlx::query(AssertSqlSafe(question)).fetch_all(connection).await {
        Ok(lines) => lines.iter().filter_map(|row| row.try_get::<String, _>(0).ok()).collect(),
        Err(error) => vec![error.to_string()],
    };
    let mut problems: Vec<String> = problems.into_iter().filter(|line| line != "ok").collect();
    problems.truncate(PROBLEMS_MAX as usize);
    Table { name: name.to_owned(), rows, unreadable, problems }
}

/// What could be read of a table, from one of its ends on.
#[derive(Default)]
struct Read {
    rows: u64,
    /// The number of the last row that could be read.
    last: Option<i64>,
}

/// Reads a table with all that is in it, and says what ended that, if anything did.
async fn read(connection: &mut SqliteConnection, name: &str, order: &str) -> (Read, Option<sqlx::Error>) {
    let name = quoted(name);
    let numbered = format!("SELECT rowid, * FROM {name} ORDER BY rowid {order}");
    let is_numbered = can_ask(connection, &numbered).await;
    if !is_numbered && order == "DESC" {
        return (Read::default(), None);
    }
    let question = if is_numbered { numbered } else { format!("SELECT * FROM {name}") };
    let mut done = Read::default();
    let mut rows = sqlx::query(AssertSqlSafe(question)).fetch(connection);
    loop {
        match rows.try_next().await {
            Ok(None) => return (done, None),
            Ok(Some(row)) => {
                done.rows += 1;
                done.last = if is_numbered { number(&row) } else { None };
            }
            Err(error) => return (done, Some(error)),
        }
    }
}

fn number(row: &SqliteRow) -> Option<i64> {
    row.try_get(0).ok()
}

/// Whether this can be asked: a table without numbers has no `rowid`.
async fn can_ask(connection: &mut SqliteConnection, question: &str) -> bool {
    sqlx::query(AssertSqlSafe(format!("EXPLAIN {question}"))).fetch_all(connection).await.is_ok()
}

async fn loss(connection: &mut SqliteConnection, name: String) -> TableLoss {
    let quoted = quoted(&name);
    let before = count(connection, &format!("SELECT count(*) FROM before.{quoted}")).await;
    let exists = count(
        connection,
        &format!("SELECT count(*) FROM main.sqlite_schema WHERE type = 'table' AND name = {}", text(&name)),
    )
    .await;
    let rows_now = if exists == Some(0) { None } else { Some(table(connection, &name).await.rows) };
    let only =
        format!("SELECT count(*) FROM (SELECT * FROM main.{quoted} EXCEPT SELECT * FROM before.{quoted})");
    // Where a part cannot be read: what came after the backup's last row, which at least are new.
    let later =
        format!("SELECT count(*) FROM main.{quoted} WHERE rowid > (SELECT max(rowid) FROM before.{quoted})");
    let rows_only_now = match (rows_now, before) {
        (None, _) => Some(0),
        (now, None) => now,
        _ => match count(connection, &only).await {
            Some(n) => Some(n),
            None => count(connection, &later).await,
        },
    };
    TableLoss { name, rows_now, rows_before: before, rows_only_now }
}

async fn count(connection: &mut SqliteConnection, question: &str) -> Option<u64> {
    let row = sqlx::query(AssertSqlSafe(question.to_owned())).fetch_one(connection).await.ok()?;
    row.try_get::<i64, _>(0).ok().and_then(|n| u64::try_from(n).ok())
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn text(name: &str) -> String {
    format!("'{}'", name.replace('\'', "''"))
}
