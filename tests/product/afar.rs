//! Tests of what the API and the command line do alike, here and from afar: lists that are narrowed, evidence that was
//! checked, controls that are taken back, and keys that outlive `serve`.

use std::fs;

use process::Signal;
use serde_json::{Value, json};
use server::api::wire::{BundleSummary, Summary};

use crate::api::{Person, open};
use crate::client::ask;
use crate::network::{over, token};
use crate::poll::eventually;
use crate::site::{Ran, Server, Site};

/// Servers that are watched, and nothing else.
fn watched(names: &[&str]) -> Site {
    let servers: Vec<Server> =
        names.iter().map(|name| Server::notes(name).with("mode = \"observe\"")).collect();
    let mut site = Site::new(&servers);
    site.serve_until_ready(names);
    site
}

fn parsed<T: serde::de::DeserializeOwned>(ran: Ran) -> T {
    serde_json::from_str(&ran.done()).unwrap()
}

#[test]
fn a_key_outlives_serve() {
    let mut site = watched(&["notes"]);
    let ada = Person::new(&site, "ada", "admin");
    let id = open(&ada);
    let say = format!("/api/v1/incidents/{id}/say");
    let note = json!({ "say": { "word": "note", "text": "once" } });
    let eve = json!({ "name": "eve", "role": "viewer", "servers": [], "days": 1 });
    let key = |key: &'static str| [("idempotency-key", key)];
    let first = ada.post(&say, &key("k-1"), note.clone());
    assert_eq!(first.status, 200, "{}", first.body);
    let made = ada.post("/api/v1/tokens", &key("k-2"), eve.clone());
    assert_eq!(made.status, 200, "{}", made.body);
    let word = made.json()["word"].as_str().unwrap().to_owned();

    site.end_serve(Signal::KILL);
    let kept = fs::read_to_string(site.path("data/api-keys.jsonl")).unwrap();
    assert!(kept.contains("k-1") && kept.contains("k-2") && !kept.contains(&word), "{kept}");
    site.serve_until_ready(&["notes"]);

    let again = ada.post(&say, &key("k-1"), note);
    assert_eq!((again.status, again.header("idempotency-replayed"), &again.body), (200, "true", &first.body));
    ada.post(&say, &key("k-1"), json!({ "say": { "word": "note", "text": "another" } })).problem(422);
    // The word of a token is told once: it stands nowhere.
    let problem = ada.post("/api/v1/tokens", &key("k-2"), eve).problem(409);
    assert!(problem.detail.contains("its answer is not kept"), "{problem:?}");
    let entries = ada.get(&format!("/api/v1/journal?incident={id}&kind=noted")).json();
    assert_eq!(entries.as_array().unwrap().len(), 1, "{entries}");
    let tokens: Value = ada.get("/api/v1/tokens").json();
    assert_eq!(tokens.as_array().unwrap().iter().filter(|one| one["name"] == "eve").count(), 1, "{tokens}");
}

#[test]
fn incidents_are_listed_alike_here_and_from_afar() {
    let site = watched(&["notes", "other"]);
    let viewer = token(&site, "vic", &[]);
    let opened = |server: &str| {
        let words =
            ["incident", "open", "--server", server, "--procedure", "Server Down", "--reason", "to see"];
        site.run(&words).done().trim().to_owned()
    };
    let (notes, other) = (opened("notes"), opened("other"));
    eventually("the incident of other is closed", || {
        (site.run(&["incident", "close", &other, "--reason", "seen"]).code == Some(0)).then_some(())
    });
    let check = |words: &[&str], expect: &[&str]| {
        let words = [&["incident", "list", "-o", "json"], words].concat();
        for ran in [site.run(&words), over(&site, site.command(&words), &viewer)] {
            let all: Vec<Summary> = parsed(ran);
            let ids: Vec<&str> = all.iter().map(|one| one.id.as_str()).collect();
            assert_eq!(ids, expect, "{words:?}");
        }
    };
    let both = [notes.as_str(), other.as_str()];
    check(&[], &[&notes]);
    check(&["--all"], &both);
    check(&["--all", "--server", "other"], &[&other]);
    check(&["--server", "other"], &[]);
    check(&["--state", "closed"], &[&other]);
    check(&["--all", "--severity", "critical"], &both);
    check(&["--all", "--severity", "info"], &[]);
    check(&["--all", "--since", "1h"], &both);
    check(&["--all", "--since", "2099-01-01T00:00:00Z"], &[]);
    let shown = site.run(&["incident", "list", "--server", "nobody"]);
    assert!(shown.stderr.contains("no such incidents"), "{shown:?}");
    let ada = Person::new(&site, "ada", "viewer");
    let all = ada.get("/api/v1/incidents?open=false&severity=critical&limit=1");
    assert_eq!((all.json()[0]["id"].as_str().unwrap(), all.header("link")), (other.as_str(), ""));
    ada.get("/api/v1/incidents?state=lost").problem(400);
    ada.get("/api/v1/incidents?open=maybe").problem(400);
}

