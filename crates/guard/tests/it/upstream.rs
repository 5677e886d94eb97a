//! Owns the tests of a guard in front of a server that speaks HTTP itself: what goes through, and what it makes of trouble.

use process::control::Phase;
use serde_json::{Value, json};

use super::fake_http::FakeHttp;
use super::guarded::{DEFAULT, Guarded, SESSION, Start, block_on, call, initialize};
use super::limits::with;
use super::tests_main::Test;

pub(crate) const TESTS: &[Test] = &[
    ("what_an_upstream_says_goes_through", what_an_upstream_says_goes_through),
    ("a_session_that_the_upstream_forgot_is_over", a_session_that_the_upstream_forgot_is_over),
    ("an_upstream_is_held_to_the_controls", an_upstream_is_held_to_the_controls),
    ("an_upstream_that_goes_is_told_of_and_nothing_is_repeated", an_upstream_that_goes_is_told_of),
    ("what_an_upstream_lists_is_kept_for_whom_it_was_said", what_an_upstream_lists_is_kept),
    ("an_answer_in_a_stream_is_bounded_as_well", an_answer_in_a_stream_is_bounded),
    ("a_stream_that_can_be_resumed_ends_as_it_is", a_stream_that_can_be_resumed_ends_as_it_is),
    ("an_upstream_that_does_not_answer_is_not_waited_for_for_ever", an_upstream_that_does_not_answer),
];

async fn guard(start: &Start, server: &FakeHttp) -> Guarded {
    let guarded = start.run(&[&server.url()]).await;
    until(&guarded, Phase::Ready).await;
    guarded
}

async fn until(guarded: &Guarded, phase: Phase) {
    let wait = async { while guarded.status().await.phase != phase {} };
    tokio::time::timeout(std::time::Duration::from_secs(20), wait).await.expect("the phase");
}

async fn open(guarded: &Guarded) -> String {
    let response = guarded.post(None, initialize("2025-11-25")).send().await.unwrap();
    response.headers()[SESSION].to_str().unwrap().to_owned()
}

async fn answer(guarded: &Guarded, session: &str, tool: &str) -> (u16, Value) {
    let response = guarded.post(Some(session), call(&json!(1), tool, &json!({}))).send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap_or_default())
}

fn what_an_upstream_says_goes_through() {
    block_on(async {
        let server = FakeHttp::start("127.0.0.1:0").await;
        let guarded = guard(&DEFAULT, &server).await;
        let session = open(&guarded).await;
        assert_eq!(answer(&guarded, &session, "get").await.1["result"]["content"][0]["text"], "get");
        {
            let seen = server.seen.lock().unwrap();
            let (_, headers) = seen.asked.iter().rev().find(|(what, _)| what == "get").unwrap();
            assert_eq!(headers["host"], server.address.to_string(), "its own name, which it may check");
            assert_eq!(
                (headers.get("origin"), &headers[SESSION]),
                (None, &http::HeaderValue::from_str(&session).unwrap())
            );
        }
        // Each part arrives before the next one is there.
        let response = guarded.post(Some(&session), call(&json!(5), "wait", &json!({})));
        let (response, ()) = tokio::join!(
            response.header("authorization", "Bearer x").send(),
            server
                .go_on("data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":{}}\n\n")
        );
        let mut response = response.unwrap();
        assert_eq!(response.headers()["x-accel-buffering"], "no");
        assert!(
            response
                .chunk()
                .await
                .unwrap()
                .unwrap()
                .starts_with(b"data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\"")
        );
        assert_eq!(guarded.metric(&["mcp_concurrent_operations", "tools/call"]).await, 1.0);
        server.go_on("id: 3\ndata: {\"jsonrpc\":\"2.0\",\"id\":5,\"result\":{\"isError\":true}}\n\n").await;
        assert!(response.chunk().await.unwrap().unwrap().starts_with(b"id: 3\ndata: "));
        server.go_on("").await;
        assert_eq!(response.chunk().await.unwrap(), None);
        assert_eq!(guarded.metric(&["mcp_concurrent_operations", "tools/call"]).await, 0.0);
        assert_eq!(guarded.metric(&["duration_seconds_count", "tools/call", "error"]).await, 1.0);
        assert_eq!(guarded.metric(&["mcp_server_errors_total", "error_type=\"tool\""]).await, 1.0);
        assert_eq!(
            server.seen.lock().unwrap().asked.last().unwrap().1["authorization"],
            "Bearer x",
            "one resource"
        );
        // What a session hears of itself, and how it ends.
        let mut stream = guarded.stream(&session).send().await.unwrap();
        assert_eq!(stream.chunk().await.unwrap().unwrap(), ": hello\n\n");
        server.announce("id: 9\ndata: {}\n\n").await;
        assert_eq!(stream.chunk().await.unwrap().unwrap(), "id: 9\ndata: {}\n\n");
        assert_eq!(guarded.delete(&session).send().await.unwrap().status(), 200);
        assert_eq!(answer(&guarded, &session, "get").await.0, 404);
        let (code, health) = guarded.health("/health").await;
        assert_eq!(
            (code, &health["status"], &health["reason"]),
            (200, &json!("healthy"), &json!("the upstream answers `ping`"))
        );
        assert_eq!(guarded.metric(&["mcp_server_up"]).await, 1.0);
        let response = guarded.get("/api/test-read").await;
        assert_eq!(response.status(), 200, "{}", response.text().await.unwrap());
        let status: Value = guarded.get("/admin/status").await.json().await.unwrap();
        assert_eq!((&status["upstream"], &status["phase"]), (&json!(server.url()), &json!("ready")));
    });
}

