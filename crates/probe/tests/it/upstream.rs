//! Owns the tests of liveness of an MCP server itself, over Streamable HTTP.

use probe::{Endpoint, Health, Report};
use serde_json::{Value, json};

use crate::server::{Manner, Request, Server, answer, refusing};
use crate::{PATIENT, SHORT, prober, target};

const JSON: &str = "content-type: application/json\r\n";
const SSE: &str = "content-type: Text/Event-Stream; charset=utf-8\r\n";

async fn ask(server: &Server) -> Report {
    prober().liveness(&target(Endpoint::Upstream { url: server.url("/mcp") }), PATIENT).await
}

fn method(request: &Request) -> String {
    let body: Value = serde_json::from_str(&request.body).unwrap_or_default();
    body["method"].as_str().unwrap_or(&request.method).to_owned()
}

/// What an orderly server answers; `None` for a notification.
fn result(request: &Request) -> Option<String> {
    let body: Value = serde_json::from_str(&request.body).unwrap();
    let result = match body["method"].as_str().unwrap() {
        "initialize" => json!({"protocolVersion": "2025-06-18", "capabilities": {}, "serverInfo": {}}),
        "ping" => json!({}),
        _ => return None,
    };
    Some(json!({"jsonrpc": "2.0", "id": body["id"], "result": result}).to_string())
}

fn plainly(request: &Request) -> Manner {
    Manner::Says(match result(request) {
        Some(text) => answer("200 OK", JSON, &text),
        None => answer("202 Accepted", "", ""),
    })
}

#[tokio::test]
async fn plain_answers_without_a_session() {
    let server = Server::start(plainly).await;
    let report = ask(&server).await;
    assert_eq!((report.health, report.reason.as_str()), (Health::Healthy, "answered `ping`"));
    let requests = server.requests();
    let methods: Vec<_> = requests.iter().map(method).collect();
    assert_eq!(methods, ["initialize", "notifications/initialized", "ping"]);
    assert!(
        requests.iter().all(|request| request.path == "/mcp" && request.header("mcp-session-id").is_none())
    );
    assert_eq!(requests[0].header("mcp-protocol-version"), None);
    assert_eq!(requests[2].header("mcp-protocol-version"), Some("2025-06-18"));
    assert_eq!(requests[0].header("accept"), Some("application/json, text/event-stream"));
}

#[tokio::test]
async fn an_upstream_is_told_of_the_trace() {
    let server = Server::start(plainly).await;
    let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";
    let target = target(Endpoint::Upstream { url: server.url("/mcp") });
    let report = prober().liveness_in(&target, PATIENT, traces::Context::parse(parent)).await;
    assert_eq!(report.health, Health::Healthy, "{report:?}");
    for request in server.requests().iter().filter(|request| method(request) != "notifications/initialized") {
        let body: Value = serde_json::from_str(&request.body).unwrap();
        assert_eq!(request.header("traceparent"), Some(parent), "{request:?}");
        assert_eq!(body["params"]["_meta"]["traceparent"], parent, "{body}");
    }
}

#[tokio::test]
async fn event_streams_with_a_session_and_noise() {
    let server = Server::start(|request| {
        if request.method == "DELETE" {
            return Manner::Says(answer("405 Method Not Allowed", "", ""));
        }
        let Some(text) = result(request) else { return Manner::Says(answer("202 Accepted", "", "")) };
        let noise = r#"{"jsonrpc":"2.0","method":"notifications/message"}"#;
        let events =
            format!("id: 1\ndata: \n\n: hello\n\ndata: {noise}\n\nevent: message\r\ndata: {text}\r\n\r\n");
        // Without a length, and left open as some servers do.
        Manner::SaysAndHolds(
            format!("HTTP/1.1 200 OK\r\nmcp-session-id: s-1\r\n{SSE}\r\n{events}.").into_bytes(),
        )
    })
    .await;
    let report = ask(&server).await;
    assert_eq!((report.health, report.reason.as_str()), (Health::Healthy, "answered `ping`"));
    let requests = server.requests();
    let methods: Vec<_> = requests.iter().map(method).collect();
    assert_eq!(methods, ["initialize", "notifications/initialized", "ping", "DELETE"]);
    assert!(requests[1..].iter().all(|request| request.header("mcp-session-id") == Some("s-1")));
}

