//! Owns reading sign-ins of a time: from the journal, whose fields the system itself writes, and from the logs of syslog.

use std::ops::ControlFlow;
use std::path::Path;
use std::time::{Duration, Instant};

use logs::journal::{self, Entry, Wanted};
use logs::{Filter, LocalTime, Search};

use crate::event::{Event, classify};

/// Where syslog keeps them: Debian's name, and that of Red Hat.
const LOGS: [&str; 2] = ["var/log/auth.log", "var/log/secure"];
/// A machine that is guessed at for a day has some hundred thousand lines; the newest are kept.
const EVENTS_MAX: usize = 50_000;
const ENTRIES_MAX: usize = 500_000;
const WITHIN: Duration = Duration::from_secs(20);

/// The sign-ins of a time.
#[derive(Debug, Default)]
pub struct Events {
    /// What was found, oldest first.
    pub found: Vec<Event>,
    /// What could not be read, a sentence each.
    pub gaps: Vec<String>,
}

/// Reads who came in, or tried, since then: in the journal below `root` (`/` for this machine), and in the logs where there is
/// none. `local` is the moment of a time without a zone. Blocks for as long as 20 seconds where there is very much.
pub fn events(root: &Path, since_ms: i64, now_ms: i64, local: LocalTime) -> Events {
    let mut events = Events::default();
    let began = Instant::now();
    events.of_journal(root, since_ms, began);
    // Both are fed by the same lines.
    if events.found.is_empty() {
        for log in LOGS {
            events.of_log(&root.join(log), since_ms, now_ms, local, began);
        }
    }
    if events.found.is_empty() && events.gaps.is_empty() && !LOGS.iter().any(|log| root.join(log).exists()) {
        events.gaps.push("neither a journal nor a log of sign-ins is here".to_owned());
    }
    events.found.sort_by_key(|event| event.at_ms);
    events
}

// === impl Events ===

impl Events {
    fn of_journal(&mut self, root: &Path, since_ms: i64, began: Instant) {
        let files = journal::files(root);
        if files.is_empty() {
            return;
        }
        let wanted = Wanted {
            since_us: u64::try_from(since_ms.max(0)).ok().and_then(|ms| ms.checked_mul(1000)),
            entries_max: ENTRIES_MAX,
            newest_first: true,
            ..Wanted::default()
        };
        let in_time = || began.elapsed() < WITHIN;
        let read = journal::read(&files, &wanted, in_time, |entry| {
            self.found.extend(of_entry(entry));
            if self.found.len() < EVENTS_MAX && in_time() {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(())
            }
        });
        match read {
            Ok(read) if read.is_cut || self.found.len() >= EVENTS_MAX || !in_time() => {
                self.gaps.push(format!("of the journal only the newest {} entries were read", read.entries));
            }
            Ok(_) => {}
            Err(error) => self.gaps.push(format!("the journal could not be read: {error}")),
        }
    }

    fn of_log(&mut self, path: &Path, since_ms: i64, now_ms: i64, local: LocalTime, began: Instant) {
        if !path.exists() {
            return;
        }
        let filter = Filter { since_ms: Some(since_ms), ..Filter::default() };
        let name = path.display().to_string();
        let mut search = Search::log(path, &filter, local, now_ms);
        for entry in search.by_ref() {
            if began.elapsed() > WITHIN {
                self.gaps.push(format!("`{name}` was not read to its end within {WITHIN:?}"));
                break;
            }
            let Some((program, message)) = of_syslog(&entry.message) else { continue };
            self.found.extend(classify(entry.at_ms.unwrap_or(now_ms), &name, program, message));
        }
        self.gaps.extend(search.take_notes());
        if self.found.len() > EVENTS_MAX {
            self.found.drain(..self.found.len() - EVENTS_MAX);
            self.gaps.push(format!("of `{name}` only the newest {EVENTS_MAX} events were kept"));
        }
    }
}

/// An entry of the journal. Anybody may write one that says it comes from `sshd`: what the kernel knows of its writer counts.
fn of_entry(entry: &Entry) -> Option<Event> {
    let text = |name| entry.field(name).map(String::from_utf8_lossy);
    let program = text("SYSLOG_IDENTIFIER").or_else(|| text("_COMM"))?;
    if text("_UID")? != "0" {
        // `sudo` and `su` run as root for whoever starts them, and say so as root.
        return None;
    }
    let at_ms = i64::try_from(entry.realtime_us() / 1000).ok()?;
    classify(at_ms, "journal", &program, &text("MESSAGE")?)
}

/// `HOST PROGRAM[PID]: MESSAGE`, as it stands behind the time.
fn of_syslog(line: &str) -> Option<(&str, &str)> {
    let (head, message) = line.split_once(": ")?;
    let program = head.rsplit(' ').next()?;
    Some((program.split('[').next()?, message))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::event::What;

    const LOG: &str = "Nov 27 09:00:00 host sshd[11]: Failed password for root from 203.0.113.7 port 1 ssh2
2026-11-27T09:00:01.000000+00:00 host sshd[11]: Accepted password for alice from 198.51.100.2 port 1 ssh2
2026-11-27T09:00:02+00:00 host sudo:   alice : TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/bash
2026-11-27T09:00:03+00:00 host kernel: Accepted password for eve from 198.51.100.2 port 1 ssh2
rubbish
";
    /// 2026-11-27 09:00 UTC.
    const NINE: i64 = 1_795_770_000_000;

    fn read(root: &Path, since_ms: i64) -> Events {
        let local: LocalTime = |time| time.and_utc().timestamp_millis();
        events(root, since_ms, NINE + 60_000, local)
    }

    #[test]
    fn a_log_of_syslog_is_read_in_both_its_forms() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("var/log")).unwrap();
        fs::write(root.path().join("var/log/auth.log"), LOG).unwrap();
        let events = read(root.path(), NINE - 1000);
        let whats: Vec<_> = events.found.iter().map(|event| (event.at_ms - NINE, event.what)).collect();
        assert_eq!(whats, [(0, What::Failed), (1000, What::Accepted), (2000, What::Elevated)], "{events:?}");
        assert_eq!(read(root.path(), NINE + 500).found.len(), 2);
    }

    #[test]
    fn a_machine_without_any_says_so() {
        let root = tempfile::tempdir().unwrap();
        let events = read(root.path(), 0);
        assert_eq!((events.found.len(), events.gaps.len()), (0, 1), "{events:?}");
    }
}
