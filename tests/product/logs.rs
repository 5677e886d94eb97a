//! Tests `paramedic server logs` and `paramedic logs`: what a real server has said, with and without `serve`, followed
//! across a rotation, searched and summed up.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::net::TcpStream;
use std::path::Path;

use process::Signal;
use serde_json::{Value, json};

use crate::client::ask;
use crate::poll::eventually;
use crate::processes;
use crate::site::{EXE, Server, Site};

#[test]
fn what_a_server_has_said() {
    let says = format!("printf 'hello \\033[2J\\nWARN slow\\n' >&2; exec {EXE} demo-server notes");
    let upstream = "[[server]]\nname = \"foreign\"\nport = 9\nupstream = \"http://127.0.0.1:9/mcp\"";
    let mut site = Site::new(&[Server::new("loud", &["/bin/sh", "-c", &says]).with(upstream)]);
    site.run(&["server", "logs", "loud"]).failed(1, &["`loud` has said nothing yet", "data/log/loud.log"]);
    site.run(&["server", "logs", "foreign"]).failed(1, &["is an upstream", "unit = "]);
    site.run(&["server", "logs", "nobody"]).failed(1, &["there is no server `nobody`"]);
    site.run(&["server", "logs", "loud", "--since", "soon"]).failed(2, &["`soon` is neither"]);
    site.run(&["server", "logs", "loud", "-f", "-o", "json"]).failed(2, &["-o jsonl"]);
    site.serve_until_ready(&["loud"]);

    // With and without `serve`.
    let shown = eventually("all is written", || {
        let shown = site.run(&["server", "logs", "loud"]).done();
        shown.contains(" ready after ").then_some(shown)
    });
    site.end_serve(Signal::TERM);
    assert!(
        shown.lines().any(|line| line.contains(" INFO    ") && line.contains("hello \\u{1b}[2J")),
        "{shown}"
    );
    assert!(shown.lines().any(|line| line.contains(" WARNING ") && line.ends_with("WARN slow")), "{shown}");
    assert_eq!(site.run(&["server", "logs", "loud"]).done(), shown);
    let raw = site.run(&["server", "logs", "loud", "-o", "jsonl"]).done();
    assert_eq!(raw, fs::read_to_string(site.path("data/log/loud.log")).unwrap());
    let document = site.run(&["server", "logs", "loud", "-o", "json"]).done();
    assert_eq!(serde_json::from_str::<Vec<Value>>(&document).unwrap(), site.server_log("loud"));
    let last = site.run(&["server", "logs", "loud", "--lines", "1"]).done();
    assert_eq!(Some(last.trim_end()), shown.lines().last());
    assert_eq!(site.run(&["server", "logs", "loud", "--since", "1h"]).done(), shown);
    assert_eq!(site.run(&["server", "logs", "loud", "--since", "2199-01-01T00:00:00Z"]).done(), "");
}

#[test]
fn a_log_is_followed_across_a_rotation() {
    let mut site = Site::new(&[Server::notes("notes")]);
    let (log, rotated, output) =
        (site.path("data/log/notes.log"), site.path("data/log/notes.log.1"), site.path("followed"));
    let read = |path| fs::read_to_string(path).unwrap_or_default();

    // Somebody who waits for a server that was never started sees its first word.
    let mut command = site.command(&["server", "logs", "notes", "--follow", "-o", "jsonl"]);
    let mut reader = command.stdout(File::create(&output).unwrap()).spawn().unwrap();
    site.serve_until_ready(&["notes"]);
    eventually("what is there is shown", || {
        let shown = read(&output);
        (shown.contains("ready after") && shown == read(&log)).then_some(())
    });

    // The guard holds the old file open, and goes on writing to it until there is another guard.
    fs::rename(&log, &rotated).unwrap();
    site.kill("notes");
    site.resolved("notes");
    let guard = site.ready("notes").guard_pid.unwrap();
    processes::signal(guard, Signal::KILL);
    eventually("another guard writes another file", || read(&log).contains("ready after").then_some(()));
    eventually("both files are shown, each line once", || {
        let both = read(&rotated) + &read(&log);
        (both.matches("ready after").count() == 3 && read(&output) == both).then_some(())
    });
    reader.kill().unwrap();
    reader.wait().unwrap();
}

