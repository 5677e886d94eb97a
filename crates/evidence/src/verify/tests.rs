//! Tests that whatever is done to a bundle is found and named.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use expect_test::{Expect, expect};
use tempfile::TempDir;

use crate::bundle::{End, Gathered, Writer};
use crate::custody::{self, Act};
use crate::key::SigningKey;
use crate::manifest::{FORMAT, Head, Line};
use crate::seal::State;
use crate::signed::Signed;
use crate::{Digest, archive};

use super::*;

fn key(number: u8) -> SigningKey {
    SigningKey::of_seed(&[number; 32])
}

fn head() -> Head {
    Head {
        format: FORMAT,
        server: Some("notes".to_owned()),
        incident: None,
        by: "root".to_owned(),
        host: Some("alpha".to_owned()),
        at_ms: 1_700_000_000_000,
        tiers: vec!["t0".to_owned()],
        place: None,
        since_ms: None,
    }
}

fn write(folder: &Path, sealing: SigningKey, end: Option<End>) -> Option<crate::Sealed> {
    let mut writer = Writer::begin(folder, head(), Arc::new(sealing)).unwrap();
    writer.take("processes", Gathered::whole("t0/processes.jsonl", "one\ntwo\n")).unwrap();
    writer.step_over("processes", 0, 5).unwrap();
    writer.take("network", Gathered::whole("t0/sockets.jsonl", vec![b'x'; 70_000])).unwrap();
    writer.take("network", Gathered::missing("t0/arp", "permission denied")).unwrap();
    writer.step_over("network", 5, 7).unwrap();
    writer.take("files", Gathered::whole("files/etc/hosts", "")).unwrap();
    end.map(|end| writer.finish(end, "root", 1_700_000_001_000).unwrap())
}

/// A bundle of three items and a gap, with two lines in its custody log.
fn bundle() -> (TempDir, PathBuf) {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("b");
    let sealed = write(&folder, key(1), Some(End::Complete)).unwrap();
    let act = Act {
        at_ms: 1_700_000_002_000,
        by: "ann".to_owned(),
        action: "exported to `/mnt/x`".to_owned(),
        before: Some(sealed.sha256),
        after: sealed.sha256,
    };
    custody::append(&folder, &key(1), act).unwrap();
    (place, folder)
}

#[track_caller]
fn check(alter: impl FnOnce(&Path), expect: &Expect) {
    let (_place, folder) = bundle();
    alter(&folder);
    let found = verify(&folder, key(1).public());
    let said: String = found.problems.iter().map(|problem| format!("{problem}\n")).collect();
    expect.assert_eq(&said);
}

fn edit(folder: &Path, name: &str, edit: impl FnOnce(String) -> String) {
    let path = folder.join(name);
    fs::write(&path, edit(fs::read_to_string(&path).unwrap())).unwrap();
}

/// The archive made anew of these items.
fn repack(folder: &Path, items: &[(&str, &[u8])]) {
    let mut frames: Vec<u8> =
        items.iter().flat_map(|(name, bytes)| archive::frame(name, bytes).unwrap()).collect();
    frames.extend(archive::end().unwrap());
    fs::write(folder.join(ARCHIVE), frames).unwrap();
}

const PROCESSES: (&str, &[u8]) = ("t0/processes.jsonl", b"one\ntwo\n");
const SOCKETS: (&str, &[u8]) = ("t0/sockets.jsonl", &[b'x'; 70_000]);
const HOSTS: (&str, &[u8]) = ("files/etc/hosts", b"");

#[test]
fn what_was_not_touched_is_sound() {
    let (_place, folder) = bundle();
    let found = verify(&folder, key(1).public());
    assert!(found.is_sound() && found.remarks.is_empty(), "{found:?}");
    assert_eq!(found.state, Some(State::Complete));
    assert_eq!((found.items.len(), found.missing[0].problem.as_str()), (3, "permission denied"));
    let said: Vec<_> =
        found.custody.iter().map(|entry| (entry.n, entry.by.as_str(), entry.action.as_str())).collect();
    assert_eq!(said, [(1, "root", "collected"), (2, "ann", "exported to `/mnt/x`")]);
    repack(&folder, &[PROCESSES, SOCKETS, HOSTS]);
    assert!(verify(&folder, key(1).public()).is_sound(), "packed the same way it is the same");
}

#[test]
fn the_same_evidence_has_the_same_bytes() {
    let place = tempfile::tempdir().unwrap();
    let made = ["a", "b"].map(|name| {
        let folder = place.path().join(name);
        let sealed = write(&folder, key(1), Some(End::Complete)).unwrap();
        let bytes = [ARCHIVE, MANIFEST, STEPS, SEAL].map(|name| fs::read(folder.join(name)).unwrap());
        (sealed.sha256, bytes)
    });
    assert!(made[0] == made[1]);
}

