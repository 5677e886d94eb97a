//! Tests that several writers, in one process and in several, make one unbroken chain.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use journal::{Entry, Error, Journal};

use crate::reading::raw;
use crate::{draft, open};

/// Names the journal in the environment of the processes that only append.
const APPEND_TO: &str = "JOURNAL_TEST_APPEND_TO";

/// How many entries each of them appends.
const APPEND_COUNT: &str = "JOURNAL_TEST_APPEND_COUNT";

/// Starts this program again as a process that appends `count` entries and prints the `seq` of each.
pub(crate) fn start_appending(path: &Path, count: u32) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "concurrency::appends_when_asked_to", "--nocapture"])
        .env(APPEND_TO, path)
        .env(APPEND_COUNT, count.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Is nothing as a test; `start_appending` runs it in a process of its own.
#[tokio::test]
async fn appends_when_asked_to() {
    let Some(path) = std::env::var_os(APPEND_TO) else { return };
    let count = std::env::var(APPEND_COUNT).unwrap().parse().unwrap();
    let journal = Journal::open(path, "host-b").await.unwrap();
    for number in 0..count {
        println!("\nseq={}", journal.append(draft(number)).await.unwrap().seq);
    }
}

#[tokio::test]
async fn two_handles_make_one_chain() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    // Opened at the same time, too: both create the tables.
    let (one, two) = tokio::join!(open(&path), open(&path));
    let tasks: Vec<_> = [one.clone(), one.clone(), two.clone(), two]
        .into_iter()
        .map(|journal| {
            tokio::spawn(async move {
                for number in 0..25 {
                    journal.append(draft(number)).await.unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let verification = one.verify().await.unwrap();
    assert_eq!((verification.entries, verification.broken), (100, None));
}

#[tokio::test]
async fn three_processes_make_one_chain() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let processes = [start_appending(&path, 40), start_appending(&path, 40)];
    let journal = open(&path).await;
    for number in 0..40 {
        journal.append(draft(number)).await.unwrap();
    }
    for process in processes {
        let output = process.wait_with_output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }
    let verification = journal.verify().await.unwrap();
    assert_eq!((verification.entries, verification.broken), (120, None));
}

/// Appends so many drafts at the same time, and returns what came of each.
pub(crate) async fn append_at_once(journal: &Journal, count: i64) -> Vec<Result<Entry, Error>> {
    let appends = (0..count).map(|number| {
        let journal = journal.clone();
        tokio::spawn(async move { journal.append(draft(number)).await })
    });
    let mut appended = Vec::new();
    for append in appends.collect::<Vec<_>>() {
        appended.push(append.await.unwrap());
    }
    appended
}

/// Returns how many transactions there are in a log that was never moved to its database.
fn transactions(path: &Path) -> usize {
    const HEADER_BYTES: usize = 32;
    const FRAME_BYTES: usize = 24 + 4096;
    let log = fs::read(path.with_extension("db-wal")).unwrap();
    // The last page of a transaction has the size of the database, any other 0.
    log[HEADER_BYTES..].chunks(FRAME_BYTES).filter(|frame| frame[4..8] != [0; 4]).count()
}

#[tokio::test]
async fn entries_appended_at_once_share_a_transaction() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let journal = open(&path).await;
    let before = transactions(&path);
    let mut entries: Vec<_> =
        append_at_once(&journal, 100).await.into_iter().map(|entry| entry.unwrap()).collect();
    assert!(transactions(&path) - before <= 3, "{} of 100 entries", transactions(&path) - before);
    for (number, entry) in entries.iter().enumerate() {
        assert_eq!(entry.body, draft(number as i64).body, "each caller has got its own");
    }
    entries.sort_by_key(|entry| entry.seq);
    assert_eq!(journal.entries_after(0, 1000).await.unwrap(), entries);
}

#[tokio::test]
async fn an_entry_that_is_refused_takes_no_other_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let journal = open(&path).await;
    let refuse = "CREATE TRIGGER refuse BEFORE INSERT ON entry WHEN NEW.body = '{\"number\":7}'
                  BEGIN SELECT RAISE(ABORT, 'not this one'); END";
    sqlx::raw_sql(refuse).execute(&mut raw(&path).await).await.unwrap();
    for (number, appended) in append_at_once(&journal, 20).await.into_iter().enumerate() {
        assert_eq!(appended.is_ok(), number != 7, "{appended:?}");
    }
    let found = journal.verify().await.unwrap();
    assert_eq!((found.entries, found.broken), (19, None));
}

#[tokio::test]
async fn an_append_given_up_leaves_the_journal_usable() {
    let folder = tempfile::tempdir().unwrap();
    let journal = open(&folder.path().join("journal.db")).await;
    for polls in 0..8 {
        let mut append = Box::pin(journal.append(draft(polls)));
        for _ in 0..polls {
            tokio::select! {
                biased;
                _ = &mut append => break,
                () = tokio::task::yield_now() => {}
            }
        }
        drop(append);
    }
    let before = journal.verify().await.unwrap().entries;
    let entry = journal.append(draft(9)).await.unwrap();
    assert!(entry.seq > before as i64);
    assert_eq!(journal.verify().await.unwrap().broken, None);
}
