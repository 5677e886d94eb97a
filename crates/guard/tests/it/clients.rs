//! Owns the tests of who may come: tokens, whose a session is, TLS, and settings that are read anew.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use super::fake_http::FakeHttp;
use super::guarded::{Guarded, SESSION, block_on, call, initialize};
use super::limits::{with, with_settings};
use super::poll::eventually;
use super::tests_main::Test;

pub(crate) const TESTS: &[Test] = &[
    ("a_session_is_whose_token_has_opened_it", a_session_is_whose_token_has_opened_it),
    ("no_upstream_sees_a_token_of_the_guard", no_upstream_sees_a_token_of_the_guard),
    ("a_token_of_an_upstream_goes_through", a_token_of_an_upstream_goes_through),
    ("settings_are_read_anew_and_wrong_ones_are_not_taken", settings_are_read_anew),
    ("tls_and_plain_http_share_a_port", tls_and_plain_http_share_a_port),
    ("a_new_certificate_is_taken_and_a_broken_one_is_not", a_new_certificate_is_taken),
    ("lists_are_answered_without_the_server", lists_are_answered_without_the_server),
];

const CLIENTS: &str = "[clients.ann]\ntoken_file = 'ann'\n[clients.ben]\ntoken_file = 'ben'\n";

pub(crate) fn tokens(folder: &Path) {
    for (name, token) in [("ann", "0123456789abcdef-ann"), ("ben", "0123456789abcdef-ben")] {
        private(&folder.join(name), token);
    }
}

