//! Tests of bad input: each gives an error that names the thing, and the other servers go on being watched.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::net::UnixStream;

use serde_json::json;

use crate::client::Question;
use crate::site::{EXE, Server, Setup, Site};

/// That the server is watched: killed, it is brought back.
#[track_caller]
fn is_watched(site: &Site, server: &str) {
    site.kill(server);
    assert_eq!(site.resolved(server).restarts(), 1);
    assert_eq!(site.ready(server).starts, Some(2));
}

#[test]
fn a_malformed_configuration_names_file_line_and_key() {
    let site = Site::new(&[]);
    let server = "[[server]]\nname = \"a\"\nport = 7001\nstdio = [\"x\"]\n";
    for (text, line, words) in [
        ("listen = \"127.0.0.1:7477\"\n[probe\n", 2, vec!["[probe"]),
        ("listen = 7477\n", 1, vec!["`listen`"]),
        ("\n[probe]\nintervall = \"5s\"\n", 3, vec!["`intervall`"]),
        ("[probe]\ninterval = \"soon\"\n", 2, vec!["`interval`", "soon"]),
        ("[[server]]\nname = \"a\"\nport = 70000\n", 3, vec!["`port`"]),
        ("[[server]]\nname = \"a\"\nport = 7001\n", 2, vec!["`stdio`", "the server `a`"]),
        (
            &format!("{server}{}", server.replace("7001", "7002")),
            6,
            vec!["`name`", "the name `a` is taken by the server at line 2"],
        ),
        (&format!("{server}{}", server.replace("\"a\"", "\"b\"")), 7, vec!["`port`", "7001", "line 3"]),
    ] {
        site.write_config(text);
        for command in [["serve"].as_slice(), &["config", "check"]] {
            let place = format!("{}:{line}:", site.config().display());
            let words: Vec<&str> = [place.as_str()].into_iter().chain(words.iter().copied()).collect();
            site.run(command).failed(2, &words);
        }
    }
    assert!(!site.path("data").exists(), "nothing was begun");
}

#[test]
fn an_unreadable_runbook_does_not_take_the_others_along() {
    let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/../../runbooks/server-down.md");
    let keys = format!("runbooks = [\"missing.md\", \"folder.md\", {shipped:?}]");
    let mut site = Site::of(&Setup { keys: &keys, servers: &[Server::notes("notes")], ..Setup::default() });
    fs::create_dir(site.path("folder.md")).unwrap();
    site.serve_until_ready(&["notes"]);
    for name in ["missing.md", "folder.md"] {
        let path = site.path(name);
        let path = path.to_str().unwrap();
        let log = site.serve_log();
        assert!(log.lines().any(|line| line.contains(path) && line.contains("cannot be read")), "{log}");
        site.run(&["runbook", "show", path]).failed(2, &["cannot read the runbook", path]);
        site.run(&["runbook", "run", path, "--procedure", "x"]).failed(2, &["cannot read the runbook", path]);
    }
    is_watched(&site, "notes");
}

#[test]
fn without_any_runbook_serve_is_not_healthy() {
    let keys = "runbooks = [\"missing.md\"]";
    let mut site = Site::of(&Setup { keys, servers: &[Server::notes("notes")], ..Setup::default() });
    site.serve_until_ready(&["notes"]);
    let mut stream = UnixStream::connect(site.path("data/run/paramedic.sock")).unwrap();
    stream.write_all(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("no runbook with an alert"), "{answer}");
}

