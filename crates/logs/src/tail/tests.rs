//! Tests reading the end of a log.

use std::fs::{self, File};
use std::io::{Seek as _, SeekFrom, Write as _};

use crate::{CHUNK_BYTES, LINE_BYTES_MAX, Line};

use super::{BYTES_MAX, Tail, Wanted, tail, tail_within};

fn wanted(lines_max: usize) -> Wanted {
    Wanted { lines_max, since_ms: None }
}

/// Reads a log of these files, the newest first.
fn of(files: &[&str], wanted: Wanted) -> Tail {
    let folder = tempfile::tempdir().unwrap();
    for (number, text) in files.iter().enumerate() {
        let name = if number == 0 { "x.log".to_owned() } else { format!("x.log.{number}") };
        fs::write(folder.path().join(name), text).unwrap();
    }
    tail(&folder.path().join("x.log"), wanted).unwrap()
}

fn texts(tail: &Tail) -> Vec<String> {
    tail.lines.iter().map(Line::text).collect()
}

#[test]
fn the_newest_lines_win() {
    #[track_caller]
    fn check(files: &[&str], lines_max: usize, expect: &[&str], unfinished: Option<&str>, is_cut: bool) {
        let tail = of(files, wanted(lines_max));
        assert_eq!(texts(&tail), expect, "{files:?}");
        assert_eq!(tail.unfinished.map(|line| line.text()).as_deref(), unfinished, "{files:?}");
        assert_eq!(tail.is_cut, is_cut, "{files:?}");
    }
    check(&[], 9, &[], None, false);
    check(&[""], 9, &[], None, false);
    check(&["a\nb\nc\n"], 9, &["a", "b", "c"], None, false);
    check(&["a\nb\nc\n"], 2, &["b", "c"], None, true);
    check(&["a\nb\nc\n"], 3, &["a", "b", "c"], None, false);
    check(&["a\nb\nhal"], 9, &["a", "b"], Some("hal"), false);
    check(&["hal"], 9, &[], Some("hal"), false);
    check(&["a\n\n"], 9, &["a", ""], None, false);
    check(&["\na\n"], 9, &["", "a"], None, false);
    // Over the rotated ones; what is not finished there never will be.
    check(&["c\n", "b\n", "a\n"], 9, &["a", "b", "c"], None, false);
    check(&["c\n", "b\n", "a\n"], 2, &["b", "c"], None, true);
    check(&["", "b\ntorn", "a\n"], 2, &["b", "torn"], None, true);
    check(&["c\n", "", "a\n"], 9, &["a", "c"], None, false);
}

#[test]
fn lines_longer_than_what_is_read_at_once() {
    for length in [CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES + 7] {
        let long = "y".repeat(length);
        let tail = of(&[&format!("a\n{long}\nb\n")], wanted(9));
        assert_eq!(texts(&tail), ["a", &long, "b"], "{length}");
    }
    let tail = of(&[&format!("a\n{}\nb\n", "z".repeat(LINE_BYTES_MAX + 9))], wanted(9));
    assert_eq!(tail.lines[1].bytes.len(), LINE_BYTES_MAX);
    assert_eq!(tail.lines.len(), 3);
}

#[test]
fn nothing_from_before_a_moment() {
    let line = |second: u32| format!("{{\"ts\":\"1970-01-01T00:00:{second:02}.000Z\"}}");
    let [one, two, three] = [1, 2, 3].map(line);
    let rotated = format!("{one}\nof one\n{two}\nof two\n");
    let newest = format!("{three}\nof three\n");
    let of_since = |since_ms| {
        texts(&of(&[&newest, &rotated], Wanted { lines_max: 9, since_ms: Some(since_ms) }))
            .iter()
            .map(|text| text.replace(&one, "1").replace(&two, "2").replace(&three, "3"))
            .collect::<Vec<_>>()
            .join(" ")
    };
    for (since_ms, expect) in [
        (0, "1 of one 2 of two 3 of three"),
        (1000, "1 of one 2 of two 3 of three"),
        (1001, "2 of two 3 of three"),
        (3000, "3 of three"),
        (3001, ""),
    ] {
        assert_eq!(of_since(since_ms), expect, "since {since_ms}");
    }
    let few = of(&[&newest, &rotated], Wanted { lines_max: 2, since_ms: Some(3000) });
    assert!(!few.is_cut, "what is older is not wanted");
}

#[test]
fn a_giant_is_read_from_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.log");
    // A hole takes no space on the disk, and whoever read all of it would take minutes.
    let mut file = File::create(&path).unwrap();
    file.seek(SeekFrom::Start(100 << 30)).unwrap();
    file.write_all(b"\na\nb\n").unwrap();
    let tail = tail(&path, wanted(2)).unwrap();
    assert_eq!((texts(&tail), tail.is_cut), (vec!["a".to_owned(), "b".to_owned()], true));
}

#[test]
fn what_is_held_is_bounded() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.log");
    fs::write(&path, "0123456789\n".repeat(100)).unwrap();
    let cut = tail_within(&path, wanted(usize::MAX), 55).unwrap();
    assert_eq!((cut.lines.len(), cut.is_cut), (5, true));
    let whole = tail_within(&path, wanted(usize::MAX), BYTES_MAX).unwrap();
    assert_eq!((whole.lines.len(), whole.is_cut), (100, false));
}

#[test]
fn what_is_no_text_stays_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.log");
    fs::write(&path, b"\xff\xfe\n").unwrap();
    assert_eq!(tail(&path, wanted(1)).unwrap().lines[0].bytes, b"\xff\xfe");
    assert!(tail(folder.path(), wanted(1)).is_err(), "a folder is no log");
}

#[test]
fn a_fifo_is_refused_and_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.log");
    rustix::fs::mkfifoat(rustix::fs::CWD, &path, rustix::fs::Mode::RWXU).unwrap();
    let error = tail(&path, Wanted { lines_max: 1, since_ms: None }).unwrap_err();
    assert!(error.to_string().contains("FIFO"), "{error}");
}
