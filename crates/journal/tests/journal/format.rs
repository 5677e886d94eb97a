//! Tests that the stored forms stay what they were: a journal is read for years.

use std::fs;

use expect_test::expect;
use journal::{Blobs, Case, Digest, Draft, Entry};
use serde_json::json;

use crate::open;
use crate::pruning::{NOTHING, NOW_MS, data_dir, note};
use crate::reading::raw;

#[tokio::test]
async fn the_first_two_entries_are_frozen() {
    let folder = tempfile::tempdir().unwrap();
    let journal = open(&folder.path().join("journal.db")).await;
    let mut draft = Draft {
        at_ms: 1_767_225_600_123,
        incident: Some("inc-1".to_owned()),
        kind: "unit_intended".to_owned(),
        version: 1,
        body: json!({"a": "quote \" and é", "z": [1, -2.5, null, true]}),
    };
    let first = journal.append(draft.clone()).await.unwrap();
    draft.incident = None;
    draft.version = 2;
    let second = journal.append(draft).await.unwrap();
    let text = format!("{}\n{}\n", json_of(&first), json_of(&second));
    expect![[r#"
        {"seq":1,"node":"host-a","at_ms":1767225600123,"incident":"inc-1","kind":"unit_intended","version":1,"body":{"a":"quote \" and é","z":[1,-2.5,null,true]},"previous":"0000000000000000000000000000000000000000000000000000000000000000","digest":"b18cc368c846d11251219dcff406bf6abf2fee9aa08e7ba05a39945670f74176"}
        {"seq":2,"node":"host-a","at_ms":1767225600123,"incident":null,"kind":"unit_intended","version":2,"body":{"a":"quote \" and é","z":[1,-2.5,null,true]},"previous":"b18cc368c846d11251219dcff406bf6abf2fee9aa08e7ba05a39945670f74176","digest":"25b181f343a8c84fdc8c77cd06f482b87f112aa02d337d1e9750334200831a0f"}
    "#]]
    .assert_eq(&text);
    for (line, entry) in text.lines().zip([first, second]) {
        let read: Entry = serde_json::from_str(line).unwrap();
        assert_eq!(read, entry);
        assert_eq!(read.computed_digest(), Some(read.digest));
    }
}

#[test]
fn a_literal_entry_has_its_literal_digest() {
    // The same bytes, put together by hand from the description of the format.
    let mut bytes = Vec::new();
    let items: [&[u8]; 9] = [
        b"paramedic journal entry 1",
        &[0, 0, 0, 0, 0, 0, 0, 1],
        b"host-a",
        &[0, 0, 0, 0, 0, 0, 1, 0],
        b"inc-1",
        b"note",
        &[0, 0, 0, 0, 0, 0, 0, 3],
        br#"{"text":"hello"}"#,
        &[0; 32],
    ];
    for item in items {
        bytes.extend_from_slice(&(item.len() as u64).to_be_bytes());
        bytes.extend_from_slice(item);
    }
    let entry = Entry {
        seq: 1,
        node: "host-a".to_owned(),
        at_ms: 256,
        incident: Some("inc-1".to_owned()),
        kind: "note".to_owned(),
        version: 3,
        body: json!({"text": "hello"}),
        previous: Digest::ZERO,
        digest: Digest::ZERO,
    };
    assert_eq!(entry.computed_digest(), Some(Digest::of(&bytes)));
    expect!["6e8b9ad872b1e0517c47ca4ce1c3a2df008fd03fe65cc1750e6fa635bb11922b"]
        .assert_eq(&Digest::of(&bytes).to_string());
}

#[tokio::test]
async fn the_statement_of_what_was_removed_is_frozen() {
    let folder = tempfile::tempdir().unwrap();
    let dir = data_dir(folder.path()).await;
    for incident in ["gone", "open", "gone", "open"] {
        dir.journal.append(note(Some(incident), json!({}))).await.unwrap();
    }
    let case =
        |incident: &str, closed_ms| Case { incident: incident.to_owned(), closed_ms, blobs: Vec::new() };
    let cases = [case("gone", Some(0)), case("open", None)];
    let plan = dir.measure().await.unwrap().plan(&cases, NOTHING, NOW_MS);
    let freed = dir.carry_out(&plan, NOW_MS).await.unwrap();
    assert_eq!(freed.entries, 2);
    let statement = dir.journal.entries_after(4, 10).await.unwrap().remove(0);
    expect![[r#"{"seq":5,"node":"host-a","at_ms":4000000000000,"incident":null,"kind":"journal_pruned","version":1,"body":{"gaps":[{"after":0,"digest":"0000000000000000000000000000000000000000000000000000000000000000","next":2},{"after":2,"digest":"7ae968d91216f59f4bd46ea2962ffcb4b9c7512d19d728cbe31505544a1db507","next":4}]},"previous":"42933c8b2a86d62f30eb592da416cf7568cc89e3797cc02bfb65e9c418b61b9c","digest":"832af3c12ced9fd0723952e8f877d89e71bf9db017c6c1a0e3ecd4949466c56a"}"#]].assert_eq(&json_of(&statement));
    let found = dir.journal.verify().await.unwrap();
    expect![[r#"{"entries":3,"pruned":2,"broken":null}"#]].assert_eq(&serde_json::to_string(&found).unwrap());
}

/// A journal as the first program wrote it, with the two entries from above.
const SCHEMA_1: &str = "
CREATE TABLE entry (
    seq      INTEGER PRIMARY KEY,
    node     TEXT    NOT NULL,
    at_ms    INTEGER NOT NULL,
    incident TEXT,
    kind     TEXT    NOT NULL,
    version  INTEGER NOT NULL,
    body     TEXT    NOT NULL,
    previous BLOB    NOT NULL,
    digest   BLOB    NOT NULL
) STRICT;
CREATE INDEX entry_incident ON entry (incident, seq) WHERE incident IS NOT NULL;
CREATE TRIGGER entry_insert BEFORE INSERT ON entry
WHEN NEW.seq IS NOT (SELECT coalesce(max(seq), 0) + 1 FROM entry)
  OR NEW.previous IS NOT coalesce((SELECT digest FROM entry ORDER BY seq DESC LIMIT 1), zeroblob(32))
BEGIN SELECT RAISE(ABORT, 'a journal entry follows the newest one'); END;
CREATE TRIGGER entry_update BEFORE UPDATE ON entry
BEGIN SELECT RAISE(ABORT, 'a journal is append-only'); END;
CREATE TRIGGER entry_delete BEFORE DELETE ON entry
BEGIN SELECT RAISE(ABORT, 'a journal is append-only'); END;
PRAGMA application_id = 0x5041524a;
PRAGMA user_version = 1;
INSERT INTO entry VALUES
(1, 'host-a', 1767225600123, 'inc-1', 'unit_intended', 1, '{\"a\":\"quote \\\" and é\",\"z\":[1,-2.5,null,true]}',
 zeroblob(32), x'b18cc368c846d11251219dcff406bf6abf2fee9aa08e7ba05a39945670f74176'),
(2, 'host-a', 1767225600123, NULL, 'unit_intended', 2, '{\"a\":\"quote \\\" and é\",\"z\":[1,-2.5,null,true]}',
 x'b18cc368c846d11251219dcff406bf6abf2fee9aa08e7ba05a39945670f74176',
 x'25b181f343a8c84fdc8c77cd06f482b87f112aa02d337d1e9750334200831a0f');
";

#[tokio::test]
async fn a_journal_of_schema_1_is_read_and_brought_up_to_date() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    sqlx::raw_sql(SCHEMA_1).execute(&mut raw(&path).await).await.unwrap();
    let (one, two) = tokio::join!(open(&path), open(&path));
    assert_eq!(one.of_incident("inc-1").await.unwrap().len(), 1);
    two.append(note(Some("inc-1"), json!({}))).await.unwrap();
    let found = one.verify().await.unwrap();
    assert_eq!((found.entries, found.broken), (3, None));

    // Nothing tells it from a new one.
    let new = folder.path().join("new.db");
    open(&new).await;
    let mut schemas = Vec::new();
    for path in [&path, &new] {
        let schema =
            "SELECT (SELECT user_version FROM pragma_user_version) || group_concat(sql) FROM sqlite_schema";
        let schema: String = sqlx::query_scalar(schema).fetch_one(&mut raw(path).await).await.unwrap();
        schemas.push(schema);
    }
    assert_eq!(schemas[0], schemas[1]);
    assert!(schemas[0].starts_with('2'), "{schemas:?}");
}

#[test]
fn blobs_are_read_in_every_form_that_was_written() {
    let folder = tempfile::tempdir().unwrap();
    let blobs = Blobs::open(folder.path()).unwrap();
    let content = "paramedic\n".repeat(500);
    let name = "92b3298b907d13ecdb39990131a6b9eb5001defe7f0fc363cd5695fa1c475f8b";
    // As the first program wrote every blob, whatever its length.
    fs::write(folder.path().join(name), &content).unwrap();
    assert_eq!(blobs.read(name.parse().unwrap(), 5000).unwrap(), content.as_bytes());
    // Compressed by zstd 1.5.7; it is read first.
    fs::write(folder.path().join(name), "damaged").unwrap();
    let compressed: &[u8] =
        b"\x28\xb5\x2f\xfd\x00\x58\x95\x00\x00\x50paramedic\n\x01\x00\x7b\xd3\xbe\x20\x01";
    fs::write(folder.path().join(format!("{name}.zst")), compressed).unwrap();
    assert_eq!(blobs.read(name.parse().unwrap(), 5000).unwrap(), content.as_bytes());
}

fn json_of(entry: &Entry) -> String {
    serde_json::to_string(entry).unwrap()
}
