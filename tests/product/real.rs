//! Tests with MCP servers that no one here wrote: killed during the run, brought back, and reported truly.

use std::time::{Duration, Instant};

use incident::Record;
use serde_json::json;

use crate::client::Question;
pub(crate) use crate::installed::installed;
use crate::site::{Server, Site};
use crate::story::Story;

/// A new session gets a right answer so soon after the kill, the child's own start not counted.
const BACK_WITHIN: Duration = Duration::from_secs(10);

#[test]
fn mcp_server_time_is_brought_back() {
    let Some(program) = installed("PARAMEDIC_TEST_VENV", "bin/mcp-server-time") else { return };
    let server = Server::new("time", &[program.to_str().unwrap()]);
    let arguments = json!({"source_timezone": "Asia/Tokyo", "time": "12:00", "target_timezone": "UTC"});
    brought_back(server, &Question { tool: "convert_time", arguments, right: "T03:00:00+00:00" });
}

#[test]
fn server_everything_is_brought_back() {
    let script = "node_modules/@modelcontextprotocol/server-everything/dist/index.js";
    let Some(script) = installed("PARAMEDIC_TEST_NPM", script) else { return };
    let server = Server::new("everything", &["node", script.to_str().unwrap(), "stdio"]);
    let arguments = json!({"a": 19, "b": 23});
    brought_back(server, &Question { tool: "get-sum", arguments, right: "42" });
}

#[track_caller]
fn brought_back(server: Server, question: &Question) {
    let name = server.name().to_owned();
    let mut site = Site::new(&[server]);
    site.serve_until_ready(&[&name]);
    let endpoint = site.endpoint(&name);
    question.ask_until_right(&endpoint);

    let killed_ms = server::now_ms();
    let killed = Instant::now();
    let pid = site.kill(&name);
    question.ask_until_right(&endpoint);
    let back = killed.elapsed();

    let story = site.resolved(&name);
    let starts_ms = site.starts_ms(&name);
    let [_, second_ms] = starts_ms[..] else { panic!("not two starts but {starts_ms:?}") };
    let allowed = BACK_WITHIN + Duration::from_millis(second_ms);
    assert!(back <= allowed, "a right answer after {back:?}, and the child's own start took {second_ms} ms");
    let status = site.status(&name);
    assert_eq!((status.starts, status.phase.as_str()), (Some(2), "ready"));
    assert_ne!(status.pid, Some(pid));
    assert_eq!(site.incidents().len(), 1);
    journal_says(&story, pid, killed_ms);
    report_says(&site, &story, &name, pid);
}

/// Killed by SIGKILL, restarted once, verified, each with its time, in this order.
#[track_caller]
fn journal_says(story: &Story, pid: i32, killed_ms: i64) {
    let exit = story.alarm().exit.as_ref().unwrap();
    assert_eq!((exit.reason.as_str(), exit.pid), ("killed by SIGKILL", Some(pid)));
    assert_eq!(story.restarts(), 1);
    assert_eq!(story.count(|record| matches!(record, Record::Restarted { .. })), 1);
    let times = [
        killed_ms,
        exit.at_ms,
        story.when(|record| matches!(record, Record::Opened { .. })),
        story.when(|record| matches!(record, Record::Captured(kept) if kept.what == "host snapshot")),
        story.when(|record| matches!(record, Record::Restarted { .. })),
        story.when(|record| matches!(record, Record::UnitVerified { problem: None, .. })),
        story.when(|record| matches!(record, Record::Verified { probes: 3.., .. })),
        story.when(|record| matches!(record, Record::Mitigated {})),
        story.when(|record| matches!(record, Record::Resolved {})),
        server::now_ms(),
    ];
    assert!(times.is_sorted(), "{times:?}");
}

#[track_caller]
fn report_says(site: &Site, story: &Story, name: &str, pid: i32) {
    let report = site.run(&["incident", "report", story.id()]).done();
    let killed = format!(
        "(process {pid}) was killed by SIGKILL. It was restarted once. Recovery was verified: 3 good"
    );
    for words in [killed.as_str(), "| State | resolved |", "| resolved | ", "| mitigated | ", "| detected | "]
    {
        assert!(report.contains(words), "`{words}` is missing in\n{report}");
    }
    // Each line of the timeline has the time of day, and the time since the trouble began.
    for words in ["killed by SIGKILL", &format!("{name} restarted by"), "recovery verified", "resolved"] {
        let told = report.lines().any(|line| is_timeline(line) && line.contains(words));
        assert!(told, "`{words}` has no time in\n{report}");
    }
    let file = std::fs::read_to_string(site.path(&format!("data/reports/{}.md", story.id()))).unwrap();
    assert!(file.contains(&killed), "{file}");
}

/// `| 19:54:08.410 | 4 ms | … |`
fn is_timeline(line: &str) -> bool {
    let cells: Vec<&str> = line.split(" | ").collect();
    let digits = |text: &str| text.chars().filter(char::is_ascii_digit).count();
    cells.len() >= 3 && digits(cells[0]) == 9 && cells[0].matches(':').count() == 2 && digits(cells[1]) > 0
}
