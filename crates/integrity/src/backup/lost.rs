//! Owns what a restore would lose: what is in a tree now and not in the backup, file by file, and row by row in databases.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::catalogue::{Backup, Catalogue};
use super::prove::{ProveError, remove_tree, take_out};
use crate::check::{CheckError, Keep, Places, check};
use crate::compare::{Change, Difference, Expect};
use crate::entry::TreePath;
use crate::format::is_database;
use crate::patterns::Patterns;
use crate::scan::Options;
use crate::tables::{TableLoss, losses};

/// So many files are named.
const NAMED_MAX: usize = 50;
/// So many databases are compared row by row, each of at most so many bytes.
const DATABASES_MAX: usize = 20;
const DATABASE_BYTES_MAX: u64 = 1 << 30;

/// What is there now and not in a backup.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Lost {
    /// The tree.
    pub root: PathBuf,
    /// Files that came after it.
    pub added: u64,
    /// Files that are others now, the damaged ones among them.
    pub changed: u64,
    /// Files that were deleted since; they would come back.
    pub deleted: u64,
    /// The first of all these, by how they differ.
    pub named: Vec<(Change, TreePath)>,
    /// Databases among them, with their tables.
    pub databases: Vec<DatabaseLoss>,
}

/// One database now and in a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DatabaseLoss {
    /// The database.
    pub path: TreePath,
    /// Its tables.
    pub tables: Vec<TableLoss>,
    /// Why its rows were not compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// It cannot be found out.
#[derive(Debug, thiserror::Error)]
pub enum LostError {
    /// The tree cannot be looked at.
    #[error(transparent)]
    Check(#[from] CheckError),
    /// The backup cannot be read.
    #[error(transparent)]
    Prove(#[from] ProveError),
    /// There is no room.
    #[error("{} cannot be used", path.display())]
    Io {
        /// What.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
}

/// Compares the trees of now with a backup. `scratch` is a folder of this process alone.
///
/// # Errors
/// If a tree or the backup cannot be read.
pub fn lost(
    catalogue: &Catalogue,
    backup: &Backup,
    may_change: &[Patterns],
    scratch: &Path,
) -> Result<Vec<Lost>, LostError> {
    let folder = scratch.join("lost");
    let failed = |source| LostError::Io { path: folder.clone(), source };
    remove_tree(&folder).and_then(|()| fs::create_dir_all(&folder)).map_err(failed)?;
    let found = compare(catalogue, backup, may_change, &folder);
    remove_tree(&folder).map_err(failed)?;
    found
}

fn compare(
    catalogue: &Catalogue,
    backup: &Backup,
    may_change: &[Patterns],
    folder: &Path,
) -> Result<Vec<Lost>, LostError> {
    let (mut all, mut wanted) = (Vec::new(), BTreeMap::new());
    for (n, (tree, may_change)) in backup.record.trees.iter().zip(may_change).enumerate() {
        let manifest = folder.join("manifest.jsonl");
        let copied = fs::copy(catalogue.manifest(&backup.id, n), &manifest);
        copied.map_err(|source| LostError::Io { path: manifest.clone(), source })?;
        let options = Options {
            expect: Expect::Changes,
            may_change,
            reads_all: false,
            with_sha256: false,
            throttle: None,
            progress: None,
        };
        let places = Places { manifest: &manifest, scratch: folder };
        let report = check(&tree.root, options, Keep::Look, places, i64::MAX)?;
        let count = |changes: &[Change]| changes.iter().filter_map(|one| report.counts.get(one)).sum::<u64>();
        // A database that was written and is broken is told twice.
        let mut paths = BTreeSet::new();
        let others = || report.differences.iter().filter(|one| one.change != Change::Permissions);
        let named: Vec<&Difference> = others().filter(|one| paths.insert(one.path.clone())).collect();
        let twice =
            report.differences.iter().filter(|one| one.change != Change::Permissions).count() - named.len();
        let databases = named.iter().filter(|one| {
            matches!(one.change, Change::Rotten | Change::Broken | Change::Truncated | Change::Written)
                && is_database(&tree.root.join(one.path.as_path()))
        });
        for one in databases.take(DATABASES_MAX) {
            let to = folder.join(format!("{n}-{}.db", wanted.len()));
            wanted.insert((n, one.path.clone()), to);
        }
        all.push(Lost {
            root: tree.root.clone(),
            added: count(&[Change::Added]),
            changed: count(&[
                Change::Rotten,
                Change::Broken,
                Change::Unreadable,
                Change::Truncated,
                Change::Written,
                Change::Replaced,
                Change::Changing,
            ])
            .saturating_sub(twice as u64),
            deleted: count(&[Change::Missing]),
            named: named.iter().take(NAMED_MAX).map(|one| (one.change, one.path.clone())).collect(),
            databases: Vec::new(),
        });
    }
    if !wanted.is_empty() {
        take_out(catalogue, backup, &wanted)?;
    }
    for ((n, path), before) in wanted {
        let now = all[n].root.join(path.as_path());
        let size = now.metadata().map(|file| file.len()).unwrap_or(0);
        let compared = if size > DATABASE_BYTES_MAX {
            Err(format!("it has {size} bytes; up to {DATABASE_BYTES_MAX} are compared"))
        } else {
            losses(&now, &before, folder)
        };
        let (tables, problem) = match compared {
            Ok(tables) => (tables, None),
            Err(problem) => (Vec::new(), Some(problem)),
        };
        all[n].databases.push(DatabaseLoss { path, tables, problem });
    }
    Ok(all)
}
