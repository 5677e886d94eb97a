//! Tests what comes after an attack: new tokens for clients, a closer look for a while, and all of it taken back at once.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use process::Signal;
use serde_json::{Value, json};
use server::api::wire::Detail;

use crate::client::{ask, http};
use crate::poll::eventually;
use crate::site::{Server, Setup, Site, block_on};

const INITIALIZE: &str = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}"#;

/// A procedure that waits for a person.
const RUNBOOK: &str = "## Drill\n\n### Alert: Drill\n\n**Severity**: Warning\\\n**Alert Query**: `mcp_drill == 0`\n\n\
     ### Response (0-5 minutes)\n\n1. **Decide**\n\n   A task for a person.\n";

/// A site with two clients, and their tokens.
fn site() -> (Site, [String; 2]) {
    let mut site = Site::of(&Setup {
        keys: "runbooks = [\"drill.md\"]",
        servers: &[Server::notes("notes").with("guard_settings = \"notes.toml\"")],
        ..Setup::default()
    });
    fs::write(site.path("drill.md"), RUNBOOK).unwrap();
    let words = ["ci", "lab"].map(|name| {
        let (path, word) = (site.path(&format!("{name}.token")), format!("0123456789abcdef-{name}"));
        fs::write(&path, &word).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        word
    });
    let tables = "[clients.ci]\ntoken_file = \"ci.token\"\n[clients.lab]\ntoken_file = \"lab.token\"\n";
    fs::write(site.path("notes.toml"), tables).unwrap();
    site.serve_until_ready(&["notes"]);
    (site, words)
}

/// What the guard says to whoever shows this: the status, and the session.
fn post(site: &Site, word: &str, session: Option<&str>, body: &str) -> (u16, Option<String>) {
    block_on(async {
        let mut request = http()
            .post(site.endpoint("notes"))
            .bearer_auth(word)
            .header("accept", "application/json, text/event-stream")
            .header("content-type", "application/json")
            .body(body.to_owned());
        if let Some(session) = session {
            request = request.header("mcp-session-id", session);
        }
        let answer = request.send().await.unwrap();
        let session = answer.headers().get("mcp-session-id").map(|id| id.to_str().unwrap().to_owned());
        (answer.status().as_u16(), session)
    })
}

fn shows(site: &Site, word: &str) -> u16 {
    post(site, word, None, INITIALIZE).0
}

fn word(site: &Site, name: &str) -> String {
    fs::read_to_string(site.path(&format!("{name}.token"))).unwrap().trim().to_owned()
}

#[test]
fn tokens_are_made_anew_and_those_before_are_refused() {
    let (mut site, [ci, lab]) = site();
    let (status, session) = post(&site, &lab, None, INITIALIZE);
    assert_eq!((status, shows(&site, &ci)), (200, 200));
    let rotated = site.run(&["security", "rotate", "notes", "--client", "ci"]).done();
    let next = word(&site, "ci");
    assert!(next.len() == 64 && next != ci, "256 bits");
    assert!(
        rotated.contains("ci: a new token is in") && rotated.contains("the one before is refused"),
        "{rotated}"
    );
    assert_eq!([&ci, &next, &lab].map(|word| shows(&site, word)), [401, 200, 200]);
    // Sessions of others go on, and with the new token so does one's own.
    let ping = r#"{"jsonrpc":"2.0","id":2,"method":"ping"}"#;
    assert_eq!(post(&site, &lab, session.as_deref(), ping).0, 200);
    let mode = fs::metadata(site.path("ci.token")).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);

    // For a while both are taken, also by the next guard and the next `serve`.
    let told = site.run(&["security", "rotate", "notes", "--client", "ci", "--overlap", "10m"]).done();
    assert!(told.contains("the one before is taken until"), "{told}");
    let last = word(&site, "ci");
    assert_eq!([&ci, &next, &last].map(|word| shows(&site, word)), [401, 200, 200]);
    site.end_serve(Signal::KILL);
    site.serve();
    let guard = site.ready("notes").guard_pid.unwrap();
    crate::processes::signal(guard, Signal::KILL);
    site.until("notes", "without its guard", |status| status.guard_pid.is_none());
    site.run(&["server", "start", "notes"]).done();
    site.until("notes", "ready behind another guard", |status| {
        status.guard_pid.is_some_and(|pid| pid != guard) && status.phase == "ready"
    });
    assert_eq!([&ci, &next, &last].map(|word| shows(&site, word)), [401, 200, 200]);
    site.run(&["security", "rotate", "notes", "--client", "ci"]).done();
    assert_eq!(
        [&next, &last].map(|word| shows(&site, word)),
        [401, 401],
        "without a time none before is taken"
    );

    // Nothing but names, and marks by which people tell tokens apart, is written down anywhere.
    let journal = site.run(&["journal", "list", "-o", "json"]).done();
    assert!(journal.contains("tokens of server") || journal.contains("server_tokens"), "{journal}");
    let log: String = site.server_log("notes").iter().map(Value::to_string).collect();
    for secret in [&ci, &next, &last, &word(&site, "ci"), &lab] {
        for text in [&journal, &log, &site.serve_log()] {
            assert!(!text.contains(secret.as_str()), "{text}");
        }
        let register = fs::read_to_string(site.path("data/rotated/notes.json")).unwrap();
        assert!(!register.contains(secret.as_str()), "{register}");
    }
    for (words, code, why) in [
        (vec!["notes", "--client", "eve"], 2, "`eve` is no client"),
        (vec!["notes", "--client", "../ci"], 2, "is no client"),
        (vec!["nobody"], 2, "no server of the configuration"),
        (vec!["notes", "--overlap", "25h"], 2, "a day at most"),
    ] {
        site.run(&[&["security", "rotate"], words.as_slice()].concat()).failed(code, &[why]);
    }
    site.run(&["kill-switch", "on", "--reason", "a test"]).done();
    let before = word(&site, "ci");
    site.run(&["security", "rotate", "notes"]).failed(4, &["kill switch"]);
    assert_eq!(word(&site, "ci"), before);
}

