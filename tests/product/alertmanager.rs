//! Tests with Debian's Prometheus and Alertmanager: an alert becomes exactly one incident, whoever dies, sends twice, or is
//! away meanwhile; notice taken is a silence there, and its end the end of the silence.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use incident::{Record, State};
use process::Signal;
use server::api::wire::{AlertStatus, Summary};

use crate::monitoring::{Neighbour, Page, programs};
use crate::poll::eventually;
use crate::site::{Server, Setup, Site};

/// A procedure for an alert that only Prometheus knows: here is no such series.
pub(crate) const SLOW: &str = r#"# Troubles

## Server Slow

### Alert: Slow

**Severity**: Warning\
**Alert Query**: `app_slow > 5`

### Response (0-5 minutes)

1. **Acknowledge**

   ```bash {id=acknowledge}
   paramedic incident ack "$INCIDENT_ID"
   ```
"#;

const RULES: &str = "groups:\n- name: app\n  rules:\n  - alert: Slow\n    expr: app_slow > 5\n    labels: {severity: warning}\n    annotations: {summary: \"{{ $labels.server_name }} takes {{ $value }} s\"}\n";

/// Writes a file that only its owner may read.
pub(crate) fn secret(site: &Site, name: &str, text: &str) {
    fs::write(site.path(name), text).unwrap();
    fs::set_permissions(site.path(name), fs::Permissions::from_mode(0o600)).unwrap();
}

/// A site that takes alerts in.
pub(crate) fn site(servers: &[&str], more: &str) -> Site {
    let servers: Vec<Server> = servers.iter().map(|name| Server::notes(name)).collect();
    let tables = format!("[inbound]\ntoken = {{ file = \"word\" }}\n{more}");
    let keys = "runbooks = [\"troubles.md\"]";
    let site = Site::of(&Setup { keys, tables: &tables, servers: &servers, verify_seconds: 0 });
    fs::write(site.path("troubles.md"), SLOW).unwrap();
    secret(&site, "word", "s3cret\n");
    site
}

fn webhook(site: &Site, more: &str) -> String {
    let (listen, word) = (site.listen(), site.path("word"));
    format!(
        "{{url: 'http://{listen}/api/v1/alerts/alertmanager', send_resolved: true, {more}http_config: {{authorization: {{credentials_file: '{}'}}}}}}",
        word.display()
    )
}

fn prometheus(site: &Site, page: &Page, alertmanagers: &[&Neighbour]) -> Neighbour {
    let targets: Vec<String> =
        alertmanagers.iter().map(|one| format!("'127.0.0.1:{}'", one.port())).collect();
    let config = format!(
        "global: {{scrape_interval: 100ms, scrape_timeout: 100ms, evaluation_interval: 100ms}}\n\
         rule_files: [rules.yml]\n\
         alerting: {{alertmanagers: [{{static_configs: [{{targets: [{}]}}]}}]}}\n\
         scrape_configs: [{{job_name: app, static_configs: [{{targets: ['127.0.0.1:{}']}}]}}]\n",
        targets.join(", "),
        page.port()
    );
    Neighbour::prometheus(site, &config, RULES, &[]).unwrap()
}

/// All incidents there are, of each server in the order of their opening.
fn incidents(site: &Site, server: &str) -> Vec<Summary> {
    let all: Vec<Summary> = site.get("/api/v1/incidents").unwrap_or_default();
    all.into_iter().filter(|one| one.server == server).collect()
}

#[track_caller]
fn becomes(site: &Site, server: &str, state: State) {
    eventually(&format!("the incident of {server} is {state}"), || {
        let found = incidents(site, server);
        assert!(found.len() < 2, "{found:?}");
        found.first().filter(|one| one.state == state).map(drop)
    });
}

fn told(site: &Site, outcome: &str) -> f64 {
    let page = site.metrics();
    let name = format!("paramedic_inbound_alerts_total{{from=\"alertmanager\",outcome=\"{outcome}\"}} ");
    page.lines().find_map(|line| line.strip_prefix(&name)?.parse().ok()).unwrap_or_default()
}

