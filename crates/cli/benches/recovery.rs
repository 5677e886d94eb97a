//! Measures recovery: from SIGKILL to the incident, to the first right answer, to verified, beside the server's own start.
//!
//! `cargo bench -p cli --bench recovery -- 20` prints the table of `docs/benchmarks.md` after 20 runs with each server;
//! those that `./test` installs are measured where `PARAMEDIC_TEST_VENV` and `PARAMEDIC_TEST_NPM` name them.

#![expect(clippy::unwrap_used, reason = "a benchmark that cannot measure fails by panicking")]

#[path = "../../../tests/product/poll.rs"]
mod poll;
#[allow(dead_code, reason = "the tests of the whole product need more of it")]
#[path = "../../../tests/product/processes.rs"]
mod processes;
#[allow(dead_code, reason = "the tests of the whole product need more of it")]
#[path = "../../../tests/product/site.rs"]
mod site;
#[allow(dead_code, reason = "the tests of the whole product need more of it")]
#[path = "../../../tests/product/story.rs"]
mod story;

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use incident::Record;
use reqwest::Client;
use serde_json::{Value, json};

use poll::DEADLINE;
use site::{EXE, Server, Setup, Site, block_on};

/// How often each server is killed, where no argument says so.
const RUNS: usize = 20;

/// The time between two new sessions, while there is no right answer yet.
const ASK_AGAIN: Duration = Duration::from_millis(2);

/// The time between two looks at the incident: rare enough not to slow down what is measured.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// What is killed, and what it is asked.
struct Subject {
    name: &'static str,
    command: Vec<String>,
    tool: &'static str,
    arguments: Value,
    right: &'static str,
}

/// One quantity over all runs, in milliseconds.
struct Samples(Vec<f64>);

fn main() {
    probe::install_crypto();
    let runs = std::env::args().find_map(|arg| arg.parse().ok()).unwrap_or(RUNS);
    println!("{runs} runs each, {} processors.\n", std::thread::available_parallelism().unwrap());
    println!("| server | from SIGKILL to | min | median | max |\n|---|---|---:|---:|---:|");
    for subject in subjects() {
        let name = subject.name;
        for (what, samples) in measure(&subject, runs) {
            println!("| {name} | {what} | {} |", samples.cells());
        }
    }
}

fn subjects() -> Vec<Subject> {
    let mut subjects = vec![Subject {
        name: "notes (demo)",
        command: [EXE, "demo-server", "notes"].map(str::to_owned).to_vec(),
        tool: "add_note",
        arguments: json!({"text": "x"}),
        right: r#""text":"1""#,
    }];
    if let Some(folder) = installed("PARAMEDIC_TEST_VENV") {
        subjects.push(Subject {
            name: "mcp-server-time",
            command: vec![format!("{folder}/bin/mcp-server-time")],
            tool: "convert_time",
            arguments: json!({"source_timezone": "Asia/Tokyo", "time": "12:00", "target_timezone": "UTC"}),
            right: "T03:00:00+00:00",
        });
    }
    if let Some(folder) = installed("PARAMEDIC_TEST_NPM") {
        let script = format!("{folder}/node_modules/@modelcontextprotocol/server-everything/dist/index.js");
        subjects.push(Subject {
            name: "server-everything",
            command: vec!["node".to_owned(), script, "stdio".to_owned()],
            tool: "get-sum",
            arguments: json!({"a": 19, "b": 23}),
            right: "42",
        });
    }
    subjects
}

fn installed(variable: &str) -> Option<String> {
    let folder = std::env::var(variable).ok().filter(|folder| !folder.is_empty());
    if folder.is_none() {
        eprintln!("SKIPPED: `{variable}` is not set; `./test --deps` installs what it names");
    }
    folder
}