#[test]
fn evidence_says_when_it_was_checked_last_and_by_whom() {
    let mut site = watched(&["notes", "other"]);
    let rob = token(&site, "rob", &["--role", "responder"]);
    for server in ["notes", "other"] {
        site.run(&["evidence", "collect", server, "--incident", "I-1", "--depth", "t0"]).done();
    }
    let far = |site: &Site, words: &[&str]| over(site, site.command(words), &rob);
    let list = |site: &Site, words: &[&str]| -> Vec<BundleSummary> {
        parsed(far(site, &[&["evidence", "list", "-o", "json"], words].concat()))
    };
    let all = list(&site, &["--incident", "I-1"]);
    assert_eq!(all.len(), 2);
    assert!(all.iter().all(|one| one.checked.is_none() && one.collected_by.is_some()), "{all:?}");
    assert!(list(&site, &["--incident", "I-2"]).is_empty());
    assert!(list(&site, &["--since", "2099-01-01T00:00:00Z"]).is_empty());
    let [one] = &list(&site, &["--server", "notes"])[..] else { panic!("{all:?}") };
    let checked = |site: &Site| list(site, &["--server", "notes"])[0].checked.clone().unwrap();

    let said = far(&site, &["evidence", "verify", "I-1"]).done();
    assert_eq!(said.matches("as it was sealed").count(), 2, "{said}");
    let first = checked(&site);
    assert_eq!((first.by.as_str(), first.sound), ("rob", true));
    // The command here checks by itself, and `serve` writes it down.
    site.run(&["evidence", "verify", &one.bundle]).done();
    let second = checked(&site);
    assert!(second.by == "tester" && second.sound && second.at_ms >= first.at_ms, "{second:?}");
    assert_eq!(second.sha256, first.sha256);

    // Somebody alters it; the next check says so, and goes on saying so.
    let folder = site.path("data/evidence").join(&one.bundle);
    let manifest = folder.join("manifest.jsonl");
    let text = fs::read_to_string(&manifest).unwrap();
    fs::write(&manifest, text.replacen("notes", "n0tes", 1)).unwrap();
    assert!(checked(&site).sound, "nobody has looked");
    far(&site, &["evidence", "verify", &one.bundle]).failed(1, &["manifest.jsonl"]);
    site.end_serve(Signal::TERM);
    site.serve_until_ready(&["notes", "other"]);
    let ada = Person::new(&site, "ada", "responder");
    let bad: Vec<BundleSummary> =
        serde_json::from_str(&ada.get("/api/v1/evidence?sound=false").body).unwrap();
    let check = bad.first().and_then(|one| one.checked.clone()).unwrap();
    assert_eq!((bad.len(), bad[0].bundle.as_str(), check.by.as_str()), (1, one.bundle.as_str(), "rob"));
    assert!(check.problems.iter().any(|problem| problem.contains("manifest.jsonl")), "{check:?}");
    let good: Vec<BundleSummary> =
        serde_json::from_str(&ada.get("/api/v1/evidence?sound=true").body).unwrap();
    assert_eq!(good.len(), 1);
}

