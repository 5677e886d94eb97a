//! Tests `serve` with the original runbook, unmodified: what looks runs by itself, what changes waits for a yes, what kills is refused.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use incident::{Book, Record};
use server::api::wire::Summary;

use crate::poll::eventually;
use crate::site::{Server, Setup, Site, original};

/// The server's name in the runbook's units of systemd.
const SERVER: &str = "notes";

/// Stand-ins for what the runbook calls and a test must not: the network, the machine's systemd, half a minute of sleep.
const STAND_INS: [(&str, &str); 5] = [
    ("curl", "exit 0"),
    ("pg_isready", "exit 0"),
    ("sleep", "exit 0"),
    ("python3", "exit 0"),
    (
        "systemctl",
        r#"case "$1" in restart) exec paramedic server restart "${2#mcp-server-}" ;; *) exit 0 ;; esac"#,
    ),
];

fn stand_in(folder: &Path, name: &str, body: &str) {
    let (path, called) = (folder.join(name), folder.join("called"));
    fs::write(&path, format!("#!/bin/sh\necho \"$0 $*\" >> '{}'\n{body}\n", called.display())).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn serve_looks_asks_and_refuses() {
    let Some(path) = original() else { return };
    let (book, _) = Book::parse("original.md", &fs::read(&path).unwrap());
    let keys = format!("runbooks = [{path:?}]");
    let tables = "[policy]\nmode = \"suggest\"\n";
    let servers = [Server::notes(SERVER)];
    let mut site = Site::of(&Setup { keys: &keys, tables, servers: &servers, ..Setup::default() });
    site.serve_until_ready(&[SERVER]);
    // Beside `paramedic` itself, where units look for commands first.
    let bin = site.path("data/run/bin");
    STAND_INS.iter().for_each(|(name, body)| stand_in(&bin, name, body));

    site.kill(SERVER);
    let id = eventually("the incident is open", || {
        let open: Vec<Summary> = site.get("/api/v1/incidents")?;
        Some(open.first()?.id.to_string())
    });
    let story = eventually("the incident ends, with a yes to everything", || {
        let story = site.incident(SERVER, "there", |_| true);
        let waiting: Vec<Summary> = site.get("/api/v1/incidents")?;
        if let Some(unit) = waiting.first().and_then(|one| one.waiting.first().cloned()) {
            site.approve(&id, &unit);
        }
        (story.is_reported() || story.person_needed().is_some()).then_some(story)
    });

    let procedure = book.runbook.procedures.iter().find(|one| one.id == "server-down-incident").unwrap();
    let named = |name: &str| procedure.units().find(|unit| unit.id == name).unwrap();
    let (mut looked, mut approved, mut changed) = (0, BTreeSet::new(), 0);
    for happened in story.timeline() {
        match &happened.record {
            Record::Approved { unit, .. } => drop(approved.insert(unit.unit.clone())),
            Record::Intent { unit, effect, .. } if effect == "observe" => {
                assert!(!approved.contains(&unit.unit), "nobody is asked about {}\n{story}", unit.unit);
                looked += 1;
            }
            Record::Intent { unit, .. } => {
                assert!(approved.contains(&unit.unit), "{} needs a yes\n{story}", unit.unit);
                changed += 1;
            }
            _ => {}
        }
    }
    assert!(looked > 10 && changed >= 2, "{looked} looked, {changed} changed\n{story}");
    let lethal = procedure.units().find(|unit| unit.source.contains("find /tmp -type f")).unwrap();
    let refused = story.skipped(&lethal.id);
    assert!(refused.len() == 1 && refused[0].starts_with("RB030"), "{refused:?}\n{story}");
    assert_eq!(named(&lethal.id).line, 91);
    assert_eq!(story.restarts(), 1, "{story}");
    let called = fs::read_to_string(bin.join("called")).unwrap();
    assert!(called.contains("systemctl restart mcp-server-notes"), "{called}");
    site.ready(SERVER);
}
