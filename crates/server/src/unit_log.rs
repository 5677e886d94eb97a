//! Owns what a server has said that speaks to the journal of systemd: the lines of its unit, in the form of a guard's log.

use std::collections::VecDeque;
use std::io::Cursor;

use chrono::{DateTime, NaiveDateTime, SecondsFormat};
use logs::{Entry, Filter, Search, redact};
use serde_json::{Value, json};
use systemd::journal::{Line, Wanted};
use systemd::{Journal, UnitName};
use tokio::sync::Semaphore;

/// Lines that are read of a journal, the newest: they are held at once.
const LINES_MAX: u32 = 20_000;

/// Readings at once: each may start a program.
static READINGS: Semaphore = Semaphore::const_new(2);

/// Lines that were found.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// The last of those that are wanted, in their order.
    pub(crate) lines: Vec<Entry>,
    /// Whether there are others before them.
    pub(crate) is_cut: bool,
    /// What was in the way.
    pub(crate) notes: Vec<String>,
}

/// The last lines of a unit that are wanted, `most` at most.
///
/// # Errors
/// When the journal cannot be read.
pub(crate) async fn search(
    journal: &Journal,
    server: &str,
    unit: &UnitName,
    filter: &Filter,
    most: usize,
    now_ms: i64,
) -> Result<Found, systemd::Error> {
    // It is never closed.
    let _turn = READINGS.acquire().await.ok();
    let (since_ms, until_ms) = (filter.since_ms, filter.until_ms);
    let wanted = Wanted { lines_max: LINES_MAX, since_ms, until_ms, after: None };
    let read = journal.read(unit, &wanted).await?;
    let text: String = read.lines.iter().map(|line| document(server, line).to_string() + "\n").collect();
    let mut search = Search::stream(Box::new(Cursor::new(text)), unit.as_str(), filter, utc, now_ms);
    let (mut lines, mut is_cut): (VecDeque<Entry>, bool) = (VecDeque::new(), false);
    for mut entry in search.by_ref() {
        if lines.len() == most {
            lines.pop_front();
            is_cut = true;
        }
        redact::entry(&mut entry);
        lines.push_back(entry);
    }
    let looked = format!("looked at were the newest {} lines of the journal of {unit}", read.lines.len());
    let notes = read.remark.into_iter().chain(read.is_cut.then_some(looked));
    Ok(Found { lines: lines.into(), is_cut: is_cut || read.is_cut, notes: notes.collect() })
}

/// A line of the journal in the form of a guard's log, as far as there is something to say.
pub fn document(server: &str, line: &Line) -> Value {
    let time = DateTime::from_timestamp_millis(line.at_ms).unwrap_or_default();
    json!({
        "ts": time.to_rfc3339_opts(SecondsFormat::Millis, true),
        "level": level(line),
        "server": server,
        "event": "system",
        "message": line.message,
        "identifier": line.identifier,
        "pid": line.pid,
    })
}

/// The level of a priority as syslog counts them.
pub fn level(line: &Line) -> &'static str {
    match line.priority {
        Some(0..=3) => "error",
        Some(4) => "warning",
        _ => "info",
    }
}

/// Our lines have their zone.
fn utc(time: NaiveDateTime) -> i64 {
    time.and_utc().timestamp_millis()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use logs::{Level, Pattern};

    use super::*;

    /// A `journalctl` that says these lines, whatever it is asked.
    fn saying(folder: &std::path::Path, lines: &str) -> Journal {
        let program = folder.join("journalctl");
        fs::write(&program, format!("#!/bin/sh\ncat <<'END'\n{lines}END\n")).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        Journal { program, only_program: true, ..Journal::default() }
    }

    fn line(number: u32, priority: u8, message: &str) -> String {
        format!(
            "{{\"__REALTIME_TIMESTAMP\":\"17958000{number:02}000000\",\"PRIORITY\":\"{priority}\",\"MESSAGE\":\"{message}\",\
             \"_SYSTEMD_UNIT\":\"notes.service\",\"_PID\":\"7\",\"SYSLOG_IDENTIFIER\":\"node\",\"__CURSOR\":\"c{number}\"}}\n"
        )
    }

    #[tokio::test]
    async fn the_last_lines_of_a_unit_that_are_wanted() {
        let folder = tempfile::tempdir().unwrap();
        let said = [(1, 6, "started"), (2, 3, "no room"), (3, 3, "password=hunter2"), (4, 6, "no more")];
        // It is asked for the newest first.
        let newest = said.iter().rev();
        let text: String =
            newest.map(|(number, priority, message)| line(*number, *priority, message)).collect();
        let journal = saying(folder.path(), &text);
        let unit: UnitName = "notes.service".parse().unwrap();
        let messages = |found: &Found| found.lines.iter().map(|one| one.message.clone()).collect::<Vec<_>>();
        let all = search(&journal, "notes", &unit, &Filter::default(), 3, 0).await.unwrap();
        assert_eq!((all.lines.len(), all.is_cut, all.lines[2].message.as_str()), (3, true, "no more"));
        assert!(!format!("{all:?}").contains("hunter2"), "{all:?}");
        let errors = Filter { level: Some(Level::Error), ..Filter::default() };
        let found = search(&journal, "notes", &unit, &errors, 10, 0).await.unwrap();
        assert_eq!((messages(&found).len(), found.is_cut), (2, false), "{found:?}");
        let of_text = Filter { pattern: Some(Pattern::literal("no ")), ..Filter::default() };
        let found = search(&journal, "notes", &unit, &of_text, 10, 0).await.unwrap();
        assert_eq!(messages(&found), ["no room", "no more"]);
        let gone = Journal { program: folder.path().join("none"), ..journal };
        assert!(search(&gone, "notes", &unit, &errors, 10, 0).await.is_err());
    }
}
