//! Tests that the stored forms stay what they were: a journal is read for years.

use expect_test::expect;
use journal::{Digest, Draft, Entry};
use serde_json::json;

use crate::open;

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

fn json_of(entry: &Entry) -> String {
    serde_json::to_string(entry).unwrap()
}
