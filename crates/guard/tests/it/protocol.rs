//! Owns the tests of what clients see while all is well, and of what is refused.

use process::control::{Criticality, DependencyHealth, DependencyStatus, Request};
use reqwest::Response;
use serde_json::{Value, json};

use super::guarded::{DEFAULT, Events, Guarded, SESSION, Start, block_on, call, initialize};
use super::tests_main::Test;

pub(crate) const TESTS: &[Test] = &[
    ("a_client_is_greeted_with_its_own_version", a_client_is_greeted_with_its_own_version),
    ("colliding_ids_come_back_to_their_own_clients", colliding_ids_come_back_to_their_own_clients),
    ("progress_turns_the_answer_into_a_stream", progress_turns_the_answer_into_a_stream),
    ("announcements_reach_open_streams", announcements_reach_open_streams),
    ("what_a_client_did_not_offer_is_not_asked_of_it", what_a_client_did_not_offer_is_not_asked_of_it),
    ("a_cancellation_names_the_request_that_the_server_knows", a_cancellation_names_the_request),
    ("what_is_cancelled_or_left_behind_does_not_run_on", what_is_cancelled_or_left_behind_does_not_run_on),
    ("sessions_are_needed_found_and_ended", sessions_are_needed_found_and_ended),
    ("what_is_no_request_is_refused", what_is_no_request_is_refused),
    ("other_origins_and_hosts_are_refused", other_origins_and_hosts_are_refused),
    ("every_fixed_metric_is_there_from_the_start", every_fixed_metric_is_there),
    ("metrics_and_health_tell_how_it_is", metrics_and_health_tell_how_it_is),
    ("a_request_that_takes_too_long_is_cancelled", a_request_that_takes_too_long_is_cancelled),
];

async fn error_of(response: Response) -> (u16, i64, String) {
    let status = response.status().as_u16();
    let body: Value = response.json().await.unwrap();
    let message = body["error"]["message"].as_str().unwrap_or_default().to_owned();
    (status, body["error"]["code"].as_i64().unwrap_or_default(), message)
}

fn a_client_is_greeted_with_its_own_version() {
    block_on(async {
        let guarded = DEFAULT.fake("").await;
        for (asked, given) in [
            ("2025-11-25", "2025-11-25"),
            ("2025-06-18", "2025-06-18"),
            ("2025-03-26", "2025-03-26"),
            ("2024-11-05", "2024-11-05"),
            ("2099-01-01", "2025-11-25"),
        ] {
            let response = guarded.post(None, initialize(asked)).send().await.unwrap();
            assert_eq!(response.status(), 200);
            assert_eq!(response.headers()["content-type"], "application/json");
            assert!(!response.headers()[SESSION].is_empty());
            let body: Value = response.json().await.unwrap();
            assert_eq!(body["id"], 0);
            assert_eq!(body["result"]["protocolVersion"], given);
            assert_eq!(body["result"]["capabilities"]["tools"]["listChanged"], true);
            assert_eq!(body["result"]["serverInfo"]["client"], "paramedic-guard", "the child saw the guard");
        }
    });
}

