//! Tests over journals that systemd 252 has written, in its two forms, and what its `journalctl` said of them: everything, and one
//! unit's share.

use std::cell::Cell;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use serde_json::Value;

use super::{Cursor, Entry, Error, Read, Wanted, files, files_in, read};

const REGULAR: &[u8] = include_bytes!("samples/regular.journal.zst");
const COMPACT: &[u8] = include_bytes!("samples/compact.journal.zst");
const ALL: &[u8] = include_bytes!("samples/all.json.zst");
const OF_UNIT: &[u8] = include_bytes!("samples/unit.json.zst");
const UNIT: &str = "mcp-server-mem.service";
/// The file is 8 MiB, and its end is empty.
const USED_BYTES: usize = 600_000;

fn unpacked(bytes: &[u8]) -> Vec<u8> {
    zstd::decode_all(bytes).unwrap()
}

fn written(folder: &Path, name: &str, packed: &[u8]) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, unpacked(packed)).unwrap();
    path
}

fn entries(paths: &[PathBuf], wanted: &Wanted<'_>) -> (Vec<Entry>, Read) {
    let mut found = Vec::new();
    let read = read(
        paths,
        wanted,
        || true,
        |entry| {
            found.push(entry.clone());
            ControlFlow::Continue(())
        },
    );
    (found, read.unwrap())
}

/// Documents without their cursor, which has the name of the file in it.
fn documents(entries: &[Entry]) -> Vec<Value> {
    let document = |entry: &Entry| {
        let mut line = String::new();
        entry.write_json(&mut line);
        assert!(line.ends_with("}\n") && !line.trim_end().contains('\n'), "{line}");
        without_cursor(&line)
    };
    entries.iter().map(document).collect()
}

fn without_cursor(line: &str) -> Value {
    let mut value: Value = serde_json::from_str(line).unwrap();
    let cursor = value.as_object_mut().unwrap().remove("__CURSOR").unwrap();
    let cursor = cursor.as_str().unwrap();
    assert_eq!(Cursor::parse(cursor).unwrap().to_string(), cursor);
    value
}

fn expected(packed: &[u8]) -> Vec<Value> {
    String::from_utf8(unpacked(packed)).unwrap().lines().map(without_cursor).collect()
}

#[test]
fn what_journalctl_says_of_both_forms() {
    let folder = tempfile::tempdir().unwrap();
    for (name, packed) in [("a.journal", REGULAR), ("b.journal", COMPACT)] {
        let paths = [written(folder.path(), name, packed)];
        let wanted = Wanted { entries_max: 1000, ..Wanted::default() };
        assert_eq!(documents(&entries(&paths, &wanted).0), expected(ALL), "{name}");
        let wanted = Wanted { unit: Some(UNIT), ..wanted };
        let (found, read) = entries(&paths, &wanted);
        assert_eq!(documents(&found), expected(OF_UNIT), "{name}");
        assert_eq!(read, Read { entries: found.len(), is_cut: false });
        let nobody = Wanted { unit: Some("mcp-server-me.service"), ..wanted };
        assert_eq!(entries(&paths, &nobody).1, Read::default());
    }
    // Both have the same entries, which is what journald leaves behind at times.
    let paths = files_in(folder.path());
    assert_eq!(paths.len(), 2);
    let wanted = Wanted { entries_max: 1000, ..Wanted::default() };
    assert_eq!(documents(&entries(&paths, &wanted).0), expected(ALL));
}

#[test]
fn the_newest_a_time_and_a_place() {
    let folder = tempfile::tempdir().unwrap();
    let paths = [written(folder.path(), "a.journal", COMPACT)];
    let wanted = Wanted { unit: Some(UNIT), entries_max: 1000, ..Wanted::default() };
    let all = entries(&paths, &wanted).0;
    let places = |entries: &[Entry]| entries.iter().map(Entry::cursor).collect::<Vec<_>>();
    let check = |wanted: &Wanted<'_>, expect: &[Entry], is_cut: bool| {
        let (found, read) = entries(&paths, wanted);
        assert_eq!((places(&found), read.is_cut), (places(expect), is_cut), "{wanted:?}");
    };
    let last = all.len() - 1;
    check(&Wanted { entries_max: 2, ..wanted.clone() }, &all[last - 1..], true);
    check(&Wanted { entries_max: all.len(), ..wanted.clone() }, &all, false);
    let middle = all[last / 2].realtime_us();
    check(&Wanted { since_us: Some(middle), ..wanted.clone() }, &all[last / 2..], false);
    check(&Wanted { since_us: Some(middle + 1), ..wanted.clone() }, &all[last / 2 + 1..], false);
    check(&Wanted { until_us: Some(middle), ..wanted.clone() }, &all[..=last / 2], false);
    check(&Wanted { until_us: Some(0), ..wanted.clone() }, &[], false);
    check(&Wanted { since_us: Some(u64::MAX), ..wanted.clone() }, &[], false);
    for (number, entry) in all.iter().enumerate() {
        let cursor = Cursor::parse(&entry.cursor().to_string()).unwrap();
        let next = Wanted { after: Some(&cursor), ..wanted.clone() };
        check(&next, &all[number + 1..], false);
        let is_cut = number + 2 < all.len();
        let one = all.get(number + 1..number + 2).unwrap_or_default();
        check(&Wanted { entries_max: 1, ..next }, one, is_cut);
    }
    // Who has enough says so, also while places are looked for.
    let enough = read(&paths, &wanted, || true, |_| ControlFlow::Break(())).unwrap();
    assert_eq!(enough, Read { entries: 1, is_cut: true });
    let none = read(&paths, &wanted, || false, |_| ControlFlow::Continue(())).unwrap();
    assert_eq!(none, Read { entries: 0, is_cut: true });
}