fn a_session_that_the_upstream_forgot_is_over() {
    block_on(async {
        let server = FakeHttp::start("127.0.0.1:0").await;
        let guarded = guard(&DEFAULT, &server).await;
        for forgets_with in [404, 400] {
            let session = open(&guarded).await;
            assert_eq!(answer(&guarded, &session, "get").await.0, 200);
            let before = server.count("initialize");
            {
                let mut seen = server.seen.lock().unwrap();
                seen.forgets_with = forgets_with;
                seen.sessions.clear();
            }
            let (code, said) = answer(&guarded, &session, "get").await;
            assert_eq!((code, said["error"]["code"].as_i64()), (404, Some(-32000)), "{forgets_with}");
            // The guard's own session is opened anew, once, and nothing is half alive.
            assert_eq!(guarded.health("/health").await.0, 200);
            assert_eq!(guarded.health("/health").await.0, 200);
            assert_eq!(server.count("initialize"), before + 1);
            let session = open(&guarded).await;
            assert_eq!(answer(&guarded, &session, "get").await.0, 200);
        }
        // What is wrong with a request is not the end of its session.
        let session = open(&guarded).await;
        server.seen.lock().unwrap().forgets_with = 400;
        let response = guarded
            .post(Some("never-given-out-to-anybody"), call(&json!(1), "get", &json!({})))
            .send()
            .await
            .unwrap();
        assert_eq!(response.status(), 404, "it is not known to anybody");
        assert_eq!(answer(&guarded, &session, "get").await.0, 200);
    });
}

fn an_upstream_is_held_to_the_controls() {
    block_on(async {
        let server = FakeHttp::start("127.0.0.1:0").await;
        let guarded = guard(&DEFAULT, &server).await;
        let session = open(&guarded).await;
        let mut stream = guarded.stream(&session).send().await.unwrap();
        assert_eq!(stream.chunk().await.unwrap().unwrap(), ": hello\n\n");
        let admin = async |path: &str| {
            let response = guarded.http.post(guarded.url(path)).send().await.unwrap();
            (response.status().as_u16(), response.json::<Value>().await.unwrap())
        };
        let (code, done) = admin("/admin/readonly-mode").await;
        assert_eq!((code, &done["mode"]), (200, &json!("read_only")));
        let told = stream.chunk().await.unwrap().unwrap();
        assert!(told.ends_with(b"\"method\":\"notifications/tools/list_changed\"}\n\n"), "{told:?}");
        assert_eq!(answer(&guarded, &session, "get").await.1["result"]["content"][0]["text"], "get");
        let (code, refused) = answer(&guarded, &session, "put").await;
        assert!(
            code == 200
                && refused["error"]["message"]
                    .as_str()
                    .unwrap()
                    .contains("tool `put` is not known to only read"),
            "{refused}"
        );
        let list = json!({"jsonrpc": "2.0", "id": 3, "method": "tools/list"}).to_string();
        for streams in [false, true] {
            server.seen.lock().unwrap().streams_lists = streams;
            let text = guarded.post(Some(&session), list.clone()).send().await.unwrap().text().await.unwrap();
            assert!(text.contains("\"get\"") && text.contains("\"id\":3"), "{text}");
            assert!(!text.contains("put") && !text.contains("wait"), "{text}");
        }
        // In a batch, and in what only some readers take for a call.
        let put = call(&json!(7), "put", &json!({}));
        for body in [
            format!("[{put}]"),
            put.replace("\"jsonrpc\":\"2.0\",", ""),
            put.replace("\"name\":", "\"name\":\"get\",\"name\":"),
        ] {
            let text = guarded.post(Some(&session), body.clone()).send().await.unwrap().text().await.unwrap();
            assert!(text.contains("error"), "{body}: {text}");
        }
        assert_eq!((server.count("put"), server.count("batch")), (0, 0), "nothing of it has come through");
        assert_eq!(admin("/admin/enable-writes").await.0, 200);
        assert_eq!(answer(&guarded, &session, "put").await.1["result"]["content"][0]["text"], "put");
        // A write that runs is counted and waited for.
        let running = tokio::spawn(guarded.post(Some(&session), call(&json!(8), "wait", &json!({}))).send());
        server.go_on(": it works\n\n").await;
        let (code, done) = admin("/admin/readonly-mode?wait=10ms").await;
        assert_eq!((code, &done["writes_left"]), (202, &json!(1)));
        server.go_on("data: {\"jsonrpc\":\"2.0\",\"id\":8,\"result\":{}}\n\n").await;
        let text = async {
            let response = running.await.unwrap().unwrap();
            server.go_on("").await;
            response.text().await.unwrap()
        };
        assert!(text.await.contains("\"id\":8"));
        let (code, done) = admin("/admin/readonly-mode").await;
        assert_eq!((code, &done["writes_left"]), (200, &json!(0)));
    });
}

