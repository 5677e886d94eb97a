//! Owns the tests of what clients may take, and of what the log says of their calls.

use std::path::Path;

use process::control::{Message, Request};
use serde_json::{Value, json};

use super::fake_http::FakeHttp;
use super::guarded::{DEFAULT, Guarded, block_on, call, initialize};
use super::poll::eventually;
use super::stdio_client::StdioClient;
use super::tests_main::Test;

pub(crate) const TESTS: &[Test] = &[
    ("what_comes_too_often_is_refused_with_the_time", what_comes_too_often_is_refused),
    ("an_upstream_is_held_to_the_limits", an_upstream_is_held_to_the_limits),
    ("places_are_counted_and_given_back", places_are_counted_and_given_back),
    ("a_tool_has_a_time_of_its_own", a_tool_has_a_time_of_its_own),
    ("what_is_too_long_is_refused", what_is_too_long_is_refused),
    ("stdio_the_settings_hold_for_the_one_client", the_settings_hold_for_the_one_client),
    ("stdio_what_needs_a_port_is_refused", what_needs_a_port_is_refused),
    ("each_call_is_one_line_with_who_and_what_came_of_it", each_call_is_one_line),
];

/// A guard with these settings in front of a fake server.
pub(crate) async fn with_settings(settings: &str) -> Guarded {
    let exe = std::env::current_exe().unwrap();
    with(settings, &[exe.to_str().unwrap(), "fake", ""], |_| {}).await
}

/// The same in front of any server, with other files beside the settings.
pub(crate) async fn with(settings: &str, server: &[&str], prepare: impl FnOnce(&Path)) -> Guarded {
    let folder = tempfile::tempdir().unwrap();
    prepare(folder.path());
    std::fs::write(folder.path().join("guard.toml"), settings).unwrap();
    let process = DEFAULT.command(folder.path(), server).spawn().unwrap();
    let guarded = Guarded::of(process, folder).await;
    guarded.settled().await;
    guarded
}

/// The status, what is said of when to come again, and the answer.
async fn ask(
    guarded: &Guarded,
    session: &str,
    tool: &str,
    arguments: &Value,
) -> (u16, Option<String>, Value) {
    let response = guarded.post(Some(session), call(&json!(7), tool, arguments)).send().await.unwrap();
    let again = response.headers().get("retry-after").map(|value| value.to_str().unwrap().to_owned());
    (response.status().as_u16(), again, response.json().await.unwrap())
}

fn what_comes_too_often_is_refused() {
    block_on(async {
        let guarded = with_settings("[limits.tools.echo]\ncalls_per_second = 0.01\nburst = 2").await;
        let (one, other) = (guarded.initialize().await, guarded.initialize().await);
        for session in [&one, &other] {
            assert!(ask(&guarded, session, "echo", &json!({})).await.2["error"].is_null());
        }
        let (code, again, answer) = ask(&guarded, &one, "echo", &json!({})).await;
        assert_eq!((code, &answer["id"], &answer["error"]["code"]), (200, &json!(7), &json!(-32000)));
        let message = answer["error"]["message"].as_str().unwrap();
        assert!(
            message.starts_with("server `mem`: tool `echo` may be called 0.01 times per second; again in "),
            "{message}"
        );
        assert_eq!(answer["error"]["data"]["limit"], "calls_per_second");
        let wait = answer["error"]["data"]["retry_after_ms"].as_u64().unwrap();
        let seconds: u64 = again.unwrap().parse().unwrap();
        assert!((50_000..=100_000).contains(&wait) && seconds == wait.div_ceil(1000), "{wait} {seconds}");
        assert!(ask(&guarded, &one, "pid", &json!({})).await.2["error"].is_null(), "another tool");
        assert_eq!(guarded.metric(&["requests_refused_total", "\"rate\""]).await, 1.0);
        assert_eq!(
            guarded.metric(&["mcp_server_errors_total", "error_type=\"authorization\""]).await,
            0.0,
            "nobody was forbidden it"
        );
        guarded.logged("the refusal", |log| log.iter().any(|line| line["limit"] == "calls_per_second"));
    });
}