#[test]
fn two_alertmanagers_that_are_killed_and_a_serve_that_is_away_are_one_incident() {
    if programs().is_none() {
        return;
    }
    let mut site = site(&["notes", "late"], "");
    let mut one = Neighbour::alertmanager(&site, "one", &webhook(&site, "")).unwrap();
    let two = Neighbour::alertmanager(&site, "two", &webhook(&site, "")).unwrap();
    let page = Page::new();
    page.set("app_slow{server_name=\"notes\"}", 9.0);
    site.serve_until_ready(&["notes", "late"]);
    let _prometheus = prometheus(&site, &page, &[&one, &two]);
    becomes(&site, "notes", State::Mitigated);
    let story = site.incident("notes", "there", |_| true);
    assert!(story.alarm().summary.contains("notes takes 9 s (told by alertmanager)"), "{story}");
    // Both have told of it, and again, and one of them in two lives.
    one.kill_and_start();
    let before = told(&site, "known");
    eventually("it is told of again", || (told(&site, "known") > before + 4.0).then_some(()));
    assert!(one.metric("alertmanager_notifications_total{integration=\"webhook\"") > 0.0);
    assert!(two.metric("alertmanager_notifications_total{integration=\"webhook\"") > 0.0);
    assert_eq!(told(&site, "news"), 1.0);

    // While `serve` is away something else happens.
    site.end_serve(Signal::KILL);
    page.set("app_slow{server_name=\"late\"}", 7.0);
    eventually("it can not be told of", || {
        (two.metric("alertmanager_notification_requests_failed_total{integration=\"webhook\"") > 0.0)
            .then_some(())
    });
    eventually("it is known there", || {
        let all = two.json("/api/v2/alerts");
        all.as_array().unwrap().iter().any(|alert| alert["labels"]["server_name"] == "late").then_some(())
    });
    site.serve();
    becomes(&site, "late", State::Mitigated);
    becomes(&site, "notes", State::Mitigated);

    page.set("app_slow{server_name=\"late\"}", 0.0);
    page.set("app_slow{server_name=\"notes\"}", 0.0);
    becomes(&site, "late", State::Resolved);
    becomes(&site, "notes", State::Resolved);
    let story = site.resolved("notes");
    assert_eq!(story.count(|record| matches!(record, Record::SeenAgain { .. })), 0, "{story}");

    // It comes back: that is another time.
    page.set("app_slow{server_name=\"late\"}", 8.0);
    eventually("there is another incident", || (incidents(&site, "late").len() == 2).then_some(()));
    assert_eq!(incidents(&site, "notes").len(), 1);
}

#[test]
fn victoriametrics_and_its_rules_are_one_incident_too() {
    let Some(folder) = programs().filter(|folder| folder.join("vmalert").is_file()) else {
        println!("SKIPPED: there is no vmalert in PARAMEDIC_TEST_DEBIAN");
        return;
    };
    let mut site = site(&["notes"], "");
    let page = Page::new();
    page.set("app_slow{server_name=\"notes\"}", 9.0);
    site.serve_until_ready(&["notes"]);
    let mut alertmanager = Neighbour::alertmanager(&site, "one", &webhook(&site, "")).unwrap();
    let engine = Neighbour::victoriametrics(&site, &folder, page.port());
    let mut rules = Neighbour::vmalert(&site, &folder, RULES, &engine, &alertmanager);
    becomes(&site, "notes", State::Mitigated);
    alertmanager.kill_and_start();
    rules.kill_and_start();
    let before = told(&site, "known");
    eventually("it is told of again", || (told(&site, "known") > before + 1.0).then_some(()));
    page.set("app_slow{server_name=\"notes\"}", 0.0);
    becomes(&site, "notes", State::Resolved);
    assert_eq!(incidents(&site, "notes").len(), 1);
}