fn measure(subject: &Subject, runs: usize) -> Vec<(&'static str, Samples)> {
    let words: Vec<&str> = subject.command.iter().map(String::as_str).collect();
    let servers = [Server::new("subject", &words)];
    // The budget is for servers that die by themselves.
    let most = runs + 1;
    let tables = format!("[policy]\nrestarts_per_hour = {most}\nchanges_per_hour = {most}");
    let mut site = Site::of(&Setup { tables: &tables, servers: &servers, ..Setup::default() });
    site.serve_until_ready(&["subject"]);
    let [mut opened, mut answered, mut verified] = [const { Vec::new() }; 3];
    for _ in 0..runs {
        let pid = site.ready("subject").pid.unwrap();
        let (killed, killed_ms) = (Instant::now(), server::now_ms());
        processes::signal(pid, process::Signal::KILL);
        block_on(answer(subject, &site.endpoint("subject")));
        answered.push(killed.elapsed().as_secs_f64() * 1000.0);
        let story = resolved(&site, pid);
        let since = |at_ms: i64| (at_ms - killed_ms) as f64;
        opened.push(since(story.when(|record| matches!(record, Record::Opened { .. }))));
        verified.push(since(story.when(|record| matches!(record, Record::Verified { .. }))));
    }
    let under_guard = site.starts_ms("subject").into_iter().map(|ms| ms as f64).collect();
    let alone = (0..runs).map(|_| start_alone(subject)).collect();
    vec![
        ("incident opened", Samples(opened)),
        ("first right answer to a new session", Samples(answered)),
        ("recovery verified", Samples(verified)),
        ("*its own start under the guard, to ready*", Samples(under_guard)),
        ("*its own start alone, to its first answer*", Samples(alone)),
    ]
}

/// Waits until the incident of the end of this process is over.
fn resolved(site: &Site, pid: i32) -> story::Story {
    let deadline = Instant::now() + DEADLINE;
    let is_it = |story: &story::Story| story.alarm().exit.as_ref().is_some_and(|exit| exit.pid == Some(pid));
    loop {
        std::thread::sleep(LOOK_AGAIN);
        let story = site.incident("subject", "there", |_| true);
        if is_it(&story) && story.is_reported() {
            return story;
        }
        assert!(Instant::now() < deadline, "not over within {DEADLINE:?}: {story}");
    }
}

/// Opens new sessions until one gives the right answer.
async fn answer(subject: &Subject, endpoint: &str) {
    let http = Client::builder().no_proxy().timeout(DEADLINE).build().unwrap();
    let deadline = Instant::now() + DEADLINE;
    loop {
        match session(&http, subject, endpoint).await {
            Ok(Some(text)) if text.contains(subject.right) => return,
            // The server may end while it is asked: then its guard answers with an error.
            Ok(Some(text)) if !text.contains(r#""error":"#) => panic!("a wrong answer: {text}"),
            Ok(_) | Err(_) => tokio::time::sleep(ASK_AGAIN).await,
        }
        assert!(Instant::now() < deadline, "no right answer within {DEADLINE:?}");
    }
}

/// One session with one call; `None` where the server is not there.
async fn session(http: &Client, subject: &Subject, endpoint: &str) -> reqwest::Result<Option<String>> {
    let post = |message: Value| {
        let request = http.post(endpoint).header("content-type", "application/json");
        request.header("accept", "application/json, text/event-stream").body(message.to_string())
    };
    let response = post(initialize()).send().await?;
    let session = response.headers().get("mcp-session-id").cloned();
    let Some(session) = session.filter(|_| response.status().is_success()) else { return Ok(None) };
    response.bytes().await?;
    for message in [initialized(), call(subject)] {
        let response = post(message).header("mcp-session-id", &session).send().await?;
        if response.status() == 200 {
            return response.text().await.map(Some);
        }
        if !response.status().is_success() {
            return Ok(None);
        }
    }
    Ok(None)
}

/// Starts the server with nothing around it, and returns how long its first answer to a call took, in milliseconds.
fn start_alone(subject: &Subject) -> f64 {
    let began = Instant::now();
    let mut command = Command::new(&subject.command[0]);
    command.args(&subject.command[1..]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    writeln!(stdin, "{}", initialize()).unwrap();
    lines.find(|line| line.contains(r#""id":1"#)).unwrap();
    writeln!(stdin, "{}\n{}", initialized(), call(subject)).unwrap();
    lines.find(|line| line.contains(subject.right)).unwrap();
    let took = began.elapsed();
    child.kill().unwrap();
    child.wait().unwrap();
    took.as_secs_f64() * 1000.0
}

fn initialize() -> Value {
    let client = json!({"name": "benchmark", "version": "1"});
    let params = json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client});
    json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params})
}

fn initialized() -> Value {
    json!({"jsonrpc": "2.0", "method": "notifications/initialized"})
}

fn call(subject: &Subject) -> Value {
    let params = json!({"name": subject.tool, "arguments": subject.arguments});
    json!({"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": params})
}

// === impl Samples ===

impl Samples {
    /// The least, the one in the middle, and the greatest, as cells of a table.
    fn cells(mut self) -> String {
        self.0.sort_by(f64::total_cmp);
        let last = self.0.len() - 1;
        [0, last.div_ceil(2), last].map(|idx| format!("{:.0} ms", self.0[idx])).join(" | ")
    }
}
