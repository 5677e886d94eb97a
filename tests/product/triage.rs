//! Tests of triage with real servers: one incident for one trouble, quiet where somebody wants it, a person where it flaps.

use std::fs;

use incident::{Record, State};
use server::api::wire::{AlertStatus, Summary};

use crate::poll::eventually;
use crate::site::{Server, Setup, Site};
use crate::story::Story;

/// The unit of the shipped runbook that restarts the server.
const RESTART: &str = "6.1";

/// Two alerts of which the second follows from the first. Both wait, for a server that starts is not down; and the first
/// goes on until what the guard says, which is read once a second, is as new as the probes.
const DOWN: &str = r#"# Troubles

## Server Down

### Alert: Down

**Severity**: Critical\
**Alert Query**: `mcp_server_up == 0`\
**For**: 10 seconds\
**Keep Firing For**: 5 seconds\
**Inhibits**: Unwell

### Response (0-5 minutes)

1. **Restart**

   ```bash {id=restart}
   paramedic server restart "$SERVER_NAME"
   ```

## Server Unwell

### Alert: Unwell

**Severity**: Warning\
**Alert Query**: `mcp_server_up == 0 and on (server_name) mcp_server_health_status{check_type="liveness"} == 0`\
**For**: 3 seconds

### Response (0-5 minutes)

1. **Look**

   ```bash {id=look}
   paramedic server status "$SERVER_NAME"
   ```
"#;

/// An alert about what servers need.
const NEEDS: &str = r#"# Troubles

## Dependency Failure

### Alert: Needs

**Severity**: Critical\
**Alert Query**: `mcp_server_dependency_status == 0`

### Response (0-5 minutes)

1. **Look**

   ```bash {id=ask}
   paramedic check "$SERVER_NAME" --type dependency || true
   ```
"#;

/// A site with a runbook of its own.
fn site(servers: &[Server], runbook: &str) -> Site {
    let site = Site::of(&Setup { keys: "runbooks = [\"troubles.md\"]", servers, ..Setup::default() });
    fs::write(site.path("troubles.md"), runbook).unwrap();
    site
}

fn alerts(site: &Site) -> Vec<AlertStatus> {
    serde_json::from_str(&site.run(&["alert", "list", "-o", "json"]).done()).unwrap()
}

#[test]
fn three_servers_on_one_dependency_that_fails_are_one_incident() {
    let folder = tempfile::tempdir().unwrap();
    let needed = folder.path().join("postgres");
    fs::write(&needed, "").unwrap();
    let needs = format!("[[server.dependency]]\nname = \"postgres\"\nfile = {:?}", needed.to_str().unwrap());
    let names = ["alpha", "beta", "gamma"];
    let servers = names.map(|name| Server::notes(name).with(&needs));
    let mut site = site(&servers, NEEDS);
    site.serve_until_ready(&names);
    fs::remove_file(&needed).unwrap();
    let one = eventually("all three are in it", || {
        let incidents: Vec<Summary> = site.get("/api/v1/incidents")?;
        incidents.into_iter().find(|one| one.members.len() == 2)
    });
    let shown = site.run(&["incident", "show", one.id.as_str()]).done();
    assert_eq!(shown.matches("joins: it needs postgres (file ").count(), 2, "{shown}");
    let listed = site.run(&["incident", "list"]).done();
    assert!(names.iter().all(|name| listed.contains(name)), "{listed}");
    fs::write(&needed, "").unwrap();
    let story = site.resolved(&one.server);
    assert_eq!(story.count(|record| matches!(record, Record::AlertResolved {})), 1, "{story}");
    let report = site.run(&["incident", "report", one.id.as_str()]).done();
    assert!(report.contains("All of them need postgres (file "), "{report}");
    assert_eq!(site.incidents().len(), 1);
}

