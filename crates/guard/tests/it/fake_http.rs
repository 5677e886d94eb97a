//! Owns a small MCP server over Streamable HTTP, in the process of its test, that forgets and breaks off on demand.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// What all connections share.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) sessions: BTreeSet<String>,
    /// The heads of all requests, with what they asked for.
    pub(crate) asked: Vec<(String, HeaderMap)>,
    /// What is sent to who listens.
    streams: Vec<mpsc::Sender<Bytes>>,
    /// The answers that wait for the test.
    waiting: Vec<mpsc::Sender<Bytes>>,
    /// How an unknown session is told.
    pub(crate) forgets_with: u16,
    /// Whether lists come as events.
    pub(crate) streams_lists: bool,
    /// Whether it has nothing to say but answers.
    pub(crate) has_no_stream: bool,
    opened: usize,
}

/// The server.
pub(crate) struct FakeHttp {
    pub(crate) address: SocketAddr,
    pub(crate) seen: Arc<Mutex<Seen>>,
    serving: JoinHandle<()>,
}

/// A body that comes in parts; dropping the sender of one that was told to break ends it early.
pub(crate) struct Parts(mpsc::Receiver<Bytes>);

impl Body for Parts {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        self.0.poll_recv(context).map(|part| {
            part.map(|part| match &*part {
                b"BREAK" => Err(std::io::Error::other("broken on purpose")),
                _ => Ok(Frame::data(part)),
            })
        })
    }
}

impl FakeHttp {
    pub(crate) async fn start(listen: &str) -> Self {
        let listener = TcpListener::bind(listen).await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Seen { forgets_with: 404, ..Seen::default() }));
        let shared = Arc::clone(&seen);
        let serving = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let shared = Arc::clone(&shared);
                let service = service_fn(move |request| {
                    let shared = Arc::clone(&shared);
                    async move { Ok::<_, Infallible>(answer(&shared, request).await) }
                });
                connections.spawn(async move {
                    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        Self { address, seen, serving }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/mcp", self.address)
    }

    /// How often this was asked for.
    pub(crate) fn count(&self, what: &str) -> usize {
        self.seen.lock().unwrap().asked.iter().filter(|(asked, _)| asked == what).count()
    }

    /// Sends a part of the answer that waits longest; an empty one ends it.
    pub(crate) async fn go_on(&self, part: &str) {
        let sender = loop {
            if let Some(sender) = self.seen.lock().unwrap().waiting.first().cloned() {
                break sender;
            }
            tokio::task::yield_now().await;
        };
        if part.is_empty() {
            drop(sender);
            self.seen.lock().unwrap().waiting.remove(0);
        } else {
            sender.send(Bytes::copy_from_slice(part.as_bytes())).await.unwrap();
        }
    }

    /// Sends something to whoever listens.
    pub(crate) async fn announce(&self, event: &str) {
        let streams = self.seen.lock().unwrap().streams.clone();
        for stream in streams {
            let _ = stream.send(Bytes::copy_from_slice(event.as_bytes())).await;
        }
    }

    /// Ends it with all its connections; another may have its address.
    pub(crate) async fn stop(self) -> SocketAddr {
        self.serving.abort();
        let _ = self.serving.await;
        self.address
    }
}