fn an_upstream_is_held_to_the_limits() {
    block_on(async {
        let server = FakeHttp::start("127.0.0.1:0").await;
        let settings =
            "[limits]\nrequests_per_second = 0.01\nburst = 2\nanswer_bytes = 60\n[audit]\narguments = ['*']";
        let guarded = with(settings, &[&server.url()], |_| {}).await;
        let ready = async { while guarded.status().await.phase != process::control::Phase::Ready {} };
        tokio::time::timeout(std::time::Duration::from_secs(20), ready).await.unwrap();
        let opened = guarded.post(None, initialize("2025-11-25")).send().await.unwrap();
        let session = opened.headers()["mcp-session-id"].to_str().unwrap().to_owned();
        // The first was `initialize`.
        let got = ask(&guarded, &session, "get", &json!({"password": "x1", "a": 2})).await.2;
        assert_eq!(got["result"]["content"][0]["text"], "get");
        let (_, again, answer) = ask(&guarded, &session, "get", &json!({})).await;
        assert_eq!(answer["error"]["data"]["limit"], "requests_per_second", "{answer}");
        assert!(again.is_some());
        assert_eq!(server.count("get"), 1, "it was not sent");
        guarded.logged("the call", |log| {
            log.iter().any(|line| {
                line["tool"] == "get"
                    && line["event"] == "response"
                    && line["arguments"] == "{\"a\":2,\"password\":\"[REDACTED]\"}"
                    && line["address"] == "127.0.0.1"
            })
        });
    });
}

fn places_are_counted_and_given_back() {
    block_on(async {
        let guarded =
            with_settings("[limits]\nin_flight_per_client = 3\n[limits.tools.hang]\nin_flight = 1").await;
        let session = guarded.initialize().await;
        let hang = tokio::spawn(guarded.post(Some(&session), call(&json!(1), "hang", &json!({}))).send());
        while guarded.metric(&["mcp_concurrent_operations", "tools/call"]).await < 1.0 {}
        let (_, again, answer) = ask(&guarded, &session, "hang", &json!({})).await;
        assert_eq!(answer["error"]["data"], json!({"limit": "tool_in_flight", "retry_after_ms": null}));
        assert_eq!(again, None, "that depends on others");
        assert!(ask(&guarded, &session, "echo", &json!({})).await.2["error"].is_null());
        assert_eq!(guarded.metric(&["requests_refused_total", "\"concurrency\""]).await, 1.0);
        // Its place is free again when the server behind it is another.
        let (control, mut messages, _) = guarded.control().await;
        let (key, by) = ("k".to_owned(), "a test".to_owned());
        control.send(&Request::Restart { id: 1, key, by }).await.unwrap();
        while !matches!(messages.recv().await.unwrap(), Message::Reply { id: 1, .. }) {}
        assert!(hang.await.unwrap().unwrap().text().await.unwrap().contains("has ended"));
        let session = guarded.initialize().await;
        let hang = tokio::spawn(guarded.post(Some(&session), call(&json!(1), "hang", &json!({}))).send());
        while guarded.metric(&["mcp_concurrent_operations", "tools/call"]).await < 1.0 {}
        hang.abort();
    });
}

fn a_tool_has_a_time_of_its_own() {
    block_on(async {
        let guarded = with_settings("[limits.tools.hang]\ntimeout_seconds = 0.3").await;
        let session = guarded.initialize().await;
        let answer = ask(&guarded, &session, "hang", &json!({})).await.2;
        assert_eq!(answer["error"]["message"], "no answer within 0.3 s; the request was cancelled");
        assert_eq!(guarded.metric(&["mcp_server_errors_total", "error_type=\"timeout\""]).await, 1.0);
    });
}

fn what_is_too_long_is_refused() {
    block_on(async {
        let guarded = with_settings("[limits]\nrequest_bytes = 2000\nanswer_bytes = 1000").await;
        let session = guarded.initialize().await;
        let answer = ask(&guarded, &session, "big", &json!({"bytes": 500})).await.2;
        assert!(answer["error"].is_null(), "{answer}");
        let answer = ask(&guarded, &session, "big", &json!({"bytes": 1500})).await.2;
        assert_eq!(answer["error"]["data"]["limit"], "answer_bytes", "{answer}");
        let long = guarded.post(Some(&session), call(&json!(1), "echo", &json!({"x": "y".repeat(2000)})));
        let response = long.send().await.unwrap();
        assert_eq!(response.status(), 413);
        assert!(response.text().await.unwrap().contains("longer than 2000 bytes (request_bytes)"));
        assert_eq!(guarded.metric(&["requests_refused_total", "\"size\""]).await, 1.0);
    });
}

