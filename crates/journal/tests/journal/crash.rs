//! Tests that a journal whose writer was killed opens, and holds all that was acknowledged.

use std::fs;
use std::io::{BufRead, BufReader};

use crate::concurrency::start_appending;
use crate::{draft, open};

#[tokio::test]
async fn a_log_cut_anywhere_holds_a_prefix() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let journal = open(&path).await;
    let mut appended = Vec::new();
    for number in 0..20 {
        appended.push(journal.append(draft(number)).await.unwrap());
    }
    // While the journal is open, nothing has been moved from the log to the database yet.
    let database = fs::read(&path).unwrap();
    let log = fs::read(folder.path().join("journal.db-wal")).unwrap();
    let mut counts = Vec::new();
    for cut in (0..=log.len()).step_by(log.len() / 40).chain([log.len() - 1, log.len()]) {
        let crashed = folder.path().join(format!("crashed-{cut}.db"));
        let mut torn = log[..cut].to_vec();
        // The last sector may hold anything.
        let torn_bytes = torn.len().saturating_sub(if cut == log.len() { 0 } else { 512 });
        torn[torn_bytes..].fill(0xa5);
        fs::write(&crashed, &database).unwrap();
        fs::write(crashed.with_extension("db-wal"), torn).unwrap();

        let journal = open(&crashed).await;
        let verification = journal.verify().await.unwrap();
        assert_eq!(verification.broken, None, "cut at {cut}");
        let count = usize::try_from(verification.entries).unwrap();
        assert_eq!(journal.entries_after(0, 100).await.unwrap(), appended[..count], "cut at {cut}");
        assert_eq!(journal.append(draft(99)).await.unwrap().seq, count as i64 + 1, "cut at {cut}");
        counts.push(count);
    }
    assert!(counts.is_sorted(), "{counts:?}");
    assert_eq!((counts[0], counts.last()), (0, Some(&20)));
}

#[tokio::test]
async fn a_killed_writer_loses_nothing_that_it_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let mut acknowledged: i64 = 0;
    for round in 1..=5 {
        let mut process = start_appending(&path, 100_000);
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let seqs = lines.map_while(Result::ok).filter_map(|line| line.strip_prefix("seq=")?.parse().ok());
        acknowledged = seqs.take(round * 7).last().unwrap();
        process.kill().unwrap();
        process.wait().unwrap();
        let verification = open(&path).await.verify().await.unwrap();
        assert_eq!(verification.broken, None);
        assert!(verification.entries as i64 >= acknowledged);
    }
    assert!(acknowledged >= 35, "every round appended more: {acknowledged}");
}
