//! Tests searching: filters over mixed formats, rotated files, several logs, and what is no log.

use std::fs;

use super::{Filter, Merged, Search};
use crate::level::Level;
use crate::pattern::Pattern;

const MIXED: &str = "\
2026-01-01 00:00:00,000 - INFO - begun
{\"ts\":\"2026-01-01T00:01:00Z\",\"level\":\"warning\",\"server\":\"b\",\"message\":\"slow\"}
2026-01-01 00:02:00,000 - ERROR - failed
Traceback (most recent call last):
  File \"x.py\"
Jan  1 00:03:00 host x: all is well
";

fn utc(time: chrono::NaiveDateTime) -> i64 {
    time.and_utc().timestamp_millis()
}

fn at(text: &str) -> Option<i64> {
    Some(chrono::DateTime::parse_from_rfc3339(text).unwrap().timestamp_millis())
}

/// The last word of each line that is found, and what was in the way.
fn found(search: &mut Search<'_>) -> (Vec<String>, Vec<String>) {
    let words = search.by_ref().map(|entry| entry.message.rsplit(' ').next().unwrap_or_default().to_owned());
    (words.collect(), search.take_notes())
}

#[track_caller]
fn check(text: &str, filter: Filter, expect: &[&str]) {
    let now_ms = at("2026-02-01T00:00:00Z").unwrap();
    let from = Box::new(std::io::Cursor::new(text.to_owned()));
    let (words, _) = found(&mut Search::stream(from, "x", &filter, utc, now_ms));
    assert_eq!(words, expect, "{filter:?}");
}

#[test]
fn filters_over_mixed_formats() {
    let all = ["begun", "slow", "failed", "last):", "\"x.py\"", "well"];
    check(MIXED, Filter::default(), &all);
    // What goes on with an error belongs to it.
    check(MIXED, Filter { level: Some(Level::Error), ..Filter::default() }, &all[2..5]);
    check(MIXED, Filter { level: Some(Level::Warning), ..Filter::default() }, &all[1..5]);
    check(MIXED, Filter { since_ms: at("2026-01-01T00:01:30Z"), ..Filter::default() }, &all[2..]);
    check(MIXED, Filter { until_ms: at("2026-01-01T00:01:00Z"), ..Filter::default() }, &all[..2]);
    let server = Some("a".to_owned());
    check(MIXED, Filter { server, ..Filter::default() }, &["begun", "failed", "last):", "\"x.py\"", "well"]);
    let pattern = || Some(Pattern::literal("x.py"));
    check(
        MIXED,
        Filter { pattern: pattern(), level: Some(Level::Error), ..Filter::default() },
        &["\"x.py\""],
    );
    let since_ms = at("2026-01-01T00:02:30Z");
    check(MIXED, Filter { pattern: pattern(), since_ms, ..Filter::default() }, &[]);
}

#[test]
fn what_is_in_the_way_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.log");
    let filter = Filter::default();
    let notes = |filter: &Filter| found(&mut Search::log(&path, filter, utc, 0));
    assert!(notes(&filter).1[0].contains("not found"));
    fs::write(&path, "a\0b").unwrap();
    assert!(notes(&filter).1[0].contains("binary"));
    fs::write(&path, "one\ntwo\n").unwrap();
    fs::write(folder.path().join("x.log.1.gz"), [0x1f, 0x8b, 8, 0]).unwrap();
    let (words, told) = notes(&filter);
    assert_eq!((words, told.len()), (vec!["one".to_owned(), "two".to_owned()], 1), "{told:?}");
    let timed = Filter { since_ms: Some(0), ..Filter::default() };
    let (words, told) = notes(&timed);
    assert!(words.is_empty() && told.iter().any(|note| note.starts_with("2 lines say no time")), "{told:?}");
    // What was written last before that is not read at all.
    let later = Filter { since_ms: Some(i64::MAX), ..Filter::default() };
    assert_eq!(notes(&later).1.len(), 0);
    let long = format!("{}\nend\n", "x".repeat(3 << 20));
    fs::write(&path, long).unwrap();
    fs::remove_file(folder.path().join("x.log.1.gz")).unwrap();
    let (words, told) = notes(&filter);
    assert_eq!((words[0].len(), words[1].as_str(), told.len()), (1 << 20, "end", 1));
    assert!(told[0].contains("longer than 1 MiB"));
}

#[test]
fn rotated_and_several_logs_are_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let line = |second: u32, word: &str| format!("2026-01-01T00:00:{second:02}Z INFO {word}\n");
    fs::write(path("a.log"), line(5, "five") + "more\n").unwrap();
    fs::write(path("a.log.1"), line(3, "three")).unwrap();
    fs::write(path("a.log.2.zst"), zstd::encode_all(line(1, "one").as_bytes(), 1).unwrap()).unwrap();
    fs::write(path("b.log"), line(2, "two") + &line(6, "six")).unwrap();
    let filter = Filter::default();
    let logs = ["a.log", "b.log"].map(|name| Search::log(&path(name), &filter, utc, 0));
    let mut merged = Merged::new(logs.into());
    let words: Vec<_> = merged.by_ref().map(|entry| entry.message.replace("INFO ", "")).collect();
    assert_eq!(words, ["one", "two", "three", "five", "more", "six"]);
    assert_eq!(merged.logs().flat_map(Search::take_notes).count(), 0);
}