#[test]
fn guards_are_led_from_afar_by_steps_and_back() {
    let site = watched(&["notes"]);
    let ada = token(&site, "ada", &["--role", "approver"]);
    let far = |words: &[&str]| over(&site, site.command(words), &ada);
    let restriction = || site.status("notes").restriction;

    far(&["server", "readonly", "notes", "--reason", "disk", "--wait", "1s"]).done();
    assert!(restriction().unwrap().contains("disk"));
    far(&["server", "readonly", "notes", "--undo"]).done();
    assert_eq!(restriction(), None);
    far(&["server", "writes", "notes", "--undo"]).failed(1, &["nothing was changed at `notes`"]);
    // What was done from afar is taken back here, and the other way round.
    far(&["server", "block", "notes", "--tool", "add_note"]).done();
    site.run(&["server", "writes", "notes", "--undo"]).done();
    assert_eq!(restriction(), None);
    site.run(&["server", "readonly", "notes"]).done();
    far(&["server", "readonly", "notes", "--undo"]).done();
    assert_eq!(restriction(), None);

    far(&["server", "readonly", "notes"]).done();
    let said = far(&["server", "writes", "notes", "--steps", "10,100", "--hold", "300ms"]).done();
    assert!(said.contains("all well at 10 %") && said.contains("all well at 100 %"), "{said}");
    assert_eq!(restriction(), None);
    far(&["server", "writes", "notes", "--steps", "50,10"]).failed(2, &["more than the one before"]);

    // It takes no new requests, and then it does.
    let said = far(&["server", "drain", "notes", "--wait", "1s"]).done();
    assert!(said.contains("takes no new requests; 0 still run"), "{said}");
    assert!(restriction().is_some());
    assert!(ask(&site.endpoint("notes"), "list_notes", &json!({})).is_err());
    site.run(&["server", "undrain", "notes"]).done();
    assert_eq!(restriction(), None);
    ask(&site.endpoint("notes"), "list_notes", &json!({})).unwrap();

    // How much clients send is limited over a restart of the guard's server, until that is taken back.
    let list = || ask(&site.endpoint("notes"), "list_notes", &json!({}));
    far(&["server", "limit", "notes", "--per-second", "1", "--reason", "flood"]).done();
    let refused = eventually("a client is over the limit", || list().err());
    assert!(refused.contains("may send 1 requests per second"), "{refused}");
    assert!(
        restriction().unwrap().contains("1 requests a second of each client: set by ada"),
        "{:?}",
        restriction()
    );
    far(&["server", "readonly", "notes", "--undo"]).done();
    assert_eq!(restriction(), None);
    for _ in 0..20 {
        list().unwrap();
    }
    site.run(&["server", "limit", "notes", "--at-once", "7"]).done();
    assert!(restriction().unwrap().contains("7 requests at once"));
    site.run(&["server", "unlimit", "notes"]).done();
    assert_eq!(restriction(), None);
    far(&["server", "limit", "notes"]).failed(2, &["--per-second"]);
    far(&["server", "limit", "notes", "--at-once", "0"]).failed(2, &["0"]);

    // Nothing is allowed where something is wrong already, and nobody may look who only views.
    far(&["server", "readonly", "notes"]).done();
    far(&["server", "stop", "notes"]).done();
    far(&["server", "writes", "notes", "--steps", "10,100", "--hold", "300ms"])
        .failed(1, &["nothing was allowed"]);
    assert!(restriction().is_none_or(|words| words.contains("read-only")));
    let vic = Person::new(&site, "vic", "viewer");
    vic.get("/api/v1/servers/notes/signs").problem(403);
    let rob = Person::new(&site, "rob", "responder");
    assert!(rob.get("/api/v1/servers/notes/signs").json()["bad"].as_str().is_some());
    rob.get("/api/v1/servers/nobody/signs").problem(404);
    let order = |control: Value| json!({ "order": control });
    let ada = Person::new(&site, "ann", "approver");
    let path = "/api/v1/servers/notes/controls";
    ada.post(path, &[], order(json!({ "control": "drain", "wait_s": 601 }))).problem(400);
    ada.post(path, &[], order(json!({ "control": "drain", "wait_s": -1 }))).problem(422);
    ada.post(path, &[], order(json!({ "control": "limit" }))).problem(400);
    ada.post(path, &[], order(json!({ "control": "limit", "at_once": 0 }))).problem(400);
}

