//! Tests of traces: from a client's call through a guard to the waterfall, and on to another receiver; and what a receiver
//! has to bear.

use std::collections::VecDeque;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use process::Signal;
use serde_json::{Value, json};
use server::api::wire::TraceSummary;
use traces::{Encoding, Span};

use crate::poll::eventually;
use crate::real::installed;
use crate::site::{Server, Setup, Site, block_on, free_port};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// Another receiver of OTLP; it lives as long as the test process.
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
                let Some(message) = body_of(&stream) else { continue };
                let answer = answers.pop_front().unwrap_or(200);
                if answer == 200 {
                    let decoded = traces::decode(Encoding::Protobuf, &message).unwrap();
                    spans.lock().unwrap().extend(decoded.spans);
                }
                let _ =
                    write!(stream, "HTTP/1.1 {answer} X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            }
        });
        sink
    }

    /// Waits for a span of this name in the trace of the client.
    #[track_caller]
    fn span(&self, name: &str) -> Span {
        let is_wanted = |span: &&Span| span.name == name && span.trace.to_string() == TRACE;
        eventually(&format!("`{name}` at the other receiver"), || {
            self.spans.lock().unwrap().iter().find(is_wanted).cloned()
        })
    }
}

fn body_of(stream: &TcpStream) -> Option<Vec<u8>> {
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

/// One session with one call that is part of the client's trace.
fn call(endpoint: &str, tool: &str, arguments: &Value) -> Value {
    probe::install_crypto();
    let http = reqwest::Client::new();
    let post = |session: Option<String>, body: Value| {
        let mut request = http.post(endpoint).header("accept", "application/json, text/event-stream");
        if let Some(session) = session {
            request = request.header("mcp-session-id", session);
        }
        request.header("content-type", "application/json").body(body.to_string()).send()
    };
    let initialize = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
        "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}});
    let params = json!({"name": tool, "arguments": arguments, "_meta": {"traceparent": PARENT}});
    let call = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params});
    block_on(async {
        let opened = post(None, initialize).await.unwrap();
        let session = opened.headers()["mcp-session-id"].to_str().unwrap().to_owned();
        post(Some(session), call).await.unwrap().json().await.unwrap()
    })
}

/// Sends a message to the receiver of `serve`; returns the status and the answer.
fn send(site: &Site, headers: &[(&str, &str)], body: Vec<u8>) -> (u16, String) {
    probe::install_crypto();
    let mut request = reqwest::Client::new().post(format!("http://{}/v1/traces", site.listen()));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    block_on(async {
        let response = request.body(body).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    })
}

fn list(site: &Site, more: &[&str]) -> Vec<TraceSummary> {
    let ran = site.run(&[&["trace", "list", "-o", "json"], more].concat());
    serde_json::from_str(&ran.done()).unwrap()
}

/// A call through a guard is found, shown, and sent on; by whatever server.
fn found_and_sent_on(server: Server, tool: &str, arguments: &Value) {
    let name = server.name().to_owned();
    let sink = Sink::new(&[503]);
    let tables =
        format!("[traces.export]\nurl = \"http://127.0.0.1:{}/v1/traces\"\ninterval = \"50ms\"\n", sink.port);
    let mut site = Site::of(&Setup { tables: &tables, servers: &[server], ..Setup::default() });
    site.serve_until_ready(&[&name]);
    let answer = call(&site.endpoint(&name), tool, arguments);
    assert!(answer["result"].is_object(), "{answer}");
    let span = format!("tools/call {tool}");
    let found = eventually("the trace in the list", || {
        list(&site, &["--server", &name, "--tool", tool]).into_iter().find(|one| one.trace_id == TRACE)
    });
    assert_eq!((&found.name, &found.server, found.errors), (&span, &name, 0));
    let shown = site.run(&["trace", "show", &TRACE[..12]]).done();
    assert!(
        shown.contains(&format!("trace {TRACE} of ")) && shown.contains(&format!("… {name} server: {span}")),
        "{shown}"
    );
    let sent_on = sink.span(&span);
    assert_eq!(sent_on.parent.unwrap().to_string(), "00f067aa0ba902b7");
    // From the line in the server's log to the trace.
    let line = |line: &Value| line["tool"] == tool && line["trace_id"] == TRACE;
    eventually("the call in the log", || site.server_log(&name).iter().any(line).then_some(()));
    let metrics = site.metrics();
    assert!(metrics.contains("paramedic_traces_exported_total{outcome=\"dropped\"} 0"), "{metrics}");
}

#[test]
fn a_call_is_found_shown_and_sent_on() {
    found_and_sent_on(Server::notes("notes"), "list_notes", &json!({}));
}

#[test]
fn a_call_of_a_server_from_npm_is_found_shown_and_sent_on() {
    let script = "node_modules/@modelcontextprotocol/server-everything/dist/index.js";
    let Some(script) = installed("PARAMEDIC_TEST_NPM", script) else { return };
    let server = Server::new("everything", &["node", script.to_str().unwrap(), "stdio"]);
    found_and_sent_on(server, "echo", &json!({"message": "x"}));
}

#[test]
fn a_probe_that_fails_leaves_its_spans() {
    let tables = format!(
        "[[server]]\nname = \"gone\"\nport = {0}\nupstream = \"http://127.0.0.1:{0}/mcp\"\n",
        free_port()
    );
    let mut site = Site::of(&Setup { tables: &tables, ..Setup::default() });
    site.serve();
    let found = eventually("the probe in the list", || list(&site, &["--server", "gone", "--errors"]).pop());
    assert_eq!(found.name, "probe gone");
    let shown = site.run(&["trace", "show", &found.trace_id]).done();
    assert!(
        shown.contains("  paramedic client: initialize") && shown.contains("error.type = unhealthy"),
        "{shown}"
    );
}

