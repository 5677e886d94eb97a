//! Tests that a removal which is cut off anywhere leaves all that must stay, and is finished by the next one.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use journal::{BlobRef, Case, DataDir};
use serde_json::json;

use crate::pruning::{NOTHING, NOW_MS, data_dir, names, note};
use crate::{draft, open};

/// Names the data directory in the environment of the process that appends and removes.
const REMOVE_IN: &str = "JOURNAL_TEST_REMOVE_IN";

/// Makes the names of its incidents its own.
const ROUND: &str = "JOURNAL_TEST_ROUND";

#[tokio::test]
async fn a_log_cut_anywhere_holds_all_of_a_removal_or_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let dir = data_dir(folder.path()).await;
    for number in 0..60 {
        dir.journal.append(draft(number)).await.unwrap();
    }
    let case = |incident: String| Case { incident, closed_ms: Some(0), blobs: Vec::new() };
    let cases: Vec<_> = (0..30).map(|number| case(format!("incident-{number}"))).collect();
    let plan = dir.measure().await.unwrap().plan(&cases, NOTHING, NOW_MS);
    let freed = dir.carry_out(&plan, NOW_MS).await.unwrap();
    assert_eq!(freed.entries, 10);
    dir.journal.append(draft(0)).await.unwrap();

    let database = fs::read(folder.path().join("journal.db")).unwrap();
    let log = fs::read(folder.path().join("journal.db-wal")).unwrap();
    let mut counts = Vec::new();
    // Each page, and within it.
    for cut in (0..=log.len()).step_by(2060).chain([log.len()]) {
        let crashed = folder.path().join(format!("crashed-{cut}.db"));
        fs::write(&crashed, &database).unwrap();
        fs::write(crashed.with_extension("db-wal"), &log[..cut]).unwrap();
        let journal = open(&crashed).await;
        let found = journal.verify().await.unwrap();
        assert_eq!(found.broken, None, "cut at {cut}");
        let count = found.entries + found.pruned;
        assert_eq!(found.pruned, if count > 60 { 10 } else { 0 }, "cut at {cut}");
        assert_eq!(journal.append(draft(99)).await.unwrap().seq, count as i64 + 1, "cut at {cut}");
        counts.push(count);
    }
    assert!(counts.is_sorted(), "{counts:?}");
    assert_eq!((counts[0], counts.last()), (0, Some(&62)));
}

/// Keeps a blob with its entry, a run and a report, and returns its case.
async fn live_through(dir: &DataDir, incident: &str, number: usize) -> Case {
    let blob = dir.blobs.put(format!("{incident} {number} ").repeat(1000).as_bytes()).unwrap();
    dir.journal.append(note(Some(incident), json!({"blob": blob}))).await.unwrap();
    fs::create_dir_all(dir.runs.join(incident).join("1")).unwrap();
    fs::write(dir.runs.join(incident).join("1/stdout"), "output").unwrap();
    fs::create_dir_all(&dir.reports).unwrap();
    fs::write(dir.reports.join(format!("{incident}.md")), "report").unwrap();
    Case { incident: incident.to_owned(), closed_ms: Some(number as i64), blobs: vec![blob.sha256] }
}

async fn remove(dir: &DataDir, cases: &[Case]) {
    let plan = dir.measure().await.unwrap().plan(cases, NOTHING, NOW_MS);
    dir.carry_out(&plan, NOW_MS).await.unwrap();
}

/// Returns every incident of the journal with the blobs of its entries, all of which are there and whole.
async fn cases_of(dir: &DataDir) -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    for entry in dir.journal.entries_after(0, 10_000).await.unwrap() {
        let Some(incident) = entry.incident else { continue };
        let blob: BlobRef = serde_json::from_value(entry.body["blob"].clone()).unwrap();
        dir.blobs.read(blob.sha256, blob.bytes).unwrap();
        match cases.iter_mut().find(|case| case.incident == incident) {
            Some(case) => case.blobs.push(blob.sha256),
            None => cases.push(Case { incident, closed_ms: Some(0), blobs: vec![blob.sha256] }),
        }
    }
    cases
}

/// Is nothing as a test; `start_removing` runs it in a process of its own.
#[tokio::test]
async fn removes_when_asked_to() {
    let Some(folder) = std::env::var_os(REMOVE_IN) else { return };
    let round = std::env::var(ROUND).unwrap();
    let dir = data_dir(Path::new(&folder)).await;
    let mut cases = cases_of(&dir).await;
    for number in 0.. {
        for incident in ["open", &format!("{round}-{number}")] {
            let case = live_through(&dir, incident, number).await;
            match cases.iter_mut().find(|known| known.incident == incident) {
                Some(known) => known.blobs.extend(case.blobs),
                None => cases.push(case),
            }
        }
        cases.iter_mut().filter(|case| case.incident == "open").for_each(|case| case.closed_ms = None);
        if number % 3 == 2 {
            remove(&dir, &cases).await;
        }
        println!("\nround={number}");
    }
}

fn start_removing(folder: &Path, round: usize) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "pruning_crash::removes_when_asked_to", "--nocapture"])
        .env(REMOVE_IN, folder)
        .env(ROUND, round.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

#[tokio::test]
async fn a_killed_remover_leaves_all_that_must_stay() {
    let folder = tempfile::tempdir().unwrap();
    let mut acknowledged = 0;
    for round in 0..10 {
        let mut process = start_removing(folder.path(), round);
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let rounds = lines.map_while(Result::ok).filter(|line| line.starts_with("round="));
        // Killed after another number of rounds each time, at once after or in the middle of what comes then.
        acknowledged += rounds.take(round + 1).count();
        process.kill().unwrap();
        process.wait().unwrap();

        let dir = data_dir(folder.path()).await;
        assert_eq!(dir.journal.verify().await.unwrap().broken, None);
        let cases = cases_of(&dir).await;
        let open = cases.iter().find(|case| case.incident == "open").unwrap();
        assert!(open.blobs.len() >= acknowledged, "{} of {acknowledged}", open.blobs.len());
    }

    let dir = data_dir(folder.path()).await;
    let mut cases = cases_of(&dir).await;
    let open = cases.iter_mut().find(|case| case.incident == "open").unwrap();
    open.closed_ms = None;
    let expect = open.clone();
    remove(&dir, &cases).await;
    let left = cases_of(&dir).await;
    assert_eq!(left, [Case { closed_ms: Some(0), ..expect.clone() }]);
    assert_eq!(names(&dir.runs), ["open"]);
    assert_eq!(names(&dir.reports), ["open.md"]);
    let blobs = BTreeSet::from_iter(names(&folder.path().join("blobs")));
    let expect: BTreeSet<_> = expect.blobs.iter().map(|sha256| format!("{sha256}.zst")).collect();
    assert_eq!(blobs, expect, "nothing unfinished, nothing of nobody");
    assert_eq!(dir.journal.verify().await.unwrap().broken, None);
}
