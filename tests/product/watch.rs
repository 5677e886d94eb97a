//! Tests a supervised watch with real processes: `serve` is killed in the middle, and the watch ends when it was to end.

use std::fs;

use incident::{Record, WatchEnd};
use process::Signal;

use crate::poll::eventually;
use crate::site::{Server, Setup, Site};
use crate::story::Story;

/// How long the watch of the runbook below lasts, in milliseconds.
const LIMIT_MS: i64 = 6_000;

/// `serve` is killed when the watch has lasted so long: given all of its time anew it would end after this and that.
const KILLED_AFTER_MS: i64 = 3_500;

const RUNBOOK: &str = r#"
## Slow

### Alert: Slow

**Severity**: Warning
**Alert Query**: `mcp_slow > 1`

### Response (0-5 minutes)

1. **Leave something running**

   ```bash
   sleep 601 &
   ```

2. **Watch**

   ```bash {until="cause == 'never'" every=200ms timeout=6s}
   paramedic check "$SERVER_NAME" --type readiness
   date -u
   ```

3. **Until it is ready**

   ```bash {until=ready every=200ms timeout=60s}
   paramedic server status "$SERVER_NAME"
   ```
"#;

fn started(story: &Story) -> Option<i64> {
    let is_start =
        |record: &Record| matches!(record, Record::WatchStarted { unit, .. } if unit.unit == "2.1");
    story.timeline().iter().find(|one| is_start(&one.record)).map(|one| one.at_ms)
}

#[test]
fn serve_is_killed_in_a_watch_and_the_watch_gets_no_new_time() {
    let keys = "runbooks = [\"watch.md\"]";
    let mut site = Site::of(&Setup { keys, servers: &[Server::notes("notes")], ..Setup::default() });
    fs::write(site.path("watch.md"), RUNBOOK).unwrap();
    site.serve_until_ready(&["notes"]);
    site.run(&["incident", "open", "--server", "notes", "--procedure", "Slow", "--reason", "slow"]).done();
    let story = site.incident("notes", "watched", |story| {
        story.has(|record| matches!(record, Record::WatchChanged { unit, .. } if unit.unit == "2.2"))
    });
    let began_ms = started(&story).unwrap();
    eventually("the watch is half over", || (server::now_ms() - began_ms >= KILLED_AFTER_MS).then_some(()));
    site.end_serve(Signal::KILL);
    site.serve();

    let story = site.resolved("notes");
    assert_eq!(started(&story), Some(began_ms));
    let ends: Vec<(WatchEnd, i64, u32)> = story
        .timeline()
        .iter()
        .filter_map(|one| match &one.record {
            Record::WatchEnded { end, took_ms, rounds, .. } => Some((*end, *took_ms as i64, *rounds)),
            _ => None,
        })
        .collect();
    let [(first, took_ms, _), (second, ..)] = ends[..] else { panic!("not two watches: {story}") };
    assert_eq!((first, second), (WatchEnd::NotWithin, WatchEnd::Held), "{story}");
    assert!((LIMIT_MS..LIMIT_MS + KILLED_AFTER_MS).contains(&took_ms), "{took_ms} ms: {story}");
    // Each statement has one intent and one outcome, however often it was looked.
    for unit in ["2.1", "2.2", "3.1"] {
        let is_its = |record: &Record| {
            matches!(record,
            Record::Intent { unit: named, .. } | Record::Outcome { unit: named, .. } if named.unit == unit)
        };
        assert_eq!(story.count(is_its), 2, "{unit}: {story}");
    }
    let report = site.run(&["incident", "report", story.id()]).done();
    assert!(report.contains("`cause == 'never'` did not hold within"), "{report}");
    let left = site.processes();
    assert!(left.iter().all(|found| !found.command.contains("sleep 601")), "{left:?}");
    let folders = fs::read_dir(site.path(&format!("data/runs/{}", story.id()))).unwrap().flatten();
    assert!(folders.count() <= 5, "a folder for each statement, and none for each round");
}
