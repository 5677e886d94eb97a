//! Tests opening, reading and what is refused.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use journal::{Draft, Error, Head, Journal};
use serde_json::{Value, json};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, SqliteConnection};

use crate::{draft, open};

/// Runs statements on the database past the journal.
pub(crate) async fn raw(path: &Path) -> SqliteConnection {
    SqliteConnectOptions::new().filename(path).create_if_missing(true).connect().await.unwrap()
}

#[tokio::test]
async fn returns_what_was_appended() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let journal = open(&path).await;
    assert_eq!(journal.head().await.unwrap(), None);
    let mut appended = Vec::new();
    for number in 0..10 {
        appended.push(journal.append(draft(number)).await.unwrap());
    }
    assert_eq!(journal.entries_after(0, 100).await.unwrap(), appended);
    assert_eq!(journal.entries_after(4, 2).await.unwrap(), appended[4..6]);
    assert_eq!(journal.entries_after(10, 2).await.unwrap(), []);
    assert_eq!(journal.of_incident("incident-3").await.unwrap(), appended[3..4]);
    assert_eq!(journal.of_incident("incident").await.unwrap(), []);
    let head = Head { seq: 10, digest: appended[9].digest };
    assert_eq!(journal.head().await.unwrap(), Some(head));

    drop(journal);
    let journal = open(&path).await;
    assert_eq!(journal.entries_after(0, 100).await.unwrap(), appended);
    assert_eq!(journal.verify().await.unwrap().entries, 10);
    for file in ["journal.db", "journal.db-wal"] {
        let mode = folder.path().join(file).metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
}

#[tokio::test]
async fn refuses_a_draft_over_a_limit() {
    let folder = tempfile::tempdir().unwrap();
    let journal = open(&folder.path().join("journal.db")).await;
    let check = async |change: fn(&mut Draft), message: &str| {
        let mut draft = draft(3);
        change(&mut draft);
        assert_eq!(journal.append(draft).await.unwrap_err().to_string(), message);
    };
    check(|draft| draft.kind.clear(), "the `kind` of a journal entry is empty").await;
    check(|draft| draft.kind = "journal_pruned".to_owned(), "the kind `journal_pruned` is the journal's own")
        .await;
    check(|draft| draft.incident = Some(String::new()), "the `incident` of a journal entry is empty").await;
    check(|draft| draft.kind = "k".repeat(257), "the `kind` of a journal entry has 257 bytes, more than 256")
        .await;
    check(
        |draft| draft.body = Value::String("x".repeat(1 << 20)),
        "the `body` of a journal entry has 1048578 bytes, more than 1048576",
    )
    .await;
    check(
        |draft| draft.body = (0..65).fold(json!(1), |value, _| json!([value])),
        "the `body` of a journal entry is nested deeper than 64",
    )
    .await;
    assert_eq!(journal.head().await.unwrap(), None);
}

#[tokio::test]
async fn refuses_a_newer_schema_and_leaves_it_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    drop(open(&path).await);
    sqlx::raw_sql("PRAGMA user_version = 3").execute(&mut raw(&path).await).await.unwrap();
    let error = Journal::open(&path, "host-a").await.unwrap_err();
    assert!(matches!(error, Error::NewerSchema { found: 3, known: 2, .. }), "{error:?}");
    let text =
        format!("the journal `{}` has schema 3, newer than 2, the newest this program knows", path.display());
    assert_eq!(error.to_string(), text);
}

#[tokio::test]
async fn refuses_what_is_not_a_journal() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("other.db");
    sqlx::raw_sql("CREATE TABLE other (x)").execute(&mut raw(&path).await).await.unwrap();
    let before = std::fs::read(&path).unwrap();
    let error = Journal::open(&path, "host-a").await.unwrap_err();
    assert!(matches!(error, Error::NotAJournal { .. }), "{error:?}");
    assert_eq!(std::fs::read(&path).unwrap(), before);

    let path = folder.path().join("text");
    std::fs::write(&path, "not a database at all, but long enough to have a header".repeat(99)).unwrap();
    let error = Journal::open(&path, "host-a").await.unwrap_err();
    assert!(matches!(error, Error::Open { .. }), "{error:?}");

    let error = Journal::open(folder.path().join("missing/journal.db"), "host-a").await.unwrap_err();
    assert!(matches!(error, Error::Create { .. }), "{error:?}");
    let error = Journal::open(folder.path().join("journal.db"), "").await.unwrap_err();
    assert!(matches!(error, Error::Empty { field: "node" }), "{error:?}");
}
