//! Tests that a healthy fleet at work has no alert: an hour of looks at real servers under load, with the shipped runbooks
//! and rules.
//!
//! The looks of an hour are taken in some seconds (a third of them, but for `PARAMEDIC_TEST_ALL`): the intervals are divided,
//! and so is how long a rule waits, or it does not wait at all. Windows of queries and limits stay as they ship: a slow
//! machine must not look like a slow server. `PARAMEDIC_SILENT_HOUR=1` takes the hour itself, with everything as it ships.

use std::fs;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::client::ask;
use crate::poll::{eventually, pause};
use crate::real::installed;
use crate::site::{Server, Setup, Site};
use crate::six::{BOOKS, NAMES, SHIPPED};

const RULES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../rules/mcp-servers.yml");

/// How often rules are evaluated within an hour.
const LOOKS: f64 = 720.0;

/// How many times faster than an hour it goes.
const FASTER: u64 = 240;

/// A rule that says how often rules were evaluated.
const COUNTED: &str = "  - name: looks\n    rules:\n      - {record: looks, expr: vector(1)}\n";

/// How long a site lets a server be down.
const DOWN: &str = "[alerts.MCPServerDown]\nfor = \"10s\"\nkeep_firing_for = \"500ms\"\n";

/// Something that servers are asked all the time: the server, the tool, its arguments, and what a right answer holds.
type Work = (&'static str, &'static str, Value, &'static str);

/// What it did.
#[derive(Default)]
struct Done {
    enough: AtomicBool,
    answers: AtomicU64,
    wrong: std::sync::Mutex<Vec<String>>,
}

/// Divides each duration of a rule file after `for:`, and nothing else; servers do not start faster, so how long they may
/// be down stays.
fn hurried(rules: &str) -> String {
    let mut is_down = false;
    let mut hurry = |line: &str| {
        if let Some(name) = line.trim().strip_prefix("- alert: ") {
            is_down = name == NAMES[0];
        }
        let length = line.trim().strip_prefix("for: ").filter(|_| !is_down);
        let minutes = length.and_then(|text| text.strip_suffix('m')?.parse::<u64>().ok());
        minutes.map_or_else(
            || line.to_owned(),
            |minutes| format!("        for: {}ms", minutes * 60_000 / FASTER),
        )
    };
    rules.lines().map(|line| hurry(line) + "\n").collect()
}

fn site(servers: &[Server], is_real: bool) -> Site {
    let files = BOOKS.map(|name| format!("{SHIPPED}/{name}.md"));
    let keys = format!("runbooks = {files:?}");
    let mut tables = "[rules]\nfiles = [\"rules.yml\"]\n[policy]\nmode = \"observe\"\n".to_owned();
    if !is_real {
        for name in &NAMES[1..] {
            tables += &format!("[alerts.{name}]\nfor = \"0s\"\n");
        }
    }
    let site = Site::of(&Setup { keys: &keys, tables: &tables, servers, verify_seconds: 0 });
    let config = fs::read_to_string(site.config()).unwrap();
    // What a site says otherwise, as it ships and hurried. How long a server that starts may be down stays.
    let changed = [
        ("interval = \"250ms\"\ntimeout = \"5s\"\n", "", "interval = \"40ms\"\ntimeout = \"5s\"\n"),
        ("scrape_interval = \"1s\"\n", "", "scrape_interval = \"40ms\"\n"),
        ("evaluation_interval = \"250ms\"\n", "", "evaluation_interval = \"20ms\"\n"),
        (DOWN, "", DOWN),
    ];
    let config = changed.iter().fold(config, |config, (part, shipped, hurried)| {
        assert!(config.contains(part), "{config}");
        config.replacen(part, if is_real { shipped } else { hurried }, 1)
    });
    site.write_config(&config);
    let rules = fs::read_to_string(RULES).unwrap();
    let rules = if is_real { rules } else { hurried(&rules) };
    assert_eq!(rules.matches("ms\n").count() > 10, !is_real, "{rules}");
    fs::write(site.path("rules.yml"), rules + COUNTED).unwrap();
    site
}

/// The value of a query that finds one series.
fn one(site: &Site, query: &str) -> Option<f64> {
    let found = site.run(&["query", query, "-o", "json"]);
    let rows: Vec<Value> = serde_json::from_str(&found.stdout).ok()?;
    let [row] = &rows[..] else { return None };
    row["value"][1].as_str()?.parse().ok()
}

fn keep_asking(site: &Site, (server, tool, arguments, right): &Work, rest: Duration, done: &Done) {
    let endpoint = site.endpoint(server);
    while !done.enough.load(Ordering::Relaxed) {
        match ask(&endpoint, tool, arguments) {
            Ok(answer) if answer.contains(right) => drop(done.answers.fetch_add(1, Ordering::Relaxed)),
            other => done.wrong.lock().unwrap().push(format!("{server}: {other:?}")),
        }
        let until = Instant::now() + rest;
        while Instant::now() < until && !done.enough.load(Ordering::Relaxed) {
            pause();
        }
    }
}

#[test]
fn a_healthy_fleet_at_work_has_no_alert_for_an_hour() {
    let script = "node_modules/@modelcontextprotocol/server-everything/dist/index.js";
    let Some(script) = installed("PARAMEDIC_TEST_NPM", script) else { return };
    let Some(time) = installed("PARAMEDIC_TEST_VENV", "bin/mcp-server-time") else { return };
    let is_real = std::env::var_os("PARAMEDIC_SILENT_HOUR").is_some();
    let servers = [
        Server::new("everything", &["node", script.to_str().unwrap(), "stdio"])
            .with("[[server.dependency]]\nname = \"disk\"\nfile = \"/\"\ncritical = true\n"),
        Server::new("time", &[time.to_str().unwrap()]),
        Server::notes("notes"),
    ];
    let mut site = site(&servers, is_real);
    site.run(&["config", "check"]).done();
    site.serve_until_ready(&["everything", "time", "notes"]);
    let work: [Work; 3] = [
        ("everything", "get-sum", json!({"a": 19, "b": 23}), "42"),
        ("everything", "echo", json!({"message": "well"}), "well"),
        (
            "time",
            "convert_time",
            json!({"source_timezone": "Asia/Tokyo", "time": "12:00", "target_timezone": "UTC"}),
            "T03:00:00+00:00",
        ),
    ];
    let done = Done::default();
    let (rest, longest) = if is_real { (200, 2 * 3_600) } else { (20, 240) };
    std::thread::scope(|scope| {
        for work in work.iter().chain(&work) {
            let (site, done) = (&site, &done);
            scope.spawn(move || keep_asking(site, work, Duration::from_millis(rest), done));
        }
        let deadline = Instant::now() + Duration::from_secs(longest);
        let wanted =
            if is_real || std::env::var_os("PARAMEDIC_TEST_ALL").is_some() { LOOKS } else { LOOKS / 3.0 };
        let mut looks = 0.0;
        while looks < wanted && Instant::now() < deadline && done.wrong.lock().unwrap().is_empty() {
            looks = one(&site, "count_over_time(looks[2h])").unwrap_or_default();
            (0..40).for_each(|_| pause());
        }
        done.enough.store(true, Ordering::Relaxed);
        assert!(looks >= wanted, "{looks} looks within {longest} s; {:?}", done.wrong.lock().unwrap());
    });
    let wrong = done.wrong.lock().unwrap();
    assert!(wrong.is_empty(), "{wrong:?}");
    let answers = done.answers.load(Ordering::Relaxed);
    println!("{answers} answers, and {:?} probes", one(&site, "sum(mcp_server_health_checks_total)"));
    assert!(answers >= 50, "{answers} answers are no load");
    let fired =
        site.run(&["query", "count by (alertname) (count_over_time(ALERTS{alertstate=\"firing\"}[2h]))"]);
    fired.failed(1, &["nothing found"]);
    assert_eq!(site.incidents().len(), 0);

    // And it would have been seen: the same rules at the end of the same fleet.
    site.kill("notes");
    let firing = "count(ALERTS{alertname=\"MCPServerDown\",alertstate=\"firing\",server_name=\"notes\"})";
    eventually("it is down", || {
        let found: Vec<_> = site.incidents().into_iter().filter(|one| one.server == "notes").collect();
        (!found.is_empty() || one(&site, firing).is_some()).then_some(())
    });
}