#[test]
fn a_server_is_diagnosed_tuned_and_kept_from_afar() {
    let site = watched(&["notes", "other"]);
    let (rob, ada) =
        (token(&site, "rob", &["--role", "responder"]), token(&site, "ada", &["--role", "approver"]));
    let root = token(&site, "root", &["--role", "admin"]);
    let far = |file: &str, words: &[&str]| over(&site, site.command(words), file);

    // What is found is what a look here finds.
    let kinds = |ran: Ran| -> Vec<String> {
        let all: Vec<Value> = parsed(ran);
        assert_eq!((all.len(), all[0]["server"].as_str()), (1, Some("notes")));
        let found = all[0]["findings"].as_array().unwrap().iter();
        let stable = ["liveness", "process_state", "threads", "disk_used_percent"];
        let kinds = found.filter(|one| one["subject"] == "notes" || one["subject"] == "/");
        let mut kinds: Vec<String> = kinds.map(|one| one["kind"].as_str().unwrap().to_owned()).collect();
        kinds.retain(|kind| stable.contains(&kind.as_str()));
        kinds.sort();
        kinds
    };
    let words = ["diagnose", "notes", "-o", "json"];
    let here = kinds(site.run(&words));
    assert_eq!(here.len(), 4, "{here:?}");
    assert_eq!(kinds(far(&rob, &words)), here);
    let shown = far(&rob, &["diagnose"]).done();
    assert!(shown.contains("notes (process") && shown.contains("other (process"), "{shown}");
    far(&rob, &["diagnose", "nobody"]).failed(1, &["nobody"]);
    far(&rob, &["diagnose", "--pid", "1"]).failed(2, &["without `--watch`"]);

    // What is tuned from afar is journaled by whose token it is, and taken back.
    far(&rob, &["server", "tune", "notes", "--open-files", "512"]).failed(4, &["takes an approver"]);
    let said = far(&ada, &["server", "tune", "notes", "--open-files", "512"]).done();
    assert!(said.contains("+") && said.contains("512"), "{said}");
    let again = far(&ada, &["server", "tune", "notes", "--open-files", "512"]);
    assert!(again.stderr.contains("nothing to do"), "{again:?}");
    assert!(far(&rob, &["server", "tune", "notes"]).done().contains("512"));
    far(&ada, &["server", "tune", "notes", "--env", "A=b"]).failed(4, &["takes an admin"]);
    far(&ada, &["server", "tune", "notes", "--open-files", "1"])
        .failed(1, &["nothing starts with 1 descriptors"]);
    let said = far(&root, &["server", "tune", "notes", "--env", "A=--undo", "--restart"]).done();
    assert!(said.contains("A") && said.contains("restart done in"), "{said}");
    assert_eq!(site.ready("notes").starts, Some(2));
    far(&ada, &["server", "tune", "notes", "--undo"]).done();
    let tuned = far(&rob, &["server", "tune", "notes"]).done();
    assert!(tuned.contains("512") && !tuned.contains("--undo"), "{tuned}");
    let vic = Person::new(&site, "vic", "viewer");
    let changes = vic.get("/api/v1/journal?kind=changed").json();
    let by: Vec<&str> =
        changes.as_array().unwrap().iter().map(|one| one["body"]["by"].as_str().unwrap()).collect();
    assert_eq!(by, ["ada", "root", "ada"], "{changes}");
    site.run(&["kill-switch", "on"]).done();
    far(&ada, &["server", "tune", "notes", "--open-files", "600"]).failed(1, &["the kill switch is on"]);

    // Evidence is kept there, by whose token it is, and its key is had.
    let kept: Vec<Value> = parsed(far(
        &rob,
        &["evidence", "collect", "notes", "--incident", "I-1", "--depth", "t0", "-o", "json"],
    ));
    assert!(kept[0]["items"].as_u64().unwrap() > 5, "{kept:?}");
    let all: Vec<BundleSummary> = parsed(far(&rob, &["evidence", "list", "--incident", "I-1", "-o", "json"]));
    assert_eq!(all.len(), 1);
    assert_eq!(
        (all[0].bundle.as_str(), all[0].collected_by.as_deref()),
        (kept[0]["bundle"].as_str().unwrap(), Some("rob"))
    );
    far(&rob, &["evidence", "verify", &all[0].bundle]).done();
    far(&rob, &["evidence", "collect", "notes", "--depth", "t2"]).failed(4, &["takes an approver"]);
    far(&rob, &["evidence", "collect", "nobody"]).failed(1, &["nobody"]);
    far(&rob, &["evidence", "collect", "--incident", "../../x"]).failed(2, &["no name of an incident"]);
    assert_eq!(far(&rob, &["evidence", "key"]).done(), site.run(&["evidence", "key"]).done());
    let vic = |path: &str| vic.get(path);
    vic("/api/v1/servers/notes/diagnosis").problem(403);
    vic("/api/v1/servers/notes/tuning").problem(403);
    let none = vic("/api/v1/servers/nobody/logs").problem(404);
    assert!(none.detail.contains("nobody"));
}

