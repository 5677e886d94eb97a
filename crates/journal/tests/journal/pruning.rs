//! Tests that what retention decided is removed, nothing else is, and the chain can be checked afterwards.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use journal::{
    BlobRef, Blobs, Broken, Case, DataDir, Draft, Entry, Error, Freed, Plan, Reason, Removed, Retention,
};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::open;
use crate::reading::raw;

/// Long after everything that a test writes: all of it is old.
pub(crate) const NOW_MS: i64 = 4_000_000_000_000;

/// Everything that may go goes.
pub(crate) const NOTHING: Retention = Retention { bytes_max: 0, keep_ms: 0 };

/// A data directory, and what was appended to its journal.
struct Site {
    folder: tempfile::TempDir,
    dir: DataDir,
    entries: Vec<Entry>,
}

impl Site {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let dir = data_dir(folder.path()).await;
        Self { folder, dir, entries: Vec::new() }
    }

    /// Appends an entry for each letter: to the incident of that name, or to none for `-`.
    async fn append(&mut self, letters: &str) {
        for letter in letters.chars() {
            let incident = (letter != '-').then(|| letter.to_string());
            let entry = self.dir.journal.append(note(incident.as_deref(), json!(letters))).await.unwrap();
            self.entries.push(entry);
        }
    }

    /// Decides by a measurement of now; the incidents of `closed` are closed, those of `open` are not.
    async fn plan(&self, closed: &str, open: &str) -> Plan {
        let case =
            |letter: char, closed_ms| Case { incident: letter.to_string(), closed_ms, blobs: Vec::new() };
        let closed = closed.chars().zip(0..).map(|(letter, at_ms)| case(letter, Some(at_ms)));
        let cases: Vec<_> = closed.chain(open.chars().map(|letter| case(letter, None))).collect();
        self.dir.measure().await.unwrap().plan(&cases, NOTHING, NOW_MS)
    }

    async fn remove(&self, plan: &Plan) -> Freed {
        self.dir.carry_out(plan, NOW_MS).await.unwrap()
    }

    /// Checks that exactly the entries of `letters` (and those without an incident, and statements) are left.
    async fn check_left(&self, letters: &str) {
        let left = self.dir.journal.entries_after(0, 10_000).await.unwrap();
        let stays =
            |entry: &&Entry| entry.incident.as_ref().is_none_or(|incident| letters.contains(&**incident));
        let expect: Vec<_> = self.entries.iter().filter(stays).collect();
        let found: Vec<_> = left.iter().filter(|entry| entry.kind != "journal_pruned").collect();
        assert_eq!(found, expect);
        let verification = self.dir.journal.verify().await.unwrap();
        assert_eq!(verification.broken, None);
        assert_eq!(verification.entries, left.len() as u64);
        let newest = left.last().map_or(0, |entry| entry.seq);
        assert_eq!(verification.pruned, newest as u64 - verification.entries);
    }
}

pub(crate) async fn data_dir(folder: &Path) -> DataDir {
    DataDir {
        journal: open(&folder.join("journal.db")).await,
        blobs: Blobs::open(folder.join("blobs")).unwrap(),
        runs: folder.join("runs"),
        reports: folder.join("reports"),
    }
}

pub(crate) fn note(incident: Option<&str>, body: Value) -> Draft {
    Draft { at_ms: 1, incident: incident.map(str::to_owned), kind: "note".to_owned(), version: 1, body }
}

pub(crate) fn names(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.collect();
    names.sort();
    names
}

#[tokio::test]
async fn entries_go_from_the_front_the_middle_and_the_end() {
    let mut site = Site::new().await;
    site.append("aba-bcabcc").await;
    let plan = site.plan("c", "ab").await;
    assert_eq!(plan.incidents, ["c"]);
    assert_eq!(site.remove(&plan).await.entries, 3);
    site.check_left("ab").await;
    assert_eq!(
        site.dir.journal.head().await.unwrap().unwrap().seq,
        11,
        "the end was removed, its places were not"
    );

    site.append("dad").await;
    assert_eq!(site.remove(&site.plan("ac", "bd").await).await.entries, 4);
    site.check_left("bd").await;
    site.append("b").await;
    site.check_left("bd").await;
    assert_eq!(site.remove(&site.plan("ba", "d").await).await.entries, 4);
    site.check_left("d").await;
    assert_eq!(site.remove(&site.plan("d", "").await).await.entries, 2);
    site.check_left("").await;

    let statements = site.dir.journal.entries_after(0, 100).await.unwrap();
    let statements = statements.iter().filter(|entry| entry.kind == "journal_pruned").count();
    assert_eq!(statements, 1, "the newest says it all");
    let again = site.remove(&site.plan("abcd", "").await).await;
    assert_eq!(again, Freed::default(), "and is not repeated");
    site.append("e").await;
    site.check_left("e").await;
    let journal = open(&site.folder.path().join("journal.db")).await;
    assert_eq!(journal.verify().await.unwrap().broken, None);
}

