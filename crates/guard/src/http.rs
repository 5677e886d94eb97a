//! Owns the HTTP side: connections, who may ask, and which path leads where.
//!
//! One port serves `/mcp` (see `mcp.rs`), for old clients `/sse` (see `http_sse.rs`), `/health`, `/ready`, `/metrics`, `/api/test-read` and `/admin` (see `admin`). A request with an `Origin` that is not this
//! machine is refused, and so is, while the guard listens on loopback, one whose `Host` is not: that is how a web page
//! that rebinds its name to 127.0.0.1 gives itself away.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use host::Roots;
use http::request::Parts;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Either, Full, Limited};
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use process::control::Phase;
use serde_json::json;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::admin::access::{self, Ends};
use crate::admin::{self, VERBS, Verb};
use crate::clients::Peer;
use crate::controls::{BlockKind, EVERYBODY, Refused};
use crate::counted::Counted;
use crate::keepalive::notice_its_end;
use crate::log::{About, Level};
use crate::metrics::{Failure, Format, Present};
use crate::sse::EventStream;
use crate::state::Guard;
use crate::tls::Spoken;
use crate::upstream::{Broken, Relayed};
use crate::{clients, clock, endpoint, health, http_sse, parting, test_read, usage};

/// What every answer is made of.
pub(crate) type Body = Either<Full<Bytes>, Streamed>;

/// An answer that comes in parts.
pub(crate) enum Streamed {
    /// Events of the guard's own.
    Events(EventStream),
    /// What an upstream says.
    Relayed(Box<Relayed>),
}

const PATHS: [&str; 7] = ["/mcp", "/sse", "/health", "/ready", "/metrics", "/api/test-read", "/admin/status"];
/// A form is short, and so is the wait for it.
const FORM_TIMEOUT: Duration = Duration::from_secs(10);
/// Each takes some kilobytes and a descriptor; the usual limit of descriptors is 1024 or far more.
const CONNECTIONS_MAX: usize = 4096;
/// How long a client may take for a request's head, and how long an unused connection stays open.
const HEAD_TIMEOUT: Duration = Duration::from_secs(75);
/// Out of descriptors, accepting again at once would only burn time.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Answers that are ready when the guard ends are still sent, if their clients read them.
const FAREWELL: Duration = Duration::from_secs(1);

