//! Tests of what outlives what: no child its guard, and every guard `serve`.

use incident::Record;
use process::{ProcessId, Signal};
use serde_json::json;

use crate::client::{Question, ask};
use crate::poll::eventually;
use crate::processes;
use crate::site::{Server, Site};

#[test]
fn a_killed_guard_leaves_no_child_and_is_replaced_once() {
    let mut site = Site::new(&[Server::notes("notes")]);
    site.serve_until_ready(&["notes"]);
    let before = site.status("notes");
    let (guard, child) = (before.guard_pid.unwrap(), ProcessId::of(before.pid.unwrap()).unwrap());
    processes::signal(guard, Signal::KILL);
    eventually("the child ends with its guard", || (!child.is_alive()).then_some(()));

    let story = site.resolved("notes");
    let exit = story.alarm().exit.as_ref().unwrap();
    assert!(exit.reason.contains(&format!("its guard (process {guard}) is gone")), "{}", exit.reason);
    assert_eq!(story.restarts(), 1);
    assert_eq!(site.incidents().len(), 1);
    let after = site.status("notes");
    assert_eq!((after.phase.as_str(), after.starts), ("ready", Some(1)));
    assert_ne!(after.guard_pid, Some(guard));
    // One guard and one child: nothing of the old pair runs beside the new one.
    let commands: Vec<String> = site.processes().into_iter().map(|found| found.command).collect();
    let n = |word: &str| commands.iter().filter(|command| command.split(' ').nth(1) == Some(word)).count();
    assert_eq!((n("guard"), n("demo-server")), (1, 1), "{commands:#?}");
    let note = Question { tool: "add_note", arguments: json!({"text": "again"}), right: "1" };
    note.ask_until_right(&site.endpoint("notes"));
}

#[test]
fn a_guard_is_replaced_by_another_and_serve_follows() {
    let mut site = Site::new(&[Server::notes("notes")]);
    site.serve_until_ready(&["notes"]);
    let before = site.status("notes");
    let guard = before.guard_pid.unwrap();
    let command = std::fs::read(format!("/proc/{guard}/cmdline")).unwrap();
    let command: Vec<&str> =
        command.split(|byte| *byte == 0).map(|word| std::str::from_utf8(word).unwrap()).collect();
    let end = command.iter().position(|word| *word == "--").unwrap();
    let server = &command[end..command.len() - 1];
    let mut next = site.command(&[]);
    let mut next = next.args(&command[1..end]).arg("--take-over").args(server).spawn().unwrap();
    let pid = i32::try_from(next.id()).unwrap();
    let after = site.until("notes", "behind its new guard", |status| status.guard_pid == Some(pid));
    assert_eq!(after.phase, "ready");
    assert_ne!(after.pid, before.pid);
    let note = Question { tool: "add_note", arguments: json!({"text": "again"}), right: "1" };
    note.ask_until_right(&site.endpoint("notes"));
    eventually("the one before ends", || {
        ProcessId::of(guard).is_none_or(|guard| !guard.is_alive()).then_some(())
    });
    let child = before.pid.unwrap();
    eventually("and its child", || ProcessId::of(child).is_none_or(|child| !child.is_alive()).then_some(()));
    let status = site.status("notes");
    assert_eq!((status.guard_pid, status.outdated), (Some(pid), false));
    assert!(site.incidents().is_empty(), "nothing has happened that anybody noticed: {:?}", site.incidents());
    processes::signal(pid, Signal::TERM);
    let _ = next.wait();
}

#[test]
fn a_frozen_server_is_called_frozen() {
    let mut site = Site::new(&[Server::notes("notes")]);
    // Nobody waits for ten seconds here.
    let config = std::fs::read_to_string(site.config()).unwrap().replace("for = \"10s\"", "for = \"1s\"");
    site.write_config(&config);
    site.serve_until_ready(&["notes"]);
    site.until("notes", "healthy", |status| status.health == "healthy");
    let child = site.status("notes").pid.unwrap();
    processes::signal(child, Signal::STOP);
    let story = site.resolved("notes");
    assert!(story.alarm().summary.contains("is stopped (SIGSTOP)"), "{}", story.alarm().summary);
    let named = |record: &Record| matches!(record, Record::CauseNamed { cause: Some(cause), .. } if cause == "frozen");
    assert!(story.has(named), "{story}");
    assert_eq!(story.restarts(), 1);
    assert_ne!(site.status("notes").pid, Some(child));
}

#[test]
fn guards_outlive_serve_and_are_taken_over() {
    let mut site =
        Site::new(&[Server::notes("notes"), Server::new("sums", &[crate::site::EXE, "demo-server", "sums"])]);
    site.serve_until_ready(&["notes", "sums"]);
    let before = (site.status("notes"), site.status("sums"));
    let endpoint = site.endpoint("notes");
    let note = || ask(&endpoint, "add_note", &json!({"text": "x"}));
    assert_eq!(note().as_deref(), Ok("1"));

    // The count goes on: it is the same child that answers, with `serve` gone.
    site.end_serve(Signal::KILL);
    assert_eq!(note().as_deref(), Ok("2"));
    site.serve_until_ready(&["notes", "sums"]);
    assert_eq!(note().as_deref(), Ok("3"));
    site.end_serve(Signal::TERM);
    assert_eq!(note().as_deref(), Ok("4"));
    site.serve_until_ready(&["notes", "sums"]);
    assert_eq!(note().as_deref(), Ok("5"));

    let after = (site.status("notes"), site.status("sums"));
    for (before, after) in [(before.0, after.0), (before.1, after.1)] {
        assert_eq!((after.pid, after.guard_pid), (before.pid, before.guard_pid));
        assert_eq!((after.starts, after.last_exit), (Some(1), None));
    }
    assert!(site.incidents().is_empty(), "nothing was down");
    // They are watched, not only known.
    site.kill("notes");
    assert_eq!(site.resolved("notes").restarts(), 1);
    assert_eq!(site.status("sums").starts, Some(1));
}

#[test]
fn what_happened_while_serve_was_away_is_seen() {
    let mut site = Site::new(&[Server::notes("notes")]);
    site.serve_until_ready(&["notes"]);
    let child = site.status("notes").pid.unwrap();
    site.end_serve(Signal::KILL);
    processes::signal(child, Signal::KILL);
    site.serve();
    let story = site.resolved("notes");
    let exit = story.alarm().exit.as_ref().unwrap();
    assert_eq!((exit.pid, exit.reason.as_str()), (Some(child), "killed by SIGKILL"));
    let opened_ms = story.when(|record| matches!(record, Record::Opened { .. }));
    assert!(exit.at_ms < opened_ms, "the time of the exit is the guard's: {story}");
    assert_eq!((story.restarts(), site.status("notes").starts), (1, Some(2)));
}