#[tokio::test]
async fn an_error_is_an_answer() {
    let server = Server::start(|request| match method(request).as_str() {
        "ping" => {
            let error =
                json!({"jsonrpc": "2.0", "id": 2, "error": {"code": -32601, "message": "no such method"}});
            Manner::Says(answer("200 OK", JSON, &error.to_string()))
        }
        _ => plainly(request),
    })
    .await;
    let report = ask(&server).await;
    assert_eq!(report.health, Health::Healthy);
    assert_eq!(report.reason, "answered `ping` with error -32601: no such method");

    let error = r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32022,"message":"unsupported version"}}"#;
    let modern = Server::saying("400 Bad Request", error).await;
    let report = ask(&modern).await;
    assert_eq!(report.health, Health::Healthy);
    assert_eq!(report.reason, "answered `initialize` with error -32022: unsupported version");
}

#[tokio::test]
async fn what_is_no_answer() {
    let error = r#"{"jsonrpc":"2.0","id":1,"error":{"code":-1,"message":"no upstream"}}"#;
    for (status, body, reason) in [
        ("503 Service Unavailable", error, "HTTP 503"),
        ("401 Unauthorized", "", "HTTP 401 without a JSON-RPC answer"),
        ("404 Not Found", "<html>", "HTTP 404 without a JSON-RPC answer"),
        ("200 OK", "garbage", "HTTP 200 without a JSON-RPC answer"),
        ("200 OK", r#"{"jsonrpc":"2.0","id":9,"result":{}}"#, "HTTP 200 without a JSON-RPC answer"),
    ] {
        let report = ask(&Server::saying(status, body).await).await;
        assert_eq!((report.health, report.reason.as_str()), (Health::Unhealthy, reason));
    }
    let ends = Server::start(|_| Manner::Says(answer("200 OK", SSE, "data: {}\n\n"))).await;
    assert_eq!(ask(&ends).await.reason, "HTTP 200 without a JSON-RPC answer");
    let long = Server::saying("200 OK", &"x".repeat(2 << 20)).await;
    assert_eq!(ask(&long).await.reason, "an answer of more than 1048576 bytes");
    let events = "data: x\n\n".repeat(200_000);
    let long = Server::start(move |_| Manner::Says(answer("200 OK", SSE, &events))).await;
    assert_eq!(ask(&long).await.reason, "an answer of more than 1048576 bytes");
    let refused = Endpoint::Upstream { url: format!("http://{}/mcp", refusing().await) };
    assert_eq!(prober().liveness(&target(refused), PATIENT).await.reason, "connection refused");
}

#[tokio::test]
async fn a_server_that_falls_silent_after_initialize() {
    let server = Server::start(|request| match method(request).as_str() {
        "ping" => Manner::Silent,
        _ => plainly(request),
    })
    .await;
    let endpoint = Endpoint::Upstream { url: server.url("/mcp") };
    let report = prober().liveness(&target(endpoint), SHORT).await;
    assert_eq!((report.health, report.reason.as_str()), (Health::Unhealthy, "no answer within 200 ms"));
}

#[tokio::test]
async fn a_slow_goodbye_spoils_nothing() {
    let server = Server::start(|request| {
        if request.method == "DELETE" {
            return Manner::Silent;
        }
        let Some(text) = result(request) else { return Manner::Says(answer("202 Accepted", "", "")) };
        Manner::Says(answer("200 OK", "mcp-session-id: s-1\r\ncontent-type: application/json\r\n", &text))
    })
    .await;
    let report = ask(&server).await;
    assert_eq!(report.health, Health::Healthy);
    assert!(report.duration_ms < 15_000.0, "{report:?}");
}
