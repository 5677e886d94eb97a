//! Tests that the shipped runbooks for performance, memory and dependencies are carried out to their end on real servers, with
//! faults that are really there, and without a person where policy allows.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use incident::{Record, UnitEnd};
use serde_json::json;
use tempfile::TempDir;

use crate::client::ask;
use crate::foreign::Foreign;
use crate::poll::{eventually, pause};
use crate::real::installed;
use crate::site::{Server, Setup, Site, free_port};
use crate::story::{Story, is_success};

const SHIPPED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../runbooks");
const BOOKS: [&str; 3] = ["performance-degradation", "memory-leak", "dependency-failure"];

/// What two of them do last.
const REPORT: &str = "paramedic incident report";

/// Read by every Python of a folder before its program: grows by 1 MiB a second as soon as a file is there.
const GROWS: &str = "
import os, threading, time
def grow():
    held = []
    while True:
        time.sleep(1)
        if os.path.exists(os.environ['GROWS_WITH']):
            held.append(bytearray(b'x') * (1 << 20))
threading.Thread(target=grow, daemon=True).start()
";

/// Read by Node before its program: holds 300 MB as soon as a file is there.
const HOLDS: &str = "
const fs = require('fs'); let held;
setInterval(() => { if (!held && fs.existsSync(process.env.GROWS_WITH)) held = Buffer.alloc(3e8, 1); }, 200).unref();
";

/// A server from npm and one from PyPI, and what the second depends on.
struct Fleet {
    site: Site,
    depends_on: String,
    store: Option<Foreign>,
    /// A file of the name of a server makes it grow.
    faults: TempDir,
}

// === impl Fleet ===

impl Fleet {
    /// With an alert for servers that hold more than so many bytes.
    fn start(large: &str) -> Option<Self> {
        let script = "node_modules/@modelcontextprotocol/server-everything/dist/index.js";
        let script = installed("PARAMEDIC_TEST_NPM", script)?;
        let program = installed("PARAMEDIC_TEST_VENV", "bin/mcp-server-time")?;
        let faults = tempfile::tempdir().unwrap();
        let folder = faults.path();
        fs::write(folder.join("sitecustomize.py"), GROWS).unwrap();
        fs::write(folder.join("holds.js"), HOLDS).unwrap();
        let text = |path: &Path| path.to_str().unwrap().to_owned();
        let with = |server: &str| format!("GROWS_WITH={}", text(&folder.join(server)));
        let python = format!("PYTHONPATH={}", text(folder));
        let everything = Server::new(
            "everything",
            &[
                "env",
                &with("everything"),
                "node",
                "--require",
                &text(&folder.join("holds.js")),
                &text(&script),
                "stdio",
            ],
        );
        let depends_on = format!("127.0.0.1:{}", free_port());
        let time = Server::new("time", &["env", &with("time"), &python, &text(&program)]).with(&format!(
            "[[server.dependency]]\nname = \"store\"\ntcp = \"{depends_on}\"\ncritical = true\n"
        ));
        // What comes last and takes longest, comparing the files of all packages, is cut short.
        let mut tables = "[policy]\nmode = \"auto\"\n[evidence]\ntimeout = \"6s\"\n".to_owned();
        for name in ["MCPSlowResponseTime", "MCPHighMemoryUsage", "MCPDependencyDown"] {
            tables += &format!("[alerts.{name}]\nfor = \"0s\"\nkeep_firing_for = \"1s\"\n");
        }
        let files = BOOKS.map(|name| format!("{name}.md"));
        let keys = format!("runbooks = {files:?}");
        let setup = Setup { keys: &keys, tables: &tables, servers: &[everything, time], verify_seconds: 0 };
        let mut site = Site::of(&setup);
        write_books(&site, large);
        let store = Some(Foreign::start(&site, "store", "sums", &depends_on));
        site.serve_until_ready(&["everything", "time"]);
        site.until("time", "has its store", |status| status.health == "healthy");
        Some(Self { site, depends_on, store, faults })
    }

