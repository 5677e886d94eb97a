//! Tests of holding the machine back: maintenance windows and the kill switch, with and without a running `serve`.

use incident::Record;

use crate::site::{Server, Site};
use crate::story::is_intent;

/// The unit of the shipped runbook that restarts the server.
const RESTART: &str = "6.1";

#[test]
fn in_maintenance_it_looks_and_the_change_waits_for_a_yes_or_the_end() {
    let mut site = Site::new(&[Server::notes("notes"), Server::notes("other")]);
    // There is no serve yet.
    let number = site.run(&["maintenance", "start", "notes", "--for", "2h", "--reason", "new disk"]).done();
    assert_eq!(number.trim(), "1");
    site.serve_until_ready(&["notes", "other"]);
    site.kill("notes");
    site.kill("other");
    assert_eq!(site.resolved("other").restarts(), 1);
    let story = site.incident("notes", "waiting", |story| {
        story.has(|record| matches!(record, Record::ApprovalAsked { unit, .. } if unit.unit == RESTART))
    });
    assert!(!story.has(|record| is_intent(record, RESTART)), "{story}");
    let shown = site.run(&["incident", "show", story.id()]).done();
    assert!(shown.contains("in maintenance until") && shown.contains("(new disk, by tester)"), "{shown}");
    site.approve(story.id(), RESTART).done();
    assert_eq!(site.resolved("notes").restarts(), 1);
}

#[test]
fn windows_are_listed_and_ended_and_a_broken_list_says_so() {
    let site = Site::new(&[Server::notes("notes")]);
    site.run(&["maintenance", "start", "nots", "--for", "2h", "--reason", "x"])
        .failed(2, &["`nots`", "notes"]);
    site.run(&["maintenance", "start", "--for", "2h", "--reason", "x"]).failed(2, &["SERVER"]);
    site.run(&["maintenance", "start", "notes", "--for", "0s", "--reason", "x"])
        .failed(1, &["after it begins"]);
    site.run(&["maintenance", "start", "--all", "--for", "2h", "--reason", "move"]).done();
    let listed = site.run(&["maintenance", "list", "-o", "json"]).done();
    let listed: Vec<incident::Window> = serde_json::from_str(&listed).unwrap();
    assert_eq!((listed.len(), &listed[0].server, listed[0].by.as_str()), (1, &None, "tester"));
    site.run(&["maintenance", "end", "7"]).failed(1, &["there is no window 7"]);
    site.run(&["maintenance", "end", "1"]).done();
    assert_eq!(site.run(&["maintenance", "list", "-o", "json"]).done().trim(), "[]");

    std::fs::write(site.path("data/maintenance.json"), "{").unwrap();
    site.run(&["maintenance", "list"]).failed(2, &["mend or remove", "maintenance.json"]);
}

#[test]
fn the_kill_switch_is_thrown_and_released() {
    let site = Site::new(&[Server::notes("notes")]);
    assert_eq!(site.run(&["kill-switch", "status"]).done().trim(), "off");
    site.run(&["kill-switch", "on", "--reason", "flood"]).done();
    let status = site.run(&["kill-switch", "status"]).done();
    assert!(status.starts_with("on (") && status.contains("tester: flood"), "{status}");
    assert!(site.path("data/kill-switch").exists());
    site.run(&["kill-switch", "off"]).done();
    let status: serde_json::Value =
        serde_json::from_str(&site.run(&["kill-switch", "status", "-o", "json"]).done()).unwrap();
    assert_eq!(status["on"], false);
}