async fn answer(shared: &Mutex<Seen>, request: Request<Incoming>) -> Response<Parts> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let message: Value = serde_json::from_slice(&body).unwrap_or_default();
    let (id, params) = (message["id"].clone(), &message["params"]);
    let method = message["method"].as_str().unwrap_or_default().to_owned();
    let what = match (&head.method, method.as_str()) {
        (&Method::POST, "tools/call") => params["name"].as_str().unwrap_or_default().to_owned(),
        (&Method::POST, "") => "batch".to_owned(),
        (&Method::POST, method) => method.to_owned(),
        (verb, _) => verb.to_string(),
    };
    let mut seen = shared.lock().unwrap();
    seen.asked.push((what.clone(), head.headers.clone()));
    if method == "initialize" {
        seen.opened += 1;
        let session = format!("session-{}", seen.opened);
        seen.sessions.insert(session.clone());
        let result = json!({"protocolVersion": params["protocolVersion"], "capabilities": {"tools": {}}, "serverInfo": {"name": "http", "version": "1"}});
        let mut response = whole(200, &json!({"jsonrpc": "2.0", "id": id, "result": result}));
        response.headers_mut().insert("mcp-session-id", session.parse().unwrap());
        return response;
    }
    let session = head.headers.get("mcp-session-id").and_then(|value| value.to_str().ok());
    if !session.is_some_and(|session| seen.sessions.contains(session)) {
        let error = json!({"code": -32000, "message": "Bad Request: No valid session ID provided"});
        return whole(seen.forgets_with, &json!({"jsonrpc": "2.0", "id": null, "error": error}));
    }
    if head.method == Method::DELETE {
        let session = session.unwrap().to_owned();
        seen.sessions.remove(&session);
        return whole(200, &Value::Null);
    }
    if head.method == Method::GET && seen.has_no_stream {
        let mut response = whole(405, &Value::Null);
        response.headers_mut().insert("allow", "POST, DELETE".parse().unwrap());
        return response;
    }
    if head.method == Method::GET {
        let (sender, receiver) = mpsc::channel(16);
        sender.try_send(Bytes::from_static(b": hello\n\n")).unwrap();
        seen.streams.push(sender);
        return events(receiver);
    }
    let result = |result: Value| json!({"jsonrpc": "2.0", "id": id, "result": result});
    match what.as_str() {
        "ping" => whole(200, &result(json!({}))),
        "tools/list" => {
            let tools = json!({"tools": [{"name": "get", "annotations": {"readOnlyHint": true}}, {"name": "put"}, {"name": "wait"}]});
            if seen.streams_lists {
                let (sender, receiver) = mpsc::channel(16);
                let event = format!("event: message\r\nid: 7\r\ndata: {}\r\n\r\n", result(tools));
                let (one, two) = event.split_at(event.len() / 2);
                sender.try_send(Bytes::copy_from_slice(one.as_bytes())).unwrap();
                sender.try_send(Bytes::copy_from_slice(two.as_bytes())).unwrap();
                return events(receiver);
            }
            whole(200, &result(tools))
        }
        "get" | "put" => whole(200, &result(json!({"content": [{"type": "text", "text": what}]}))),
        "wait" => {
            let (sender, receiver) = mpsc::channel(16);
            seen.waiting.push(sender);
            events(receiver)
        }
        "batch" => whole(200, &json!([])),
        what => hostile(what, &message, &head.method),
    }
}

/// What nobody who means well answers.
fn hostile(what: &str, message: &Value, verb: &Method) -> Response<Parts> {
    let (sender, receiver) = mpsc::channel(16);
    let text = |length: usize| "x".repeat(length);
    let id = &message["id"];
    match what {
        // Says whatever it was told to.
        "give" => {
            let content = json!([{"type": "text", "text": message["params"]["arguments"]["token"]}]);
            whole(200, &json!({"jsonrpc": "2.0", "id": id, "result": {"content": content}}))
        }
        // Says something for ever, and never the answer.
        "endless" => {
            let params = json!({"level": "info", "data": text(60_000)});
            let message = json!({"jsonrpc": "2.0", "method": "notifications/message", "params": params});
            let event = Bytes::from(format!("data: {message}\n\n"));
            tokio::spawn(async move { while sender.send(event.clone()).await.is_ok() {} });
            events(receiver)
        }
        // One event that never ends.
        "endless-event" => {
            tokio::spawn(async move { while sender.send(text(60_000).into()).await.is_ok() {} });
            events(receiver)
        }
        "endless-body" => {
            tokio::spawn(async move { while sender.send(text(60_000).into()).await.is_ok() {} });
            let mut response = events(receiver);
            response.headers_mut().insert("content-type", "application/json".parse().unwrap());
            response
        }
        // A byte now and then.
        "drip" => {
            tokio::spawn(async move {
                let mut every = tokio::time::interval(std::time::Duration::from_millis(10));
                while sender.send(Bytes::from_static(b" ")).await.is_ok() {
                    every.tick().await;
                }
            });
            let mut response = events(receiver);
            response.headers_mut().insert("content-type", "application/json".parse().unwrap());
            response
        }
        "huge-header" => {
            let mut response = whole(200, &json!({"jsonrpc": "2.0", "id": id, "result": {}}));
            response.headers_mut().insert("x-big", text(1 << 20).parse().unwrap());
            response
        }
        "another-id" => whole(200, &json!({"jsonrpc": "2.0", "id": 987_654, "result": {"content": []}})),
        "not-json" => {
            sender.try_send(Bytes::from_static(b"{\"jsonrpc\":\"2.0\",\"id\":")).unwrap();
            let mut response = events(receiver);
            response.headers_mut().insert("content-type", "application/json".parse().unwrap());
            response
        }
        _ if *verb == Method::POST => whole(202, &Value::Null),
        _ => whole(404, &Value::Null),
    }
}

pub(crate) fn whole(code: u16, document: &Value) -> Response<Parts> {
    let (sender, receiver) = mpsc::channel(1);
    if !document.is_null() {
        sender.try_send(document.to_string().into()).unwrap();
    }
    let mut response = Response::new(Parts(receiver));
    *response.status_mut() = StatusCode::from_u16(code).unwrap();
    response.headers_mut().insert("content-type", "application/json".parse().unwrap());
    response
}

pub(crate) fn events(receiver: mpsc::Receiver<Bytes>) -> Response<Parts> {
    let mut response = Response::new(Parts(receiver));
    response.headers_mut().insert("content-type", "text/event-stream".parse().unwrap());
    response
}