fn each_call_is_one_line() {
    block_on(async {
        let guarded = with_settings("[audit]\narguments = ['echo']\nhide = ['Patient']").await;
        let session = guarded.initialize().await;
        let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
        let parent = format!("00-{trace}-00f067aa0ba902b7-01");
        let arguments = json!({"patient": "Ann", "token": "t0p", "a": 1});
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params":
            {"name": "echo", "arguments": arguments, "_meta": {"traceparent": parent}}});
        let bytes = body.to_string().len();
        guarded.post(Some(&session), body.to_string()).send().await.unwrap();
        let head = guarded.post(Some(&session), call(&json!(2), "fail", &json!({"secret": 1})));
        head.header("traceparent", &parent).send().await.unwrap();
        let over = |log: &[Value], tool: &str| {
            let mut lines =
                log.iter().filter(|line| line["tool"] == tool && line["event"] != "request").cloned();
            (lines.next(), lines.next())
        };
        guarded.logged("both", |log| over(log, "fail").0.is_some());
        let log = guarded.log();
        let (Some(echo), None) = over(&log, "echo") else { panic!("one line: {log:?}") };
        for (name, expect) in [
            ("event", json!("response")),
            ("outcome", json!("success")),
            ("method", json!("tools/call")),
            ("client", json!("t")),
            ("address", json!("127.0.0.1")),
            ("trace_id", json!(trace)),
            ("bytes_in", json!(bytes)),
            ("arguments", json!("{\"a\":1,\"patient\":\"[REDACTED]\",\"token\":\"[REDACTED]\"}")),
        ] {
            assert_eq!(echo[name], expect, "{name} in {echo}");
        }
        assert!(echo["bytes_out"].as_u64().unwrap() > 20 && echo["duration_ms"].as_f64().unwrap() > 0.0);
        let (Some(fail), None) = over(&log, "fail") else { panic!("one line: {log:?}") };
        assert_eq!((&fail["outcome"], &fail["trace_id"]), (&json!("error"), &json!(trace)));
        assert!(fail["arguments"].is_null(), "{fail}");
    });
}

fn the_settings_hold_for_the_one_client() {
    let mut client = StdioClient::with_settings(
        "[limits]\nanswer_bytes = 5000\n[limits.tools.hang]\ntimeout_seconds = 0.2\n\
         [limits.tools.echo]\ncalls_per_second = 0.01\nburst = 1\n\
         [audit]\narguments = [\"echo\"]\n[cache]\nlists_seconds = 600",
    );
    client.initialize();
    let echoed = client.text("echo", &json!({"q": 1, "password": "hunter2"}));
    assert!(echoed.contains("hunter2"), "{echoed}");
    let id = client.call("echo", &json!({}));
    let error = client.answer(id)["error"].clone();
    assert_eq!((&error["code"], &error["data"]["limit"]), (&json!(-32000), &json!("calls_per_second")));
    assert!(error["data"]["retry_after_ms"].as_u64().is_some_and(|millis| millis > 90_000), "{error}");

    let hanging = client.call("hang", &json!({}));
    let error = client.answer(hanging)["error"].clone();
    assert!(error["message"].as_str().unwrap().contains("as long as it may"), "{error}");
    let cancelled = eventually("the server hears of it", || {
        let text = client.text("cancelled", &json!({}));
        (text != "[]").then_some(text)
    });
    assert_eq!(cancelled, format!("[{hanging}]"));

    let id = client.call("big", &json!({"bytes": 6000}));
    assert_eq!(client.answer(id)["error"]["data"]["limit"], "answer_bytes");
    let first = client.ask("tools/list", &json!({}));
    assert_eq!(client.ask("tools/list", &json!({}))["result"], first["result"]);
    let metrics = client.metrics();
    for line in [
        "mcp_server_requests_refused_total{server_name=\"fake\",reason=\"rate\"} 1",
        "mcp_server_requests_refused_total{server_name=\"fake\",reason=\"size\"} 1",
        "mcp_cache_requests_total{server_name=\"fake\",cache_type=\"tools\",outcome=\"hit\"} 1",
        "mcp_cache_hit_rate{server_name=\"fake\",cache_type=\"tools\"} 50.0",
    ] {
        assert!(metrics.lines().any(|found| found == line), "{line} is not in\n{metrics}");
    }
    let (code, freed) = client.post("/admin/clear-cache");
    assert_eq!(code, 200);
    assert!(freed.to_string().contains("\"entries\":1"), "{freed}");

    client.logged("\"outcome\":\"lost\"");
    let log = client.log();
    let line = |words: &str| {
        log.lines().find(|line| line.contains(words)).unwrap_or_else(|| panic!("{words}: {log}"))
    };
    let echo: Value = serde_json::from_str(line("\"arguments\"")).unwrap();
    assert_eq!(
        (&echo["tool"], &echo["outcome"], &echo["client"]),
        (&json!("echo"), &json!("success"), &json!("the client"))
    );
    assert!(echo["bytes_in"].as_u64() > Some(0) && echo["bytes_out"].as_u64() > Some(0), "{echo}");
    assert!(!log.contains("hunter2"), "{log}");
    assert_eq!(client.leave(), Some(0));
}

fn what_needs_a_port_is_refused() {
    let mut client = StdioClient::with_settings("[test_read]\ntool = \"echo\"");
    assert_eq!(eventually("the guard ends", || client.guard.try_wait().unwrap()).code(), Some(2));
}
