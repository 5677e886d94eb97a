//! Tests of alerts that other systems tell of, without one of them: strangers, replays, halves, and labels that lie.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};

use incident::{Record, State};
use process::Signal;
use serde_json::{Value, json};
use server::api::wire::{AlertStatus, Summary};

use crate::alertmanager::{SLOW, site};
use crate::poll::eventually;
use crate::site::{Site, block_on};

pub(crate) const ALERTMANAGER: &str = "/api/v1/alerts/alertmanager";
const WEBHOOK: &str = "/api/v1/alerts/webhook";

/// Sends a message; what is answered.
pub(crate) fn send(
    site: &Site,
    path: &str,
    word: Option<&str>,
    body: impl Into<reqwest::Body>,
) -> (u16, Value) {
    block_on(async {
        let client = crate::client::http();
        let mut request = client.post(format!("http://{}{path}", site.listen())).body(body);
        if let Some(word) = word {
            request = request.header("authorization", format!("Bearer {word}"));
        }
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        (status, serde_json::from_str(&answer.text().await.unwrap()).unwrap_or_default())
    })
}

/// Tells of alerts as an Alertmanager does; how many are news, known and old.
#[track_caller]
fn tell(site: &Site, alerts: &[Value]) -> [u64; 3] {
    let message = json!({"version": "4", "receiver": "paramedic", "alerts": alerts});
    let (status, said) = send(site, ALERTMANAGER, Some("s3cret"), message.to_string());
    assert_eq!(status, 200, "{said}");
    ["news", "known", "old"].map(|name| said[name].as_u64().unwrap())
}

pub(crate) fn alert(status: &str, server: &str, starts_at: &str) -> Value {
    let labels = json!({"alertname": "Slow", "server_name": server, "job": "app"});
    let mut alert = json!({"status": status, "labels": labels, "startsAt": starts_at});
    if status == "resolved" {
        alert["endsAt"] = json!("2026-01-01T00:10:00Z");
    }
    alert
}

fn alerts(site: &Site) -> Vec<AlertStatus> {
    serde_json::from_str(&site.run(&["alert", "list", "-o", "json"]).done()).unwrap()
}

fn incidents(site: &Site) -> Vec<Summary> {
    site.get("/api/v1/incidents").unwrap_or_default()
}

/// Tells of the trouble of a server, and waits until the incident is over but for the alert.
#[track_caller]
fn mitigated(site: &Site, server: &str) {
    eventually("the incident is mitigated", || {
        incidents(site).into_iter().find(|one| one.server == server && one.state == State::Mitigated)
    });
}

#[test]
fn what_is_told_twice_late_or_again_is_one_incident() {
    let mut site = site(&["notes"], "");
    site.serve_until_ready(&["notes"]);
    let (firing, resolved) = ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z");
    assert_eq!(tell(&site, &[alert("firing", "notes", firing)]), [1, 0, 0]);
    // Another one saw it begin a little later, and both say it again.
    let later = "2026-01-01T00:00:30.5Z";
    assert_eq!(tell(&site, &[alert("firing", "notes", later), alert("firing", "notes", firing)]), [0, 2, 0]);
    mitigated(&site, "notes");
    // A `serve` that is killed knows it in its next life.
    site.end_serve(Signal::KILL);
    site.serve_until_ready(&["notes"]);
    assert_eq!(tell(&site, &[alert("firing", "notes", firing)]), [0, 1, 0]);
    assert!(alerts(&site).iter().any(|one| one.from == "alertmanager" && one.opens_nothing.is_none()));
    assert_eq!(tell(&site, &[alert("resolved", "notes", resolved)]), [1, 0, 0]);
    site.incident("notes", "resolved", |story| story.has(|record| matches!(record, Record::Resolved {})));
    // What is sent again now does nothing, in this life and in the next.
    let replayed = [
        alert("firing", "notes", firing),
        alert("resolved", "notes", resolved),
        alert("firing", "notes", later),
    ];
    assert_eq!(tell(&site, &replayed), [0, 1, 2]);
    site.end_serve(Signal::TERM);
    site.serve_until_ready(&["notes"]);
    assert_eq!(tell(&site, &replayed), [0, 1, 2]);
    assert!(alerts(&site).iter().all(|one| one.from != "alertmanager"));
    assert_eq!(incidents(&site).len(), 1);
    // Another time is another incident.
    assert_eq!(tell(&site, &[alert("firing", "notes", "2026-01-01T01:00:00Z")]), [1, 0, 0]);
    eventually("there is another incident", || (incidents(&site).len() == 2).then_some(()));
}

