//! Tests that several writers, in one process and in several, make one unbroken chain.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use journal::Journal;

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