#[tokio::test]
async fn entries_without_an_incident_go_where_their_owner_says_so_and_no_others() {
    let mut site = Site::new().await;
    site.append("-a--b-a").await;
    let journal = site.dir.journal.clone();
    let places = |entries: Vec<Entry>| entries.iter().map(|entry| entry.seq).collect::<Vec<_>>();
    assert_eq!(places(journal.loose_after(&["note", "x"], 1, 2).await.unwrap()), [3, 4]);
    assert!(journal.loose_after(&["x"], 0, 9).await.unwrap().is_empty());
    let mut stock = site.dir.measure().await.unwrap();
    // One that belongs to an incident, and one that is not there, are nobody's to give up.
    stock.loose = [1, 2, 4, 99].map(|seq| (seq, 1)).into();
    let plan = stock.plan(&[], NOTHING, NOW_MS);
    assert_eq!(site.remove(&plan).await.entries, 2);
    site.entries.retain(|entry| ![1, 4].contains(&entry.seq));
    site.check_left("ab").await;
    // Statements are not to be had that way, and what was stated is stated on with the next removal.
    let statement = journal.head().await.unwrap().unwrap().seq;
    stock.loose = [3, statement].map(|seq| (seq, 1)).into();
    let plan = stock.plan(&[], NOTHING, NOW_MS);
    assert_eq!(site.remove(&plan).await.entries, 1);
    site.entries.retain(|entry| entry.seq != 3);
    assert_eq!(site.remove(&site.plan("a", "b").await).await.entries, 2);
    site.check_left("b").await;
}

#[tokio::test]
async fn what_was_removed_between_the_entries_of_an_incident_is_known() {
    let mut site = Site::new().await;
    site.append("abbaab").await;
    site.remove(&site.plan("b", "a").await).await;
    let journal = &site.dir.journal;
    assert_eq!(journal.removed_within("a").await.unwrap(), [Removed { first: 2, last: 3 }]);
    assert_eq!(journal.removed_within("b").await.unwrap(), []);
    // What was removed after its newest entry is none of its business, until it has another.
    site.append("a").await;
    let removed = site.dir.journal.removed_within("a").await.unwrap();
    assert_eq!(removed, [Removed { first: 2, last: 3 }, Removed { first: 6, last: 6 }]);
}

#[tokio::test]
async fn files_go_with_their_incident() {
    let mut site = Site::new().await;
    let blob = |content: &str| site.dir.blobs.put(content.as_bytes()).unwrap().sha256;
    let (both, of_a, orphan) = (blob("both"), blob(&"of a".repeat(5000)), blob("orphan"));
    let root = site.folder.path().to_owned();
    for incident in ["a", "b", "stranger"] {
        fs::create_dir_all(root.join("runs").join(incident).join("1-restart-1")).unwrap();
        fs::write(root.join("runs").join(incident).join("1-restart-1/stdout"), "x".repeat(10_000)).unwrap();
        fs::create_dir_all(root.join("reports")).unwrap();
        fs::write(root.join("reports").join(format!("{incident}.md")), "report").unwrap();
    }
    std::os::unix::fs::symlink(root.join("runs/b"), root.join("runs/a/link")).unwrap();
    site.append("ab").await;

    let before = site.dir.measure().await.unwrap();
    let case = |incident: &str, closed_ms, blobs: &[_]| Case {
        incident: incident.to_owned(),
        closed_ms,
        blobs: blobs.to_vec(),
    };
    let cases = [case("a", Some(1), &[both, of_a]), case("b", None, &[both]), case("..", Some(0), &[])];
    let plan = before.plan(&cases, NOTHING, NOW_MS);
    assert_eq!(plan.incidents, ["..", "a"]);
    let freed = site.remove(&plan).await;
    assert_eq!((freed.entries, freed.blobs, freed.unfinished), (1, 2, 0));

    let left: BTreeSet<_> = names(&root.join("blobs")).into_iter().collect();
    assert_eq!(left, BTreeSet::from([both.to_string()]));
    assert!(site.dir.blobs.read(orphan, 99).is_err() && site.dir.blobs.read(of_a, 99_999).is_err());
    assert_eq!(names(&root.join("runs")), ["b", "stranger"]);
    assert_eq!(names(&root.join("runs/b/1-restart-1")), ["stdout"], "links are not followed");
    assert_eq!(names(&root.join("reports")), ["b.md", "stranger.md"]);
    let after = site.dir.measure().await.unwrap();
    assert!(freed.bytes >= 20_000 && after.bytes() < before.bytes(), "{freed:?}");
}

