//! Tests of a person's word: what waits for it, what a yes and a no bring about, and the switch above both.

use std::fs;

use incident::Record;

use crate::site::{Server, Setup, Site, run};
use crate::story::is_intent;

/// The unit of the shipped runbook that restarts the server.
const RESTART: &str = "6.1";

/// A server whose changes wait for a person, killed, and the name of its incident.
fn waiting() -> (Site, String) {
    let mut site = Site::new(&[Server::notes("notes").with("mode = \"suggest\"")]);
    site.serve_until_ready(&["notes"]);
    site.kill("notes");
    let story = site.incident("notes", "waiting", |story| {
        story.has(|record| matches!(record, Record::ApprovalAsked { unit, .. } if unit.unit == RESTART))
    });
    let id = story.id().to_owned();
    let listed = site.incidents();
    assert_eq!(listed.len(), 1);
    assert_eq!(
        (listed[0].waiting.as_slice(), listed[0].state.is_open()),
        ([RESTART.to_owned()].as_slice(), true)
    );
    let table = site.run(&["incident", "list"]).done();
    assert!(table.contains("approval of 6.1"), "{table}");
    let shown = site.run(&["incident", "show", &id]).done();
    assert!(shown.contains("paramedic server restart") && shown.contains("mode is `suggest`"), "{shown}");
    let status = site.status("notes");
    assert_eq!((status.starts, status.phase.as_str()), (Some(1), "exited"));
    (site, id)
}

#[test]
fn a_yes_lets_it_run() {
    let (site, id) = waiting();
    site.approve(&id, "7.1").failed(1, &["`7.1`", "what waits: 6.1"]);
    // A yes is to a question that was read: without it nothing is approved, and it is shown.
    let unread = site.run(&["incident", "approve", &id, RESTART]);
    let shown = site.run(&["incident", "show", &id]).done();
    let command = shown.lines().find(|line| line.contains("paramedic incident approve")).unwrap().trim();
    unread.failed(2, &["nothing was approved", "paramedic server restart", command]);
    let words: Vec<&str> = command.split(' ').skip(1).collect();
    site.run(&words).done();
    let story = site.resolved("notes");
    assert_eq!(story.restarts(), 1);
    assert!(story.has(|record| matches!(record, Record::Approved { by, .. } if by == "tester")), "{story}");
    assert_eq!(site.status("notes").starts, Some(2));
    // The step that asks whether the server is alive has told what it found, and the exit is a finding of its own.
    let finds = |name: Option<&str>, kind: &str| {
        story.has(|record| {
            matches!(record, Record::Found { unit, findings }
                if unit.as_ref().map(|unit| unit.unit.as_str()) == name
                    && findings.iter().any(|finding| finding.kind() == kind))
        })
    };
    assert!(finds(Some("2.1"), "liveness") && finds(None, "process_exit"), "{story}");
    site.approve(&id, RESTART).failed(1, &["nothing waits"]);
}

#[test]
fn a_no_ends_with_a_person() {
    let (site, id) = waiting();
    site.run(&["incident", "reject", &id, RESTART, "--reason", "not on a Friday"]).done();
    let story = site.incident("notes", "given to a person", |story| story.person_needed().is_some());
    assert!(story.person_needed().unwrap().contains("not on a Friday"), "{story}");
    assert!(!story.has(|record| is_intent(record, RESTART)));
    let listed = site.incidents();
    assert!(listed[0].state.is_open() && listed[0].waiting.is_empty(), "{listed:#?}");
    assert_eq!(site.status("notes").starts, Some(1));
}

#[test]
fn the_kill_switch_stops_every_change() {
    let servers = [Server::notes("notes")];
    let mut site = Site::of(&Setup { servers: &servers, verify_seconds: 1, ..Setup::default() });
    site.serve_until_ready(&["notes"]);
    fs::write(site.path("data/kill-switch"), "").unwrap();
    site.kill("notes");
    let story = site.incident("notes", "given to a person", |story| story.person_needed().is_some());
    let skipped = story.skipped(RESTART);
    assert_eq!(skipped.len(), 2, "once in each run of the procedure: {story}");
    assert!(skipped.iter().all(|reason| reason.contains("kill switch")), "{skipped:?}");
    assert!(!story.has(|record| is_intent(record, RESTART)));
    assert_eq!(site.status("notes").starts, Some(1));

    // What a person does then is verified like everything else.
    fs::remove_file(site.path("data/kill-switch")).unwrap();
    site.run(&["server", "restart", "notes"]).done();
    let story = site.resolved("notes");
    assert_eq!(story.restarts(), 1);
    assert!(story.has(|record| matches!(record, Record::Verified { .. })));
}

#[test]
fn a_person_takes_over_hands_back_and_says_what_only_people_know() {
    let (site, id) = waiting();
    let read = site.approval(&id, RESTART);
    site.run(&["incident", "hold", &id, "--reason", "I look first"]).done();
    site.run(&["incident", "hold", &id]).failed(1, &["held by a person already"]);
    site.approve(&id, RESTART).failed(1, &["nothing waits"]);
    let table = site.run(&["incident", "list"]).done();
    assert!(table.contains("whoever holds it"), "{table}");
    site.run(&["incident", "note", &id, "the cable was loose"]).done();
    site.run(&["incident", "follow-up", &id, "replace the cable"]).done();
    site.run(&["incident", "escalate", &id, "--contact", "network"]).done();
    assert_eq!(site.status("notes").starts, Some(1));

    site.run(&["incident", "resume", &id]).done();
    site.incident("notes", "asked anew", |story| {
        story.count(|record| matches!(record, Record::ApprovalAsked { .. })) == 2
    });
    // Somebody has read the first question, and answers now.
    run(read).failed(1, &["is not the one that was read", "asked anew"]);
    site.approve(&id, RESTART).done();
    let story = site.resolved("notes");
    assert_eq!(story.restarts(), 1);
    site.run(&["incident", "close", &id, "--reason", "done"]).failed(1, &["follow-ups are open: 1"]);
    site.run(&["incident", "follow-up", &id, "it is new", "--done", "1"]).done();
    site.run(&["incident", "close", &id, "--reason", "done"]).done();
    let report = site.run(&["incident", "report", &id]).done();
    for words in
        ["tester takes over: I look first", "tester notes: the cable was loose", "follow-up 1 done by tester"]
    {
        assert!(report.contains(words), "{words}: {report}");
    }
}

#[test]
fn after_an_abort_the_rest_is_a_persons() {
    let (site, id) = waiting();
    site.run(&["incident", "abort", &id]).done();
    let story = site.incident("notes", "given to a person", |story| story.person_needed().is_some());
    assert!(story.person_needed().unwrap().contains("ended the machine's part"), "{story}");
    site.run(&["incident", "resolve", &id]).failed(1, &["the server is not well"]);
    site.run(&["server", "restart", "notes"]).done();
    let story = site.resolved("notes");
    assert!(!story.has(|record| is_intent(record, RESTART)));
}

#[test]
fn a_person_opens_an_incident() {
    let mut site = Site::new(&[Server::notes("notes")]);
    site.serve_until_ready(&["notes"]);
    let open = ["incident", "open", "--server", "notes", "--reason", "it feels odd", "--procedure"];
    site.run(&[&open[..], &["nothing"]].concat()).failed(2, &["no procedure is called `nothing`"]);
    let id = site.run(&[&open[..], &["MCPServerDown"]].concat()).done();
    let story = site.resolved("notes");
    assert_eq!((story.id(), story.restarts()), (id.trim(), 1));
}