#[test]
fn what_is_not_known_is_left_to_others() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.journal");
    let check = |change: &dyn Fn(&mut Vec<u8>), what: &str| {
        let mut bytes = unpacked(COMPACT);
        change(&mut bytes);
        std::fs::write(&path, bytes).unwrap();
        let wanted = Wanted { entries_max: 9, ..Wanted::default() };
        let error = read(std::slice::from_ref(&path), &wanted, || true, |_| ControlFlow::Continue(()));
        match error.unwrap_err() {
            Error::Unknown { what: said, .. } => assert!(said.contains(what), "{said}"),
            other => panic!("{other}"),
        }
    };
    check(&|bytes| bytes.truncate(100), "no header");
    check(&|bytes| bytes[0] = b'X', "no journal");
    check(&|bytes| bytes[12] &= !4, "no key");
    check(&|bytes| bytes[12] |= 32, "newer");
    check(&|bytes| bytes[12] |= 2, "LZ4");
    let gone = [folder.path().join("gone.journal")];
    let read = read(&gone, &Wanted::default(), || true, |_| ControlFlow::Continue(()));
    assert_eq!(read.unwrap(), Read::default(), "it was thrown away meanwhile");
}

#[test]
fn where_journals_are() {
    let root = tempfile::tempdir().unwrap();
    let make = |name: &str| {
        let path = root.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, "").unwrap();
        path
    };
    assert!(files(root.path()).is_empty());
    let other = make("var/log/journal/other/system.journal");
    let own = make("var/log/journal/id/system.journal");
    let broken = make("var/log/journal/id/user-1000@1.journal~");
    let volatile = make("run/log/journal/id/system.journal");
    make("var/log/journal/id/system.journal.tmp");
    assert_eq!(files(root.path()), [own.clone(), broken.clone(), other, volatile.clone()]);
    std::fs::create_dir_all(root.path().join("etc")).unwrap();
    std::fs::write(root.path().join("etc/machine-id"), "id\n").unwrap();
    assert_eq!(files(root.path()), [own, broken, volatile]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(debug_assertions) { 48 } else { 500 }))]

    /// Whatever is in the file, and wherever it ends: it is read to an end, and no entry is there twice.
    #[test]
    fn a_damaged_file(
        is_compact: bool,
        flips in prop::collection::vec((208..USED_BYTES, any::<u8>()), 0..200),
        numbers in prop::collection::vec((26..USED_BYTES / 8, 0..USED_BYTES as u64), 0..50),
        cut in prop::option::of(208..USED_BYTES),
        unit: bool,
    ) {
        let mut bytes = unpacked(if is_compact { COMPACT } else { REGULAR });
        for (at, byte) in flips {
            bytes[at] = byte;
        }
        for (at, number) in numbers {
            bytes[at * 8..at * 8 + 8].copy_from_slice(&(number / 8 * 8).to_le_bytes());
        }
        bytes.truncate(cut.unwrap_or(usize::MAX));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.journal");
        std::fs::write(&path, bytes).unwrap();
        let wanted = Wanted { unit: unit.then_some(UNIT), entries_max: 1000, ..Wanted::default() };
        let steps = Cell::new(0);
        let go_on = || {
            steps.set(steps.get() + 1);
            steps.get() < 100_000
        };
        let mut line = String::new();
        let read = read(&[path], &wanted, go_on, |entry| {
            entry.write_json(&mut line);
            ControlFlow::Continue(())
        });
        prop_assert!(read.unwrap().entries <= 1000 && steps.get() < 100_000);
        prop_assert!(line.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()));
    }
}