#[tokio::test]
async fn a_blob_that_is_put_again_stays() {
    let site = Site::new().await;
    let put = |content: &[u8]| site.dir.blobs.put(content).unwrap();
    let (again, gone) = (put(b"again"), put(b"gone"));
    let age = |blob: BlobRef| {
        let file = fs::File::open(site.folder.path().join("blobs").join(blob.sha256.to_string())).unwrap();
        file.set_modified(UNIX_EPOCH + Duration::from_secs(1_000_000_000)).unwrap();
        file.metadata().unwrap().modified().unwrap()
    };
    let old = age(again);
    assert_eq!(age(gone), old);
    let now_ms = 1_000_007_200_000;
    let plan = site.dir.measure().await.unwrap().plan(&[], NOTHING, now_ms);
    assert_eq!(plan.blobs.len(), 2);
    put(b"again");
    let freed = site.dir.carry_out(&plan, now_ms).await.unwrap();
    assert_eq!(freed.blobs, 1);
    assert!(site.dir.blobs.read(again.sha256, 9).is_ok() && site.dir.blobs.read(gone.sha256, 9).is_err());
}

#[tokio::test]
async fn unfinished_blobs_go_once_nobody_writes_them() {
    let site = Site::new().await;
    let blobs = site.folder.path().join("blobs");
    fs::write(blobs.join(".new-1-0"), "left by a crash").unwrap();
    fs::write(blobs.join(".new-1-1"), "").unwrap();
    fs::write(blobs.join("a stranger"), "").unwrap();
    let held = fs::File::create(blobs.join(".new-1-2")).unwrap();
    held.lock().unwrap();
    let plan = site.plan("", "").await;
    let now_ms = held.metadata().unwrap().modified().unwrap().duration_since(UNIX_EPOCH).unwrap().as_millis();
    let freed = site.dir.carry_out(&plan, now_ms as i64 + 3_500_000).await.unwrap();
    assert_eq!(freed, Freed::default(), "they are young");
    assert_eq!(site.remove(&plan).await.unfinished, 2);
    assert_eq!(names(&blobs), [".new-1-2", "a stranger"]);
    drop(held);
    assert_eq!(site.remove(&plan).await.unfinished, 1);
}

#[tokio::test]
async fn a_plan_that_no_longer_holds_is_refused() {
    let mut site = Site::new().await;
    site.append("aba").await;
    fs::create_dir_all(site.dir.runs.join("a")).unwrap();
    let plan = site.plan("a", "b").await;
    site.append("b").await;
    let reopened = site.plan("a", "b").await;
    site.append("a").await;
    for plan in [&plan, &reopened] {
        assert!(matches!(site.dir.carry_out(plan, NOW_MS).await, Err(Error::Outdated { .. })));
    }
    site.check_left("ab").await;

    let plan = site.plan("a", "b").await;
    tamper(&site, "UPDATE entry SET body = '1' WHERE seq = 2").await;
    let error = site.dir.carry_out(&plan, NOW_MS).await.unwrap_err();
    assert!(matches!(error, Error::Broken { broken: Broken { seq: 2, .. }, .. }), "{error:?}");
    let text = format!(
        "nothing is removed from the journal `{}`, because entry 2 was changed: its digest does not match",
        site.folder.path().join("journal.db").display()
    );
    assert_eq!(error.to_string(), text);
    assert_eq!(site.dir.journal.entries_after(0, 100).await.unwrap().len(), 5);
    assert_eq!(names(&site.dir.runs), ["a"]);
}