#[test]
fn items_that_were_altered_taken_out_put_in_or_moved() {
    check(
        |folder| repack(folder, &[PROCESSES, ("t0/sockets.jsonl", b"y"), HOSTS]),
        &expect![[r#"
            `t0/sockets.jsonl` was altered: its sum is a1fce4363854ff888cff4b8e7875d600c2682390412a8cf79b37d0b11148b0fa, sealed was bca09f4a757d5571c7d9f3341d4301f3c391c090826acc1a3013c6bcb7c01722
        "#]],
    );
    check(
        |folder| repack(folder, &[PROCESSES, HOSTS]),
        &expect![[r#"
            `t0/sockets.jsonl` is missing from items.tar.zst
        "#]],
    );
    check(
        |folder| repack(folder, &[PROCESSES, SOCKETS, ("t0/more", b"x"), HOSTS, HOSTS]),
        &expect![[r#"
            `t0/more` was added to items.tar.zst
            `files/etc/hosts` was added to items.tar.zst
        "#]],
    );
    check(
        |folder| repack(folder, &[SOCKETS, PROCESSES, HOSTS]),
        &expect![[r#"
            `t0/sockets.jsonl` is not in its place in items.tar.zst
            `t0/processes.jsonl` is not in its place in items.tar.zst
        "#]],
    );
    check(
        |folder| {
            let bytes = fs::read(folder.join(ARCHIVE)).unwrap();
            fs::write(
                folder.join(ARCHIVE),
                zstd::encode_all(zstd::decode_all(&*bytes).unwrap().as_slice(), 3).unwrap(),
            )
            .unwrap();
        },
        &expect![[r#"
            `t0/processes.jsonl` was altered: something stands behind `t0/processes.jsonl`
            `t0/sockets.jsonl` was altered: Unknown frame descriptor
            `files/etc/hosts` is missing from items.tar.zst
            `the end of the archive` is missing from items.tar.zst
        "#]],
    );
}

#[test]
fn every_flipped_bit_is_found() {
    let (_place, folder) = bundle();
    for name in [ARCHIVE, MANIFEST, STEPS, SEAL, CUSTODY, CUSTODY_LENGTH] {
        let whole = fs::read(folder.join(name)).unwrap();
        for at in (0..whole.len()).step_by(7) {
            let mut altered = whole.clone();
            altered[at] ^= 1 << (at % 8);
            fs::write(folder.join(name), altered).unwrap();
            let found = verify(&folder, key(1).public());
            assert!(!found.is_sound(), "byte {at} of {name}");
            let said = found.problems.iter().map(ToString::to_string).collect::<String>();
            let item =
                found.items.iter().find(|item| (item.at..item.at + item.frame_bytes).contains(&(at as u64)));
            if let Some(item) = item.filter(|_| name == ARCHIVE) {
                assert!(
                    said.contains(&item.name) || said.contains("`items.tar.zst` was altered"),
                    "{at}: {said}"
                );
            }
        }
        fs::write(folder.join(name), whole).unwrap();
    }
    assert!(verify(&folder, key(1).public()).is_sound());
}

#[test]
fn lines_of_the_manifest() {
    check(
        |folder| edit(folder, MANIFEST, |text| text.replace("permission denied", "not there")),
        &expect![[r#"
            `manifest.jsonl line 4 (t0/arp)` was altered: it is not the line that was sealed
        "#]],
    );
    let without = |n: usize| {
        move |text: String| {
            let lines = text.lines().enumerate().filter(|(at, _)| at + 1 != n);
            lines.map(|(_, line)| format!("{line}\n")).collect()
        }
    };
    check(
        |folder| edit(folder, MANIFEST, without(4)),
        &expect![[r#"
            `line 4 as it was sealed` is missing from manifest.jsonl
        "#]],
    );
    check(
        |folder| {
            edit(folder, MANIFEST, |text| {
                let mut lines: Vec<_> = text.lines().collect();
                lines.swap(1, 2);
                lines.join("\n") + "\n"
            });
        },
        &expect![[r#"
            `manifest.jsonl line 2 (t0/sockets.jsonl)` is not in its place in manifest.jsonl
            `manifest.jsonl line 3 (t0/processes.jsonl)` is not in its place in manifest.jsonl
            `t0/processes.jsonl` is not in its place in items.tar.zst
            `t0/sockets.jsonl` is not in its place in items.tar.zst
        "#]],
    );
}

#[test]
fn seals_of_others() {
    // Somebody alters an item and seals everything again with a key of their own.
    check(
        |folder| {
            fs::remove_dir_all(folder).unwrap();
            write(folder, key(2), Some(End::Complete));
        },
        &expect![[r#"
            sealed by the key 6a3803d5f059902a, which is not the one to check with, 34750f98bd59fcfc
            line 1 of the custody log: it was altered, or signed by another key
            `custody.json` is not sealed: it does not say, signed by this key, how long the custody log is
        "#]],
    );
    // The same, and they say that it is ours.
    check(
        |folder| {
            edit(folder, SEAL, |text| {
                let signed: Signed = serde_json::from_str(&text).unwrap();
                let seal: Seal = signed.read().unwrap();
                Signed::new(&seal, &key(2)).line()
            });
        },
        &expect![[r#"
            `seal.json` is not sealed: its signature is not that of what it says
        "#]],
    );
}

#[test]
fn the_custody_log() {
    check(
        |folder| edit(folder, CUSTODY, |text| text.lines().next().unwrap().to_owned() + "\n"),
        &expect![[r#"
            the custody log was cut off: 1 of 2 lines are left
        "#]],
    );
    check(
        |folder| edit(folder, CUSTODY, |text| text.lines().rev().map(|line| format!("{line}\n")).collect()),
        &expect![[r#"
            line 1 of the custody log: it was written as number 2
            line 2 of the custody log: it was written as number 1
            line 2 of the custody log: it is not the line that was sealed
        "#]],
    );
    check(
        |folder| edit(folder, CUSTODY, |text| text.replace("ann", "bob")),
        &expect![[r#"
            line 2 of the custody log: it was altered, or signed by another key
            line 2 of the custody log: it is not the line that was sealed
        "#]],
    );
    check(
        |folder| fs::remove_file(folder.join(CUSTODY)).unwrap(),
        &expect![[r#"
            `custody.jsonl` cannot be read: No such file or directory (os error 2)
            the custody log was cut off: 0 of 2 lines are left
        "#]],
    );
}

#[test]
fn what_is_no_bundle_at_all() {
    check(
        |folder| fs::write(folder.join("notes.txt"), "x").unwrap(),
        &expect![[r#"
            `notes.txt` was added to the bundle
        "#]],
    );
    check(
        |folder| {
            fs::remove_file(folder.join(ARCHIVE)).unwrap();
            rustix::fs::mknodat(
                rustix::fs::CWD,
                folder.join(ARCHIVE),
                rustix::fs::FileType::Fifo,
                rustix::fs::Mode::RUSR,
                0,
            )
            .unwrap();
        },
        &expect![[r#"
            `items.tar.zst` cannot be read: it is no regular file
        "#]],
    );
    let nothing = verify(Path::new("/nonexistent"), key(1).public());
    assert_eq!(nothing.problems.len(), 6, "{nothing:?}");
}

#[test]
fn what_is_cut_short_is_sealed_and_says_so() {
    let place = tempfile::tempdir().unwrap();
    let stopped = place.path().join("a");
    write(&stopped, key(1), Some(End::Interrupted("somebody pressed Ctrl-C".to_owned())));
    let found = verify(&stopped, key(1).public());
    assert!(found.is_sound(), "{found:?}");
    assert_eq!(
        (found.state, found.reason.as_deref()),
        (Some(State::Interrupted), Some("somebody pressed Ctrl-C"))
    );

    // Killed: what the last seal covers is sound, what came after it is said.
    let killed = place.path().join("b");
    write(&killed, key(1), None);
    let found = verify(&killed, key(1).public());
    assert!(found.is_sound(), "{found:?}");
    assert_eq!((found.state, found.items.len(), found.missing.len()), (Some(State::Collecting), 2, 1));
    assert_eq!(found.remarks.len(), 3, "{:?}", found.remarks);
    edit(&killed, MANIFEST, |text| text.replace("permission denied", "not there"));
    assert!(!verify(&killed, key(1).public()).is_sound());
}

#[test]
fn two_of_one_name_are_two_items() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("b");
    let mut writer = Writer::begin(&folder, head(), Arc::new(key(1))).unwrap();
    for text in ["one", "two"] {
        writer.take("x", Gathered::whole("same", text)).unwrap();
    }
    writer.finish(End::Complete, "root", 0).unwrap();
    let found = verify(&folder, key(1).public());
    assert!(found.is_sound(), "{found:?}");
    assert_eq!(found.items.iter().map(|item| item.name.as_str()).collect::<Vec<_>>(), ["same", "same~2"]);
    assert!(matches!(Writer::begin(&folder, head(), Arc::new(key(1))), Err(crate::Error::Exists { .. })));
}

/// The form that bundles have had since the first: whoever changes it gives it another number.
#[test]
fn the_form_is_the_one_that_was_sealed_before() {
    let (_place, folder) = bundle();
    let text = fs::read_to_string(folder.join(MANIFEST)).unwrap();
    expect![[r#"
        {"line":"bundle","format":1,"server":"notes","by":"root","host":"alpha","at_ms":1700000000000,"tiers":["t0"]}
        {"line":"item","name":"t0/processes.jsonl","step":"processes","bytes":8,"sha256":"c3f9c8c283a2b1f2f1896f27a01cbe3cddc0c9d93f752e4639035a0f5b36f6e8","at":0,"frame_bytes":102}
        {"line":"item","name":"t0/sockets.jsonl","step":"network","bytes":70000,"sha256":"bca09f4a757d5571c7d9f3341d4301f3c391c090826acc1a3013c6bcb7c01722","at":102,"frame_bytes":103}
        {"line":"missing","name":"t0/arp","step":"network","problem":"permission denied"}
        {"line":"item","name":"files/etc/hosts","step":"files","bytes":0,"sha256":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","at":205,"frame_bytes":87}
    "#]].assert_eq(&text);
    let (lines, odd) = Line::read_all(&text);
    assert_eq!((lines.len(), odd.len()), (5, 0));
    assert_eq!(Digest::of(text.as_bytes()), verify(&folder, key(1).public()).sha256.unwrap());
}