#[test]
fn what_was_revoked_is_let_in_with_new_tokens_only() {
    let (site, [ci, lab]) = site();
    let contain = ["security", "contain", "notes", "--without-evidence", "--revoke-tokens", "--confirmed"];
    site.run(&contain).done();
    assert_eq!([&ci, &lab].map(|word| shows(&site, word)), [401, 401]);
    site.run(&["security", "rotate", "notes", "--client", "ci", "--overlap", "1m"])
        .failed(4, &["was revoked because of an attack"]);
    assert_eq!(word(&site, "ci"), ci, "nothing was done");
    site.run(&["security", "rotate", "notes", "--client", "ci"]).done();
    let next = word(&site, "ci");
    assert_eq!([&ci, &next, &lab].map(|word| shows(&site, word)), [401, 200, 401]);
    let status = site.status("notes").restriction.unwrap();
    assert!(status.contains("refuses token `lab`") && !status.contains("`ci`"), "{status}");
    site.run(&["security", "rotate", "notes"]).done();
    assert_eq!([&ci, &next, &lab, &word(&site, "lab")].map(|word| shows(&site, word)), [401, 401, 401, 200]);
    // Nothing of it is left to release, and releasing brings none of them back.
    assert!(!site.path("data/contained/notes.json").exists());
    assert!(site.run(&["security", "release", "notes"]).done().contains("nothing to do"));
    assert_eq!([&ci, &lab].map(|word| shows(&site, word)), [401, 401]);
}

#[test]
fn a_server_is_looked_at_more_closely_until_its_time() {
    let mut site = Site::new(&[Server::notes("notes")]);
    site.serve_until_ready(&["notes"]);
    let mut calls = 0;
    let mut arguments = |site: &Site, text: &str| {
        ask(&site.endpoint("notes"), "add_note", &json!({ "text": text, "api_key": "sk-very-secret" }))
            .unwrap();
        calls += 1;
        eventually("the call in the log", || {
            let is_it = |line: &&Value| line["tool"] == "add_note" && line["event"] == "response";
            let lines = site.server_log("notes");
            let of_calls: Vec<_> = lines.iter().filter(is_it).collect();
            (of_calls.len() == calls).then(|| (*of_calls.last().unwrap()).clone())
        })
    };
    assert!(arguments(&site, "one")["arguments"].is_null());
    let told = site.run(&["security", "watch", "notes", "--for", "1h", "--reason", "after an attack"]).done();
    assert!(told.contains("looked at more closely until"), "{told}");
    let line = arguments(&site, "two");
    let shown = line["arguments"].as_str().unwrap();
    assert!(
        shown.contains("two") && shown.contains("[REDACTED]") && !shown.contains("very-secret"),
        "{line}"
    );
    // It is written down where `serve` and the guard find it after their ends.
    site.end_serve(Signal::KILL);
    site.serve();
    site.run(&["server", "restart", "notes"]).done();
    let status = site.run(&["server", "status", "notes"]).done();
    assert!(status.contains("watched") && status.contains("4 times as often until"), "{status}");
    assert!(!arguments(&site, "three")["arguments"].is_null());
    assert!(site.run(&["security", "watch", "notes", "--undo"]).done().contains("looked at as always"));
    assert!(site.status("notes").watched.is_none());
    assert!(arguments(&site, "four")["arguments"].is_null());
    assert!(site.run(&["security", "watch", "notes", "--undo"]).done().contains("nothing to do"));
    // By its time it ends alone.
    site.run(&["security", "watch", "notes", "--for", "1s"]).done();
    eventually("its time is up", || site.status("notes").watched.is_none().then_some(()));
    assert!(arguments(&site, "five")["arguments"].is_null());
    for (length, why) in [("0s", "at least a second"), ("31d", "at most 30 days")] {
        site.run(&["security", "watch", "notes", "--for", length]).failed(2, &[why]);
    }
}