/// The fields that docs/logs.md names, with their types.
fn documented_fields() -> BTreeMap<String, String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/logs.md");
    let text = fs::read_to_string(path).unwrap();
    let table = text.split("\n## ").find(|part| part.starts_with("What a guard writes")).unwrap();
    let rows = table.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` | "));
    rows.map(|(name, rest)| (name.to_owned(), rest.split(' ').next().unwrap().to_owned())).collect()
}

#[track_caller]
fn check_schema(lines: &[Value]) {
    let fields = documented_fields();
    for line in lines {
        for (name, value) in line.as_object().unwrap() {
            let fits = match fields.get(name).map(String::as_str) {
                Some("text") => value.is_string() || value.is_null(),
                Some("number") => value.is_number() || value.is_null(),
                Some("object") => value.is_object() || value.is_null(),
                _ => false,
            };
            assert!(fits, "`{name}` is not as docs/logs.md says: {line}");
        }
        for name in ["ts", "level", "server", "event", "message"] {
            assert!(line[name].is_string(), "`{name}` is missing: {line}");
        }
    }
}

#[test]
fn logs_are_searched_and_summed_up() {
    let says = format!(
        "printf 'ERROR: read 1: Connection refused\\nERROR: read 22: Connection refused\\nWARN token=hunter2 is old\\n' >&2; \
         exec {EXE} demo-server notes"
    );
    let mut site = Site::new(&[Server::new("loud", &["/bin/sh", "-c", &says]), Server::notes("calm")]);
    site.run(&["logs", "--server", "loud"]).failed(1, &["`loud` has said nothing yet"]);
    site.run(&["logs", "--server", "nobody"]).failed(1, &["there is no server `nobody`"]);
    site.run(&["logs", "--search", "(", "--regex"]).failed(2, &["`(` is no regular expression"]);
    site.run(&["logs", "--level", "loud"]).failed(2, &["`loud` is no level", "warning"]);
    site.serve_until_ready(&["loud", "calm"]);
    ask(&site.endpoint("loud"), "list_notes", &json!({})).unwrap();
    ask(&site.endpoint("loud"), "add_note", &json!({})).unwrap();
    site.run(&["server", "readonly", "loud"]).done();
    // A page that somebody's browser was led to.
    let mut stranger = TcpStream::connect(("127.0.0.1", site.port("loud"))).unwrap();
    stranger
        .write_all(b"GET /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\nOrigin: http://evil.example\r\nConnection: close\r\n\r\n")
        .unwrap();
    assert!(io::read_to_string(stranger).unwrap().starts_with("HTTP/1.1 403"));
    eventually("all is written", || {
        let log = site.server_log("loud");
        let has = |event: &str| log.iter().any(|line| line["event"] == event);
        ["request", "response", "error", "security", "audit", "system"]
            .iter()
            .all(|event| has(event))
            .then_some(())
    });
    check_schema(&site.server_log("loud"));
    check_schema(&site.server_log("calm"));

    let run = |arguments: &[&str]| site.run(&[&["logs"], arguments].concat()).done();
    let errors = run(&["--server", "loud", "--since", "1h", "--level", "ERROR"]);
    assert!(errors.lines().count() >= 3 && errors.lines().all(|line| line.contains(" ERROR ")), "{errors}");
    // No colours where nobody sees them, and no secrets anywhere.
    assert!(!errors.contains('\u{1b}'), "{errors}");
    let secret = run(&["--server", "loud", "--search", "HUNTER".to_lowercase().as_str()]);
    assert!(secret.contains("token=[REDACTED]") && !secret.contains("hunter2"), "{secret}");
    for output in ["json", "jsonl"] {
        let all = run(&["--server", "loud", "-o", output]);
        assert!(!all.contains("hunter2") && all.contains("Connection refused"), "{all}");
    }
    let document = run(&["--server", "loud", "--search", r"read \d\d:", "--regex", "-o", "json"]);
    let found: Vec<Value> = serde_json::from_str(&document).unwrap();
    assert_eq!((found.len(), found[0]["message"].as_str()), (1, Some("ERROR: read 22: Connection refused")));
    assert_eq!(run(&["--server", "loud", "--until", "2020-01-01T00:00:00Z"]), "");
    assert_eq!(run(&["--server", "loud", "--until", "2020-01-01T00:00:00Z", "-o", "json"]), "[]\n");
    // All servers, as one.
    let all = run(&["--search", "ready after"]);
    assert!(all.contains("loud: ") && all.contains("calm: "), "{all}");

    // What was rotated and compressed counts; a FIFO beside it is told and does not hold anybody up.
    let log = site.path("data/log/loud.log");
    fs::write(
        site.path("data/log/loud.log.1"),
        "2020-01-01 00:00:00,000 - ERROR - read 3: Connection refused\n",
    )
    .unwrap();
    let fifo = site.path("fifo");
    rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, rustix::fs::Mode::RWXU).unwrap();
    let mixed = site.run(&["logs", "--search", "refused", fifo.to_str().unwrap(), log.to_str().unwrap()]);
    assert_eq!(mixed.code, Some(1), "{mixed:?}");
    assert!(mixed.stderr.contains("FIFO") && mixed.stdout.lines().count() == 2, "{mixed:?}");

    let findings = site.path("findings");
    let mut command = site.command(&["logs", "--server", "loud", "--analyze", "-o", "json"]);
    let ran = crate::site::run({
        command.env("PARAMEDIC_FINDINGS", &findings);
        command
    });
    let report: Value = serde_json::from_str(&ran.done()).unwrap();
    let messages = report["messages"].as_array().unwrap();
    let refused = messages.iter().filter(|message| message["message"] == "ERROR: read #: Connection refused");
    assert_eq!(refused.map(|message| message["count"].as_u64()).collect::<Vec<_>>(), [Some(2)], "{report}");
    assert_eq!(
        (&report["errors"][0]["kind"], &report["errors"][0]["count"]),
        (&json!("connection"), &json!(3))
    );
    let calls = report["calls"]["by_name"].as_array().unwrap();
    assert!(
        calls.iter().any(|call| call["name"] == "tools/call add_note" && call["errors"] == 1),
        "{report}"
    );
    let findings = fs::read_to_string(findings).unwrap();
    assert!(findings.contains(r#""kind":"log_error","subject":"loud","value":"connection""#), "{findings}");
    let summary = run(&["--server", "loud", "--summary"]);
    assert!(summary.contains("levels") && summary.contains("ERROR: read #: Connection refused"), "{summary}");
    let analysis = run(&["--server", "loud", "--analyze"]);
    assert!(analysis.contains("% of the lines are errors") || analysis.contains("CALL"), "{analysis}");

    // What comes is searched too, and secrets in it are hidden; across a rotation.
    let output = site.path("followed");
    let mut command = site.command(&["logs", "--server", "calm", "--follow", "--search", "started process"]);
    let mut reader = command.stdout(File::create(&output).unwrap()).spawn().unwrap();
    eventually("it looks", || fs::read_to_string(&output).unwrap().contains("started process").then_some(()));
    let calm = site.path("data/log/calm.log");
    fs::rename(&calm, site.path("data/log/calm.log.1")).unwrap();
    fs::write(&calm, "2026-01-01T00:00:00Z WARN started process with password=hunter2\nother\n").unwrap();
    eventually("what comes is shown", || {
        let shown = fs::read_to_string(&output).unwrap();
        (shown.contains("password=[REDACTED]") && !shown.contains("other")).then_some(())
    });
    reader.kill().unwrap();
    reader.wait().unwrap();
    site.end_serve(Signal::TERM);
}
