//! Owns ranges of the journal of systemd as evidence: of the server's unit, and of everything in the last minutes, an entry of
//! JSON a line, with the cursors of the first and the last, so that anybody can ask the journal for the same range again. Not in
//! the export format: its fields have their lengths before them, which are wrong once a secret is hidden. The files of the journal
//! are read by ourselves, also those of a machine that is not running; `journalctl` is asked where that cannot be.
//!
//! The range is over when the collection began: what is written later is not in it, so asking twice gives the same.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use logs::journal::{self, Wanted};
use serde::{Deserialize, Serialize};

use super::Scene;
use super::command::{Said, find, run};
use super::hide::hide_text;
use super::out::Out;
use crate::bundle::Gathered;

/// Of everything: an incident begins some minutes before it is seen.
const MACHINE_MINUTES: i64 = 30;
/// Of the server's own unit.
const UNIT_HOURS: i64 = 24;
/// The newest of a range; an entry has about 1 KiB.
const ENTRIES_MAX: usize = 20_000;
const RANGE_BYTES_MAX: usize = 16 << 20;
const WITHIN: Duration = Duration::from_secs(8);

/// Of an entry what is needed of it here.
#[derive(Deserialize)]
struct Entry {
    #[serde(rename = "__CURSOR")]
    cursor: String,
}

/// Which range it is.
#[derive(Debug, Serialize)]
struct Range<'a> {
    item: &'a str,
    unit: Option<&'a str>,
    since_ms: i64,
    until_ms: i64,
    entries: usize,
    first_cursor: Option<String>,
    last_cursor: Option<String>,
    problem: Option<&'a str>,
}

pub(super) fn collect(scene: &Scene, out: &Out) {
    let since = |minutes: i64| scene.since_ms.unwrap_or(scene.now_ms - minutes * 60_000);
    for unit in &scene.subject.units {
        range(scene, out, Some(unit), since(UNIT_HOURS * 60));
    }
    range(scene, out, None, since(MACHINE_MINUTES));
}

fn range(scene: &Scene, out: &Out, unit: Option<&str>, since_ms: i64) {
    let item = match unit {
        Some(unit) => crate::manifest::plain_name("t1/journal/unit", unit.as_bytes()),
        None => "t1/journal/machine".to_owned(),
    };
    out.doing(format!("the journal of {}", unit.unwrap_or("the machine")));
    let said = match of_files(scene, out, unit, since_ms) {
        Some(said) => said,
        None => match by_program(scene, out, unit, since_ms) {
            Ok(said) => said,
            Err(why) => return out.give(Gathered::missing(item, why)),
        },
    };
    if said.bytes.is_empty() {
        let problem = said.problem.unwrap_or_else(|| "the journal has nothing of that time".to_owned());
        return out.give(Gathered::missing(item, problem));
    }
    let (entries, first_cursor, last_cursor) = cursors(&said.bytes);
    let range = Range {
        item: &item,
        unit,
        since_ms,
        until_ms: scene.now_ms,
        entries,
        first_cursor,
        last_cursor,
        problem: said.problem.as_deref(),
    };
    out.line("t1/journal/ranges.jsonl", &range);
    let (bytes, original_sha256) = hide_text(said.bytes);
    out.give(Gathered { problem: said.problem, original_sha256, ..Gathered::whole(item, bytes) });
}

/// What the files say, the newest where it is too much; `None` where there are none, or they have a form that only `journalctl`
/// knows.
fn of_files(scene: &Scene, out: &Out, unit: Option<&str>, since_ms: i64) -> Option<Said> {
    let files = journal::files(&scene.root);
    if files.is_empty() {
        return None;
    }
    let us = |ms: i64| u64::try_from(ms).unwrap_or(0).saturating_mul(1000);
    let wanted = Wanted {
        unit,
        since_us: Some(us(since_ms)),
        until_us: Some(us(scene.now_ms)),
        after: None,
        entries_max: ENTRIES_MAX,
        newest_first: true,
    };
    let until = Instant::now() + WITHIN;
    let go_on = || Instant::now() < until && !out.is_given_up();
    let (mut lines, mut bytes) = (Vec::new(), 0);
    let read = journal::read(&files, &wanted, go_on, |entry| {
        let mut line = String::new();
        entry.write_json(&mut line);
        bytes += line.len();
        lines.push(line);
        if bytes < RANGE_BYTES_MAX && go_on() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    let read = read.ok()?;
    lines.reverse();
    let problem = read.is_cut.then(|| format!("only the newest {} entries", read.entries));
    Some(Said { bytes: lines.concat().into_bytes(), problem })
}

fn by_program(scene: &Scene, out: &Out, unit: Option<&str>, since_ms: i64) -> Result<Said, String> {
    let path = find(scene, "journalctl").ok_or("there is no journal, and no program `journalctl`")?;
    let seconds = |ms: i64| format!("@{}.{:03}", ms.div_euclid(1000), ms.rem_euclid(1000));
    let (since, until) = (seconds(since_ms), seconds(scene.now_ms));
    let most = ENTRIES_MAX.to_string();
    let mut arguments =
        vec!["--no-pager", "--output=json", "--all", "--lines", &most, "--since", &since, "--until", &until];
    if let Some(unit) = unit {
        arguments.extend(["--unit", unit]);
    }
    run(&path, &arguments, WITHIN, out).map_err(|error| format!("`journalctl`: {error}"))
}

/// How many entries there are, and the cursors of the first and the last.
fn cursors(entries: &[u8]) -> (usize, Option<String>, Option<String>) {
    let lines: Vec<&[u8]> = entries.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).collect();
    let cursor = |line: &&[u8]| Some(serde_json::from_slice::<Entry>(line).ok()?.cursor);
    // The last line may have been cut off.
    (lines.len(), lines.iter().find_map(cursor), lines.iter().rev().find_map(cursor))
}

#[cfg(test)]
mod tests {
    use super::cursors;

    #[test]
    fn cursors_are_those_of_entries_and_not_of_what_they_say() {
        let entry = |cursor: &str| {
            format!("{{\"__CURSOR\":\"{cursor}\",\"MESSAGE\":\"__CURSOR\\\":\\\"forged\",\"X\":[0,255]}}\n")
        };
        let range = [entry("s=1"), entry("s=2"), entry("s=3")].concat();
        assert_eq!(cursors(range.as_bytes()), (3, Some("s=1".to_owned()), Some("s=3".to_owned())));
        let cut = &range.as_bytes()[..range.len() - 9];
        assert_eq!(cursors(cut), (3, Some("s=1".to_owned()), Some("s=2".to_owned())));
        assert_eq!(cursors(b"\xff\n{}\n"), (2, None, None));
        assert_eq!(cursors(b""), (0, None, None));
    }
}
