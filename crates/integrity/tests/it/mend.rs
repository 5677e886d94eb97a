//! Owns that the scope of damage is told row by row, what a restore would lose, and that damaged files come back alone.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use integrity::backup::{Backup, Lost, RestoreError, lost, prove};
use integrity::{Expect, Patterns, TreePath, tables};
use rustix::fs::XattrFlags;
use sqlx::Connection as _;

use crate::check::{database, rows};
use crate::site::{Site, put_back};
use crate::tree::Tree;

fn site() -> Site {
    Site::of(Tree::new(Expect::Changes))
}

fn with_database() -> Site {
    let site = site();
    wait(async { database(&site.tree.path("base.db"), "DELETE").await.close().await.unwrap() });
    site
}

impl Site {
    fn lost(&self, backup: &Backup) -> Lost {
        lost(&self.catalogue, backup, &[Patterns::new([]).unwrap()], &self.scratch).unwrap().remove(0)
    }

    fn restore_only(&self, backup: &Backup, only: &[&str]) -> Result<PathBuf, RestoreError> {
        let only: BTreeSet<_> = only.iter().map(|path| (0, TreePath::new(path).unwrap())).collect();
        put_back(&self.restoring(backup, Some(&only)))
    }
}

/// Fills a page of a database with zeros.
fn zero(path: &Path, page: u64) {
    let mut file = fs::File::options().write(true).open(path).unwrap();
    file.seek(SeekFrom::Start((page - 1) * 4096)).unwrap();
    file.write_all(&[0; 4096]).unwrap();
}

fn run(path: &Path, statement: &'static str) {
    wait(async {
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path);
        let mut connection = sqlx::ConnectOptions::connect(&options).await.unwrap();
        sqlx::query(statement).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    });
}

fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
}

/// All of a tree with its content, and the inode of each.
fn all(root: &Path) -> BTreeMap<PathBuf, (Vec<u8>, u32, i64)> {
    let mut found = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            let is = path.symlink_metadata().unwrap();
            let bytes = match is {
                _ if is.is_dir() => {
                    folders.push(path.clone());
                    Vec::new()
                }
                _ if is.is_symlink() => {
                    let target = fs::read_link(&path).unwrap();
                    found.insert(
                        path.strip_prefix(root).unwrap().to_owned(),
                        (target.into_os_string().into_encoded_bytes(), 0, 0),
                    );
                    continue;
                }
                _ => fs::read(&path).unwrap(),
            };
            found.insert(path.strip_prefix(root).unwrap().to_owned(), (bytes, is.mode(), is.mtime_nsec()));
        }
    }
    found
}

#[test]
fn rows_that_cannot_be_read_are_named() {
    let site = with_database();
    let path = site.tree.path("base.db");
    let whole = tables(&path, &site.scratch).unwrap();
    assert_eq!(
        (whole.len(), whole[0].name.as_str(), whole[0].rows, whole[0].is_whole()),
        (1, "notes", 2000, true)
    );
    let backup = site.create();
    run(&path, "INSERT INTO notes VALUES (5000, 'later'), (5001, 'later')");
    run(&path, "CREATE TABLE fresh (a) ");
    run(&path, "INSERT INTO fresh VALUES (1)");
    let leaf = (4..40).find(|page| {
        let before = fs::read(&path).unwrap();
        zero(&path, *page);
        let found = tables(&path, &site.scratch).unwrap();
        let hit = found
            .iter()
            .any(|table| table.name == "notes" && matches!(table.unreadable, Some((Some(1..), Some(_)))));
        if !hit {
            fs::write(&path, before).unwrap();
        }
        hit
    });
    assert!(leaf.is_some());
    let found = tables(&path, &site.scratch).unwrap();
    let notes = found.iter().find(|table| table.name == "notes").unwrap();
    let Some((Some(from), Some(to))) = notes.unreadable else { panic!("{notes:?}") };
    assert!(!notes.is_whole() && from > 1 && to < 2000 && from < to, "{notes:?}");
    assert_eq!(notes.rows, 2002 - u64::try_from(to - from + 1).unwrap());
    assert!(
        found.iter().any(|table| table.name == "fresh" && table.is_whole() && table.rows == 1),
        "{found:?}"
    );

    // What is only there now: the rows behind the last of the backup, and a table of its own.
    site.tree.write("later.txt", "later");
    fs::remove_file(site.tree.path("notes-2")).unwrap();
    let lost = site.lost(&backup);
    assert_eq!((lost.added, lost.changed, lost.deleted), (1, 1, 1), "{lost:?}");
    let tables = &lost.databases[0].tables;
    let only: Vec<_> =
        tables.iter().map(|one| (one.name.as_str(), one.rows_before, one.rows_only_now)).collect();
    assert_eq!(only, [("fresh", None, Some(1)), ("notes", Some(2000), Some(2))], "{lost:?}");
    assert_eq!(fs::read_dir(&site.scratch).unwrap().count(), 0);
}