/// Serves until `leaving` says so, then finishes what is being answered.
pub(crate) async fn serve(guard: Arc<Guard>, listener: TcpListener, mut leaving: watch::Receiver<bool>) {
    let mut connections = JoinSet::new();
    let mut stage = guard.port.stage();
    loop {
        let may_accept = guard.port.is_serving() && connections.len() < CONNECTIONS_MAX;
        tokio::select! {
            () = parting::told(&mut leaving) => break,
            Some(_) = connections.join_next() => {}
            Ok(()) = stage.changed() => {}
            accepted = listener.accept(), if may_accept => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(connection(guard.clone(), stream, leaving.clone()));
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection cannot be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    // Whoever has connected already is answered, too.
    while guard.port.is_serving()
        && connections.len() < CONNECTIONS_MAX
        && let Ok(Ok((stream, _))) = tokio::time::timeout(Duration::ZERO, listener.accept()).await
    {
        connections.spawn(connection(guard.clone(), stream, leaving.clone()));
    }
    drop(listener);
    let all = async { while connections.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(FAREWELL, all).await;
}

async fn connection(guard: Arc<Guard>, stream: TcpStream, mut leaving: watch::Receiver<bool>) {
    let (Ok(client), Ok(server)) = (stream.peer_addr(), stream.local_addr()) else { return };
    let ends = Ends { client, server };
    // Without it, an answer would wait for the acknowledgement of the one before.
    let _ = stream.set_nodelay(true);
    notice_its_end(&stream);
    let tls = guard.own().tls.clone();
    let spoken = match tls {
        None => Ok(Spoken::Plain(stream)),
        Some(tls) => tokio::select! {
            spoken = tls.accept(stream, ends) => spoken,
            () = parting::told(&mut leaving) => return,
        },
    };
    match spoken {
        Ok(Spoken::Plain(stream)) => speak(guard, stream, ends, leaving).await,
        Ok(Spoken::Tls(stream)) => speak(guard, stream, ends, leaving).await,
        Err(error) => tracing::debug!(%error, client = %ends.client, "no TLS was spoken"),
    }
}

/// Speaks HTTP over a connection until one of both has enough.
async fn speak(
    guard: Arc<Guard>,
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    ends: Ends,
    leaving: watch::Receiver<bool>,
) {
    let peer = Arc::new(Peer::new(ends));
    let stream = Counted::new(stream, guard.metrics.bytes());
    let asked = Arc::new(AtomicBool::new(false));
    let has_asked = Arc::clone(&asked);
    let service = service_fn(move |request| {
        let (guard, peer) = (guard.clone(), peer.clone());
        has_asked.store(true, Ordering::Relaxed);
        async move {
            let mut response = answer(&guard, &peer, request).await;
            if !guard.port.is_serving() {
                // The next request is for the guard that has the port now.
                response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            Ok::<_, Infallible>(response)
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service);
    if let Err(error) = parting::serve(connection, &asked, leaving).await {
        tracing::debug!(%error, "a connection broke");
    }
}

async fn answer(guard: &Arc<Guard>, peer: &Peer, request: Request<Incoming>) -> Response<Body> {
    let (head, body) = request.into_parts();
    if let Err(reason) = peer.admitted(&head, guard.listen) {
        guard.metrics.failed(Failure::Security);
        guard.note(Level::Warning, About::Security, &reason, [("path", head.uri.path().into())]);
        return problem(StatusCode::FORBIDDEN, &reason);
    }
    if matches!(head.uri.path(), "/mcp" | "/api/test-read" | http_sse::STREAM | http_sse::MESSAGES)
        && let Some(reason) = blocked(guard, peer, &head).await
    {
        return problem(StatusCode::FORBIDDEN, &reason);
    }
    match (&head.method, head.uri.path()) {
        (&Method::POST | &Method::GET | &Method::DELETE, "/mcp") => {
            endpoint::answer(guard, head, body, peer).await
        }
        // On the heap: what every call of a tool carries along is to stay small.
        _ => Box::pin(others(guard, peer, head, body)).await,
    }
}

/// Answers at all paths but `/mcp`.
async fn others(guard: &Arc<Guard>, peer: &Peer, head: Parts, body: Incoming) -> Response<Body> {
    match (&head.method, head.uri.path()) {
        (&Method::GET, http_sse::STREAM) => http_sse::open(guard, head, peer).await,
        (&Method::POST, http_sse::MESSAGES) => http_sse::post(guard, head, body, peer).await,
        (&Method::GET | &Method::HEAD, "/health") => {
            let (code, report) = health::health(guard).await;
            json(code, report)
        }
        (&Method::GET | &Method::HEAD, "/ready") => {
            let (code, report) = health::ready(guard).await;
            json(code, report)
        }
        (&Method::GET | &Method::HEAD, "/metrics") => {
            let format = Format::asked(&head.headers);
            let page = metrics(guard, format).await;
            with_type(StatusCode::OK, HeaderValue::from_static(format.media_type()), page)
        }
        (&Method::GET, "/api/test-read") => {
            if let Err(unknown) = clients::who(guard, &head, peer).await {
                return *unknown;
            }
            let (code, report) = test_read::answer(guard).await;
            json(code, report)
        }
        (_, "/mcp") => not_allowed("GET, POST, DELETE"),
        (_, "/health" | "/ready" | "/metrics") => not_allowed("GET, HEAD"),
        (_, "/api/test-read" | http_sse::STREAM) => not_allowed("GET"),
        (_, http_sse::MESSAGES) => not_allowed("POST"),
        (_, path) if path.starts_with("/admin/") => administer(guard, head, body, peer.ends).await,
        _ => json(StatusCode::NOT_FOUND, json!({ "error": "no such path", "paths": PATHS }).to_string()),
    }
}

/// Why this address is not served, if it is not. It may still look, and be let in again.
async fn blocked(guard: &Guard, peer: &Peer, head: &Parts) -> Option<String> {
    let (controls, now_ms) = (guard.controls.now(), clock::now_ms());
    if let Some(block) = controls.blocked_address(peer.ends.client.ip(), now_ms) {
        guard.metrics.refused(Refused::Address);
        return Some(block.to_string());
    }
    let block = controls.blocked(BlockKind::Everybody, EVERYBODY, now_ms)?;
    // Whoever looks after it still asks how it is.
    if !access::is_forwarded(&head.headers) && peer.user().await.is_some() {
        return None;
    }
    guard.metrics.refused(Refused::Everybody);
    Some(format!("server `{}`: {block}", guard.settings.name))
}

async fn administer(guard: &Arc<Guard>, head: Parts, body: Incoming, ends: Ends) -> Response<Body> {
    let Some(verb) = Verb::of(head.uri.path()) else {
        let paths: Vec<String> = VERBS.iter().map(|(name, _)| format!("/admin/{name}")).collect();
        return json(StatusCode::NOT_FOUND, json!({ "error": "no such path", "paths": paths }).to_string());
    };
    if head.method != verb.method() {
        return not_allowed(if verb.method() == Method::GET { "GET" } else { "POST" });
    }
    let query = head.uri.query().map(str::to_owned);
    let asked = Arc::clone(guard);
    // The kernel's table may be long.
    let who = move || access::who(&asked.own(), &head, ends, &Roots::default());
    let by = match tokio::task::spawn_blocking(who).await {
        Ok(Ok(by)) => by,
        Ok(Err(denied)) => {
            guard.metrics.failed(denied.failure);
            let fields = [("path", verb.name().into()), ("address", ends.client.to_string().into())];
            guard.note(Level::Warning, About::Security, &denied.reason, fields);
            let mut response = problem(denied.code, &denied.reason);
            if denied.code == StatusCode::UNAUTHORIZED {
                response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            return response;
        }
        Err(error) => return problem(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    };
    let body = Limited::new(body, admin::BODY_BYTES_MAX).collect();
    let body = match tokio::time::timeout(FORM_TIMEOUT, body).await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(error)) => return problem(StatusCode::BAD_REQUEST, &error.to_string()),
        Err(_) => return problem(StatusCode::REQUEST_TIMEOUT, "the body takes too long"),
    };
    let (code, document) = admin::carry_out(&**guard, verb, query.as_deref(), &body, &by).await;
    let mut document = document.to_string();
    // It is read in a terminal.
    document.push('\n');
    json(code, document)
}

async fn metrics(guard: &Arc<Guard>, format: Format) -> String {
    let (phase, child, accounts) = {
        let state = guard.state();
        (state.phase, state.child, state.accounts.clone())
    };
    let (usage, stopped) = usage::now(child, accounts, guard.private.processes()).await;
    let up = phase == Phase::Ready && !stopped && guard.asked().is_some();
    guard.metrics.spans(guard.spans.counts());
    let present = Present {
        up: up.into(),
        rss_bytes: i64::try_from(usage.rss_bytes).unwrap_or(i64::MAX),
        descriptors: i64::try_from(usage.descriptors).unwrap_or(i64::MAX),
        sessions: i64::try_from(guard.n_sessions()).unwrap_or(i64::MAX),
        sessions_opened: guard.n_sessions_opened(),
        running: guard.running(Instant::now()),
        writes_percent: guard.controls.now().writes.percent.into(),
        dependencies: guard.state().dependencies.clone(),
        restarts: guard.restarts.now(),
        child_started: child.map_or(0.0, |child| child.started_ms as f64 / 1000.0),
    };
    guard.metrics.page(&present, format, clock::now_ms())
}

/// An error with all that is behind it, in words.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let sources = std::iter::successors(Some(error), |error| error.source());
    sources.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

impl hyper::body::Body for Streamed {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        match self.get_mut() {
            Self::Events(events) => Pin::new(events)
                .poll_frame(context)
                .map(|frame| frame.map(|frame| frame.map_err(|never| match never {}))),
            Self::Relayed(relayed) => Pin::new(&mut **relayed).poll_frame(context),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Events(events) => events.size_hint(),
            Self::Relayed(relayed) => relayed.size_hint(),
        }
    }
}

// === responses ===

/// A JSON document.
pub(crate) fn json(code: StatusCode, document: impl Into<Bytes>) -> Response<Body> {
    with_type(code, HeaderValue::from_static("application/json"), document)
}

/// A refusal, in words.
pub(crate) fn problem(code: StatusCode, reason: &str) -> Response<Body> {
    json(code, json!({ "error": reason }).to_string())
}

/// A response without a body.
pub(crate) fn empty(code: StatusCode) -> Response<Body> {
    let mut response = Response::new(Either::Left(Full::default()));
    *response.status_mut() = code;
    response
}

/// A stream of events.
pub(crate) fn events(events: EventStream) -> Response<Body> {
    let mut response = Response::new(Either::Right(Streamed::Events(events)));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

fn with_type(code: StatusCode, media_type: HeaderValue, document: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(Either::Left(Full::new(document.into())));
    *response.status_mut() = code;
    response.headers_mut().insert(header::CONTENT_TYPE, media_type);
    response
}

fn not_allowed(allowed: &'static str) -> Response<Body> {
    let mut response = problem(StatusCode::METHOD_NOT_ALLOWED, &format!("allowed here: {allowed}"));
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allowed));
    response
}
