//! Tests that the copy of a journal in use is whole, of one moment, and never over something else.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use journal::Error;

use crate::{draft, open};

#[tokio::test]
async fn a_copy_is_a_journal_of_one_moment() {
    let folder = tempfile::tempdir().unwrap();
    let journal = open(&folder.path().join("journal.db")).await;
    for number in 0..20 {
        journal.append(draft(number)).await.unwrap();
    }
    let writing = tokio::spawn({
        let journal = journal.clone();
        async move {
            for number in 20..60 {
                journal.append(draft(number)).await.unwrap();
            }
        }
    });
    let to = folder.path().join("copies").join("copy.db");
    assert!(matches!(journal.backup(&to).await, Err(Error::Backup { .. })), "there is no such folder");
    fs::create_dir(folder.path().join("copies")).unwrap();
    let found = journal.backup(&to).await.unwrap();
    writing.await.unwrap();

    assert_eq!(found.broken, None);
    assert!((20..=60).contains(&found.entries), "{found:?}");
    let names: Vec<_> =
        fs::read_dir(folder.path().join("copies")).unwrap().map(|entry| entry.unwrap()).collect();
    assert_eq!(names.len(), 1, "nothing but the copy: {names:?}");
    assert_eq!(fs::metadata(&to).unwrap().permissions().mode() & 0o777, 0o600);

    let copy = open(&to).await;
    assert_eq!(copy.verify().await.unwrap(), found);
    let entries = journal.entries_after(0, found.entries as u32).await.unwrap();
    assert_eq!(copy.entries_after(0, 100).await.unwrap(), entries);
    assert_eq!(copy.append(draft(0)).await.unwrap().seq, found.entries as i64 + 1);
}

#[tokio::test]
async fn nothing_is_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let journal = open(&folder.path().join("journal.db")).await;
    let file = folder.path().join("file");
    fs::write(&file, "mine").unwrap();
    let dangling = folder.path().join("dangling");
    std::os::unix::fs::symlink("nowhere", &dangling).unwrap();
    for to in [&file, &dangling, &folder.path().join("journal.db")] {
        let error = journal.backup(to).await.unwrap_err();
        assert_eq!(error.to_string(), format!("`{}` is there already", to.display()));
    }
    assert_eq!(fs::read(&file).unwrap(), b"mine");
    assert!(!dangling.exists());
}
