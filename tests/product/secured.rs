//! Tests the shipped runbook for a security incident from the attack to the report: contained after a yes, its evidence
//! sealed before; analysed, hardened by a person, restarted while nobody reaches it, and released; nothing is left.

use std::fs;

use incident::Record;
use serde_json::json;
use server::api::wire::Detail;

use crate::apart::{OTHER, RESPONDER, Request, SERVER, apart, ruleset};
use crate::client::ask;
use crate::poll::eventually;
use crate::real::installed;
use crate::site::{Server, Setup, Site};
use crate::six::SHIPPED;
use crate::story::{Story, is_success};

/// Writes the shipped runbook with a watch that a test can wait for.
fn write_book(site: &Site) {
    let mut text = fs::read_to_string(format!("{SHIPPED}/security-incident.md")).unwrap();
    for (before, after) in [
        ("until=\"1h\" every=1m", "until=\"2s\" every=1s"),
        // The rest of it is tested elsewhere, and takes a while.
        (
            "evidence collect \"$SERVER_NAME\" --incident \"$INCIDENT_ID\" --since 24h\n",
            "evidence collect \"$SERVER_NAME\" --incident \"$INCIDENT_ID\" --since 24h --depth t0\n",
        ),
        ("security patches \"$SERVER_NAME\"\n", "security patches \"$SERVER_NAME\" --offline\n"),
        ("find /etc /usr/local -xdev", "find /etc/apt /usr/local/etc -xdev"),
    ] {
        assert_eq!(text.matches(before).count(), 1, "{before}");
        text = text.replace(before, after);
    }
    fs::write(site.path("security-incident.md"), text).unwrap();
}

/// The question that is open: the unit, and what it would do.
fn open_question(site: &Site, id: &str) -> Option<(String, String)> {
    let incident = site.get::<Detail>(&format!("/api/v1/incidents/{id}"))?.fold()?;
    let (unit, ..) = incident.open_questions().next()?;
    let story = Story::new(site.get(&format!("/api/v1/incidents/{id}"))?);
    let statement = story.timeline().iter().rev().find_map(|happened| match &happened.record {
        Record::ApprovalAsked { unit: asked, statement, .. } if asked.unit == unit.unit => {
            Some(statement.clone())
        }
        _ => None,
    });
    Some((unit.unit.clone(), statement.unwrap_or_default()))
}

/// Whether a statement was carried out, and did what it was to do.
fn is_done(story: &Story, words: &str) -> bool {
    let begun = story.timeline().iter().find_map(|happened| match &happened.record {
        Record::Intent { unit, statement, .. } if statement.contains(words) => Some(unit.unit.clone()),
        _ => None,
    });
    begun.is_some_and(|unit| story.has(|record| is_success(record, &unit)))
}

#[test]
fn the_runbook_for_an_attack_is_carried_out_to_its_end() {
    let script = "node_modules/@modelcontextprotocol/server-filesystem/dist/index.js";
    let Some(script) = installed("PARAMEDIC_TEST_NPM", script) else { return };
    let Some(beside) = apart("secured::the_runbook_for_an_attack_is_carried_out_to_its_end") else { return };
    let docs = tempfile::tempdir().unwrap();
    fs::write(docs.path().join("a.txt"), "hello").unwrap();
    let server = Server::new("docs", &["node", script.to_str().unwrap(), docs.path().to_str().unwrap()])
        .with("guard_settings = \"docs.toml\"");
    let mut site = Site::of(&Setup {
        keys: "guard_address = \"::\"\nrunbooks = [\"security-incident.md\"]",
        tables: "[policy]\nmode = \"auto\"\n[containment]\nresponders = [\"10.77.0.3\"]\n[alerts.MCPSecurityIncident]\nkeep_firing_for = \"2m\"",
        servers: &[server],
        verify_seconds: 0,
    });
    write_book(&site);
    let settings = format!("[security]\nblock = [\"path_traversal\"]\nroots = [{:?}]\n", docs.path());
    fs::write(site.path("docs.toml"), settings).unwrap();
    site.serve_until_ready(&["docs"]);
    let (port, before) = (site.port("docs"), ruleset());
    let from = |who: [&str; 2], request| beside.status(who[0], SERVER[0], port, request);
    let passwd = json!({ "path": "../../../etc/passwd" });
    ask(&site.endpoint("docs"), "read_text_file", &passwd).unwrap_err();
    let id = site.incident("docs", "opened", |_| true).id().to_owned();

    let mut asked = Vec::new();
    let story = eventually_answered(&site, &id, |unit, statement| {
        let is_cut_off = from(OTHER, Request::Initialize).is_err();
        if statement.contains("security contain") {
            assert_eq!(from(OTHER, Request::Initialize).unwrap(), 200, "nothing before a yes");
            site.run(&["evidence", "verify", &id]).done();
        } else {
            assert!(is_cut_off, "contained until it is released: {unit} {statement}");
            assert_eq!(from(RESPONDER, Request::Health).unwrap(), 200);
        }
        asked.push(statement.split_whitespace().take(3).collect::<Vec<_>>().join(" "));
    });
    let wanted = [
        "paramedic security contain",
        "System Hardening",
        "paramedic evidence verify",
        "paramedic security baseline",
        "paramedic security rotate",
        "paramedic security release",
    ];
    assert_eq!(asked, wanted, "{story}");
    for words in [
        "incident ack",
        "depth t0",
        "security contain",
        "evidence export",
        "trace list",
        "server restart",
        "security baseline",
        "security rotate",
        "security watch",
        "security release",
        "incident verify",
        "incident report",
    ] {
        assert!(is_done(&story, words), "{words}: {story}");
    }
    assert_eq!(story.restarts(), 1, "{story}");
    // What was laid down is taken back, beside the approved tools and the day of watching.
    assert_eq!(ruleset(), before);
    assert_eq!(from(OTHER, Request::Initialize).unwrap(), 200);
    assert!(!site.path("data/contained/docs.json").exists());
    let controls = fs::read_to_string(site.path("data/controls/docs.json")).unwrap();
    assert!(controls.contains("\"watched\"") && !controls.contains("everybody"), "{controls}");
    let report = site.run(&["incident", "report", &id]).done();
    for words in ["security contain", "contained/docs.json", "sealed: ", "security release", "path_traversal"]
    {
        assert!(report.contains(words), "`{words}` is not in it: {report}");
    }
}

/// Says yes to each question, after `look` has seen it, until the last statement was run.
#[track_caller]
fn eventually_answered(site: &Site, id: &str, mut look: impl FnMut(&str, &str)) -> Story {
    loop {
        let next = eventually("the next question, or the end", || {
            let story = Story::new(site.get(&format!("/api/v1/incidents/{id}"))?);
            if is_done(&story, "incident report") {
                return Some(Err(story));
            }
            open_question(site, id).map(Ok)
        });
        match next {
            Ok((unit, statement)) => {
                look(&unit, &statement);
                site.approve(id, &unit).done();
            }
            Err(story) => return story,
        }
    }
}
