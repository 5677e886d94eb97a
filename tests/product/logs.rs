//! Tests `paramedic server logs`: what a real server has said, with and without `serve`, followed across a rotation.

use std::fs::{self, File};

use process::Signal;

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
    assert_eq!(serde_json::from_str::<Vec<serde_json::Value>>(&document).unwrap(), site.server_log("loud"));
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