    /// Plants the fault of a server that grows.
    fn grow(&self, server: &str) {
        fs::write(self.faults.path().join(server), "").unwrap();
    }

    /// The incident of a server that was carried out to its end, where this statement stands.
    #[track_caller]
    fn carried_out(&self, server: &str, title: &str, last: &str) -> Story {
        // That takes longest, on a busy machine most of a minute, and has a time of its own.
        let is_kept = |story: &Story| ended_well(story, "paramedic evidence collect");
        self.site.incident(server, &format!("{title}, its evidence kept"), is_kept);
        // Recovery is verified behind the last step.
        let is_it = |story: &Story| story.has(|record| matches!(record, Record::Mitigated {}));
        let story = self.site.incident(server, &format!("{title}, to its end"), is_it);
        let summary =
            self.site.incidents().into_iter().find(|one| one.server == server && one.title == title);
        assert!(summary.is_some(), "{server} has no incident `{title}`: {story}");
        assert_eq!(story.person_needed(), None, "{story}");
        assert_eq!(failed(&story), Vec::<String>::new(), "{story}");
        assert!(ended_well(&story, last), "{story}");
        story
    }
}

/// Writes the shipped runbooks with limits that a test reaches and watches that it can wait for.
fn write_books(site: &Site, large_bytes: &str) {
    let mut changed = 0;
    for name in BOOKS {
        let text = fs::read_to_string(format!("{SHIPPED}/{name}.md")).unwrap();
        let slow = "sum by (le, server_name) (rate(mcp_request_duration_seconds_bucket[5m]))) >";
        let large = "max by (server_name) (mcp_server_memory_usage_bytes{memory_type=\"rss\"}) >";
        let mut scaled = text
            .replace(&format!("{slow} 5`"), &format!("{slow} 0.5`"))
            .replace(&format!("{large} 2 * 1024 ^ 3 or"), &format!("{large} {large_bytes} or"));
        changed += usize::from(scaled != text);
        changed += scaled.matches("until=\"ready\" every=30s").count();
        scaled = scaled.replace("until=\"ready\" every=30s", "until=\"ready\" every=1s");
        for watch in ["until=\"30m\" every=1m", "until=\"15m\" every=1m", "until=\"5m\" every=30s"] {
            changed += scaled.matches(watch).count();
            scaled = scaled.replace(watch, "until=\"2s\" every=1s");
        }
        fs::write(site.path(&format!("{name}.md")), scaled).unwrap();
    }
    assert_eq!(changed, 7, "the limits and watches are not where they were");
}

#[test]
fn what_is_slow_large_or_cut_off_is_looked_into_to_the_end() {
    let Some(mut fleet) = Fleet::start("250000000") else { return };
    let endpoint = fleet.site.endpoint("everything");

    // What the second server needs is gone, and comes back: called for nobody, restarted nothing. As long as it is gone
    // the procedure waits for it, and nothing is called mended, although the server answers.
    fleet.store = None;
    let waits = |story: &Story| story.has(|record| matches!(record, Record::WatchStarted { .. }));
    let story = fleet.site.incident("time", "it waits for its store", waits);
    assert!(ended_well(&story, "paramedic diagnose"), "{story}");
    assert_eq!(causes(&story).last(), Some(&"dependency_down"), "{story}");
    assert!(!story.has(|record| matches!(record, Record::Verified { .. })), "{story}");
    fleet.store = Some(Foreign::start(&fleet.site, "store", "sums", &fleet.depends_on));
    let story = fleet.carried_out("time", "Dependency Failure", REPORT);
    assert_eq!(story.restarts(), 0, "{story}");
    fleet.site.resolved("time");

    // Calls of a second each are slow; nothing is changed, because no cause says so.
    let long = json!({"duration": 1, "steps": 1});
    let story = eventually("the slow server is looked into", || {
        std::thread::scope(|scope| {
            for _ in 0..6 {
                scope.spawn(|| ask(&endpoint, "trigger-long-running-operation", &long));
            }
        });
        let is_there = fleet.site.incidents().iter().any(|one| one.server == "everything");
        is_there.then(|| fleet.carried_out("everything", "Performance Degradation", REPORT))
    });
    assert!(ended_well(&story, "paramedic diagnose") && story.restarts() == 0, "{story}");
}