/// A question as always every six seconds is two or three in twelve.
#[test]
fn probes_come_more_often_while_a_server_is_watched() {
    let mut site = Site::new(&[Server::notes("notes")]);
    let text = fs::read_to_string(site.config()).unwrap();
    let usual = "interval = \"250ms\"\ntimeout = \"5s\"";
    assert_eq!(text.matches(usual).count(), 1);
    site.write_config(&text.replace(usual, "interval = \"6s\"\ntimeout = \"5s\""));
    site.serve_until_ready(&["notes"]);
    site.run(&["security", "watch", "notes", "--for", "1h"]).done();
    let query = "count_over_time(mcp_server_health_status{check_type=\"liveness\"}[12s]) >= 6";
    eventually("six probes within twelve seconds", || {
        site.run(&["query", query, "-o", "json"]).stdout.contains("\"notes\"").then_some(())
    });
}

/// So do looks for intruders and checks of its data: as always there are two or three in twelve seconds of either.
#[test]
fn looks_and_checks_come_more_often_while_a_server_is_watched() {
    let data = tempfile::tempdir().unwrap();
    fs::write(data.path().join("a.txt"), "hello").unwrap();
    let mut site = Site::of(&Setup {
        tables: "[intrusion]\nevery = \"6s\"\n[integrity]\nquick = \"6s\"\n",
        servers: &[Server::notes("notes").with(&format!("[[server.data]]\npath = {:?}\n", data.path()))],
        ..Setup::default()
    });
    site.serve_until_ready(&["notes"]);
    site.run(&["security", "baseline", "notes"]).done();
    site.run(&["security", "watch", "notes", "--for", "1h"]).done();
    let query = "count_over_time(paramedic_intrusion_signs{attack=\"foreign_process\",certainty=\"certain\"}[12s]) >= 6";
    eventually("six looks within twelve seconds", || {
        site.run(&["query", query, "-o", "json"]).stdout.contains("\"notes\"").then_some(())
    });
    eventually("five checks within twelve seconds", || {
        let history = fs::read_to_string(site.path("data/integrity/notes/checks.jsonl")).ok()?;
        let times: Vec<i64> = history
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok()?["at_ms"].as_i64())
            .collect();
        let last = times.last()?;
        (times.iter().filter(|at_ms| last - **at_ms <= 12_000).count() >= 5).then_some(())
    });
}

#[test]
fn everything_is_taken_back_by_one_command() {
    let (site, [ci, _]) = site();
    let opened = site
        .run(&["incident", "open", "--server", "notes", "--procedure", "Drill", "--reason", "a drill"])
        .done();
    let id = opened.trim().to_owned();
    let run = |words: &[&str]| site.run(words).done();
    run(&["server", "limit", "notes", "--per-second", "500"]);
    run(&[
        "security",
        "contain",
        "notes",
        "--without-evidence",
        "--revoke-tokens",
        "--client",
        "bad",
        "--confirmed",
    ]);
    run(&["security", "rotate", "notes", "--client", "ci"]);
    run(&["security", "watch", "notes", "--for", "1h"]);
    let next = word(&site, "ci");
    let incident = site.get::<Detail>(&format!("/api/v1/incidents/{id}")).unwrap().fold().unwrap();
    assert!(
        incident.changes().count() >= 6,
        "{:?}",
        incident.changes().map(|made| made.change.what).collect::<Vec<_>>()
    );
    let told = run(&["security", "release", "notes", "--all"]);
    assert!(told.contains("tokens of server `notes`, by tester: stays: a token that was replaced"), "{told}");
    assert!(!told.contains("NOT taken back"), "{told}");
    assert!(
        !site.path("data/controls/notes.json").exists() && !site.path("data/contained/notes.json").exists()
    );
    let status = site.status("notes");
    assert_eq!((status.restriction, status.watched), (None, None));
    assert_eq!([&ci, &next].map(|word| shows(&site, word)), [401, 200]);
    // All of it again: there is nothing left, but for what stays.
    let told = run(&["incident", "undo", &id, "--all"]);
    assert!(told.lines().all(|line| line.contains(": stays: ")), "{told}");
    let one = told.split(':').next().unwrap();
    site.run(&["incident", "undo", &id, one]).failed(1, &["does not come back"]);
    site.run(&["incident", "undo", &id]).failed(2, &["<WHAT>"]);
}