fn private(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

/// As if a proxy had passed it on: on this machine the guard's own user needs no token.
async fn post(guarded: &Guarded, token: &str, session: Option<&str>, body: String) -> reqwest::Response {
    let request = guarded.post(session, body).header("x-forwarded-for", "192.0.2.1");
    let request =
        if token.is_empty() { request } else { request.header("authorization", format!("Bearer {token}")) };
    request.send().await.unwrap()
}

fn a_session_is_whose_token_has_opened_it() {
    block_on(async {
        let exe = std::env::current_exe().unwrap();
        let guarded = with(CLIENTS, &[exe.to_str().unwrap(), "fake", ""], tokens).await;
        for (token, error) in [("", ""), ("wrong-wrong-wrong", ", error=\"invalid_token\"")] {
            let response = post(&guarded, token, None, initialize("2025-11-25")).await;
            assert_eq!(response.status(), 401);
            let expect = format!("Bearer realm=\"mem\"{error}");
            assert_eq!(response.headers()["www-authenticate"].to_str().unwrap(), expect);
        }
        let opened = post(&guarded, "0123456789abcdef-ann", None, initialize("2025-11-25")).await;
        assert_eq!(opened.status(), 200);
        let session = opened.headers()[SESSION].to_str().unwrap().to_owned();
        let echo = || call(&json!(1), "echo", &json!({}));
        for (token, expect) in
            [("0123456789abcdef-ann", 200), ("0123456789abcdef-ben", 404), ("0123456789abcdef-anx", 401)]
        {
            let response = post(&guarded, token, Some(&session), echo()).await;
            assert_eq!(response.status(), expect, "{token}");
        }
        let test_read = guarded.http.get(guarded.url("/api/test-read")).header("via", "1.1 proxy");
        assert_eq!(test_read.send().await.unwrap().status(), 401);
        assert_eq!(guarded.get("/health").await.status(), 200, "whoever looks needs no token");
        // Who could read the tokens needs none, and has sessions of its own.
        let own = guarded.initialize().await;
        assert_eq!(guarded.post(Some(&own), echo()).send().await.unwrap().status(), 200);
        assert_eq!(guarded.post(Some(&session), echo()).send().await.unwrap().status(), 404);
        assert_eq!(guarded.metric(&["mcp_server_errors_total", "error_type=\"authentication\""]).await, 4.0);
        guarded.logged("who has called", |log| {
            log.iter()
                .any(|line| line["event"] == "response" && line["tool"] == "echo" && line["user"] == "ann")
        });
        let log = std::fs::read_to_string(guarded.folder.path().join("logs/mem.log")).unwrap();
        assert!(!log.contains("0123456789abcdef"), "no token is in the log");
    });
}

/// Which `Authorization` the last `get` had.
async fn seen(settings: &str) -> Option<String> {
    let server = FakeHttp::start("127.0.0.1:0").await;
    let guarded = with(settings, &[&server.url()], tokens).await;
    let token = "0123456789abcdef-ann";
    let opened = post(&guarded, token, None, initialize("2025-11-25")).await;
    let session = opened.headers()[SESSION].to_str().unwrap().to_owned();
    let got = post(&guarded, token, Some(&session), call(&json!(1), "get", &json!({}))).await;
    assert_eq!(got.status(), 200);
    if !settings.is_empty() {
        let other =
            post(&guarded, "0123456789abcdef-ben", Some(&session), call(&json!(1), "get", &json!({})));
        assert_eq!(other.await.status(), 404);
        assert_eq!(server.count("get"), 1);
    }
    let seen = server.seen.lock().unwrap();
    let (_, headers) = seen.asked.iter().rev().find(|(what, _)| what == "get").unwrap();
    headers.get("authorization").map(|value| value.to_str().unwrap().to_owned())
}

fn no_upstream_sees_a_token_of_the_guard() {
    block_on(async { assert_eq!(seen(CLIENTS).await, None) });
}

fn a_token_of_an_upstream_goes_through() {
    block_on(async { assert_eq!(seen("").await.as_deref(), Some("Bearer 0123456789abcdef-ann")) });
}

fn hang_up(guarded: &Guarded) {
    let pid = i32::try_from(guarded.process.id()).unwrap();
    rustix::process::kill_process(rustix::process::Pid::from_raw(pid).unwrap(), rustix::process::Signal::HUP)
        .unwrap();
}

fn settings_are_read_anew() {
    // Where the tests have a terminal, its end is what the signal says.
    if std::fs::File::open("/dev/tty").is_ok() {
        println!("SKIPPED: there is a terminal");
        return;
    }
    block_on(async {
        let guarded = with_settings("[limits.tools.echo]\ncalls_per_second = 0.001").await;
        let session = guarded.initialize().await;
        let path = guarded.folder.path().join("guard.toml");
        let is_limited =
            async || guarded.call(&session, &json!(1), "echo", json!({})).await.contains("calls_per_second");
        assert!(!is_limited().await);
        assert!(is_limited().await);
        std::fs::write(&path, "[limits]\nin_flight = 0").unwrap();
        hang_up(&guarded);
        let said =
            |part: &str| guarded.log().iter().any(|line| line["message"].as_str().unwrap().contains(part));
        eventually("it is not taken", || said("those from before hold").then_some(()));
        assert!(is_limited().await);
        std::fs::write(&path, "").unwrap();
        hang_up(&guarded);
        eventually("it is taken", || said("were read anew").then_some(()));
        assert!(!is_limited().await);
    });
}

fn tls_and_plain_http_share_a_port() {
    let (certificate, key) = (include_str!("tls/localhost.crt"), include_str!("tls/localhost.key"));
    block_on(async {
        let prepare = |folder: &Path| {
            std::fs::write(folder.join("crt"), certificate).unwrap();
            private(&folder.join("key"), key);
        };
        let exe = std::env::current_exe().unwrap();
        let settings = "[tls]\ncertificate_file = 'crt'\nkey_file = 'key'";
        let guarded = with(settings, &[exe.to_str().unwrap(), "fake", ""], prepare).await;
        assert_eq!(guarded.get("/health").await.status(), 200, "plain, from this machine");
        let trusted = reqwest::Certificate::from_pem(certificate.as_bytes()).unwrap();
        let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(20));
        let client = client.tls_certs_only([trusted]).build().unwrap();
        let url = guarded.url("/health").replace("http://127.0.0.1", "https://localhost");
        let health: Value = client.get(&url).send().await.unwrap().json().await.unwrap();
        assert_eq!(health["status"], "healthy");
        // Who says nothing, or something else, holds up nobody.
        let address = guarded.url("").replace("http://", "");
        let _silent = std::net::TcpStream::connect(&address).unwrap();
        assert_eq!(client.get(&url).send().await.unwrap().status(), 200);
    });
}

