//! Owns the tests of the guard's own spans, with a receiver of OTLP that keeps what it got.

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use traces::{Context, Encoding, Span, Status};

use super::fake_http::FakeHttp;
use super::guarded::{Guarded, block_on, call, initialize};
use super::limits::{with, with_settings};
use super::poll::eventually;
use super::stdio_client::StdioClient;
use super::tests_main::Test;

pub(crate) const TESTS: &[Test] = &[
    ("a_call_is_a_span_of_the_clients_trace_and_handed_on", a_call_is_a_span),
    ("a_trace_begins_here_where_the_client_has_none", a_trace_begins_here),
    ("spans_are_tried_again_and_what_is_refused_is_counted", spans_are_tried_again),
    ("without_an_endpoint_nothing_is_added", without_an_endpoint_nothing_is_added),
    ("an_upstream_is_told_in_the_head", an_upstream_is_told_in_the_head),
    ("stdio_requests_are_spans_too", stdio_requests_are_spans_too),
];

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// A receiver of OTLP; it lives as long as the test process.
struct Sink {
    port: u16,
    spans: Arc<Mutex<Vec<Span>>>,
}

// === impl Sink ===

impl Sink {
    /// A receiver that answers so first, and then 200.
    fn new(answers: &[u16]) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let sink = Self { port, spans: Arc::default() };
        let (spans, mut answers) = (sink.spans.clone(), answers.iter().copied().collect::<VecDeque<_>>());
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let Some(message) = read(&stream) else { continue };
                let answer = answers.pop_front().unwrap_or(200);
                let decoded = traces::decode(Encoding::Protobuf, &message).unwrap();
                if answer == 200 {
                    spans.lock().unwrap().extend(decoded.spans);
                }
                let _ =
                    write!(stream, "HTTP/1.1 {answer} X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            }
        });
        sink
    }

    fn settings(&self, more: &str) -> String {
        format!("[traces]\nendpoint = \"http://127.0.0.1:{}\"\n{more}", self.port)
    }

    /// Waits for the span of this name.
    #[track_caller]
    fn span(&self, name: &str) -> Span {
        eventually(&format!("a span `{name}`"), || {
            self.spans.lock().unwrap().iter().find(|span| span.name == name).cloned()
        })
    }
}

fn read(stream: &TcpStream) -> Option<Vec<u8>> {
    let (mut reader, mut length, mut line) = (BufReader::new(stream), 0, String::new());
    loop {
        line.clear();
        reader.read_line(&mut line).ok()?;
        let lower = line.trim_end().to_ascii_lowercase();
        if lower.is_empty() {
            break;
        }
        if let Some(value) = lower.strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(body)
}

/// A call of the tool that answers with the `_meta` that the server got.
async fn meta(guarded: &Guarded, session: &str, meta: &Value) -> Value {
    let params = json!({"name": "meta", "arguments": {}, "_meta": meta});
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params});
    let answer: Value =
        guarded.post(Some(session), body.to_string()).send().await.unwrap().json().await.unwrap();
    serde_json::from_str(answer["result"]["content"][0]["text"].as_str().unwrap()).unwrap()
}

fn a_call_is_a_span() {
    block_on(async {
        let sink = Sink::new(&[]);
        // Whatever the guard itself would keep: the client decides.
        let guarded = with_settings(&sink.settings("ratio = 0.0")).await;
        let session = guarded.initialize().await;
        let got = meta(&guarded, &session, &json!({"traceparent": PARENT, "mine": 7})).await;
        let span = sink.span("tools/call meta");
        let handed_on = Context::parse(got["traceparent"].as_str().unwrap()).unwrap();
        assert_eq!((handed_on.trace, handed_on.span, handed_on.sampled), (span.trace, span.id, true));
        assert_eq!(got["mine"], 7, "what else stands there stays");
        assert_eq!(
            (span.trace.to_string(), span.parent.unwrap().to_string()),
            (TRACE.into(), "00f067aa0ba902b7".into())
        );
        assert_eq!(
            (span.server(), span.tool(), span.kind),
            (Some("mem"), Some("meta"), traces::Kind::Server)
        );
        for (name, value) in [("mcp.method.name", "tools/call"), ("gen_ai.operation.name", "execute_tool")] {
            assert_eq!(span.text(name), Some(value));
        }
        assert!(session.starts_with(span.text("mcp.session.id").unwrap()), "{span:?}");
        // The head says it where the message does not.
        let failing = guarded.post(Some(&session), call(&json!(2), "fail", &json!({})));
        failing.header("traceparent", PARENT).send().await.unwrap();
        let failed = sink.span("tools/call fail");
        assert_eq!((failed.trace, failed.text("error.type")), (span.trace, Some("tool_error")));
        assert!(matches!(failed.status, Status::Error(_)), "{failed:?}");
        let sent = guarded.metric(&["paramedic_guard_spans_total", "\"sent\""]).await;
        assert!(sent >= 2.0, "{sent}");
        let spans = sink.spans.lock().unwrap();
        assert!(
            spans.iter().all(|span| span.trace.to_string() == TRACE),
            "nothing else was to be kept: {spans:?}"
        );
    });
}