/// A span that took so many seconds, in JSON.
fn message(trace: &str, name: &str, seconds: u64, error: Option<&str>) -> Value {
    let start = u64::try_from(server::now_ms()).unwrap() * 1_000_000 - seconds * 1_000_000_000;
    let status = error.map_or(json!({}), |message| json!({"code": 2, "message": message}));
    let attributes = json!([{"key": "gen_ai.tool.name", "value": {"stringValue": name}}]);
    let span = json!({"traceId": trace, "spanId": "00f067aa0ba902b7", "name": name, "kind": 2, "attributes": attributes,
        "startTimeUnixNano": start.to_string(), "endTimeUnixNano": (start + seconds * 1_000_000_000).to_string(),
        "status": status});
    let resource = json!({"attributes": [{"key": "service.name", "value": {"stringValue": "other"}}]});
    json!({"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": [span]}]}]})
}

#[test]
fn a_receiver_takes_what_it_can_and_says_what_it_can_not() {
    let tables = "[traces]\nbody_max = \"64KiB\"\nspans_max = 100\n";
    let mut site = Site::of(&Setup { tables, ..Setup::default() });
    site.serve();
    let json = ("content-type", "application/json");
    let protobuf = ("content-type", "application/x-protobuf");
    let (slow, failed) = ("a".repeat(32), "b".repeat(32));
    let body = |value: Value| value.to_string().into_bytes();
    assert_eq!(send(&site, &[json], body(message(&slow, "slow", 7, None))), (200, "{}".to_owned()));
    assert_eq!(send(&site, &[json], body(message(&failed, "failed", 0, Some("no \u{1b}[2Jdisk")))).0, 200);
    // What of a message can be taken is, and the rest is said.
    let (status, said) = send(&site, &[json], body(message("0", "nothing", 0, None)));
    assert_eq!((status, said.contains("\"rejectedSpans\":\"1\"")), (200, true), "{said}");
    // What can not be read, or is none of ours.
    for (headers, body, expect) in [
        (&[protobuf][..], b"nonsense".to_vec(), 400),
        (&[json], b"{\"resourceSpans\":".to_vec(), 400),
        (&[json, ("content-encoding", "gzip")], b"nonsense".to_vec(), 400),
        (&[json, ("content-encoding", "br")], b"{}".to_vec(), 415),
        (&[("content-type", "text/plain")], b"{}".to_vec(), 415),
        (&[json, ("origin", "http://evil.example")], b"{}".to_vec(), 403),
        (&[json], vec![b' '; 100_000], 413),
        (&[protobuf], Vec::new(), 200),
    ] {
        let (status, said) = send(&site, headers, body);
        assert_eq!(status, expect, "{headers:?}: {said}");
    }
    // More spans than are kept: those that somebody looks for stay.
    for number in 1..200_u64 {
        let trace = format!("{number:032x}");
        assert_eq!(send(&site, &[json], body(message(&trace, "fast", 0, None))).0, 200);
    }
    let names = |found: Vec<TraceSummary>| found.into_iter().map(|one| one.name).collect::<Vec<_>>();
    assert_eq!(list(&site, &[]).len(), 100);
    assert_eq!(names(list(&site, &["--slow", "5s", "--since", "30m"])), ["slow"]);
    assert_eq!(names(list(&site, &["--errors", "--server", "other"])), ["failed"]);
    assert_eq!(names(list(&site, &["--tool", "nothing"])), [""; 0]);
    let shown = site.run(&["trace", "show", &failed]).done();
    assert!(shown.contains("! no ·[2Jdisk") && !shown.contains('\u{1b}'), "{shown}");
    site.run(&["trace", "show", "ffff"]).failed(1, &["no trace `ffff`", "trace list"]);
    site.run(&["trace", "show", "../x"]).failed(2, &["hexadecimal"]);
    // The demonstration sends as anybody would, and what comes back is a waterfall.
    let demo = site.run(&["trace", "demo"]).done();
    assert!(demo.contains("tools/call demo") && demo.contains("! no answer within 50 ms"), "{demo}");
    // They outlive `serve`, and are read without one.
    site.end_serve(Signal::KILL);
    let ran = site.run(&["trace", "list", "--slow", "5s", "-o", "json"]);
    assert!(ran.stderr.contains("no `serve` answers"), "{ran:?}");
    assert_eq!(names(serde_json::from_str(&ran.done()).unwrap()), ["slow"]);
    fs::write(site.path("serve.log"), "").unwrap();
    site.serve();
    assert_eq!(names(list(&site, &["--slow", "5s"])), ["slow"]);
    assert!(site.metrics().contains("paramedic_traces_received_spans_total{outcome=\"rejected\"} 0"));
}

/// Bodies that are announced and do not come take the room of those that would; others are told when to come again.
#[test]
fn more_at_once_than_there_is_room_for() {
    let mut site = Site::of(&Setup::default());
    site.serve();
    let json = ("content-type", "application/json");
    let waiting: Vec<TcpStream> = (0..8)
        .map(|_| {
            let mut stream = TcpStream::connect(site.listen()).unwrap();
            let head = format!(
                "POST /v1/traces HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
                4 << 20
            );
            stream.write_all(head.as_bytes()).unwrap();
            stream
        })
        .collect();
    let one = || send(&site, &[json], message(&"c".repeat(32), "late", 0, None).to_string().into_bytes()).0;
    eventually("there is no room", || (one() == 429).then_some(()));
    let mut stream = TcpStream::connect(site.listen()).unwrap();
    let head = "POST /v1/traces HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}";
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 429") && answer.contains("retry-after: 1"), "{answer}");
    drop(waiting);
    eventually("there is room again", || (one() == 200).then_some(()));
}
