//! Owns the tests of servers that mean harm to their guard and to its other clients: it stays bounded, says what it sees,
//! and serves others meanwhile.
//!
//! A line that never ends is in `bad_input`, noise in `faults`, a tool that gives orders in `security`.

use std::time::{Duration, Instant};

use serde_json::json;

use super::bad_input::{is_served, rss_bytes, rss_bytes_of};
use super::fake_http::FakeHttp;
use super::guarded::{DEFAULT, Guarded, block_on, call, initialize};
use super::limits::with;
use super::stdio_client::StdioClient;
use super::tests_main::Test;

pub(crate) const TESTS: &[Test] = &[
    ("a_hostile_server_on_a_pipe_is_bounded_and_others_are_served", a_hostile_server_on_a_pipe),
    ("stdio_a_hostile_server_is_bounded_and_its_client_is_served", a_hostile_server_at_a_terminal),
    ("a_hostile_upstream_is_bounded_and_others_are_served", a_hostile_upstream),
];

/// What a guard may grow by, whatever a server says.
const GROWN_MAX: u64 = 64 << 20;

fn a_hostile_server_on_a_pipe() {
    block_on(async {
        let guarded = DEFAULT.fake("").await;
        let (one, other) = (guarded.initialize().await, guarded.initialize().await);
        let before = rss_bytes(&guarded);
        // More than 128 MB of announcements, 20,000 answers to nobody, lines that are no messages.
        let id = json!(1);
        let (asked, ()) = tokio::join!(guarded.call(&one, &id, "hostile", json!({})), async {
            for _ in 0..5 {
                is_served(&guarded, &other).await;
            }
        });
        assert!(asked.contains("after all of that") && !asked.contains("for nobody"), "{asked}");
        is_served(&guarded, &other).await;
        let grown = rss_bytes(&guarded).saturating_sub(before);
        println!("grown by {grown} bytes");
        assert!(grown < GROWN_MAX, "{grown} bytes more");
        assert_eq!(guarded.health("/health").await.0, 200);
        let is_told =
            |line: &&serde_json::Value| line["message"].as_str().unwrap().starts_with("dropped from");
        guarded.logged("what was no message", |log| log.iter().filter(is_told).count() >= 4);
        let is_of_nobody = |line: &&serde_json::Value| {
            line["message"].as_str().unwrap().contains("nobody has asked for") && line["so_far"] == 8192
        };
        guarded.logged("answers to nobody", |log| log.iter().filter(is_of_nobody).count() == 1);
        assert!(guarded.log().len() < 300, "they do not fill the log: {}", guarded.log().len());
        assert!(guarded.metric(&["mcp_server_errors_total", "\"protocol\""]).await >= 20_004.0);
    });
}

fn a_hostile_server_at_a_terminal() {
    // Everything goes to the client, which is the only one, but for answers that nobody can say what is in.
    for (settings, reads_all) in
        [("", true), ("[security]\nresults = true\nblock = ['secret_exposure']\n", false)]
    {
        let mut client = StdioClient::with_settings(settings);
        client.initialize();
        let before = rss_bytes_of(client.id().pid);
        let id = client.call("hostile", &json!({}));
        let mut n_garbage = 0;
        let answer = loop {
            let line = client.line();
            match serde_json::from_slice::<serde_json::Value>(&line) {
                Ok(message) if message["id"] == id && message["method"].is_null() => break message,
                Ok(message) => n_garbage += usize::from(!message["jsonrpc"].is_string()),
                Err(_) => n_garbage += 1,
            }
        };
        assert!(answer.to_string().contains("after all of that"), "{answer}");
        assert_eq!(n_garbage > 0, reads_all, "{n_garbage}");
        let grown = rss_bytes_of(client.id().pid).saturating_sub(before);
        println!("grown by {grown} bytes");
        assert!(grown < GROWN_MAX, "{grown} bytes more");
        assert!(client.text("echo", &json!({"a": 1})).contains("\"a\":1"));
        client.logged("no message");
        assert_eq!(client.leave(), Some(0));
    }
}

/// Calls a tool of the upstream; returns how long its answer is, and its end.
async fn ends(guarded: &Guarded, session: &str, tool: &str) -> (usize, String) {
    let sent = guarded.post(Some(session), call(&json!(9), tool, &json!({}))).send().await;
    let mut response = match sent {
        Ok(response) => response,
        Err(error) => return (0, error.to_string()),
    };
    let (mut length, mut end) = (0, Vec::new());
    while let Ok(Some(part)) = response.chunk().await {
        length += part.len();
        end.extend_from_slice(&part);
        end.drain(..end.len().saturating_sub(1000));
    }
    (length, String::from_utf8_lossy(&end).into_owned())
}

fn a_hostile_upstream() {
    block_on(async {
        let server = FakeHttp::start("127.0.0.1:0").await;
        let guarded = with("[limits]\ntimeout_seconds = 2\n", &[&server.url()], |_| {}).await;
        let opened = guarded.post(None, initialize("2025-11-25")).send().await.unwrap();
        let session = opened.headers()["mcp-session-id"].to_str().unwrap().to_owned();
        let before = rss_bytes(&guarded);
        for (tool, says) in [
            ("endless", "it has not answered in time"),
            ("endless-event", "it has not answered in time"),
            ("drip", "has not answered in time"),
            ("huge-header", "\"error\""),
            ("not-json", ""),
            ("another-id", ""),
        ] {
            let started = Instant::now();
            let ((length, end), ()) = tokio::join!(ends(&guarded, &session, tool), async {
                for _ in 0..10 {
                    let answer = guarded.call(&session, &json!(1), "get", json!({})).await;
                    assert!(answer.contains("\"text\":\"get\""), "{tool}: {answer}");
                }
            });
            let took = started.elapsed();
            let grown = rss_bytes(&guarded).saturating_sub(before);
            println!("{tool}: over after {took:?}, {length} bytes, grown by {grown} bytes");
            assert!(took < Duration::from_secs(10), "{tool}: {took:?}");
            assert!(end.contains(says), "{tool}: {end}");
            assert!(grown < GROWN_MAX, "{tool}: {grown} bytes more");
        }
        // Each has failed, and says so.
        let failed = |log: &[serde_json::Value]| {
            let is_failed =
                |line: &&serde_json::Value| line["event"] == "error" && line["method"] == "tools/call";
            log.iter().filter(is_failed).count() >= 6
        };
        guarded.logged("that each has failed", failed);
        assert_eq!(guarded.metric(&["mcp_concurrent_operations", "tools/call"]).await, 0.0);
        assert_eq!(guarded.health("/health").await.0, 200);
    });
}