#[tokio::test]
async fn no_change_of_what_is_left_goes_unseen() {
    let seen = async |sql: &'static str, seq, reason| {
        let mut site = Site::new().await;
        // 1 and 4 to 5 go; 8 is the statement, 9 comes after it.
        site.append("abbaabb").await;
        site.remove(&site.plan("a", "b").await).await;
        site.append("b").await;
        site.check_left("b").await;
        tamper(&site, sql).await;
        let found = site.dir.journal.verify().await.unwrap();
        assert_eq!(found.broken, Some(Broken { seq, reason }), "{sql}");
    };
    let replaced = "UPDATE entry SET (body, digest) = (SELECT '1', zeroblob(32)) WHERE seq = 3";
    for (sql, seq, reason) in [
        ("DELETE FROM entry WHERE seq = 2", 1, Reason::SequenceGap),
        ("DELETE FROM entry WHERE seq = 3", 3, Reason::SequenceGap),
        ("DELETE FROM entry WHERE seq = 6", 4, Reason::SequenceGap),
        ("DELETE FROM entry WHERE seq = 7", 7, Reason::SequenceGap),
        ("DELETE FROM entry WHERE seq = 8", 1, Reason::SequenceGap),
        ("UPDATE entry SET body = '1' WHERE seq = 2", 2, Reason::DigestMismatch),
        ("UPDATE entry SET previous = zeroblob(32) WHERE seq = 6", 6, Reason::DigestMismatch),
        (replaced, 3, Reason::DigestMismatch),
        (
            "UPDATE entry SET body = replace(body, '\"next\":6', '\"next\":7') WHERE seq = 8",
            4,
            Reason::SequenceGap,
        ),
        ("UPDATE entry SET body = body || ' ' WHERE seq = 8", 8, Reason::DigestMismatch),
        ("UPDATE entry SET incident = 'b' WHERE seq = 8", 1, Reason::SequenceGap),
    ] {
        seen(sql, seq, reason).await;
    }
}

#[tokio::test]
async fn the_last_entry_before_a_gap_cannot_be_forged() {
    let mut site = Site::new().await;
    site.append("bbab").await;
    site.remove(&site.plan("a", "b").await).await;
    // Whole in itself and linked to the one before: only the statement knows better.
    let mut forged = site.entries[1].clone();
    forged.kind = "nothing_happened".to_owned();
    let digest = forged.computed_digest().unwrap();
    disarm(&site).await;
    sqlx::query("UPDATE entry SET kind = ?, digest = ? WHERE seq = 2")
        .bind(&forged.kind)
        .bind(&digest.as_bytes()[..])
        .execute(&mut raw(&site.folder.path().join("journal.db")).await)
        .await
        .unwrap();
    let broken = site.dir.journal.verify().await.unwrap().broken;
    assert_eq!(broken, Some(Broken { seq: 3, reason: Reason::SequenceGap }));
}

#[tokio::test]
async fn more_gaps_than_one_statement_holds() {
    let site = Site::new().await;
    // 150 incidents of 15 entries each take turns with one that stays: 2250 gaps, two transactions.
    let appends = (0..4500).map(|number| {
        let journal = site.dir.journal.clone();
        let incident = if number % 2 == 0 { "open".to_owned() } else { format!("{}", number % 300) };
        tokio::spawn(async move { journal.append(note(Some(&incident), json!(number))).await.unwrap() })
    });
    for append in appends.collect::<Vec<_>>() {
        append.await.unwrap();
    }
    let case = |incident: String, closed_ms| Case { incident, closed_ms, blobs: Vec::new() };
    let mut cases: Vec<_> =
        (1..300).step_by(2).map(|number| case(number.to_string(), Some(number))).collect();
    cases.push(case("open".to_owned(), None));
    let stock = site.dir.measure().await.unwrap();
    assert_eq!(stock.incidents.len(), 151);
    let plan = stock.plan(&cases, NOTHING, NOW_MS);
    let freed = site.remove(&plan).await;
    assert_eq!(freed.entries, 2250);
    assert_eq!(site.dir.journal.of_incident("open").await.unwrap().len(), 2250);
    let found = site.dir.journal.verify().await.unwrap();
    assert_eq!((found.broken, found.entries), (None, 2250 + 3));
    assert_eq!(found.pruned, 2250 + 2, "two statements were removed with the second transaction");
}

proptest! {
    // Each case writes a database of its own.
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn whatever_goes_the_rest_is_whole(
        rounds in prop::collection::vec(("[a-f-]{0,12}", "[a-f]{0,3}"), 1..6),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut site = Site::new().await;
            let mut gone = BTreeSet::new();
            for (letters, goes) in rounds {
                // One that has gone does not come back.
                let letters: String = letters.chars().filter(|letter| !gone.contains(letter)).collect();
                site.append(&letters).await;
                gone.extend(goes.chars());
                let goes: String = gone.iter().collect();
                let left: String = ('a'..='f').filter(|letter| !gone.contains(letter)).collect();
                site.remove(&site.plan(&goes, &left).await).await;
                site.check_left(&left).await;
            }
        });
    }
}

async fn disarm(site: &Site) {
    let sql = "DROP TRIGGER entry_insert; DROP TRIGGER entry_update; DROP TRIGGER entry_delete";
    let mut connection = raw(&site.folder.path().join("journal.db")).await;
    sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
}

async fn tamper(site: &Site, sql: &'static str) {
    disarm(site).await;
    let mut connection = raw(&site.folder.path().join("journal.db")).await;
    assert_eq!(sqlx::query(sql).execute(&mut connection).await.unwrap().rows_affected(), 1, "{sql}");
}
