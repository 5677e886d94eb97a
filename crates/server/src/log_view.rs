//! Owns what is shown of the logs of servers: the last lines that are wanted, with secrets hidden, in bounded time.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use logs::{Entry, Filter, Search, redact, time_of_machine};
use tokio::sync::Semaphore;

use crate::config::Config;

/// How long a search may read.
const READING_MAX: Duration = Duration::from_secs(5);
/// A look at the clock for so many lines.
const LINES_PER_LOOK: usize = 256;

/// Searches at once: each is a thread and a disk at work.
static SEARCHES: Semaphore = Semaphore::const_new(2);

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

/// The log that the guard of a server keeps.
pub(crate) fn path(config: &Config, server: &str) -> PathBuf {
    config.log_dir.join(format!("{server}.log"))
}

/// The last lines of a log that are wanted, `most` at most.
pub(crate) async fn search(log: PathBuf, filter: Filter, most: usize, now_ms: i64) -> Found {
    // It is never closed.
    let _turn = SEARCHES.acquire().await.ok();
    let read = move || read(&log, &filter, most, now_ms);
    tokio::task::spawn_blocking(read).await.unwrap_or_default()
}

fn read(log: &std::path::Path, filter: &Filter, most: usize, now_ms: i64) -> Found {
    let (since, mut late) = (Instant::now(), false);
    let mut search = Search::log(log, filter, time_of_machine, now_ms);
    let mut lines: VecDeque<Entry> = VecDeque::new();
    let mut is_cut = false;
    for (number, entry) in search.by_ref().enumerate() {
        if lines.len() == most {
            lines.pop_front();
            is_cut = true;
        }
        lines.push_back(entry);
        late = number.is_multiple_of(LINES_PER_LOOK) && since.elapsed() > READING_MAX;
        if late {
            break;
        }
    }
    let mut notes = search.take_notes();
    if late {
        notes
            .push(format!("read were {} s of it, from its beginning: say since when", READING_MAX.as_secs()));
    }
    let hidden = |mut entry: Entry| {
        redact::entry(&mut entry);
        entry
    };
    Found { lines: lines.into_iter().map(hidden).collect(), is_cut, notes }
}

#[cfg(test)]
mod tests {
    use logs::{Level, Pattern};

    use super::*;

    #[tokio::test]
    async fn the_last_lines_that_are_wanted() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("notes.log");
        let line = |number: u32| {
            let level = if number.is_multiple_of(2) { "error" } else { "info" };
            format!(
                "{{\"ts\":\"2026-11-27T06:00:{number:02}Z\",\"level\":\"{level}\",\"message\":\"line {number} password=hunter2\"}}\n"
            )
        };
        std::fs::write(&log, (0..10).map(line).collect::<String>()).unwrap();
        let errors = || Filter { level: Some(Level::Error), ..Filter::default() };
        let found = search(log.clone(), errors(), 2, 0).await;
        let said: Vec<&str> = found.lines.iter().map(|one| one.message.split(" p").next().unwrap()).collect();
        assert_eq!((said, found.is_cut), (vec!["line 6", "line 8"], true));
        assert!(found.lines.iter().all(|one| !one.message.contains("hunter2")), "{found:?}");
        let found =
            search(log.clone(), Filter { pattern: Some(Pattern::literal("line 3")), ..errors() }, 2, 0).await;
        assert!(found.lines.is_empty() && !found.is_cut);
        assert!(search(folder.path().join("none.log"), errors(), 2, 0).await.lines.is_empty());
    }
}