fn a_trace_begins_here() {
    block_on(async {
        let sink = Sink::new(&[]);
        let guarded = with_settings(&sink.settings("")).await;
        let session = guarded.initialize().await;
        let got = meta(&guarded, &session, &json!({"progressToken": "t"})).await;
        let span = sink.span("tools/call meta");
        let handed_on = Context::parse(got["traceparent"].as_str().unwrap()).unwrap();
        assert_eq!((handed_on.trace, handed_on.span, span.parent), (span.trace, span.id, None));
        assert!(got["progressToken"].is_u64(), "the token is the guard's: {got}");
        let greeted = sink.span("initialize");
        assert_eq!(greeted.text("mcp.session.id"), span.text("mcp.session.id"));
        // From the line in the log to the trace.
        let line = |log: &[Value]| {
            log.iter().any(|line| line["tool"] == "meta" && line["trace_id"] == span.trace.to_string())
        };
        guarded.logged("the call with its trace", line);
    });
}

fn spans_are_tried_again() {
    block_on(async {
        let sink = Sink::new(&[503, 400]);
        let guarded = with_settings(&sink.settings("")).await;
        let session = guarded.initialize().await;
        let dropped = async || guarded.metric(&["paramedic_guard_spans_total", "\"dropped\""]).await;
        guarded.call(&session, &json!(1), "echo", json!({})).await;
        // It is refused at the second try, for good; nobody waits for it.
        while dropped().await < 1.0 {
            guarded.get("/health").await;
        }
        guarded.call(&session, &json!(2), "pid", json!({})).await;
        sink.span("tools/call pid");
        assert!(sink.spans.lock().unwrap().iter().all(|span| span.name != "tools/call echo"));
    });
}

fn without_an_endpoint_nothing_is_added() {
    block_on(async {
        let guarded = with_settings("").await;
        let session = guarded.initialize().await;
        assert_eq!(meta(&guarded, &session, &json!({})).await, json!({}));
        let got = meta(&guarded, &session, &json!({"traceparent": PARENT})).await;
        assert_eq!(got, json!({"traceparent": PARENT}));
    });
}

fn an_upstream_is_told_in_the_head() {
    block_on(async {
        let (sink, server) = (Sink::new(&[]), FakeHttp::start("127.0.0.1:0").await);
        let guarded = with(&sink.settings(""), &[&server.url()], |_| {}).await;
        let ready = async { while guarded.status().await.phase != process::control::Phase::Ready {} };
        tokio::time::timeout(std::time::Duration::from_secs(20), ready).await.unwrap();
        let opened = guarded.post(None, initialize("2025-11-25")).send().await.unwrap();
        let session = opened.headers()["mcp-session-id"].to_str().unwrap().to_owned();
        let asked = guarded.post(Some(&session), call(&json!(1), "get", &json!({})));
        asked.header("traceparent", PARENT).send().await.unwrap();
        let span = sink.span("tools/call get");
        let seen = server.seen.lock().unwrap();
        let (_, head) = seen.asked.iter().find(|(what, _)| what == "get").unwrap();
        let handed_on = Context::parse(head["traceparent"].to_str().unwrap()).unwrap();
        assert_eq!((handed_on.trace.to_string(), handed_on.span), (TRACE.to_owned(), span.id));
        assert_eq!(span.parent.unwrap().to_string(), "00f067aa0ba902b7");
    });
}

fn stdio_requests_are_spans_too() {
    let sink = Sink::new(&[]);
    let mut client = StdioClient::with_settings(&sink.settings(""));
    client.initialize();
    assert_eq!(sink.span("initialize").parent, None);
    let params = |tool: &str, meta: Value| json!({"name": tool, "arguments": {}, "_meta": meta});
    let answer = client.ask("tools/call", &params("meta", json!({"traceparent": PARENT, "mine": 7})));
    let got: Value = serde_json::from_str(answer["result"]["content"][0]["text"].as_str().unwrap()).unwrap();
    let span = sink.span("tools/call meta");
    let handed_on = Context::parse(got["traceparent"].as_str().unwrap()).unwrap();
    assert_eq!((handed_on.trace, handed_on.span, &got["mine"]), (span.trace, span.id, &json!(7)));
    assert_eq!((span.trace.to_string(), span.server()), (TRACE.to_owned(), Some("fake")));
    // Whoever has no parameters is passed on as it came.
    client.ask("tools/list", &Value::Null);
    sink.span("tools/list");
    // A call whose server dies is one that failed.
    client.ask("tools/call", &params("exit", json!({})));
    let lost = sink.span("tools/call exit");
    assert!(matches!(lost.status, Status::Error(_)), "{lost:?}");
    assert_eq!(lost.text("error.type"), Some("lost"));
    client.logged(&lost.trace.to_string());
    // What is made last is sent before the guard ends.
    client.ask("ping", &json!({}));
    client.ask("tools/call", &params("echo", json!({})));
    assert_eq!(client.leave(), Some(0));
    assert!(sink.spans.lock().unwrap().iter().any(|span| span.name == "tools/call echo"));
}
