//! Owns the scope of damage to a server's data: which files, tables and rows, since when, and what a restore would lose.

use std::path::{Path, PathBuf};

use incident::error_chain;
use integrity::backup::{Lost, LostError};
use integrity::{Change, Keep, Since, Table, TreePath, damaged_since, is_database, tables};
use serde::Serialize;

use crate::backup::{BackupError, Backups, Choice};
use crate::config::Config;
use crate::data::{DataError, Manner, PATIENCE, Subject};

/// The tables of so many damaged databases are read.
const DATABASES_MAX: usize = 20;

/// What is damaged, since when, and what goes with a restore.
#[derive(Debug, Serialize)]
pub struct Scope {
    /// Whose data they are.
    pub server: String,
    /// Between which two checks it began; nothing where nothing is damaged.
    pub since: Option<Since>,
    /// The trees.
    pub trees: Vec<TreeScope>,
    /// The backup that would be put back, if there is one.
    pub backup: Option<Chosen>,
    /// What is there now and not in that backup.
    pub lost: Vec<Lost>,
    /// Why there is no backup, or nobody knows what would be lost.
    pub problem: Option<String>,
}

/// A backup that would be put back.
#[derive(Debug, Serialize)]
pub struct Chosen {
    /// Its name.
    pub id: String,
    /// When it was begun: milliseconds since 1970.
    pub created_ms: i64,
}

/// One tree.
#[derive(Debug, Serialize)]
pub struct TreeScope {
    /// Where it is.
    pub root: PathBuf,
    /// How many of its things are damaged.
    pub damaged: u64,
    /// How many there are.
    pub entries: u64,
    /// The damaged ones; of each kind of damage at most some hundred.
    pub files: Vec<DamagedFile>,
    /// Why it cannot be looked at.
    pub problem: Option<String>,
}

/// One damaged file.
#[derive(Debug, Serialize)]
pub struct DamagedFile {
    /// Where it is in its tree.
    pub path: TreePath,
    /// How it differs from what it was, or should be.
    pub change: Change,
    /// More words.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub detail: String,
    /// Of a database: its tables, the whole ones too.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tables: Vec<Table>,
}

/// The scope cannot be found out.
#[derive(Debug, thiserror::Error)]
pub enum ScopeError {
    /// The data cannot be checked.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The backups cannot be looked at.
    #[error(transparent)]
    Backup(#[from] BackupError),
}

/// Reads all data of a server and says what of it is damaged. `now_ms` is when that begins, in milliseconds since 1970.
///
/// It reads every file; it is not for a thread that serves others.
///
/// # Errors
/// If the data cannot be checked at all.
pub fn scope(config: &Config, server: &str, now_ms: i64) -> Result<Scope, ScopeError> {
    let subject = Subject::of_server(config, server)?;
    let manner = Manner { reads_all: true, keep: Keep::Look, rate: None, threads: None, patience: PATIENCE };
    let answers = subject.check(manner, now_ms)?;
    let scratch = subject.state.join("scratch");
    let mut left = DATABASES_MAX;
    let trees: Vec<TreeScope> = answers
        .into_iter()
        .map(|(root, answer)| match answer {
            Err(error) => TreeScope {
                root,
                damaged: 0,
                entries: 0,
                files: Vec::new(),
                problem: Some(error_chain(&error)),
            },
            Ok(report) => {
                let damaged = report.differences.iter().filter(|one| one.is_damage);
                let files = damaged.map(|one| DamagedFile {
                    path: one.path.clone(),
                    change: one.change,
                    detail: one.detail.clone(),
                    tables: tables_of(&root.join(one.path.as_path()), &scratch, &mut left),
                });
                let files = files.collect();
                let problem = report.is_empty.then(|| "everything is gone: is its disk mounted?".to_owned());
                TreeScope { damaged: report.damaged, entries: report.entries, files, problem, root }
            }
        })
        .collect();
    let since = damaged_since(&subject.history().read().unwrap_or_default());
    let mut scope =
        Scope { server: server.to_owned(), since, trees, backup: None, lost: Vec::new(), problem: None };
    if scope.is_damaged() {
        match would_lose(config, server, now_ms) {
            Ok((chosen, lost)) => (scope.backup, scope.lost) = (Some(chosen), lost),
            Err(error) => scope.problem = Some(error_chain(&error)),
        }
    }
    Ok(scope)
}

/// The tables of a damaged database; none of what is no database, and of one that cannot be opened at all.
fn tables_of(path: &Path, scratch: &Path, left: &mut usize) -> Vec<Table> {
    if *left == 0 || !is_database(path) {
        return Vec::new();
    }
    *left -= 1;
    tables(path, scratch).unwrap_or_default()
}

fn would_lose(config: &Config, server: &str, now_ms: i64) -> Result<(Chosen, Vec<Lost>), BackupError> {
    let backups = Backups::of_server(config, server)?;
    let before_ms = Some(backups.before_damage()?);
    let backup = backups.choose(&Choice::Newest { before_ms, proven: true })?;
    let lost = backups.lost(&backup, now_ms)?;
    Ok((Chosen { id: backup.id, created_ms: backup.record.created_ms }, lost))
}

// === impl Scope ===

impl Scope {
    /// Whether anything is damaged, or cannot be looked at.
    pub fn is_damaged(&self) -> bool {
        self.trees.iter().any(|tree| tree.damaged > 0 || tree.problem.is_some())
    }

    /// What is lost by putting the backup back, in one sentence.
    pub fn losses(&self) -> String {
        let of = |count: fn(&Lost) -> u64| self.lost.iter().map(count).sum::<u64>();
        let (added, changed, deleted) = (of(|one| one.added), of(|one| one.changed), of(|one| one.deleted));
        let tables = self.lost.iter().flat_map(|tree| &tree.databases).flat_map(|one| &one.tables);
        let rows: Vec<String> = tables
            .filter(|table| table.rows_only_now != Some(0))
            .map(|table| match table.rows_only_now {
                Some(n) => format!("{n} row(s) of table {}", table.name),
                None => format!("an unknown number of rows of table {}", table.name),
            })
            .collect();
        let rows = if rows.is_empty() { String::new() } else { format!("; {}", rows.join(", ")) };
        format!(
            "{added} file(s) that came later, what was changed in {changed}, {deleted} deleted one(s) would come back{rows}"
        )
    }
}

impl From<LostError> for BackupError {
    fn from(error: LostError) -> Self {
        Self::Lost(error)
    }
}
