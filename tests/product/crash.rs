//! Tests of `serve` killed between the intent and the outcome of a restart: afterwards it was restarted once, not twice.

use std::fs;
use std::path::PathBuf;

use incident::Record;
use process::Signal;

use crate::poll::eventually;
use crate::site::{EXE, Server, Site};
use crate::story::{is_intent, is_success};

/// The unit of the shipped runbook that restarts the server.
const RESTART: &str = "6.1";

/// The folder of the first attempt of the restart, if there is one yet.
fn attempt(site: &Site) -> Option<PathBuf> {
    let incidents = fs::read_dir(site.path("data/runs")).ok()?.flatten();
    incidents.map(|incident| incident.path().join(format!("1-{RESTART}-1"))).find(|folder| folder.exists())
}

/// Whether the guard has taken the order.
fn is_ordered(site: &Site) -> bool {
    orders(site) > 0
}

fn orders(site: &Site) -> usize {
    let ordered = |line: &serde_json::Value| {
        line["message"].as_str().is_some_and(|text| text.starts_with("restart ordered"))
    };
    site.server_log("slow").iter().filter(|line| ordered(line)).count()
}

#[track_caller]
fn check(moment: &str, has_come: impl Fn(&Site) -> bool) {
    // A slow start makes the time between intent and outcome long enough to hit.
    let slow = Server::new("slow", &["/bin/sh", "-c", &format!("sleep 1; exec {EXE} demo-server notes")]);
    let mut site = Site::new(&[slow]);
    site.serve_until_ready(&["slow"]);
    let guard = site.status("slow").guard_pid;
    site.kill("slow");
    eventually(moment, || has_come(&site).then_some(()));
    site.end_serve(Signal::KILL);
    let killed_ms = server::now_ms();
    site.serve();

    let story = site.resolved("slow");
    let first_intent = story.timeline().iter().find(|happened| is_intent(&happened.record, RESTART)).unwrap();
    assert!(first_intent.at_ms <= killed_ms, "it was killed before the intent: {story}");
    assert!(
        story.when(|record| is_success(record, RESTART)) >= killed_ms,
        "it was killed after the outcome: {story}"
    );
    assert_eq!(story.restarts(), 1, "{story}");
    assert_eq!(orders(&site), 1, "the guard carried out one order");
    let status = site.status("slow");
    assert_eq!((status.starts, status.guard_pid), (Some(2), guard), "the first start and one restart");
    assert!(!story.has(|record| matches!(record, Record::PersonNeeded { .. })));
    assert_eq!(site.incidents().len(), 1);
}

#[test]
fn killed_when_the_unit_has_its_folder() {
    check("the folder of the restart is there", |site| attempt(site).is_some());
}

#[test]
fn killed_when_the_runner_is_at_work() {
    check("the runner of the restart runs", |site| {
        attempt(site).is_some_and(|folder| folder.join("runner.json").exists())
    });
}

#[test]
fn killed_when_the_guard_has_the_order() {
    check("the guard has the order", is_ordered);
}