#[test]
fn only_the_damaged_files_come_back() {
    let site = with_database();
    let tree = &site.tree;
    let path = tree.path("base.db");
    let backup = site.create();
    tree.write("later.txt", "later");
    tree.write("notes-2", "changed since");
    let mut expected = all(&tree.root());
    zero(&path, 5);
    // Of another state of the database than the one that comes back.
    tree.write("base.db-wal", "stale");
    tree.write("notes/deep/two.json", "[");
    fs::remove_file(tree.path("notes/one.txt")).unwrap();
    let damaged = all(&tree.root());
    let kept = site.restore_only(&backup, &["base.db", "notes/deep/two.json", "notes/one.txt"]).unwrap();
    assert_eq!(all(&kept), damaged);
    let folders = ["notes", "notes/deep"].map(PathBuf::from);
    let mut found = all(&tree.root());
    for folder in &folders {
        // What was damaged changed the time of its folder.
        expected.remove(folder);
        found.remove(folder);
    }
    assert_eq!(found, expected);
    assert_eq!(wait(rows(&path)), 2000);
    // Later writes do not reach what is kept.
    tree.write("notes-2", "later still");
    assert_eq!(all(&kept), damaged);

    let before = all(&tree.root());
    for (only, words) in
        [("later.txt", "the backup does not have"), ("nowhere/x", "the backup does not have")]
    {
        let error = site.restore_only(&backup, &[only]).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
    fs::remove_dir_all(tree.path("notes")).unwrap();
    let error = site.restore_only(&backup, &["notes/one.txt"]).unwrap_err().to_string();
    assert!(error.contains("the folder of") && error.contains("is gone"), "{error}");
    assert_eq!(all(&tree.root()).len(), before.len() - 5);
    let left = fs::read_dir(tree.root().parent().unwrap()).unwrap().count();
    assert_eq!(left, 4, "nothing of what failed stays");
}

#[test]
fn extended_attributes_come_back() {
    let site = site();
    let file = site.tree.path("notes/one.txt");
    let set =
        |path: &Path, name: &str, value: &[u8]| rustix::fs::lsetxattr(path, name, value, XattrFlags::empty());
    if set(&file, "user.origin", b"a\0b\n").is_err() {
        println!("SKIPPED: the disk of temporary files has no extended attributes");
        return;
    }
    set(&file, "user.empty", b"").unwrap();
    set(&site.tree.path("notes"), "user.folder", &[7; 1500]).unwrap();
    let backup = site.create();
    prove(&site.catalogue, &backup, &site.scratch, |_| Ok(())).unwrap();
    rustix::fs::lremovexattr(&file, "user.empty").unwrap();
    set(&file, "user.origin", b"another").unwrap();
    let value = |path: &Path, name: &str| {
        let mut value = vec![0; rustix::fs::lgetxattr_query(path, name).unwrap()];
        rustix::fs::lgetxattr(path, name, &mut value[..]).unwrap();
        value
    };
    put_back(&site.restoring(&backup, None)).unwrap();
    assert_eq!((value(&file, "user.origin"), value(&file, "user.empty")), (b"a\0b\n".to_vec(), Vec::new()));
    assert_eq!(value(&site.tree.path("notes"), "user.folder"), [7; 1500]);
    // What is copied from now keeps its own.
    set(&file, "user.origin", b"of now").unwrap();
    site.tree.write("notes-2", "damaged");
    site.restore_only(&backup, &["notes-2"]).unwrap();
    assert_eq!(value(&file, "user.origin"), b"of now");
}
