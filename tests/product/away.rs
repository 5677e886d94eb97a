//! Tests of others that are away, busy, or say far too much: what waits, what is given up, what is told again, and that
//! nothing is lost without a word. And who is asked over TLS.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use incident::State;
use serde_json::json;
use server::api::wire::{AlertStatus, Health, Summary};

use crate::alertmanager::{secret, site};
use crate::inbound::{ALERTMANAGER, alert, send};
use crate::monitoring::{Neighbour, get, programs};
use crate::poll::eventually;
use crate::site::{Site, block_on, free_port};
use crate::stub::{Said, Stub, TLS, behind_tls};

fn health(site: &Site) -> Health {
    let (_, text) = get(&format!("http://{}/health", site.listen())).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// Waits until the health of `serve` has these words.
#[track_caller]
fn says(site: &Site, words: &str) {
    eventually(words, || health(site).reason.contains(words).then_some(()));
}

/// A counter of samples for another engine.
fn samples(site: &Site, outcome: &str) -> u64 {
    let name = format!("paramedic_remote_write_samples_total{{outcome=\"{outcome}\"}} ");
    site.metrics().lines().find_map(|line| line.strip_prefix(&name)?.parse().ok()).unwrap()
}

/// The most memory that `serve` ever had, in bytes.
fn peak(site: &Site) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", site.serve_pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

/// The answer of an engine that finds these elements.
fn vector(elements: &str) -> String {
    format!(r#"{{"status":"success","data":{{"resultType":"vector","result":[{elements}]}}}}"#)
}

#[test]
fn samples_wait_as_they_are_told_and_old_ones_are_given_up() {
    const FINE: u16 = 204;
    let status = Arc::new(AtomicU16::new(FINE));
    let own = Arc::clone(&status);
    let stub = Stub::new(move |_| {
        let status = own.load(Ordering::SeqCst);
        let more = if status == 429 { "Retry-After: 3\r\n" } else { "" };
        (status, more.to_owned(), String::new())
    });
    let table = format!(
        "[metrics.remote_write]\nurl = \"http://127.0.0.1:{}/write\"\ninterval = \"50ms\"\nbehind_max = \"2s\"\n",
        stub.port()
    );
    let mut site = site(&["notes"], &table);
    site.serve_until_ready(&["notes"]);
    eventually("samples are sent", || (samples(&site, "sent") > 0).then_some(()));
    assert_eq!(samples(&site, "dropped"), 0);

    status.store(429, Ordering::SeqCst);
    says(&site, "HTTP 429 Too Many Requests");
    // Between that answer and the next question is as long as it wanted: without it would be half a second.
    let so_far = stub.asked("/write").len();
    let next = eventually("it is asked again", || stub.asked("/write").get(so_far).cloned());
    let before = stub.asked("/write")[so_far - 1].at;
    assert!(next.at - before >= Duration::from_secs(3), "{:?}", next.at - before);

    // What may pass is tried again, until it is too old.
    status.store(503, Ordering::SeqCst);
    says(&site, "HTTP 503 Service Unavailable");
    eventually("old samples are given up", || (samples(&site, "dropped") > 0).then_some(()));
    status.store(FINE, Ordering::SeqCst);
    eventually("nothing lacks", || (health(&site).status == "healthy").then_some(()));
    let (sent, dropped) = (samples(&site, "sent"), samples(&site, "dropped"));
    eventually("it goes on", || (samples(&site, "sent") > sent).then_some(()));
    assert_eq!(samples(&site, "dropped"), dropped);
}

#[test]
fn a_backend_that_finds_a_million_series_costs_little() {
    let all: String = (0..1_000_000_u32)
        .map(|number| format!("{{\"metric\":{{\"server_name\":\"s{number}\"}},\"value\":[1,\"9\"]}},"))
        .collect();
    let answer = Arc::new(vector(all.trim_end_matches(',')));
    let stub = Stub::new(move |_| (200, String::new(), answer.to_string()));
    let table = |more: &str| {
        format!("[metrics.backend]\nengine = \"mimir\"\nurl = \"http://127.0.0.1:{}\"\n{more}", stub.port())
    };
    // As it ships the answer is too long before anybody counts.
    let mut one = site(&["notes"], &table("timeout = \"30s\"\n"));
    one.serve_until_ready(&["notes"]);
    says(&one, "the answer has more than 16777216 bytes");
    assert!(peak(&one) < 200 << 20, "{} bytes", peak(&one));
    assert!(one.incidents().is_empty());
    drop(one);
    // Whoever allows so many bytes holds those, and not what they mean.
    let mut other = site(&["notes"], &table("timeout = \"30s\"\nbytes_max = \"128MiB\"\n"));
    other.serve_until_ready(&["notes"]);
    says(&other, "1000000 series were found, and 10000 are the most (`series_max`)");
    assert!(peak(&other) < 400 << 20, "{} bytes", peak(&other));
    assert!(other.incidents().is_empty());
}

fn standing(site: &Site) -> Vec<String> {
    let all: Vec<AlertStatus> = site.get("/api/v1/alerts").unwrap();
    all.into_iter().filter(|one| one.from == "alertmanager").map(|one| one.server).collect()
}

#[test]
fn what_the_journal_refuses_is_told_again_and_nothing_is_lost() {
    let mut site = site(&["notes", "late"], "timeout = \"30s\"\n");
    site.serve_until_ready(&["notes", "late"]);
    let message = |server: &str| {
        let alerts = [alert("firing", server, "2026-01-01T00:00:00Z")];
        json!({"version": "4", "receiver": "paramedic", "alerts": alerts}).to_string()
    };
    let lock = Lock::of(&site);
    let (status, said) = send(&site, ALERTMANAGER, Some("s3cret"), message("notes"));
    assert_eq!(status, 503, "{said}");
    let error = said["detail"].as_str().unwrap();
    assert!(error.contains("it could not be written down"), "{said}");
    assert!(standing(&site).is_empty());
    // An Alertmanager tells it again by itself.
    let alertmanager = programs().map(|_| {
        let (listen, word) = (site.listen(), site.path("word"));
        let webhook = format!(
            "{{url: 'http://{listen}/api/v1/alerts/alertmanager', send_resolved: true, http_config: {{authorization: {{credentials_file: '{}'}}}}}}",
            word.display()
        );
        let alertmanager = Neighbour::alertmanager(&site, "one", &webhook).unwrap();
        let labels = json!({"alertname": "Slow", "server_name": "late"});
        post(&alertmanager.url("/api/v2/alerts"), &json!([{"labels": labels}]).to_string());
        let failed = "alertmanager_notification_requests_failed_total{integration=\"webhook\"";
        eventually("it was refused", || (alertmanager.metric(failed) > 0.0).then_some(()));
        alertmanager
    });
    lock.end();
    let (status, said) = send(&site, ALERTMANAGER, Some("s3cret"), message("notes"));
    assert_eq!((status, &said["news"]), (200, &json!(1)), "{said}");
    let mut expected = vec!["notes"];
    expected.extend(alertmanager.as_ref().map(|_| "late"));
    for server in expected {
        eventually("there is one incident", || {
            let all: Vec<Summary> = site.get("/api/v1/incidents")?;
            let of_it: Vec<_> = all.into_iter().filter(|one| one.server == server).collect();
            assert!(of_it.len() < 2, "{of_it:?}");
            of_it.first().filter(|one| one.state == State::Mitigated).map(drop)
        });
    }
    assert!(site.run(&["incident", "verify"]).done().contains("whole"));
}

fn post(url: &str, body: &str) {
    block_on(async {
        let client = crate::client::http();
        let request = client.post(url).header("content-type", "application/json").body(body.to_owned());
        assert!(request.send().await.unwrap().status().is_success());
    });
}

/// Somebody else who writes to the journal and does not come to an end.
struct Lock {
    end: tokio::sync::oneshot::Sender<()>,
    thread: std::thread::JoinHandle<()>,
}

impl Lock {
    fn of(site: &Site) -> Self {
        use sqlx::{ConnectOptions as _, Connection as _};
        let path = site.path("data/journal.db");
        let (end, ended) = tokio::sync::oneshot::channel::<()>();
        let (began, is_there) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            block_on(async {
                let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path);
                let mut connection = options.connect().await.unwrap();
                sqlx::query("BEGIN IMMEDIATE").execute(&mut connection).await.unwrap();
                began.send(()).unwrap();
                let _ = ended.await;
                sqlx::query("ROLLBACK").execute(&mut connection).await.unwrap();
                connection.close().await.unwrap();
            });
        });
        is_there.recv().unwrap();
        Self { end, thread }
    }

    fn end(self) {
        self.end.send(()).unwrap();
        self.thread.join().unwrap();
    }
}

