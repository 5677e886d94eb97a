//! Tests that no change goes unseen, and that SQLite itself refuses the easy ones.

use std::path::Path;

use journal::{Broken, Draft, Error, Reason};
use proptest::prelude::*;
use serde_json::{Map, Value};
use sqlx::AssertSqlSafe;

use crate::reading::raw;
use crate::{draft, open};

/// A change of one entry, as SQL with the entry's `seq` as `?1`, and whom the check must name: the place
/// relative to that entry, and the reason.
const TAMPERINGS: [(&str, i64, Reason); 14] = [
    ("UPDATE entry SET node = node || 'x' WHERE seq = ?1", 0, Reason::DigestMismatch),
    ("UPDATE entry SET node = CAST(x'ff' AS TEXT) WHERE seq = ?1", 0, Reason::DigestMismatch),
    ("UPDATE entry SET at_ms = at_ms + 1 WHERE seq = ?1", 0, Reason::DigestMismatch),
    ("UPDATE entry SET incident = iif(incident IS NULL, '', NULL) WHERE seq = ?1", 0, Reason::DigestMismatch),
    ("UPDATE entry SET kind = 'x' || kind WHERE seq = ?1", 0, Reason::DigestMismatch),
    ("UPDATE entry SET version = version + 1 WHERE seq = ?1", 0, Reason::DigestMismatch),
    ("UPDATE entry SET version = -1 WHERE seq = ?1", 0, Reason::DigestMismatch),
    ("UPDATE entry SET body = body || ' ' WHERE seq = ?1", 0, Reason::DigestMismatch),
    ("UPDATE entry SET body = 'no JSON' WHERE seq = ?1", 0, Reason::DigestMismatch),
    ("UPDATE entry SET previous = zeroblob(31) WHERE seq = ?1", 0, Reason::DigestMismatch),
    ("UPDATE entry SET digest = zeroblob(32) WHERE seq = ?1", 0, Reason::DigestMismatch),
    ("UPDATE entry SET seq = 1000 WHERE seq = ?1", 0, Reason::SequenceGap),
    ("DELETE FROM entry WHERE seq = ?1", 0, Reason::SequenceGap),
    ("UPDATE entry SET seq = -5 WHERE seq = ?1", i64::MIN, Reason::SequenceGap),
];

/// What a program that wants to change a journal has to do first.
const DISARM: &str = "DROP TRIGGER entry_insert; DROP TRIGGER entry_update; DROP TRIGGER entry_delete";

fn bodies() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((any::<String>(), inner), 0..4)
                .prop_map(|members| Value::from(members.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

prop_compose! {
    fn drafts()(
        at_ms in any::<i64>(),
        incident in prop::option::of("[a-z0-9\u{0}é-]{1,20}"),
        kind in "[a-z_]{1,20}",
        version in any::<u32>(),
        body in bodies(),
    ) -> Draft {
        Draft { at_ms, incident, kind, version, body }
    }
}

proptest! {
    // Each case writes a database of its own.
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn any_change_is_found(
        drafts in prop::collection::vec(drafts(), 1..8),
        entry in any::<prop::sample::Index>(),
        tampering in prop::sample::select(&TAMPERINGS[..]),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("journal.db");
            let journal = open(&path).await;
            for draft in &drafts {
                let entry = journal.append(draft.clone()).await.unwrap();
                assert_eq!(entry.computed_digest(), Some(entry.digest));
            }
            let read = journal.entries_after(0, 100).await.unwrap();
            assert!(read.iter().zip(&drafts).all(|(entry, draft)| entry.body == draft.body));
            assert!(read.iter().all(|entry| entry.computed_digest() == Some(entry.digest)));
            let whole = journal.verify().await.unwrap();
            assert_eq!((whole.entries, whole.broken), (drafts.len() as u64, None));

            let seq = entry.index(drafts.len()) as i64 + 1;
            let last = seq == drafts.len() as i64;
            let (sql, offset, reason) = tampering;
            tamper(&path, sql, seq).await;
            let found = journal.verify().await.unwrap();
            match offset {
                // Moved before the first: that one is named, by the place where it was found.
                i64::MIN => assert_eq!(found.broken, Some(Broken { seq: -5, reason })),
                // The end cut off is what only a head kept elsewhere shows.
                _ if last && sql.starts_with("DELETE") => assert_eq!(found.broken, None),
                offset => {
                    assert_eq!(found.broken, Some(Broken { seq: seq + offset, reason }));
                    assert_eq!(found.entries as i64, seq - 1);
                }
            }
        });
    }
}

