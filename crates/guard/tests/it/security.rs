//! Owns the tests of attacks in calls: told, or refused before the server hears of them; and of poisoned tools.

use serde_json::{Value, json};

use super::fake_http::FakeHttp;
use super::guarded::{Guarded, block_on, call, initialize};
use super::limits::{with, with_settings};
use super::stdio_client::StdioClient;
use super::tests_main::Test;

pub(crate) const TESTS: &[Test] = &[
    ("attacks_are_told_and_let_through_unless_the_settings_say_otherwise", attacks_are_told),
    ("attacks_are_refused_before_the_server_hears_of_them", attacks_are_refused),
    ("a_poisoned_tool_is_not_shown_and_not_called", a_poisoned_tool_is_withheld),
    ("stdio_attacks_are_refused_too", stdio_attacks_are_refused),
    ("an_upstream_hears_nothing_of_attacks", an_upstream_hears_nothing),
];

const BLOCK: &str = "[security]\nblock = ['path_traversal', 'command_injection', 'tool_poisoning']\n";

/// Calls with their arguments that are attacks for sure.
fn attacks() -> [Value; 4] {
    [
        json!({"path": "../../etc/passwd"}),
        json!({"file": "%2e%2e%2f%2e%2e%2fetc"}),
        json!({"host": "example.org; cat /etc/passwd"}),
        json!({"branch": "--upload-pack=touch x"}),
    ]
}

async fn ask(guarded: &Guarded, session: &str, tool: &str, arguments: &Value) -> Value {
    let asked = guarded.post(Some(session), call(&json!(1), tool, arguments)).send();
    asked.await.unwrap().json().await.unwrap()
}

async fn errors(guarded: &Guarded, kind: &str) -> f64 {
    guarded.metric(&["mcp_server_errors_total", &format!("error_type=\"{kind}\"")]).await
}

fn attacks_are_told() {
    block_on(async {
        let guarded = with_settings("").await;
        let session = guarded.initialize().await;
        for arguments in attacks() {
            let answer = ask(&guarded, &session, "echo", &arguments).await;
            assert!(answer["result"].is_object(), "{answer}");
        }
        let told = guarded.metric(&["paramedic_guard_signs_total", "path_traversal", "told"]).await;
        assert_eq!((told, errors(&guarded, "security").await), (2.0, 0.0));
        let line = |log: &[Value]| {
            log.iter().any(|line| {
                line["event"] == "security" && line["rule"] == "shell-chain" && line["tool"] == "echo"
            })
        };
        guarded.logged("the sign", line);
    });
}

fn attacks_are_refused() {
    block_on(async {
        let guarded = with_settings(BLOCK).await;
        let session = guarded.initialize().await;
        for arguments in attacks() {
            let answer = ask(&guarded, &session, "echo", &arguments).await;
            let words = answer["error"]["message"].as_str().unwrap_or_default();
            assert!(words.contains("looks like an attack"), "{arguments}: {answer}");
        }
        // Whoever asks honestly is served, also with the same words where they belong.
        let honest = json!({"path": "/srv/data/a.txt", "content": "$(id); cat ../../x"});
        let answer = ask(&guarded, &session, "echo", &honest).await;
        assert_eq!(answer["result"]["content"][0]["text"], honest.to_string());
        assert_eq!(errors(&guarded, "security").await, 4.0);
        let refused = guarded.metric(&["mcp_server_requests_refused_total", "\"attack\""]).await;
        assert_eq!((refused, errors(&guarded, "authorization").await), (4.0, 0.0));
    });
}

fn a_poisoned_tool_is_withheld() {
    block_on(async {
        let names = |answer: &Value| -> Vec<String> {
            let tools = answer["result"]["tools"].as_array().unwrap().iter();
            tools.map(|tool| tool["name"].as_str().unwrap().to_owned()).collect()
        };
        let exe = std::env::current_exe().unwrap();
        for (settings, shown) in [("", true), (BLOCK, false)] {
            let guarded = with(settings, &[exe.to_str().unwrap(), "fake", "poisoned"], |_| {}).await;
            let session = guarded.initialize().await;
            let list = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"}).to_string();
            let answer: Value =
                guarded.post(Some(&session), list).send().await.unwrap().json().await.unwrap();
            assert_eq!(names(&answer).iter().any(|name| name == "poisoned"), shown, "{answer}");
            assert!(names(&answer).iter().any(|name| name == "echo"));
            let answer = ask(&guarded, &session, "poisoned", &json!({})).await;
            assert_eq!(answer["error"].is_object(), !shown, "{answer}");
            let outcome = if shown { "told" } else { "refused" };
            let seen = guarded.metric(&["paramedic_guard_signs_total", "tool_poisoning", outcome]).await;
            assert_eq!(seen, 1.0);
        }
    });
}

fn stdio_attacks_are_refused() {
    let mut client = StdioClient::with_settings(BLOCK);
    client.initialize();
    for arguments in attacks() {
        let answer = client.ask("tools/call", &json!({"name": "echo", "arguments": arguments}));
        let words = answer["error"]["message"].as_str().unwrap_or_default();
        assert!(words.contains("looks like an attack"), "{answer}");
    }
    let honest = client.ask("tools/call", &json!({"name": "echo", "arguments": {"path": "/srv/a"}}));
    assert!(honest["result"].is_object(), "{honest}");
    let metrics = client.metrics();
    let line = metrics.lines().find(|line| line.contains("error_type=\"security\"")).unwrap();
    assert!(line.ends_with(" 4"), "{line}");
    assert_eq!(client.leave(), Some(0));
}

fn an_upstream_hears_nothing() {
    block_on(async {
        let server = FakeHttp::start("127.0.0.1:0").await;
        let guarded = with(BLOCK, &[&server.url()], |_| {}).await;
        let ready = async { while guarded.status().await.phase != process::control::Phase::Ready {} };
        tokio::time::timeout(std::time::Duration::from_secs(20), ready).await.unwrap();
        let opened = guarded.post(None, initialize("2025-11-25")).send().await.unwrap();
        let session = opened.headers()["mcp-session-id"].to_str().unwrap().to_owned();
        for arguments in attacks() {
            let asked =
                guarded.post(Some(&session), call(&json!(1), "attacked", &arguments)).send().await.unwrap();
            assert!(asked.text().await.unwrap().contains("looks like an attack"), "{arguments}");
        }
        guarded.post(Some(&session), call(&json!(1), "get", &json!({}))).send().await.unwrap();
        let seen = server.seen.lock().unwrap();
        assert!(seen.asked.iter().any(|(what, _)| what == "get"));
        assert!(seen.asked.iter().all(|(what, _)| what != "attacked"));
    });
}