#[test]
fn bad_servers_are_named_and_the_good_one_is_watched() {
    let noise = format!(
        "echo 'Listening on stdio'; echo '{{\"jsonrpc\": broken'; printf '\\377\\376\\n'; exec {EXE} demo-server notes"
    );
    let mut site = Site::new(&[
        Server::notes("good"),
        Server::new("absent", &["/nonexistent/mcp-server"]).with("mode = \"observe\""),
        Server::notes("taken").with("mode = \"observe\""),
        Server::new("mute", &["sleep", "1000"]).with("start_timeout = \"700ms\"\nmode = \"observe\""),
        Server::new("noisy", &["/bin/sh", "-c", &noise]),
    ]);
    let _holder = TcpListener::bind((Ipv4Addr::LOCALHOST, site.port("taken"))).unwrap();
    site.serve_until_ready(&["good", "noisy"]);

    site.until("absent", "failed", |status| status.phase == "failed");
    site.until("mute", "failed", |status| status.phase == "failed");
    site.until("taken", "without a guard", |status| status.reason.contains("the guard ended at once"));
    let address = format!("127.0.0.1:{}", site.port("taken"));
    for (server, words) in [
        ("absent", "/nonexistent/mcp-server"),
        ("taken", address.as_str()),
        ("mute", "did not answer `initialize` within 0.7 s"),
    ] {
        let shown = site.run(&["server", "status", server]);
        assert_eq!(shown.code, Some(1), "{shown:?}");
        assert!(shown.stdout.contains(words), "`{words}` is missing: {shown:?}");
        assert!(site.serve_log().contains(words), "`{words}` is missing in\n{}", site.serve_log());
        let story = site.incident(server, "opened", |_| true);
        assert!(story.alarm().summary.contains(words), "{:?}", story.alarm());
    }
    let note = Question { tool: "add_note", arguments: json!({"text": "x"}), right: "1" };
    note.ask_until_right(&site.endpoint("noisy"));
    let log = site.server_log("noisy");
    let told = |words: &str| log.iter().any(|line| line.to_string().contains(words));
    assert!(told("Listening on stdio") && told("broken"), "{log:#?}");
    is_watched(&site, "good");
    let list = site.run(&["server", "list"]).done();
    assert_eq!(list.lines().count(), 6, "{list}");
}

#[test]
fn a_command_that_does_not_exist_ends_with_a_person() {
    let mut site = Site::new(&[Server::new("absent", &["/nonexistent/mcp-server"])]);
    site.serve();
    let story = site.incident("absent", "given to a person", |story| story.person_needed().is_some());
    assert!(story.person_needed().unwrap().contains("2 run(s)"), "{story}");
    assert_eq!(story.restarts(), 0);
    let listed = site.run(&["incident", "list"]).done();
    assert!(listed.contains("a person") && listed.contains("/nonexistent/mcp-server"), "{listed}");
}

#[test]
fn one_serve_for_one_data_directory() {
    let mut site = Site::new(&[Server::notes("notes")]);
    site.serve_until_ready(&["notes"]);
    let data = site.path("data");
    site.run(&["serve"]).failed(2, &["another `paramedic serve`", data.to_str().unwrap()]);
    // The first one has lost nothing by it.
    is_watched(&site, "notes");
}

#[test]
fn an_address_in_use_is_named() {
    let site = Site::new(&[Server::notes("notes")]);
    let holder = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = holder.local_addr().unwrap().to_string();
    site.write_config(&format!("data_dir = \"data\"\nlisten = \"{address}\"\n"));
    site.run(&["serve"]).failed(2, &["`listen`", &address]);
}

#[test]
fn a_journal_that_is_no_database_is_named() {
    let site = Site::new(&[Server::notes("notes")]);
    fs::create_dir(site.path("data")).unwrap();
    fs::write(site.path("data/journal.db"), "This is no database. ".repeat(500)).unwrap();
    let path = site.path("data/journal.db");
    site.run(&["serve"]).failed(2, &["the journal", path.to_str().unwrap()]);
    assert!(site.processes().is_empty(), "no guard was started");
}

#[test]
fn settings_of_a_guard_are_read_by_the_check() {
    let site = Site::new(&[Server::notes("notes").with("guard_settings = \"guard.toml\"")]);
    let settings = site.config().with_file_name("guard.toml");
    for (text, words) in [
        ("[limits]\nin_flight = 0", vec!["`guard_settings` of server `notes`", "`in_flight` must not be 0"]),
        ("limit = 1", vec!["`guard_settings` of server `notes`", "unknown field `limit`"]),
        ("[clients.ann]\ntoken_file = \"nowhere\"", vec!["`guard_settings` of server `notes`", "nowhere"]),
    ] {
        fs::write(&settings, text).unwrap();
        site.run(&["config", "check"]).failed(2, &words);
    }
    fs::write(&settings, "[limits]\nin_flight = 9\n[limits.tools.add_note]\ncalls_per_second = 1").unwrap();
    site.run(&["config", "check"]).done();
}