#[test]
fn what_nobody_answers_is_kept_and_opens_nothing() {
    let own = "## Answers\n\n### Alert: Answers\n\n**Severity**: Info\\\n**Alert Query**: `mcp_server_up{server_name=\"notes\"} == 1`\n\n### Response (0-5 minutes)\n\n1. **Look**\n\n   ```bash {id=look}\n   true\n   ```\n";
    let mut site = site(&["notes"], "stale_after = \"10s\"\n");
    fs::write(site.path("troubles.md"), format!("{SLOW}\n{own}")).unwrap();
    site.serve_until_ready(&["notes"]);
    eventually("our own rule fires", || (!incidents(&site).is_empty()).then_some(()));
    let of = |name: &str, server: &str, label: &str| json!({"name": name, "server": server, "labels": {"hostile": label}});
    let hostile = "$(touch /tmp/pwned) `reboot` \u{1b}[2J \u{202e}\n; rm -rf /";
    let message = json!([
        of("Unheard", "notes", hostile),
        of("Slow", "nowhere", hostile),
        of("Slow", "../notes", hostile),
        of("Slow", "NOTES", hostile),
        of("Slow", "", hostile),
        of("Answers", "notes", hostile),
        {"name": "Slow", "server": "notes", "labels": {"PATH": "/tmp", "SERVER_NAME": "other", "incident_id": "x", "alertname": "Forged"}},
    ]);
    let (status, said) = send(&site, WEBHOOK, Some("s3cret"), message.to_string());
    assert_eq!((status, &said["news"]), (200, &json!(7)), "{said}");
    let all = alerts(&site);
    let found = eventually("the one that is answered opens an incident", || {
        let all = incidents(&site);
        (all.len() == 2 && all.iter().any(|one| one.title == "Server Slow")).then_some(all)
    });
    assert!(found.iter().all(|one| one.server == "notes"), "{found:?}");
    mitigated(&site, "notes");
    let why = |name: &str, server: &str| {
        let found = all.iter().find(|one| one.from == "webhook" && one.name == name && one.server == server);
        found
            .unwrap_or_else(|| panic!("{name} of {server}: {all:?}"))
            .opens_nothing
            .clone()
            .unwrap_or_default()
    };
    assert_eq!(why("Unheard", "notes"), "no runbook answers `Unheard`");
    assert_eq!(why("Slow", "nowhere"), "there is no server `nowhere`");
    assert_eq!(why("Slow", "../notes"), "there is no server `../notes`");
    assert_eq!(why("Slow", "NOTES"), "there is no server `NOTES`");
    assert_eq!(why("Slow", ""), "it names no server (label `server_name`)");
    assert_eq!(why("Answers", "notes"), "our own rule tells of it");
    assert_eq!(why("Slow", "notes"), "");
    let table = site.run(&["alert", "list"]).done();
    assert!(table.contains("our own rule tells of it") && !table.contains('\u{1b}'), "{table}");
    // The procedure had its own parameters, and nobody else's.
    let story = site.incident("notes", "acknowledged", |story| {
        story.has(|record| matches!(record, Record::Acknowledged { .. }))
    });
    assert_eq!(story.alarm().alert.as_ref().unwrap().name, "Slow", "{story}");
    // Nobody tells of them again.
    eventually("they count as over", || alerts(&site).iter().all(|one| one.from == "runbooks").then_some(()));
    site.incident("notes", "resolved", |story| story.has(|record| matches!(record, Record::Resolved {})));
}

/// A procedure that asks for a value which the alert of another system brings along.
const FULL: &str = r#"# Troubles

## Volume Full

### Alert: Full

**Severity**: Warning\
**Alert Query**: `volume_full > 0`

### Response (0-5 minutes)

1. **Look**

   ```bash {id=look}
   printf '<%s>\n' "$VOLUME"
   ```
"#;

/// Everything below a folder with this name.
fn files_named(folder: &Path, name: &str, found: &mut Vec<PathBuf>) {
    for path in fs::read_dir(folder).unwrap().flatten().map(|entry| entry.path()) {
        match path.is_dir() {
            true => files_named(&path, name, found),
            false if path.file_name().is_some_and(|one| one == name) => found.push(path),
            false => {}
        }
    }
}