fn colliding_ids_come_back_to_their_own_clients() {
    block_on(async {
        let guarded = DEFAULT.fake("").await;
        let (one, two) = (guarded.initialize().await, guarded.initialize().await);
        for (first, second) in [(json!(1), json!(1)), (json!("1"), json!(1)), (json!("a\"b"), json!("a\"b"))]
        {
            // `pair` answers when both have called, the second one first.
            let (to_one, to_two) = tokio::join!(
                guarded.call(&one, &first, "pair", json!({"for": "one"})),
                guarded.call(&two, &second, "pair", json!({"for": "two"})),
            );
            assert!(to_one.starts_with(&format!(r#"{{"jsonrpc":"2.0","id":{first},"result":"#)), "{to_one}");
            assert!(to_two.starts_with(&format!(r#"{{"jsonrpc":"2.0","id":{second},"result":"#)), "{to_two}");
            assert!(to_one.contains(r#"\"one\""#) && to_two.contains(r#"\"two\""#), "{to_one} {to_two}");
        }
        // One client may use an id twice at the same time, too.
        let id = json!(7);
        let (a, b) = tokio::join!(
            guarded.call(&one, &id, "pair", json!("a")),
            guarded.call(&one, &id, "pair", json!("b")),
        );
        assert!(a.contains(r#"\"a\""#) && b.contains(r#"\"b\""#), "{a} {b}");
        let pretty = "{\r\n \"jsonrpc\": \"2.0\",\n \"id\": 1.50,\n \"method\": \"ping\"\n}\n";
        let answer = guarded.post(Some(&one), pretty).send().await.unwrap().text().await.unwrap();
        assert_eq!(answer, r#"{"jsonrpc":"2.0","id":1.50,"result":{}}"#);
    });
}

fn progress_turns_the_answer_into_a_stream() {
    block_on(async {
        let guarded = DEFAULT.fake("").await;
        let session = guarded.initialize().await;
        let params = json!({"name": "progress", "arguments": {}, "_meta": {"progressToken": "mine"}});
        let body = json!({"jsonrpc": "2.0", "id": 5, "method": "tools/call", "params": params}).to_string();
        let response = guarded.post(Some(&session), body.clone()).send().await.unwrap();
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        let text = response.text().await.unwrap();
        let data: Vec<Value> = text
            .lines()
            .filter_map(|line| line.strip_prefix("data: ").filter(|data| !data.is_empty()))
            .map(|data| serde_json::from_str(data).unwrap())
            .collect();
        assert_eq!(data.len(), 3, "{text}");
        for (event, progress) in data.iter().zip([1, 2]) {
            assert_eq!(event["params"], json!({"progressToken": "mine", "progress": progress}));
        }
        assert_eq!(data[2]["id"], 5);
        assert_eq!(data[2]["result"]["content"][0]["text"], "done");
        // Who does not accept a stream gets the answer alone, and who accepts nothing else gets only that.
        let plain = guarded.post(Some(&session), body).header("accept", "application/json");
        let mut plain = plain.build().unwrap();
        plain.headers_mut().insert("accept", "application/json".parse().unwrap());
        let response = guarded.http.execute(plain).await.unwrap();
        assert_eq!(response.json::<Value>().await.unwrap()["id"], 5);
        let mut stream = guarded.post(Some(&session), call(&json!(6), "echo", &json!({}))).build().unwrap();
        stream.headers_mut().insert("accept", "text/event-stream".parse().unwrap());
        let text = guarded.http.execute(stream).await.unwrap().text().await.unwrap();
        assert!(
            text.starts_with("id: 2-") && text.contains("\ndata: {\"jsonrpc\":\"2.0\",\"id\":6,"),
            "{text}"
        );
    });
}

fn announcements_reach_open_streams() {
    block_on(async {
        let guarded = DEFAULT.fake("").await;
        let (one, two) = (guarded.initialize().await, guarded.initialize().await);
        let mut stream = Events::of(guarded.stream(&one).send().await.unwrap());
        assert_eq!(guarded.stream(&one).send().await.unwrap().status(), 409);
        let plain = guarded.stream(&two).header("accept", "application/json").build().unwrap();
        assert_eq!(plain.headers().get_all("accept").iter().count(), 2);
        guarded.call(&two, &json!(1), "announce", json!({})).await;
        let told = json!({"jsonrpc": "2.0", "method": "notifications/tools/list_changed"});
        assert_eq!(stream.next().await, Some(("0-1".to_owned(), Value::Null)));
        assert_eq!(stream.next().await, Some(("0-2".to_owned(), told)));
        assert_eq!(guarded.delete(&one).send().await.unwrap().status(), 204);
        assert_eq!(stream.next().await, None, "the stream ends with its session");
    });
}

fn what_a_client_did_not_offer_is_not_asked_of_it() {
    block_on(async {
        let guarded = DEFAULT.fake("").await;
        let session = guarded.initialize().await;
        let answer: Value =
            serde_json::from_str(&guarded.call(&session, &json!(1), "ask", json!({})).await).unwrap();
        let text = answer["result"]["content"][0]["text"].as_str().unwrap();
        assert!(text.contains("\"id\":\"r\",\"error\":{\"code\":-32601"), "{text}");
        assert!(text.ends_with("{\"jsonrpc\":\"2.0\",\"id\":\"p\",\"result\":{}}"), "{text}");
    });
}

fn a_cancellation_names_the_request() {
    block_on(async {
        let guarded = DEFAULT.fake("").await;
        let (one, two) = (guarded.initialize().await, guarded.initialize().await);
        let hanging = guarded.post(Some(&one), call(&json!("x"), "hang", &json!({}))).send();
        let hanging = tokio::spawn(hanging);
        while guarded.metric(&["mcp_concurrent_operations", "tools/call"]).await < 1.0 {}
        let params = json!({"requestId": "x", "reason": "enough"});
        let cancel =
            json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params}).to_string();
        // The same id of another client is not meant.
        for session in [&two, &one] {
            assert_eq!(guarded.post(Some(session), cancel.clone()).send().await.unwrap().status(), 202);
        }
        let answer = guarded.call(&two, &json!("x"), "cancelled", json!({})).await;
        // `initialize` was the guard's first request, so the call was its second.
        assert!(answer.contains("\"text\":\"[2]\""), "{answer}");
        hanging.abort();
    });
}

fn sessions_are_needed_found_and_ended() {
    block_on(async {
        let guarded = DEFAULT.fake("").await;
        let ping = json!({"jsonrpc": "2.0", "id": 1, "method": "ping"}).to_string();
        let (status, code, message) = error_of(guarded.post(None, ping.clone()).send().await.unwrap()).await;
        assert_eq!((status, code), (400, -32000), "{message}");
        let unknown = guarded.post(Some("unknown"), ping.clone()).send().await.unwrap();
        assert_eq!(error_of(unknown).await.0, 404);
        let session = guarded.initialize().await;
        assert_eq!(guarded.post(Some(&session), ping.clone()).send().await.unwrap().status(), 200);
        assert_eq!(guarded.metric(&["mcp_server_connections_active"]).await, 1.0);
        for (version, expect) in [("2025-06-18", 200), ("2026-07-28", 400), ("nonsense", 400)] {
            let request = guarded.post(Some(&session), ping.clone()).header("mcp-protocol-version", version);
            assert_eq!(request.send().await.unwrap().status(), expect, "{version}");
        }
        let discover = json!({"jsonrpc": "2.0", "id": 1, "method": "server/discover"}).to_string();
        let (_, code, _) = error_of(guarded.post(Some(&session), discover).send().await.unwrap()).await;
        assert_eq!(code, -32601);
        assert_eq!(guarded.delete(&session).send().await.unwrap().status(), 204);
        assert_eq!(guarded.delete(&session).send().await.unwrap().status(), 404);
        assert_eq!(guarded.post(Some(&session), ping).send().await.unwrap().status(), 404);
        assert_eq!(guarded.metric(&["mcp_server_connections_active"]).await, 0.0);
    });
}

fn what_is_no_request_is_refused() {
    block_on(async {
        let guarded = DEFAULT.fake("").await;
        let session = guarded.initialize().await;
        let ping = json!({"jsonrpc": "2.0", "id": 1, "method": "ping"}).to_string();
        for (body, expect) in [
            ("{".to_owned(), (400, -32700)),
            (format!("[{ping}]"), (400, -32600)),
            (r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#.to_owned(), (400, -32600)),
            (r#"{"id":1,"method":"ping"}"#.to_owned(), (400, -32600)),
            (" ".repeat((4 << 20) + 1), (413, -32600)),
        ] {
            let shown: String = body.chars().take(40).collect();
            let (status, code, _) = error_of(guarded.post(Some(&session), body).send().await.unwrap()).await;
            assert_eq!((status, code), expect, "{shown}");
        }
        let answer = json!({"jsonrpc": "2.0", "id": 1, "result": {}}).to_string();
        assert_eq!(guarded.post(Some(&session), answer).send().await.unwrap().status(), 202);
        let response = guarded.get("/nothing").await;
        assert_eq!(response.status(), 404);
        assert!(response.text().await.unwrap().contains("/health"));
        assert_eq!(guarded.get("/mcp").await.status(), 406);
    });
}

fn other_origins_and_hosts_are_refused() {
    block_on(async {
        let guarded = DEFAULT.fake("").await;
        for (name, value, expect) in [
            ("origin", "http://evil.example", 403),
            ("origin", "null", 403),
            ("origin", "http://localhost:6274", 200),
            ("host", "evil.example", 403),
            ("host", "localhost:80", 200),
        ] {
            let request = guarded.post(None, initialize("2025-11-25")).header(name, value);
            assert_eq!(request.send().await.unwrap().status(), expect, "{name}: {value}");
        }
        let session = guarded.initialize().await;
        for (name, value) in [("origin", "http://evil.example"), ("host", "evil.example")] {
            for request in [guarded.stream(&session), guarded.delete(&session)] {
                assert_eq!(
                    request.header(name, value).send().await.unwrap().status(),
                    403,
                    "{name}: {value}"
                );
            }
        }
        assert_eq!(guarded.delete(&session).send().await.unwrap().status(), 204, "it was not ended by them");
        assert_eq!(guarded.metric(&["mcp_server_errors_total", "\"security\""]).await, 7.0);
        guarded.logged("security", |log| log.iter().any(|line| line["event"] == "security"));
    });
}

fn metrics_and_health_tell_how_it_is() {
    block_on(async {
        let guarded = DEFAULT.fake("").await;
        let session = guarded.initialize().await;
        let response = guarded.get("/metrics").await;
        let media_type = response.headers()["content-type"].to_str().unwrap().to_owned();
        assert!(media_type.starts_with("text/plain; version=0.0.4"), "{media_type}");
        let page = response.text().await.unwrap();
        for error_type in [
            "security",
            "authentication",
            "authorization",
            "protocol",
            "timeout",
            "tool",
            "internal",
            "child_exit",
        ] {
            let start = format!("mcp_server_errors_total{{server_name=\"mem\",error_type=\"{error_type}\"");
            assert!(page.lines().any(|line| line.starts_with(&start) && line.ends_with(" 0")), "{page}");
        }
        guarded.call(&session, &json!(1), "echo", json!({})).await;
        guarded.call(&session, &json!(2), "fail", json!({})).await;
        assert_eq!(guarded.metric(&["mcp_server_up"]).await, 1.0);
        assert_eq!(guarded.metric(&["mcp_server_starts_total"]).await, 1.0);
        assert!(guarded.metric(&["mcp_server_memory_usage_bytes", "rss"]).await > 500_000.0);
        assert!(guarded.metric(&["mcp_server_file_descriptors"]).await >= 3.0);
        let calls = ["mcp_request_duration_seconds_count", "tools/call"];
        assert_eq!(guarded.metric(&[&calls[..], &["success"]].concat()).await, 1.0);
        assert_eq!(guarded.metric(&[&calls[..], &["\"error\""]].concat()).await, 1.0);
        assert_eq!(guarded.metric(&["mcp_server_errors_total", "\"tool\""]).await, 1.0);

        let child = guarded.child().await;
        for path in ["/health", "/ready"] {
            let (status, health) = guarded.health(path).await;
            assert_eq!((status, &health["status"]), (200, &json!("healthy")), "{health}");
            assert_eq!(health["child"]["pid"], child.pid);
            assert_eq!((&health["server"], &health["starts"]), (&json!("mem"), &json!(1)));
        }
        for event in ["request", "response", "error", "audit", "system"] {
            let is_it = |line: &Value| line["event"] == event && line["server"] == "mem";
            guarded.logged(event, |log| log.iter().any(is_it));
        }
    });
}

fn a_request_that_takes_too_long_is_cancelled() {
    block_on(async {
        let guarded: Guarded = Start { request_timeout_ms: 300, ..DEFAULT }.fake("").await;
        let session = guarded.initialize().await;
        let answer = guarded.call(&session, &json!(1), "hang", json!({})).await;
        assert!(answer.contains("-32000") && answer.contains("no answer within"), "{answer}");
        let cancelled = guarded.call(&session, &json!(2), "cancelled", json!({})).await;
        assert!(cancelled.contains("\"text\":\"[2]\""), "{cancelled}");
        assert_eq!(guarded.metric(&["mcp_server_errors_total", "\"timeout\""]).await, 1.0);
    });
}

/// What the design fixes, and what the original scripts have besides, of what a guard can know. In front of nothing that
/// was asked yet, each has a value; those that need something to be about have their type.
const FIXED: [(&str, &str); 22] = [
    ("mcp_server_up", "gauge"),
    ("mcp_request_duration_seconds", "histogram"),
    ("mcp_server_operation_duration_seconds", "histogram"),
    ("mcp_server_errors_total", "counter"),
    ("mcp_server_memory_usage_bytes", "gauge"),
    ("mcp_server_health_status", "gauge"),
    ("mcp_server_dependency_status", "gauge"),
    ("mcp_concurrent_operations", "gauge"),
    ("mcp_oldest_operation_seconds", "gauge"),
    ("mcp_cache_hit_rate", "gauge"),
    ("mcp_cache_requests_total", "counter"),
    ("mcp_server_file_descriptors", "gauge"),
    ("mcp_server_network_bytes_total", "counter"),
    ("mcp_server_connections_active", "gauge"),
    ("mcp_server_connections_total", "counter"),
    ("mcp_response_size_bytes", "histogram"),
    ("mcp_tool_execution_duration_seconds", "histogram"),
    ("mcp_server_requests_refused_total", "counter"),
    ("mcp_server_writes_percent", "gauge"),
    ("mcp_server_starts_total", "counter"),
    ("mcp_server_restarts_total", "counter"),
    ("mcp_server_process_start_time_seconds", "gauge"),
];

async fn eventually_metric(guarded: &Guarded, line: &str) {
    let told = async {
        while !guarded.metrics().await.lines().any(|found| found == line) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), told).await.expect(line);
}

fn every_fixed_metric_is_there() {
    block_on(async {
        let guarded = DEFAULT.fake("").await;
        let page = guarded.metrics().await;
        // Nobody has told of a dependency, and what has no series has no type.
        for (name, kind) in FIXED.into_iter().filter(|(name, _)| *name != "mcp_server_dependency_status") {
            let has = |start: &str| page.lines().any(|line| line.starts_with(start));
            assert!(has(&format!("# TYPE {name} {kind}")), "{name} is not in\n{page}");
            let sample = if kind == "histogram" { format!("{name}_count{{") } else { format!("{name}{{") };
            assert!(has(&sample), "{name} has no value in\n{page}");
        }
        let told = DependencyStatus {
            name: "disk".to_owned(),
            health: DependencyHealth::Unhealthy,
            critical: Criticality::Critical,
            reason: "full".to_owned(),
        };
        let (control, _messages, _) = guarded.control().await;
        control.send(&Request::Dependencies { dependencies: vec![told] }).await.unwrap();
        eventually_metric(
            &guarded,
            "mcp_server_dependency_status{server_name=\"mem\",dependency_name=\"disk\",critical=\"true\"} 0",
        )
        .await;
        eventually_metric(
            &guarded,
            "mcp_server_health_status{server_name=\"mem\",check_type=\"readiness\"} 0",
        )
        .await;
        assert!(!page.contains("_created") && !page.contains("# EOF"));
        let buckets =
            page.lines().filter(|line| line.starts_with("mcp_server_operation_duration_seconds_bucket"));
        assert!(buckets.clone().any(|line| line.contains("le=\"300.0\"")), "{page}");

        let asked = guarded
            .http
            .get(guarded.url("/metrics"))
            .header("accept", "application/openmetrics-text;version=1.0.0");
        let response = asked.send().await.unwrap();
        let media_type = response.headers()["content-type"].to_str().unwrap().to_owned();
        assert!(media_type.starts_with("application/openmetrics-text; version=1.0.0"), "{media_type}");
        let open = response.text().await.unwrap();
        assert!(open.ends_with("# EOF\n"), "{open}");
        // Each counter and histogram has the moment of its birth, which was when the guard was started.
        let log = std::fs::metadata(guarded.folder.path().join("logs/mem.log")).unwrap().modified().unwrap();
        let now = log.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64();
        let mut births = 0;
        for line in open.lines().filter(|line| !line.starts_with('#')) {
            let (name, _) = line.split_once('{').unwrap();
            let Some(family) = name.strip_suffix("_total").or_else(|| name.strip_suffix("_sum")) else {
                continue;
            };
            let labels = line[name.len()..].rsplit_once(' ').unwrap().0;
            let created =
                open.lines().find_map(|line| line.strip_prefix(&format!("{family}_created{labels} ")));
            let created: f64 = created.unwrap_or_else(|| panic!("{line} has no birth")).parse().unwrap();
            assert!((now - 60.0..now + 60.0).contains(&created), "{created} {now}");
            births += 1;
        }
        assert!(births > 40, "{births}");
    });
}

fn what_is_cancelled_or_left_behind_does_not_run_on() {
    block_on(async {
        let guarded = DEFAULT.fake("").await;
        let (one, other) = (guarded.initialize().await, guarded.initialize().await);
        let hanging = tokio::spawn(guarded.post(Some(&one), call(&json!(7), "hang", &json!({}))).send());
        while guarded.metric(&["mcp_concurrent_operations", "tools/call"]).await < 1.0 {}
        // Nobody ends or takes back what is another's.
        assert_eq!(guarded.delete("0123456789abcdef0123456789abcdef").send().await.unwrap().status(), 404);
        guarded
            .tell(
                &other,
                &json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 7}}),
            )
            .await;
        assert!(guarded.call(&other, &json!(7), "cancelled", json!({})).await.contains("\"text\":\"[]\""));
        assert_eq!(guarded.delete(&one).send().await.unwrap().status(), 204);
        let answer: Value = hanging.await.unwrap().unwrap().json().await.unwrap();
        assert_eq!((&answer["id"], &answer["error"]["code"]), (&json!(7), &json!(-32000)), "{answer}");
        assert_eq!(guarded.metric(&["mcp_concurrent_operations", "tools/call"]).await, 0.0);
        let told = guarded.call(&other, &json!(8), "cancelled", json!({})).await;
        assert!(!told.contains("\"text\":\"[]\""), "{told}");
    });
}
