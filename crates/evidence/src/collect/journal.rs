//! Owns ranges of the journal of systemd as evidence: of the server's unit, and of everything in the last minutes, an entry of
//! JSON a line, with the cursors of the first and the last, so that anybody can ask the journal for the same range again. Not in
//! the export format: its fields have their lengths before them, which are wrong once a secret is hidden.
//!
//! The range is over when the collection began: what is written later is not in it, so asking twice gives the same.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Scene;
use super::command::{find, run};
use super::hide::hide_text;
use super::out::Out;
use crate::bundle::Gathered;

/// Of everything: an incident begins some minutes before it is seen.
const MACHINE_MINUTES: i64 = 30;
/// Of the server's own unit.
const UNIT_HOURS: i64 = 24;
/// The newest of a range; an entry has about 1 KiB.
const ENTRIES_MAX: &str = "20000";
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
    let hours_ms = UNIT_HOURS * 3_600_000;
    for unit in &scene.subject.units {
        range(scene, out, Some(unit), scene.now_ms - hours_ms);
    }
    range(scene, out, None, scene.now_ms - MACHINE_MINUTES * 60_000);
}

fn range(scene: &Scene, out: &Out, unit: Option<&str>, since_ms: i64) {
    let item = match unit {
        Some(unit) => crate::manifest::plain_name("t1/journal/unit", unit.as_bytes()),
        None => "t1/journal/machine".to_owned(),
    };
    let Some(path) = find(scene, "journalctl") else {
        out.give(Gathered::missing(item, "there is no program `journalctl`"));
        return;
    };
    out.doing(format!("the journal of {}", unit.unwrap_or("the machine")));
    let seconds = |ms: i64| format!("@{}.{:03}", ms.div_euclid(1000), ms.rem_euclid(1000));
    let (since, until) = (seconds(since_ms), seconds(scene.now_ms));
    let mut arguments = vec![
        "--no-pager",
        "--output=json",
        "--all",
        "--lines",
        ENTRIES_MAX,
        "--since",
        &since,
        "--until",
        &until,
    ];
    if let Some(unit) = unit {
        arguments.extend(["--unit", unit]);
    }
    match run(&path, &arguments, WITHIN, out) {
        Err(error) => out.give(Gathered::missing(item, format!("`journalctl`: {error}"))),
        Ok(said) if said.bytes.is_empty() => {
            let problem = said.problem.unwrap_or_else(|| "the journal has nothing of that time".to_owned());
            out.give(Gathered::missing(item, problem));
        }
        Ok(said) => {
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
    }
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