#[test]
fn a_hostile_label_reaches_a_command_as_data() {
    let mut site = site(&["notes"], "");
    fs::write(site.path("troubles.md"), FULL).unwrap();
    site.serve_until_ready(&["notes"]);
    let hacked = site.path("hacked");
    let touch = format!("touch {}", hacked.display());
    let value = format!("--help $({touch}) `{touch}` \"; {touch} #' ; {touch}\n{touch}\n${{IFS}}%s\\n é *");
    let labels =
        json!({"alertname": "Full", "server_name": "notes", "volume": value, "$(reboot)": "x", "-rf": "/"});
    let starts = "2026-01-01T00:00:00Z";
    assert_eq!(tell(&site, &[json!({"status": "firing", "labels": labels, "startsAt": starts})]), [1, 0, 0]);
    let story = site
        .incident("notes", "looked at", |story| story.has(|record| matches!(record, Record::Outcome { .. })));
    let is_whole =
        |record: &Record| matches!(record, Record::Intent { values, .. } if values["VOLUME"] == value);
    assert!(story.has(is_whole), "{story}");
    let mut printed = Vec::new();
    files_named(&site.path("data"), "stdout", &mut printed);
    let printed: Vec<String> = printed.iter().map(|path| fs::read_to_string(path).unwrap()).collect();
    assert!(printed.contains(&format!("<{value}>\n")), "{printed:?}");
    assert!(!hacked.exists());
    let shown = site.run(&["incident", "show", story.id()]).done();
    assert!(shown.contains("Volume Full"), "{shown}");
}

#[test]
fn strangers_halves_and_what_is_no_message_are_refused() {
    let mut site = site(&["notes"], "body_max = \"64KiB\"\ntimeout = \"1s\"\n");
    site.serve_until_ready(&["notes"]);
    let fine =
        json!({"version": "4", "alerts": [alert("firing", "notes", "2026-01-01T00:00:00Z")]}).to_string();
    for word in [None, Some("wrong"), Some("s3cre"), Some("s3cret2"), Some("")] {
        assert_eq!(send(&site, ALERTMANAGER, word, fine.clone()).0, 401, "{word:?}");
        assert_eq!(send(&site, WEBHOOK, word, fine.clone()).0, 401, "{word:?}");
    }
    let check = |path: &str, body: String, status: u16, words: &str| {
        let (answered, said) = send(&site, path, Some("s3cret"), body);
        let error = said["detail"].as_str().unwrap_or_default();
        assert_eq!(answered, status, "{said}");
        assert!(error.contains(words), "`{words}`: {error}");
    };
    check(ALERTMANAGER, String::new(), 400, "EOF while parsing");
    check(ALERTMANAGER, fine[..fine.len() / 2].to_owned(), 400, "EOF while parsing");
    check(ALERTMANAGER, fine.replace("\"4\"", "\"3\""), 400, "a message of version `3`");
    check(ALERTMANAGER, "[".repeat(60_000), 400, "no message of Alertmanager");
    check(
        ALERTMANAGER,
        r#"{"version":"4","alerts":[{"status":"firing"}]}"#.to_owned(),
        422,
        "none of its alerts",
    );
    check(WEBHOOK, "7".to_owned(), 400, "no alert");
    check(ALERTMANAGER, format!("{fine}{}", " ".repeat(70_000)), 413, "`body_max`");
    // A body that comes in pieces does not say how long it is, and one that never ends is ended.
    let stream = |lines: &str, more: &mut dyn FnMut(&mut TcpStream)| {
        let mut stream = TcpStream::connect(site.listen()).unwrap();
        let head = format!(
            "POST {ALERTMANAGER} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer s3cret\r\nConnection: close\r\n{lines}\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        more(&mut stream);
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer);
        answer
    };
    let pieces = stream("Transfer-Encoding: chunked\r\n", &mut |stream| {
        for _ in 0..40 {
            let _ = stream.write_all(format!("800\r\n{}\r\n", "x".repeat(0x800)).as_bytes());
        }
    });
    assert!(pieces.starts_with("HTTP/1.1 413"), "{pieces}");
    let half = stream("Content-Length: 5000\r\n", &mut |stream| stream.write_all(b"{\"version\":").unwrap());
    assert!(half.starts_with("HTTP/1.1 503") && half.contains("it took too long"), "{half}");
    assert!(half.to_lowercase().contains("retry-after:"), "{half}");
    // None of that has done anything.
    assert!(alerts(&site).is_empty() && incidents(&site).is_empty());
    // The word is read anew; without it nobody comes in, and that is our trouble, not theirs.
    fs::remove_file(site.path("word")).unwrap();
    eventually("the word is gone", || {
        (send(&site, WEBHOOK, Some("s3cret"), fine.clone()).0 == 503).then_some(())
    });
    assert!(!site.serve_log().contains("s3cret"));
}

#[test]
fn without_a_word_nobody_can_tell_of_alerts() {
    let mut site = Site::new(&[crate::site::Server::notes("notes")]);
    site.serve();
    assert_eq!(send(&site, ALERTMANAGER, Some("s3cret"), "{}").0, 404);
    assert_eq!(send(&site, WEBHOOK, None, "{}").0, 404);
}
