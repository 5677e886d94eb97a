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
    ("an_answer_that_gives_a_secret_away_stays", an_answer_stays),
    ("an_upstreams_answer_that_gives_a_secret_away_stays", an_upstreams_answer_stays),
    ("stdio_an_answer_that_gives_a_secret_away_stays", stdio_an_answer_stays),
    ("what_is_unusual_is_told_of_who_does_it_and_refused_to_nobody", what_is_unusual_is_told),
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

const RESULTS: &str = "[security]\nresults = true\nblock = ['secret_exposure']\n";

/// A token of GitHub's form with the right checksum, which nobody has.
fn secret() -> String {
    "gh^p_zQWBuTSOoRi4A9spHcVY5ncnsDkxkJ0mLq17".replace('^', "")
}

/// No file of the guard has the secret in it.
fn is_written_nowhere(folder: &std::path::Path) {
    for file in std::fs::read_dir(folder).unwrap().flatten().map(|entry| entry.path()) {
        if file.is_dir() {
            is_written_nowhere(&file);
        } else if let Ok(bytes) = std::fs::read(&file) {
            assert!(!String::from_utf8_lossy(&bytes).contains(&secret()), "{}", file.display());
        }
    }
}

#[track_caller]
fn stays(answer: &str) {
    let is_said =
        answer.contains("its answer is not passed on") && answer.contains("github-token of 40 bytes");
    assert!(is_said && !answer.contains(&secret()), "{answer}");
}

fn an_answer_stays() {
    block_on(async {
        // Who asks for it by a parameter that takes one may; what is answered with it is another matter.
        let asked = json!({ "token": secret() });
        for (settings, outcome) in
            [("", None), ("[security]\nresults = true\n", Some("told")), (RESULTS, Some("refused"))]
        {
            let guarded = with_settings(settings).await;
            let session = guarded.initialize().await;
            let answer = guarded.call(&session, &json!(1), "echo", asked.clone()).await;
            assert_eq!(answer.contains(&secret()), outcome != Some("refused"), "{settings}: {answer}");
            if let Some(outcome) = outcome {
                let count =
                    guarded.metric(&["paramedic_guard_signs_total", "secret_exposure", outcome]).await;
                // Where it is let through, the argument and the answer are told.
                assert!(count >= 1.0, "{settings}: {count}");
            }
            if outcome == Some("refused") {
                stays(&answer);
                assert_eq!(errors(&guarded, "security").await, 1.0);
                // The same in a stream, which the server has begun by saying something else.
                let mut streamed = guarded.call_streamed(&session, "log", asked.clone()).await;
                assert_eq!(streamed.message().await["method"], "notifications/message");
                stays(&streamed.message().await.to_string());
                guarded.logged("the sign", |log| {
                    log.iter().any(|line| line["rule"] == "secret-in-result" && line["tool"] == "echo")
                });
                is_written_nowhere(guarded.folder.path());
            }
            // Others are served, with words about secrets as well.
            let honest = json!({"content": "the token begins with ghp_ and has 40 characters"});
            let answer = ask(&guarded, &session, "echo", &honest).await;
            assert_eq!(answer["result"]["content"][0]["text"], honest.to_string());
        }
    });
}

fn an_upstreams_answer_stays() {
    block_on(async {
        let server = FakeHttp::start("127.0.0.1:0").await;
        let guarded = with(RESULTS, &[&server.url()], |_| {}).await;
        let opened = guarded.post(None, initialize("2025-11-25")).send().await.unwrap();
        let session = opened.headers()["mcp-session-id"].to_str().unwrap().to_owned();
        stays(&guarded.call(&session, &json!(1), "give", json!({ "token": secret() })).await);
        assert!(guarded.call(&session, &json!(2), "give", json!({"token": "none"})).await.contains("none"));
        // A stream, in parts, with an answer that nobody has asked for before the right one.
        let answered = guarded.post(Some(&session), call(&json!(5), "wait", &json!({}))).send();
        let result = |id: u32| {
            let result = json!({"content": [{"type": "text", "text": secret()}]});
            format!("data: {}\n\n", json!({"jsonrpc": "2.0", "id": id, "result": result}))
        };
        let (response, ()) = tokio::join!(answered, async {
            server.go_on(": hello\n\n").await;
            server.go_on(&result(77)).await;
            let (one, two) = (result(5)[..60].to_owned(), result(5)[60..].to_owned());
            server.go_on(&one).await;
            server.go_on(&two).await;
            server.go_on("").await;
        });
        let text = response.unwrap().text().await.unwrap();
        stays(&text);
        assert!(text.contains("\"id\":77,\"error\"") && text.contains("\"id\":5,\"error\""), "{text}");
        // What nobody can read along stays as well.
        for tool in ["endless-body", "not-json", "another-id"] {
            let answer = guarded.call(&session, &json!(8), tool, json!({})).await;
            assert!(answer.contains("\"id\":8,\"error\""), "{tool}: {}", &answer[..answer.len().min(300)]);
        }
        assert_eq!(errors(&guarded, "security").await, 3.0);
        is_written_nowhere(guarded.folder.path());
    });
}

fn stdio_an_answer_stays() {
    let mut client = StdioClient::with_settings(RESULTS);
    client.initialize();
    let asked = json!({"name": "echo", "arguments": {"token": secret()}});
    stays(&client.ask("tools/call", &asked).to_string());
    let honest = client.ask("tools/call", &json!({"name": "echo", "arguments": {"path": "/srv/a"}}));
    assert!(honest["result"].is_object(), "{honest}");
    let metrics = client.metrics();
    let line = metrics.lines().find(|line| line.contains("error_type=\"security\"")).unwrap();
    assert!(line.ends_with(" 1"), "{line}");
    assert!(!client.log().contains(&secret()));
    assert_eq!(client.leave(), Some(0));
}

fn what_is_unusual_is_told() {
    block_on(async {
        let usual = "[security.usual]\ncalls_per_minute = 100\nresult_bytes = 10000\ntools_per_minute = 3\n";
        let guarded = with_settings(&format!("{BLOCK}{usual}")).await;
        let session = guarded.initialize().await;
        let started = std::time::Instant::now();
        for _ in 0..12 {
            ask(&guarded, &session, "echo", &json!({"path": "../../etc/passwd"})).await;
        }
        for tool in ["pid", "cancelled", "heard"] {
            ask(&guarded, &session, tool, &json!({})).await;
        }
        ask(&guarded, &session, "big", &json!({"bytes": 20_000})).await;
        for _ in 0..100 {
            assert!(ask(&guarded, &session, "echo", &json!({"a": 1})).await["result"].is_object());
        }
        assert!(started.elapsed().as_secs() < 50, "all of it has to be in one minute");
        for rule in ["refused-again", "tool-sweep", "large-result", "call-burst"] {
            guarded.logged(rule, |log| log.iter().filter(|line| line["rule"] == rule).count() == 1);
        }
        // Only what was an attack for sure counts.
        assert_eq!(errors(&guarded, "security").await, 12.0);
        let told = |class: &'static str| {
            let guarded = &guarded;
            async move { guarded.metric(&["paramedic_guard_signs_total", class, "told"]).await }
        };
        assert_eq!((told("probing").await, told("resource_abuse").await), (2.0, 2.0));
    });
}
