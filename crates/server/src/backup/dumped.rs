//! Owns the databases of a backup: dumped into it, tried in databases of their own, and exchanged by name.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use integrity::TreePath;
use integrity::backup::{Backup, Catalogue, DatabaseLoss, Lost, ProveError, take_out};

use super::BackupError;
use crate::config::Database;
use crate::database::Postgres;

/// A database that was exchanged, and the name under which the one from before is kept.
pub(super) type Exchanged<'a> = (&'a Database, String);

/// Dumps each database into a folder, in their order.
pub(super) fn dump(databases: &[Database], into: &Path, scratch: &Path) -> Result<(), BackupError> {
    for (n, database) in databases.iter().enumerate() {
        let dumped = Postgres::of(database, scratch).and_then(|one| one.dump(&file(into, n)));
        dumped.map_err(|problem| BackupError::Database { name: database.name().to_owned(), problem })?;
    }
    Ok(())
}

/// Restores each dump of a backup into a database of its own, which is dropped again.
pub(super) fn prove(
    databases: &[Database],
    backup: &Backup,
    trees: &[PathBuf],
    scratch: &Path,
    now_ms: i64,
) -> Result<(), ProveError> {
    for (n, address) in backup.record.databases.iter().enumerate() {
        let unknown = |problem: String| ProveError::NoServer { name: address.clone(), problem };
        let database = databases.iter().find(|one| one.postgres == *address);
        let database =
            database.ok_or_else(|| unknown("it is not in the configuration any more".to_owned()))?;
        let server = Postgres::of(database, scratch).map_err(unknown)?;
        // Whoever does not answer says nothing about a dump.
        server.clients().map_err(unknown)?;
        let dump = trees.last().map(|folder| file(folder, n)).unwrap_or_default();
        let name = server
            .restore_beside(&dump, now_ms)
            .map_err(|problem| ProveError::Dump { name: address.clone(), problem })?;
        server.drop(&name).map_err(unknown)?;
    }
    Ok(())
}

/// What the databases have that the dumps of a backup do not have.
pub(super) fn lost(
    databases: &[Database],
    catalogue: &Catalogue,
    backup: &Backup,
    scratch: &Path,
    now_ms: i64,
) -> Result<Vec<Lost>, ProveError> {
    let Some(tree) = backup.record.trees.len().checked_sub(1) else { return Ok(Vec::new()) };
    let mut wanted = BTreeMap::new();
    for n in 0..backup.record.databases.len() {
        let name = TreePath::new(format!("{n}.dump")).expect("a plain name is a path");
        wanted.insert((tree, name), scratch.join(format!("lost-{n}.dump")));
    }
    let forget = || wanted.values().for_each(|file| drop(fs::remove_file(file)));
    forget();
    if !wanted.is_empty() {
        take_out(catalogue, backup, &wanted)?;
    }
    let mut all = Vec::new();
    for (n, address) in backup.record.databases.iter().enumerate() {
        let compared = (|| {
            let database = databases.iter().find(|one| one.postgres == *address);
            let database = database.ok_or("it is not in the configuration any more")?;
            let server = Postgres::of(database, scratch)?;
            let before = server.restore_beside(&scratch.join(format!("lost-{n}.dump")), now_ms)?;
            let losses = server.losses(&before);
            server.drop(&before)?;
            losses
        })();
        let (tables, problem) =
            compared.map_or_else(|why: String| (Vec::new(), Some(why)), |tables| (tables, None));
        let name = databases.iter().find(|one| one.postgres == *address).map_or("database", Database::name);
        let path =
            TreePath::new(name).unwrap_or_else(|| TreePath::new("database").expect("a plain name is a path"));
        let databases = vec![DatabaseLoss { path, tables, problem }];
        all.push(Lost { root: PathBuf::from(address), databases, ..Lost::default() });
    }
    forget();
    Ok(all)
}

/// Whether nobody would go on writing into a database that is put aside.
pub(super) fn nobody_connected(databases: &[Database], scratch: &Path) -> Result<(), BackupError> {
    for database in databases {
        let failed = |problem| BackupError::Database { name: database.name().to_owned(), problem };
        let server = Postgres::of(database, scratch).map_err(failed)?;
        if let Some(client) = server.clients().map_err(failed)? {
            return Err(failed(format!("nothing was put back: {client} is connected; stop it first")));
        }
    }
    Ok(())
}

/// Puts the dumps of a backup, which lie at the place of its last tree, in the place of the databases. All are restored
/// before the first is exchanged.
pub(super) fn restore<'a>(
    databases: &'a [Database],
    backup: &Backup,
    scratch: &Path,
    now_ms: i64,
) -> Result<Vec<Exchanged<'a>>, String> {
    let Some(folder) = backup.record.trees.last().map(|tree| &tree.root) else { return Ok(Vec::new()) };
    let mut ready: Vec<(&Database, Postgres<'_>, String)> = Vec::new();
    for (n, address) in backup.record.databases.iter().enumerate() {
        let restored = (|| {
            let database = databases.iter().find(|one| one.postgres == *address);
            let database =
                database.ok_or_else(|| format!("{address} is not in the configuration any more"))?;
            let server = Postgres::of(database, scratch)?;
            let name = server.restore_beside(&file(folder, n), now_ms)?;
            Ok::<_, String>((database, server, name))
        })();
        match restored {
            Ok(one) => ready.push(one),
            Err(reason) => {
                // What was made so far goes; the first failure is the one to tell of.
                ready.iter().for_each(|(_, server, name)| drop(server.drop(name)));
                return Err(reason);
            }
        }
    }
    let mut exchanged: Vec<Exchanged<'a>> = Vec::new();
    for (n, (database, server, name)) in ready.iter().enumerate() {
        match server.exchange(name, now_ms) {
            Ok(kept) => exchanged.push((database, kept)),
            Err(reason) => {
                ready[n..].iter().for_each(|(_, server, name)| drop(server.drop(name)));
                return Err(take_back(&exchanged, scratch, now_ms, reason));
            }
        }
    }
    Ok(exchanged)
}

/// Puts the databases from before back; returns the reason, with what could not be put back.
pub(super) fn take_back(exchanged: &[Exchanged<'_>], scratch: &Path, now_ms: i64, reason: String) -> String {
    let failed = exchanged.iter().filter_map(|(database, kept)| {
        let back = Postgres::of(database, scratch).and_then(|server| server.take_back(kept, now_ms));
        Some(format!("{} is still {kept}: {}", database.name(), back.err()?))
    });
    std::iter::once(reason).chain(failed).collect::<Vec<_>>().join("; ")
}

fn file(folder: &Path, n: usize) -> PathBuf {
    folder.join(format!("{n}.dump"))
}