/// What a look at data, backups and the machine says is what the same command says there.
#[test]
fn data_backups_and_intruders_are_looked_at_from_afar() {
    let server = Server::notes("notes").with("[[server.data]]\npath = \"files\"");
    let mut site = Site::new(&[server]);
    fs::create_dir(site.path("files")).unwrap();
    fs::write(site.path("files/one.json"), "[1]").unwrap();
    site.serve_until_ready(&["notes"]);
    let (vic, rob) = (token(&site, "vic", &[]), token(&site, "rob", &["--role", "responder"]));
    let ada = token(&site, "ada", &["--role", "approver"]);
    let far = |file: &str, words: &[&str]| over(&site, site.command(words), file);

    far(&vic, &["integrity", "check", "notes"]).failed(4, &["takes a responder"]);
    let checked = far(&rob, &["integrity", "check", "notes", "--deep"]).done();
    assert!(checked.contains("1 file(s)") && checked.contains("whole"), "{checked}");
    far(&rob, &["backup", "list", "notes"]).failed(1, &[]);
    far(&rob, &["backup", "create", "notes"]).failed(4, &["takes an approver"]);
    far(&ada, &["backup", "create", "notes"]).done();
    let words = ["backup", "list", "notes", "--verified", "-o", "json"];
    let backups: Value = parsed(far(&rob, &words));
    assert_eq!(backups, parsed::<Value>(site.run(&words)));
    assert_eq!(backups.as_array().unwrap().len(), 1);

    fs::write(site.path("files/one.json"), "[1").unwrap();
    let ran = far(&rob, &["integrity", "check", "notes", "--deep"]);
    ran.failed(1, &[]);
    assert!(ran.stdout.contains("DAMAGED: 1"), "{ran:?}");
    let history = far(&rob, &["integrity", "history", "notes"]);
    assert_eq!(history.stdout, site.run(&["integrity", "history", "notes"]).stdout);
    let scope = far(&rob, &["integrity", "scope", "notes"]);
    assert!(scope.stdout.contains("backup:") && scope.stdout.contains("one.json"), "{scope:?}");

    site.run(&["security", "baseline", "notes"]).done();
    assert_eq!(far(&rob, &["security", "check", "notes", "-o", "json"]).done().trim(), "[]");
    let picture: Value = parsed(far(&rob, &["security", "timeline", "notes", "--since", "1h", "-o", "json"]));
    let rows = picture["timeline"].as_array().unwrap();
    assert!(rows.iter().any(|row| row["source"] == "data"), "{picture}");
    far(&rob, &["integrity", "check", "/etc"]).failed(2, &["folders are looked at on their machine"]);
    far(&rob, &["integrity", "check", "nobody"]).failed(1, &["nobody"]);
    far(&rob, &["backup", "restore", "notes", "--latest"]).failed(2, &["leave `--server-url` out"]);
}