#[tokio::test]
async fn an_entry_replaced_as_a_whole_breaks_the_chain_behind_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let journal = open(&path).await;
    for number in 0..4 {
        journal.append(draft(number)).await.unwrap();
    }
    let mut forged = journal.entries_after(1, 1).await.unwrap().remove(0);
    forged.kind = "nothing_happened".to_owned();
    let digest = forged.computed_digest().unwrap();
    let mut connection = raw(&path).await;
    sqlx::raw_sql(DISARM).execute(&mut connection).await.unwrap();
    sqlx::query("UPDATE entry SET kind = ?, digest = ? WHERE seq = 2")
        .bind(&forged.kind)
        .bind(&digest.as_bytes()[..])
        .execute(&mut connection)
        .await
        .unwrap();
    let broken = journal.verify().await.unwrap().broken.unwrap();
    assert_eq!(broken, Broken { seq: 3, reason: Reason::ChainGap });
    assert_eq!(broken.to_string(), "entry 3 does not follow the one before it");
}

#[tokio::test]
async fn no_place_is_too_low_to_be_seen() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let journal = open(&path).await;
    journal.append(draft(0)).await.unwrap();
    tamper(&path, "UPDATE entry SET seq = -9223372036854775808 WHERE seq = ?1", 1).await;
    let broken = Broken { seq: i64::MIN, reason: Reason::SequenceGap };
    assert_eq!(journal.verify().await.unwrap().broken, Some(broken));
}

#[tokio::test]
async fn a_damaged_entry_is_an_error_to_readers() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let journal = open(&path).await;
    journal.append(draft(0)).await.unwrap();
    tamper(&path, "UPDATE entry SET digest = x'00' WHERE seq = ?1", 1).await;
    assert!(matches!(journal.entries_after(0, 1).await, Err(Error::Damaged { seq: 1, .. })));
    assert!(matches!(journal.head().await, Err(Error::Damaged { seq: 1, .. })));
    assert!(matches!(journal.append(draft(1)).await, Err(Error::Damaged { seq: 1, .. })));
}

#[tokio::test]
async fn sqlite_refuses_every_change() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let journal = open(&path).await;
    for number in 0..3 {
        journal.append(draft(number)).await.unwrap();
    }
    let mut connection = raw(&path).await;
    let fields = "node, at_ms, kind, version, body, previous, digest";
    for sql in [
        "UPDATE entry SET body = 'x'".to_owned(),
        "DELETE FROM entry".to_owned(),
        "DELETE FROM entry WHERE seq = 3".to_owned(),
        format!("REPLACE INTO entry (seq, {fields}) SELECT 2, {fields} FROM entry WHERE seq = 1"),
        format!("INSERT INTO entry (seq, {fields}) SELECT 5, {fields} FROM entry WHERE seq = 1"),
        format!("INSERT INTO entry (seq, {fields}) SELECT 4, {fields} FROM entry WHERE seq = 1"),
    ] {
        let error = sqlx::raw_sql(AssertSqlSafe(sql.as_str())).execute(&mut connection).await.unwrap_err();
        assert!(error.to_string().contains("journal"), "{sql}: {error}");
    }
    let whole = journal.verify().await.unwrap();
    assert_eq!((whole.entries, whole.broken), (3, None));
}

async fn tamper(path: &Path, sql: &'static str, seq: i64) {
    let mut connection = raw(path).await;
    sqlx::raw_sql(DISARM).execute(&mut connection).await.unwrap();
    let done = sqlx::query(sql).bind(seq).execute(&mut connection).await.unwrap();
    assert_eq!(done.rows_affected(), 1);
}