#[test]
fn a_killed_server_that_is_unwell_too_is_one_incident() {
    let mut site = site(&[Server::notes("notes").with("mode = \"suggest\"")], DOWN);
    site.serve_until_ready(&["notes"]);
    site.kill("notes");
    let story = site.incident("notes", "asked about, with what follows noted", |story| {
        story.has(|record| matches!(record, Record::ApprovalAsked { .. }))
            && story.has(|record| matches!(record, Record::Inhibited { .. }))
    });
    let unwell = alerts(&site).into_iter().find(|one| one.name == "Unwell").unwrap();
    assert_eq!((unwell.inhibited_by.as_deref(), unwell.server.as_str()), (Some("Down"), "notes"));
    assert_eq!(site.incidents().len(), 1);
    site.approve(story.id(), "1.1").done();
    assert_eq!(site.resolved("notes").restarts(), 1);
    assert_eq!(site.incidents().len(), 1);
}

#[test]
fn a_silenced_server_is_shown_and_left_alone_until_the_silence_ends() {
    let mut site = Site::new(&[Server::notes("notes"), Server::notes("other")]);
    site.run(&["alert", "list"]).failed(3, &["no `paramedic serve` answers"]);
    let add = |matcher: &str, more: &[&str]| {
        let mut words = vec!["alert", "silence", "add", matcher, "--for", "2h", "--comment", "new disk"];
        words.extend(more);
        site.run(&words)
    };
    add("server_name=", &[]).failed(2, &["at character 13 of `server_name=`"]);
    add("severity!=info", &[]).failed(1, &["nearly everything"]);
    // There is no serve yet.
    assert_eq!(add("server_name=notes", &["--by", "ada"]).done().trim(), "1");
    site.serve_until_ready(&["notes", "other"]);
    site.kill("notes");
    site.kill("other");
    assert_eq!(site.resolved("other").restarts(), 1);
    let down = eventually("it is shown", || alerts(&site).into_iter().find(|one| one.server == "notes"));
    assert_eq!(down.silenced_by, [1]);
    assert!(site.incidents().iter().all(|one| one.server == "other"));
    let listed = site.run(&["alert", "silence", "list"]).done();
    for word in ["active", "server_name=\"notes\"", "ada", "new disk"] {
        assert!(listed.contains(word), "{listed}");
    }
    site.run(&["alert", "silence", "expire", "7"]).failed(1, &["there is no silence 7"]);
    site.run(&["alert", "silence", "expire", "1"]).done();
    assert_eq!(site.resolved("notes").restarts(), 1);
    assert_eq!(site.run(&["alert", "silence", "list", "-o", "json"]).done().trim(), "[]");
    assert!(site.run(&["alert", "silence", "list", "--all"]).done().contains("expired"));
}

#[test]
fn a_flapping_server_is_for_a_person() {
    let tables = "[triage]\nreopen_within = \"10m\"\nflapping_reopens = 2\n";
    let servers = [Server::notes("notes")];
    let mut site = Site::of(&Setup { tables, servers: &servers, ..Setup::default() });
    site.serve_until_ready(&["notes"]);
    let reopened = |story: &Story| story.count(|record| matches!(record, Record::Reopened { .. }));
    for times in 0..2 {
        site.kill("notes");
        let is_over = |story: &Story| reopened(story) == times && story.is_reported();
        let story = site.incident("notes", "over", is_over);
        assert_eq!(story.restarts(), times + 1);
    }
    site.kill("notes");
    let story = site.incident("notes", "waiting for a yes", |story| {
        let asks = |record: &Record| {
            matches!(record, Record::ApprovalAsked { unit, reason, .. }
                if unit.unit == RESTART && reason.contains("it is flapping: it came back 2 times"))
        };
        story.has(asks)
    });
    assert_eq!((reopened(&story), story.restarts()), (2, 2));
    assert!(story.person_needed().is_some_and(|reason| reason.contains("flapping")), "{story}");
    let summary = &site.incidents()[0];
    assert!(summary.flapping.is_some() && summary.state != State::Resolved);
    site.run(&["incident", "resume", story.id()]).done();
    let story = site.incident("notes", "over", Story::is_reported);
    assert_eq!((story.restarts(), site.incidents().len()), (3, 1));
    let report = site.run(&["incident", "report", story.id()]).done();
    assert!(report.contains("It came back 2 times after it was resolved."), "{report}");
}
