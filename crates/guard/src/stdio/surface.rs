//! Owns what a client's guard says of itself: HTTP on a local socket (mode 0600), for `serve` and the command line.
//!
//! `GET /health` and `/ready` are as in front of HTTP, `/metrics` too. `/admin` is as
//! there: whoever can open the socket may use it. There is nothing here by which anybody could end or restart the server:
//! that is its client's.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use process::control::Phase;
use serde_json::json;
use tokio::net::UnixStream;
use tokio::task::JoinSet;

use super::{Shared, health};
use crate::admin::{self, Verb};
use crate::clock;
use crate::control::Socket;
use crate::metrics::{Format, Present};
use crate::usage;

const PATHS: [&str; 4] = ["/health", "/ready", "/metrics", "/admin/status"];
/// `serve`, some command lines, and nobody else.
const CONNECTIONS_MAX: usize = 32;
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// Out of descriptors, accepting again at once would only burn time.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves until it is dropped.
pub(crate) async fn serve(shared: Arc<Shared>, socket: &Socket) {
    let mut connections = JoinSet::new();
    let mut telling = pin!(admin::tell_of_ends(&*shared));
    loop {
        tokio::select! {
            () = &mut telling => {}
            Some(_) = connections.join_next() => {}
            accepted = socket.listener().accept(), if connections.len() < CONNECTIONS_MAX => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(connection(Arc::clone(&shared), stream));
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection cannot be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
}

async fn connection(shared: Arc<Shared>, stream: UnixStream) {
    let service = service_fn(move |request| {
        let shared = Arc::clone(&shared);
        async move { Ok::<_, Infallible>(answer(&shared, request).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service);
    if let Err(error) = connection.await {
        tracing::debug!(%error, "a connection broke");
    }
}

async fn answer(shared: &Arc<Shared>, request: Request<Incoming>) -> Response<Full<Bytes>> {
    if let Some(verb) = Verb::of(request.uri().path()) {
        return administer(shared, verb, request).await;
    }
    let path = request.uri().path();
    if !PATHS.contains(&path) {
        let problem = json!({ "error": "no such path", "paths": PATHS });
        return respond(StatusCode::NOT_FOUND, "application/json", problem.to_string());
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let problem = json!({ "error": "allowed here: GET, HEAD" });
        return respond(StatusCode::METHOD_NOT_ALLOWED, "application/json", problem.to_string());
    }
    match path {
        "/metrics" => {
            let format = Format::asked(request.headers());
            respond(StatusCode::OK, format.media_type(), metrics(shared, format).await)
        }
        _ => {
            let asked = Instant::now();
            let verdict = health::check(shared).await;
            let report = health::report(shared, &verdict, asked.elapsed());
            respond(verdict.health.code(), "application/json", report)
        }
    }
}

async fn administer(shared: &Shared, verb: Verb, request: Request<Incoming>) -> Response<Full<Bytes>> {
    if *request.method() != verb.method() {
        let problem = json!({ "error": format!("allowed here: {}", verb.method()) });
        return respond(StatusCode::METHOD_NOT_ALLOWED, "application/json", problem.to_string());
    }
    let query = request.uri().query().map(str::to_owned);
    let body = Limited::new(request.into_body(), admin::BODY_BYTES_MAX).collect();
    let body = match tokio::time::timeout(HEAD_TIMEOUT, body).await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(_)) | Err(_) => {
            let problem = json!({ "error": "the body is too long, or takes too long" });
            return respond(StatusCode::BAD_REQUEST, "application/json", problem.to_string());
        }
    };
    let (code, document) = admin::carry_out(shared, verb, query.as_deref(), &body, "the local socket").await;
    respond(code, "application/json", document.to_string())
}

async fn metrics(shared: &Arc<Shared>, format: Format) -> String {
    let (phase, child, accounts) = {
        let state = shared.state();
        (state.phase, state.child, state.accounts.clone())
    };
    let (usage, stopped) = usage::now(child, accounts, Vec::new()).await;
    let present = Present {
        up: (phase == Phase::Ready && !stopped).into(),
        rss_bytes: i64::try_from(usage.rss_bytes).unwrap_or(i64::MAX),
        descriptors: i64::try_from(usage.descriptors).unwrap_or(i64::MAX),
        sessions: shared.relay.is_met().into(),
        sessions_opened: shared.relay.is_met().into(),
        running: shared.relay.running(Instant::now()),
        writes_percent: shared.kept.now().writes.percent.into(),
        dependencies: Vec::new(),
        restarts: shared.restarts.now(),
        child_started: child.map_or(0.0, |child| child.started_ms as f64 / 1000.0),
    };
    shared.relay.record.count_spans();
    shared.relay.record.metrics.page(&present, format, clock::now_ms())
}

fn respond(code: StatusCode, media_type: &'static str, document: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(document.into()));
    *response.status_mut() = code;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}