#[test]
fn notice_taken_is_a_silence_there_which_ends_with_the_incident() {
    if programs().is_none() {
        return;
    }
    let mut site = site(&["notes", "other"], "");
    let alertmanager = Neighbour::alertmanager(&site, "one", &webhook(&site, "max_alerts: 1, ")).unwrap();
    // Its address is known now.
    let config = fs::read_to_string(site.config()).unwrap();
    let table = format!(
        "[alertmanager]\nurl = \"http://127.0.0.1:{}\"\nsilence_on_ack = true\nsilence = \"3s\"\ninterval = \"500ms\"\n[inbound]\n",
        alertmanager.port()
    );
    site.write_config(&config.replace("[inbound]\n", &table));
    site.run(&["config", "check"]).done();
    let page = Page::new();
    // Two alerts of one group: a message names one of them, and the other one has to be asked for.
    for server in ["notes", "other"] {
        page.set(&format!("app_slow{{server_name=\"{server}\"}}"), 9.0);
    }
    site.serve_until_ready(&["notes", "other"]);
    let _prometheus = prometheus(&site, &page, &[&alertmanager]);
    for server in ["notes", "other"] {
        becomes(&site, server, State::Mitigated);
    }
    let silences = |state: &str| -> Vec<serde_json::Value> {
        let all = alertmanager.json("/api/v2/silences");
        all.as_array().unwrap().iter().filter(|one| one["status"]["state"] == state).cloned().collect()
    };
    eventually("both are silenced", || (silences("active").len() == 2).then_some(()));
    let first = silences("active");
    for silence in &first {
        let comment = silence["comment"].as_str().unwrap();
        let server = silence["matchers"].as_array().unwrap().iter().find(|one| one["name"] == "server_name");
        let server = server.unwrap()["value"].as_str().unwrap();
        assert!(comment.contains(&*incidents(&site, server)[0].id.to_string()), "{comment}");
    }
    eventually("they are suppressed there", || {
        let all = alertmanager.json("/api/v2/alerts?active=false");
        (all.as_array()?.len() == 2).then_some(())
    });
    // Renewed: the same silences, with a later end.
    eventually("they are renewed", || {
        let now = silences("active");
        let later = |one: &serde_json::Value| {
            first
                .iter()
                .any(|before| before["id"] == one["id"] && before["endsAt"].as_str() < one["endsAt"].as_str())
        };
        (now.len() == 2 && now.iter().all(later)).then_some(())
    });
    // A person ends one of them: it is not made again.
    let of_other =
        silences("active").into_iter().find(|one| one["matchers"].to_string().contains("\"other\""));
    let id = of_other.unwrap()["id"].as_str().unwrap().to_owned();
    crate::site::block_on(async {
        let client = crate::client::http();
        let answer = client.delete(alertmanager.url(&format!("/api/v2/silence/{id}"))).send().await.unwrap();
        assert!(answer.status().is_success());
    });
    eventually("it is understood", || {
        site.serve_log().contains("somebody has ended the silence").then_some(())
    });
    assert_eq!(silences("active").len(), 1);

    // Nobody is told of the end of what is silenced: it is seen there.
    page.set("app_slow{server_name=\"notes\"}", 0.0);
    becomes(&site, "notes", State::Resolved);
    eventually("the silence is gone", || silences("active").is_empty().then_some(()));
    assert!(site.serve_log().contains("its Alertmanager no longer has an alert"), "{}", site.serve_log());
    let story = site.resolved("notes");
    let notes = |text: &str| {
        story.count(|record| matches!(record, Record::Noted { text: said, .. } if said.contains(text)))
    };
    assert_eq!(notes("Slow is silenced at"), 1, "{story}");
    becomes(&site, "other", State::Mitigated);
    let alerts: Vec<AlertStatus> = site.get("/api/v1/alerts").unwrap();
    assert!(alerts.iter().any(|one| one.server == "other" && one.from == "alertmanager"), "{alerts:?}");
}
