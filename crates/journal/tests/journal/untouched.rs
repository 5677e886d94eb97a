//! Tests that a journal is checked without being touched, beside its writer and after it, whole and damaged.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use journal::{Broken, Error, Reading, Reason, Verification};
use sqlx::Connection;

use crate::reading::raw;
use crate::{draft, open};

const ENTRIES: i64 = 20;

/// Every file of a folder, with its content.
fn contents(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let files = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    files
        .map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), fs::read(&path).unwrap()))
        .collect()
}

async fn verify(path: &Path) -> Result<Verification, Error> {
    Reading::of(path, async |reading: &mut Reading| reading.verify().await).await
}

/// A journal that nobody has open: all of it is in one file, as a copy of it is.
async fn closed(folder: &Path) -> std::path::PathBuf {
    let (path, copy) = (folder.join("live.db"), folder.join("copy").join("journal.db"));
    fs::create_dir(folder.join("copy")).unwrap();
    let journal = open(&path).await;
    for number in 0..ENTRIES {
        journal.append(draft(number)).await.unwrap();
    }
    journal.backup(&copy).await.unwrap();
    // As its writer leaves it: with a log, which is gone when the last one closes.
    let mut connection = raw(&copy).await;
    sqlx::query("PRAGMA journal_mode = WAL").execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    copy
}

#[tokio::test]
async fn a_journal_that_nobody_has_open_is_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = closed(folder.path()).await;
    let before = contents(path.parent().unwrap());
    let entries = async |reading: &mut Reading| reading.entries_after(5, 3).await;
    assert_eq!(verify(&path).await.unwrap().entries, ENTRIES as u64);
    assert_eq!(Reading::of(&path, entries).await.unwrap()[0].seq, 6);
    assert_eq!(contents(path.parent().unwrap()), before, "not even a file beside it");
}

#[tokio::test]
async fn beside_a_writer_it_sees_one_moment_with_all_that_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let journal = open(&path).await;
    for number in 0..ENTRIES {
        journal.append(draft(number)).await.unwrap();
        let found = verify(&path).await.unwrap();
        assert_eq!((found.entries, found.broken), (number as u64 + 1, None));
    }
    let look = async |reading: &mut Reading| {
        journal.append(draft(ENTRIES)).await?;
        reading.verify().await
    };
    // The look is of the moment of its beginning or of a later one, but of one.
    let found = Reading::of(&path, look).await.unwrap();
    assert!((ENTRIES as u64..=ENTRIES as u64 + 1).contains(&found.entries) && found.broken.is_none());
}

#[tokio::test]
async fn damage_is_named_by_its_first_entry_and_stays_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = closed(folder.path()).await;
    let disarm = "DROP TRIGGER entry_insert; DROP TRIGGER entry_update; DROP TRIGGER entry_delete";
    let mut connection = raw(&path).await;
    sqlx::raw_sql(disarm).execute(&mut connection).await.unwrap();
    sqlx::query("UPDATE entry SET body = '{\"number\":99}' WHERE seq = 12")
        .execute(&mut connection)
        .await
        .unwrap();
    connection.close().await.unwrap();
    let before = contents(path.parent().unwrap());
    let found = verify(&path).await.unwrap();
    assert_eq!(found.broken, Some(Broken { seq: 12, reason: Reason::DigestMismatch }));
    assert_eq!(found.entries, 11);
    assert_eq!(contents(path.parent().unwrap()), before);
}

#[tokio::test]
async fn what_is_no_journal_is_refused_and_nothing_is_made_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    assert!(matches!(verify(&path).await, Err(Error::Read { .. })), "there is none");
    assert!(!path.exists());
    fs::write(&path, b"").unwrap();
    assert!(matches!(verify(&path).await, Err(Error::NotAJournal { .. })));
    fs::write(&path, vec![0xa5; 8192]).unwrap();
    assert!(matches!(verify(&path).await, Err(Error::Corrupt { .. })));
    assert_eq!(contents(folder.path()).len(), 1);
}