/// What an Alertmanager answers that has these alerts.
fn of_api(servers: &[&str]) -> String {
    let one = |server: &&str| {
        json!({
            "labels": {"alertname": "Slow", "server_name": server, "job": "app"}, "annotations": {},
            "startsAt": "2026-01-01T00:00:00Z", "endsAt": "2036-01-01T00:00:00Z", "updatedAt": "2026-01-01T00:00:00Z",
            "fingerprint": server, "receivers": [{"name": "paramedic"}], "generatorURL": "",
            "status": {"state": "active", "silencedBy": [], "inhibitedBy": []},
        })
    };
    json!(servers.iter().map(one).collect::<Vec<_>>()).to_string()
}

#[test]
fn what_a_message_left_out_is_asked_for_until_it_is_there() {
    let port = free_port();
    let table = format!("[alertmanager]\nurl = \"http://127.0.0.1:{port}\"\ntimeout = \"2s\"\n");
    let mut site = site(&["notes", "other"], &table);
    site.serve_until_ready(&["notes", "other"]);
    let message = json!({
        "version": "4", "receiver": "paramedic", "truncatedAlerts": 1, "groupLabels": {"alertname": "Slow"},
        "alerts": [alert("firing", "notes", "2026-01-01T00:00:00Z")],
    });
    let (status, said) = send(&site, ALERTMANAGER, Some("s3cret"), message.to_string());
    assert_eq!(status, 503, "{said}");
    assert!(said["detail"].as_str().unwrap().contains("left out could not be asked for"), "{said}");
    // What it did not leave out is taken all the same.
    assert_eq!(standing(&site), ["notes"]);
    let stub = Stub::at(port, |_| (200, String::new(), of_api(&["notes", "other"])));
    let (status, said) = send(&site, ALERTMANAGER, Some("s3cret"), message.to_string());
    assert_eq!((status, &said["news"], &said["known"]), (200, &json!(1), &json!(2)), "{said}");
    assert_eq!(standing(&site), ["notes", "other"]);
    assert!(
        stub.asked("/api/v2/alerts").iter().any(|one| one.line.contains("receiver=")),
        "{:?}",
        stub.asked("")
    );
}