fn an_upstream_that_goes_is_told_of() {
    block_on(async {
        let server = FakeHttp::start("127.0.0.1:0").await;
        let guarded = guard(&DEFAULT, &server).await;
        let session = open(&guarded).await;
        // It breaks off in the middle of a call, and in the middle of an event.
        let running =
            tokio::spawn(guarded.post(Some(&session), call(&json!("a"), "wait", &json!({}))).send());
        server.go_on("data: {\"half\":").await;
        server.go_on("BREAK").await;
        let text = running.await.unwrap().unwrap().text().await.unwrap();
        let last: Value = serde_json::from_str(text.trim_end().rsplit_once("data: ").unwrap().1).unwrap();
        assert_eq!(last["id"], "a");
        let reason = last["error"]["message"].as_str().unwrap();
        assert!(
            reason.contains("has broken off") && reason.contains("may or may not have been carried out"),
            "{reason}"
        );
        assert_eq!(server.count("wait"), 1, "it is not repeated");

        let address = server.stop().await;
        let response = guarded.post(Some(&session), call(&json!(2), "get", &json!({}))).send().await.unwrap();
        let (code, retry) = (response.status().as_u16(), response.headers().contains_key("retry-after"));
        let said: Value = response.json().await.unwrap();
        assert_eq!((code, retry, &said["id"]), (503, true, &json!(2)), "{said}");
        until(&guarded, Phase::Exited).await;
        let (code, health) = guarded.health("/health").await;
        assert_eq!(code, 503);
        assert!(health["reason"].as_str().unwrap().contains("not reachable"), "{health}");
        assert_eq!(guarded.metric(&["mcp_server_up"]).await, 0.0);
        let response = guarded.get("/api/test-read").await;
        assert_eq!(response.status(), 503);
        // Another one comes, and knows nothing of what was before.
        let server = FakeHttp::start(&address.to_string()).await;
        until(&guarded, Phase::Ready).await;
        assert_eq!(guarded.health("/health").await.0, 200);
        assert_eq!(answer(&guarded, "session-99", "get").await.0, 404);
        let session = open(&guarded).await;
        assert_eq!(answer(&guarded, &session, "get").await.0, 200);
        drop(server);
    });
}

fn an_upstream_that_does_not_answer() {
    block_on(async {
        let server = FakeHttp::start("127.0.0.1:0").await;
        let guarded = guard(&Start { request_timeout_ms: 300, ..DEFAULT }, &server).await;
        let session = open(&guarded).await;
        let response = guarded.post(Some(&session), call(&json!(4), "wait", &json!({}))).send();
        let text = response.await.unwrap().text().await.unwrap();
        assert!(text.contains("\"id\":4") && text.contains("it has not answered in time"), "{text}");
        assert_eq!(guarded.metric(&["mcp_server_errors_total", "error_type=\"timeout\""]).await, 1.0);
        assert_eq!(guarded.health("/health").await.0, 200, "it answers others");
    });
}

