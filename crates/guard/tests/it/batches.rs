//! Owns the tests of several messages at once, as the revision 2025-03-26 knows them.

use serde_json::{Value, json};

use super::guarded::{DEFAULT, Events, Guarded, SESSION, block_on, initialize};
use super::tests_main::Test;

pub(crate) const TESTS: &[Test] = &[
    ("a_batch_is_answered_as_one", a_batch_is_answered_as_one),
    ("a_batch_becomes_a_stream_if_something_comes_first", a_batch_becomes_a_stream),
    ("what_is_no_batch_is_refused", what_is_no_batch_is_refused),
    ("a_server_may_say_several_things_in_a_line", a_server_may_say_several_things),
];

async fn old_session(guarded: &Guarded) -> String {
    let response = guarded.post(None, initialize("2025-03-26")).send().await.unwrap();
    response.headers()[SESSION].to_str().unwrap().to_owned()
}

fn request(id: &Value, method: &str, params: &Value) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params})
}

fn a_batch_is_answered_as_one() {
    block_on(async {
        let guarded = DEFAULT.fake("").await;
        let session = old_session(&guarded).await;
        let echo = json!({"name": "echo", "arguments": {"n": 1}});
        let batch = json!([
            request(&json!("a"), "tools/call", &echo),
            {"jsonrpc": "2.0", "method": "notifications/initialized"},
            request(&json!(1), "ping", &json!({})),
            request(&json!(2), "initialize", &json!({})),
            7,
            request(&json!(3), "no/such", &json!({})),
        ]);
        let response = guarded.post(Some(&session), batch.to_string()).send().await.unwrap();
        assert_eq!(
            (response.status().as_u16(), &response.headers()["content-type"] == "application/json"),
            (200, true)
        );
        let answers: Vec<Value> = response.json().await.unwrap();
        assert_eq!(answers.len(), 5);
        let of = |id: Value| answers.iter().find(|answer| answer["id"] == id).unwrap();
        assert_eq!(of(json!("a"))["result"]["content"][0]["text"], "{\"n\":1}");
        assert_eq!(of(json!(1))["result"], json!({}));
        assert_eq!(of(json!(2))["error"]["code"], -32600);
        assert_eq!(of(json!(3))["error"]["code"], -32601);
        assert_eq!(of(Value::Null)["error"]["code"], -32600);
        let told = json!([{"jsonrpc": "2.0", "method": "notifications/initialized"}]);
        assert_eq!(guarded.post(Some(&session), told.to_string()).send().await.unwrap().status(), 202);
    });
}

fn a_batch_becomes_a_stream() {
    block_on(async {
        let guarded = DEFAULT.fake("").await;
        let session = old_session(&guarded).await;
        let progress = json!({"name": "progress", "arguments": {}, "_meta": {"progressToken": "t"}});
        let batch =
            json!([request(&json!(1), "ping", &json!({})), request(&json!(2), "tools/call", &progress)]);
        let mut events = Events::of(guarded.post(Some(&session), batch.to_string()).send().await.unwrap());
        let (mut answered, mut told) = (Vec::new(), 0);
        while let Some((_, message)) = events.next().await {
            match message["method"].as_str() {
                Some("notifications/progress") => told += 1,
                _ => answered.push(message["id"].clone()),
            }
        }
        answered.sort_by_key(ToString::to_string);
        assert_eq!((told, answered), (2, vec![json!(1), json!(2)]));
    });
}

fn what_is_no_batch_is_refused() {
    block_on(async {
        let guarded = DEFAULT.fake("").await;
        let (old, new) = (old_session(&guarded).await, guarded.initialize().await);
        let ping = request(&json!(1), "ping", &json!({}));
        let many = Value::from(vec![ping.clone(); 101]);
        for (session, body, expect) in [
            (&old, "[]".to_owned(), -32600),
            (&old, "[1,".to_owned(), -32700),
            (&old, many.to_string(), -32600),
            (&new, json!([ping]).to_string(), -32600),
        ] {
            let response = guarded.post(Some(session), body).send().await.unwrap();
            assert_eq!(response.status(), 400);
            let error: Value = response.json().await.unwrap();
            assert_eq!(error["error"]["code"], expect, "{error}");
        }
    });
}

fn a_server_may_say_several_things() {
    block_on(async {
        for (mode, counted) in [("old", 1.0), ("", 1.0)] {
            let guarded = DEFAULT.fake(mode).await;
            let session = guarded.initialize().await;
            let mut own = Events::of(guarded.stream(&session).send().await.unwrap());
            if mode == "old" {
                let answer = guarded.call(&session, &json!(1), "several", json!({})).await;
                assert!(answer.contains("several"), "{answer}");
                assert_eq!(own.message().await["method"], "notifications/tools/list_changed");
            } else {
                // Its revision has no batches: the line is dropped, and counted.
                let call = super::guarded::call(&json!(1), "several", &json!({}));
                let waiting = tokio::spawn(guarded.post(Some(&session), call).send());
                while guarded.metric(&["mcp_server_errors_total", "\"protocol\""]).await < 1.0 {}
                waiting.abort();
            }
            assert_eq!(guarded.metric(&["mcp_server_errors_total", "\"protocol\""]).await, counted, "{mode}");
        }
    });
}