#[test]
fn others_are_asked_over_tls_by_those_who_know_each_other() {
    let stub = Stub::new(|asked| -> Said {
        let body = if asked.line.contains("/api/v1/query") {
            vector(r#"{"metric":{"server_name":"notes"},"value":[1,"9"]}"#)
        } else if asked.line.contains("/api/v2/status") {
            "{}".to_owned()
        } else {
            of_api(&["notes"])
        };
        (200, String::new(), body)
    });
    let port = behind_tls(stub.port());
    let keys = |path: &str, ca: &str| {
        format!(
            "url = \"https://127.0.0.1:{port}{path}\"\nca = \"{TLS}/{ca}\"\ncertificate = \"{TLS}/client.pem\"\n\
             key = {{ file = \"client.key\" }}\ninterval = \"100ms\"\n"
        )
    };
    let tables = |ca: &str| {
        format!(
            "[metrics.backend]\nengine = \"prometheus\"\n{}[metrics.remote_write]\n{}[alertmanager]\n{}",
            keys("/prometheus", ca).replace("interval = \"100ms\"\n", ""),
            keys("/write", ca),
            keys("", ca)
        )
    };
    let left_out =
        json!({"version": "4", "receiver": "paramedic", "truncatedAlerts": 1, "alerts": []}).to_string();
    let own = site(&["notes"], &tables("ca.pem"));
    let stranger = site(&["notes"], &tables("diagnosis-ca.pem"));
    for mut site in [own, stranger] {
        let is_own = fs::read_to_string(site.config()).unwrap().contains("/ca.pem");
        secret(&site, "client.key", &fs::read_to_string(format!("{TLS}/client.key")).unwrap());
        site.run(&["config", "check"]).done();
        let so_far = stub.asked("").len();
        site.serve_until_ready(&["notes"]);
        if is_own {
            eventually("samples came", || (!stub.asked("POST /write ").is_empty()).then_some(()));
            eventually("its alert is an incident", || (!site.incidents().is_empty()).then_some(()));
            assert_eq!(send(&site, ALERTMANAGER, Some("s3cret"), left_out.clone()).0, 200);
            assert!(!stub.asked("GET /api/v2/alerts").is_empty());
            eventually("nothing lacks", || (health(&site).status == "healthy").then_some(()));
        } else {
            // Whoever is not who it has to be is told nothing.
            says(&site, "the metrics backend at");
            says(&site, "samples can not be sent to");
            let reason = health(&site).reason;
            assert_eq!(reason.matches("invalid peer certificate").count(), 2, "{reason}");
            let (status, said) = send(&site, ALERTMANAGER, Some("s3cret"), left_out.clone());
            assert_eq!(status, 503, "{said}");
            assert!(said["detail"].as_str().unwrap().contains("invalid peer certificate"), "{said}");
            assert_eq!(stub.asked("").len(), so_far);
            assert!(site.incidents().is_empty());
        }
    }
}