#[test]
fn what_grew_once_is_no_leak_and_is_not_restarted() {
    let Some(fleet) = Fleet::start("250000000") else { return };
    fleet.grow("everything");
    let story = fleet.carried_out("everything", "Memory Leak", "paramedic server status");
    assert!(ended_well(&story, "paramedic diagnose") && story.restarts() == 0, "{story}");
    assert!(!causes(&story).contains(&"memory_leak"), "{story}");
}

/// Takes six minutes: who has just begun to work grows until he is warm, and nobody calls that a leak.
#[test]
fn what_leaks_is_restarted_once_without_a_person() {
    if std::env::var_os("PARAMEDIC_TEST_ALL").is_none() {
        println!("SKIPPED: it takes six minutes; `--all` runs it");
        return;
    }
    // At 1 MiB a second, after five minutes and a half.
    let Some(fleet) = Fleet::start("430000000") else { return };
    let before = fleet.site.status("time").pid;
    fleet.grow("time");
    let until = Instant::now() + Duration::from_secs(600);
    while fleet.site.incidents().is_empty() && Instant::now() < until {
        pause();
    }
    // The new process grows as well, and has five minutes again.
    let story = fleet.site.resolved("time");
    assert!(causes(&story).contains(&"memory_leak"), "{story}");
    assert_eq!((story.restarts(), story.person_needed()), (1, None), "{story}");
    assert_ne!(fleet.site.status("time").pid, before);
}

/// Looks that say "no" with this code, which is an answer.
const SAYS_NO: [&str; 3] = ["paramedic check", "paramedic query", "paramedic server status"];

/// The statements that did not end as they should, each with how it did.
fn failed(story: &Story) -> Vec<String> {
    let statement = |name: &str| {
        let mut intents = story.timeline().iter().filter_map(|happened| match &happened.record {
            Record::Intent { unit, statement, .. } if unit.unit == name => Some(statement.as_str()),
            _ => None,
        });
        intents.next_back().unwrap_or_default().to_owned()
    };
    let outcomes = story.timeline().iter().filter_map(|happened| match &happened.record {
        Record::Outcome { unit, end, .. } => Some((statement(&unit.unit), end)),
        _ => None,
    });
    let is_well = |statement: &str, end: &UnitEnd| match end {
        UnitEnd::Exited { code: 0 } | UnitEnd::DoneByEvidence { .. } => true,
        UnitEnd::Exited { code: 1 } => SAYS_NO.iter().any(|start| statement.starts_with(start)),
        _ => false,
    };
    let bad = outcomes.filter(|(statement, end)| !is_well(statement, end));
    bad.map(|(statement, end)| format!("{statement}: {end:?}")).collect()
}

/// Whether a statement that begins so was run, and did what it was to do.
fn ended_well(story: &Story, start: &str) -> bool {
    let intent = story.timeline().iter().find_map(|happened| match &happened.record {
        Record::Intent { unit, statement, .. } if statement.starts_with(start) => Some(unit.unit.clone()),
        _ => None,
    });
    intent.is_some_and(|unit| story.has(|record| is_success(record, &unit)))
}

fn causes(story: &Story) -> Vec<&str> {
    let named = story.timeline().iter().filter_map(|happened| match &happened.record {
        Record::CauseNamed { cause, .. } => cause.as_deref(),
        _ => None,
    });
    named.collect()
}