fn what_an_upstream_lists_is_kept() {
    block_on(async {
        let server = FakeHttp::start("127.0.0.1:0").await;
        let guarded = with("[cache]\nlists_seconds = 600", &[&server.url()], |_| {}).await;
        until(&guarded, Phase::Ready).await;
        let (one, other) = (open(&guarded).await, open(&guarded).await);
        let list = async |session: &str, token: &str| {
            let body = json!({"jsonrpc": "2.0", "id": session, "method": "tools/list"}).to_string();
            let asked = guarded.post(Some(session), body).header("authorization", token).send();
            let text = asked.await.unwrap().text().await.unwrap();
            assert!(text.contains(session) && text.contains("\"get\""), "{text}");
            (text.contains("\"put\""), server.count("tools/list"))
        };
        assert_eq!(list(&one, "Bearer a").await, (true, 1));
        assert_eq!(list(&other, "Bearer a").await, (true, 1), "who is the same to it gets the same");
        assert_eq!(list(&other, "Bearer b").await, (true, 2), "and nobody else does");
        let unknown = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"}).to_string();
        let unknown = guarded.post(Some("never-given-out"), unknown).header("authorization", "Bearer a");
        assert_eq!(unknown.send().await.unwrap().status(), 404, "a session that nobody knows gets nothing");
        // Also what comes as a stream is kept, and read-only mode shows less of it.
        server.seen.lock().unwrap().streams_lists = true;
        let asked = list(&one, "Bearer c").await.1;
        assert_eq!(list(&one, "Bearer c").await, (true, asked));
        let admin = async |path: &str| {
            assert_eq!(guarded.http.post(guarded.url(path)).send().await.unwrap().status(), 200);
        };
        admin("/admin/readonly-mode").await;
        assert!(!list(&one, "Bearer c").await.0);
        admin("/admin/enable-writes").await;
        // What it announces on any stream that goes by ends what is kept.
        let before = list(&one, "Bearer c").await;
        assert!(before.0);
        let mut stream = guarded.stream(&other).send().await.unwrap();
        assert_eq!(stream.chunk().await.unwrap().unwrap(), ": hello\n\n");
        let changed = "data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/tools/list_changed\"}\n\n";
        server.announce(changed).await;
        assert_eq!(stream.chunk().await.unwrap().unwrap(), changed);
        assert_eq!(list(&one, "Bearer c").await.1, before.1 + 1);
        // Each is a line in the log, whoever has answered.
        guarded.logged("the lists", |log| {
            let lists =
                log.iter().filter(|line| line["method"] == "tools/list" && line["event"] == "response");
            lists.filter(|line| line["bytes_out"].as_u64().is_some_and(|bytes| bytes > 50)).count() >= 6
        });
    });
}

fn an_answer_in_a_stream_is_bounded() {
    block_on(async {
        let server = FakeHttp::start("127.0.0.1:0").await;
        let guarded = with("[limits]\nanswer_bytes = 1000", &[&server.url()], |_| {}).await;
        until(&guarded, Phase::Ready).await;
        let session = open(&guarded).await;
        for (bytes, refused) in [(10, false), (2000, true)] {
            let running =
                tokio::spawn(guarded.post(Some(&session), call(&json!(5), "wait", &json!({}))).send());
            // What comes before it, in parts, goes through.
            server.go_on("data: {\"jsonrpc\":\"2.0\",\"method\":").await;
            server.go_on("\"notifications/progress\",\"params\":{}}\n\n").await;
            let long = "x".repeat(bytes);
            let answer = json!({"jsonrpc": "2.0", "id": 5, "result": long});
            server.go_on(&format!("id: 3\ndata: {answer}\n\n")).await;
            server.go_on("").await;
            let text = running.await.unwrap().unwrap().text().await.unwrap();
            assert!(text.contains("notifications/progress"), "{text}");
            assert_eq!((text.contains(&long), text.contains("answer_bytes")), (!refused, refused), "{text}");
        }
        assert_eq!(guarded.metric(&["mcp_server_requests_refused_total", "\"size\""]).await, 1.0);
    });
}

fn a_stream_that_can_be_resumed_ends_as_it_is() {
    block_on(async {
        let server = FakeHttp::start("127.0.0.1:0").await;
        let guarded = guard(&DEFAULT, &server).await;
        let session = open(&guarded).await;
        for (first, is_cut) in [("id: 5\ndata: \n\n", false), (": nothing\n\n", true)] {
            let running =
                tokio::spawn(guarded.post(Some(&session), call(&json!(5), "wait", &json!({}))).send());
            server.go_on(first).await;
            server.go_on("").await;
            let text = running.await.unwrap().unwrap().text().await.unwrap();
            assert_eq!(text.contains("has ended before the answer"), is_cut, "{text}");
        }
    });
}