fn lists_are_answered_without_the_server() {
    block_on(async {
        let exe = std::env::current_exe().unwrap();
        let guarded = with("", &[exe.to_str().unwrap(), "fake", ""], |_| {}).await;
        let (one, other) = (guarded.initialize().await, guarded.initialize().await);
        let list = async |session: &str| {
            let body = json!({"jsonrpc": "2.0", "id": session, "method": "tools/list"}).to_string();
            let answer: Value = guarded.post(Some(session), body).send().await.unwrap().json().await.unwrap();
            assert_eq!(answer["id"], session);
            answer["result"]["tools"].as_array().unwrap().len()
        };
        let cached = async |outcome: &str| {
            guarded.metric(&["mcp_cache_requests_total", "\"tools\"", &format!("\"{outcome}\"")]).await
        };
        let all = list(&one).await;
        assert_eq!((list(&other).await, list(&one).await), (all, all));
        assert_eq!((cached("miss").await, cached("hit").await), (1.0, 2.0));
        let rate = guarded.metric(&["mcp_cache_hit_rate", "\"tools\""]).await;
        assert!((rate - 200.0 / 3.0).abs() < 0.01, "{rate}");
        // Read-only mode shows fewer of what is kept.
        let admin = async |verb: &str| -> Value {
            guarded
                .http
                .post(guarded.url(&format!("/admin/{verb}")))
                .send()
                .await
                .unwrap()
                .json()
                .await
                .unwrap()
        };
        admin("readonly-mode").await;
        assert_eq!(list(&one).await, 2);
        admin("enable-writes").await;
        assert_eq!(list(&one).await, all);
        let freed = admin("clear-cache").await;
        let tools =
            freed["caches"].as_array().unwrap().iter().find(|one| one["cache"] == "tools").unwrap().clone();
        assert!(tools["entries"] == 1 && tools["bytes"].as_u64().unwrap() > 100, "{freed}");
        list(&one).await;
        assert_eq!(cached("miss").await, 2.0);
        // The server says that they have changed.
        guarded.call(&one, &json!(9), "announce", json!({})).await;
        list(&one).await;
        assert_eq!(cached("miss").await, 3.0);
    });
}

fn a_new_certificate_is_taken() {
    let (certificate, key) = (include_str!("tls/localhost.crt"), include_str!("tls/localhost.key"));
    let (other, other_key) = (include_str!("tls/other.crt"), include_str!("tls/other.key"));
    block_on(async {
        let prepare = |folder: &Path| {
            std::fs::write(folder.join("crt"), certificate).unwrap();
            private(&folder.join("key"), key);
        };
        let exe = std::env::current_exe().unwrap();
        let settings = "[tls]\ncertificate_file = 'crt'\nkey_file = 'key'";
        let guarded = with(settings, &[exe.to_str().unwrap(), "fake", ""], prepare).await;
        let url = guarded.url("/health").replace("http://127.0.0.1", "https://localhost");
        let trusting = |certificate: &str| {
            let trusted = reqwest::Certificate::from_pem(certificate.as_bytes()).unwrap();
            let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(20));
            client.tls_certs_only([trusted]).build().unwrap()
        };
        // A connection that is open, and goes on being used.
        let open = trusting(certificate);
        assert_eq!(open.get(&url).send().await.unwrap().status(), 200);
        let said = |part: &str, times: usize| {
            let count = || {
                let lines = guarded.log();
                lines.iter().filter(|line| line["message"].as_str().unwrap().contains(part)).count()
            };
            eventually(part, || (count() >= times).then_some(()));
        };
        // Half of a pair, what is no PEM, and nothing at all.
        let path = |name: &str| guarded.folder.path().join(name);
        std::fs::write(path("crt"), other).unwrap();
        said("the one from before holds", 1);
        std::fs::write(path("crt"), "no certificate").unwrap();
        said("the one from before holds", 2);
        std::fs::remove_file(path("crt")).unwrap();
        said("the one from before holds", 3);
        assert_eq!(trusting(certificate).get(&url).send().await.unwrap().status(), 200);
        // The new pair, by rename as certificate managers do.
        std::fs::write(path("crt.new"), other).unwrap();
        private(&path("key"), other_key);
        std::fs::rename(path("crt.new"), path("crt")).unwrap();
        said("the certificate was read anew", 1);
        assert_eq!(trusting(other).get(&url).send().await.unwrap().status(), 200);
        assert!(trusting(certificate).get(&url).send().await.is_err(), "the one from before is not shown");
        assert_eq!(open.get(&url).send().await.unwrap().status(), 200, "what was open stays so");
    });
}
