//! Owns what is around everything that is asked to be done: its body arrives in time, it happens once under a key, it is
//! refused where the incident is another than was read, and the log says who asked for what, and what came of it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::{CONTENT_TYPE, IF_MATCH};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use checksum::Digest;
use http_body_util::LengthLimitError;
use serde_json::Value;

use super::BODY_BYTES_MAX;
use super::etag::{is_one_of, tag_of};
use super::local_peer::LocalPeer;
use super::once::{ANSWER_BYTES_MAX, Answer, End, Known, Name};
use super::problem::{Failure, blocking};
use crate::clock;
use crate::flow::Flow;
use crate::tokens::Token;

/// How long a body may take to arrive.
const ARRIVAL_MAX: Duration = Duration::from_secs(10);

/// The header with the key under which something happens once.
const KEY: &str = "idempotency-key";
/// Where tokens are made: their words are told once, and written down nowhere.
const TOKENS: &str = "/api/v1/tokens";
/// The longest key, in bytes.
const KEY_BYTES_MAX: usize = 255;
/// The longest name in the audit log, in bytes.
const NAME_BYTES_MAX: usize = 200;

/// A body, whole.
///
/// # Errors
/// Where it is too long, takes too long, or breaks off.
pub(super) async fn arrived(body: Body) -> Result<Bytes, Failure> {
    let late = || {
        let words = format!("the body did not arrive within {} s", ARRIVAL_MAX.as_secs());
        Failure::new(StatusCode::REQUEST_TIMEOUT, words)
    };
    let read = tokio::time::timeout(ARRIVAL_MAX, to_bytes(body, BODY_BYTES_MAX)).await.map_err(|_| late())?;
    read.map_err(|error| {
        let is_long = std::error::Error::source(&error).is_some_and(|source| source.is::<LengthLimitError>());
        if is_long {
            let words = format!("a body has {BODY_BYTES_MAX} bytes at most");
            Failure::new(StatusCode::PAYLOAD_TOO_LARGE, words)
        } else {
            Failure::new(StatusCode::BAD_REQUEST, "the body broke off")
        }
    })
}

/// Lets a request pass whose body has arrived.
pub(super) async fn arriving(request: Request, next: Next) -> Response {
    let (head, body) = request.into_parts();
    match arrived(body).await {
        Ok(body) => next.run(Request::from_parts(head, Body::from(body))).await,
        Err(failure) => failure.into_response(),
    }
}

/// Who asks for what.
struct Asked {
    by: String,
    /// The address, or the local socket.
    from: String,
    /// Whose keys are meant: the token, or nobody's over the local socket.
    owner: String,
    uri: Uri,
}

/// Lets a request pass that asks for something to be done.
pub(super) async fn around(State(flow): State<Arc<Flow>>, request: Request, next: Next) -> Response {
    let (head, body) = request.into_parts();
    let body = match arrived(body).await {
        Ok(body) => body,
        Err(failure) => return failure.into_response(),
    };
    let token = head.extensions.get::<Token>();
    let said = || serde_json::from_slice::<Value>(&body).ok()?["by"].as_str().map(str::to_owned);
    let peer = head.extensions.get::<ConnectInfo<SocketAddr>>();
    let asked = Asked {
        by: token.map(|token| token.name.clone()).or_else(said).unwrap_or_default(),
        from: match (peer, head.extensions.get::<ConnectInfo<LocalPeer>>()) {
            (Some(peer), _) => peer.0.to_string(),
            (None, local) => local.map_or_else(|| "the local socket".to_owned(), |local| local.0.to_string()),
        },
        owner: token.map(|token| token.id.clone()).unwrap_or_default(),
        uri: head.uri.clone(),
    };
    let headers = head.headers.clone();
    let request = Request::from_parts(head, Body::from(body.clone()));
    let answered = answered(&flow, &asked, &headers, &body, request, next).await;
    let response = answered.unwrap_or_else(IntoResponse::into_response);
    audit(&asked, response.status());
    response
}

async fn answered(
    flow: &Arc<Flow>,
    asked: &Asked,
    headers: &HeaderMap,
    body: &[u8],
    request: Request,
    next: Next,
) -> Result<Response, Failure> {
    let key = headers.get(KEY).map(key).transpose()?;
    let Some(key) = key else {
        is_as_read(flow, headers, asked.uri.path()).await?;
        return Ok(next.run(request).await);
    };
    let name: Name = (asked.owner.clone(), key);
    let print = Digest::of(&[asked.uri.to_string().as_bytes(), &[0], body].concat());
    // What is promised is on the disk before anything is done.
    let known = blocking({
        let (flow, name) = (Arc::clone(flow), name.clone());
        move || flow.door.keys().begin(&name, print, clock::now_ms())
    });
    match known.await? {
        Known::Nothing => {}
        Known::Untold => {
            let words =
                "what was asked for under this `Idempotency-Key` was done, and its answer is not kept";
            return Err(Failure::new(StatusCode::CONFLICT, words));
        }
        Known::Lost => {
            let words = "what was asked for under this `Idempotency-Key` was being done when `serve` ended: see what came of it before you ask under another one";
            return Err(Failure::new(StatusCode::CONFLICT, words));
        }
        Known::Answered(answer) => return Ok(again(answer)),
        Known::Running => {
            let words = "what was asked for under this `Idempotency-Key` is still being done";
            return Err(Failure::new(StatusCode::CONFLICT, words).after_s(1));
        }
        Known::Other => {
            let words = "something else was asked for under this `Idempotency-Key`";
            return Err(Failure::new(StatusCode::UNPROCESSABLE_ENTITY, words));
        }
        Known::Full => {
            let words = "too much is being done under keys at once";
            return Err(Failure::new(StatusCode::SERVICE_UNAVAILABLE, words).after_s(1));
        }
    }
    if let Err(failure) = is_as_read(flow, headers, asked.uri.path()).await {
        ended(Arc::clone(flow), name, End::Again).await?;
        return Err(failure);
    }
    // Whoever hangs up meanwhile may ask again for what came of it.
    let flow = Arc::clone(flow);
    let secret = asked.uri.path() == TOKENS;
    let run = tokio::spawn(async move {
        let (response, end) = remembered(next.run(request).await).await;
        let end = match end {
            End::Told(answer) if secret => End::Secret(answer),
            end => end,
        };
        ended(flow, name, end).await?;
        Ok(response)
    });
    run.await.map_err(|error| Failure::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?
}

async fn ended(flow: Arc<Flow>, name: Name, end: End) -> Result<(), Failure> {
    blocking(move || flow.door.keys().end(&name, end)).await
}

/// What may stand as a key.
fn key(value: &HeaderValue) -> Result<String, Failure> {
    let key = value.to_str().ok().filter(|key| {
        (1..=KEY_BYTES_MAX).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic())
    });
    let words = format!("an `Idempotency-Key` is 1 to {KEY_BYTES_MAX} letters, digits and signs of ASCII");
    key.map(str::to_owned).ok_or_else(|| Failure::new(StatusCode::BAD_REQUEST, words))
}

/// An answer, and what is remembered of it: not what may go better the next time.
async fn remembered(response: Response) -> (Response, End) {
    let status = response.status();
    if status.is_server_error() {
        return (response, End::Again);
    }
    let (head, body) = response.into_parts();
    let kind = head.headers.get(CONTENT_TYPE).cloned();
    // Our own answers come at once, and those that are too long to be remembered are still given.
    let body = to_bytes(body, usize::MAX).await.unwrap_or_default();
    let end = match body.len() <= ANSWER_BYTES_MAX {
        true => End::Told(Answer { status, kind, body: body.clone() }),
        false => End::Untold,
    };
    (Response::from_parts(head, Body::from(body)), end)
}

fn again(answer: Answer) -> Response {
    let mut response = (answer.status, answer.body).into_response();
    let headers = response.headers_mut();
    headers.remove(CONTENT_TYPE);
    headers.extend(answer.kind.map(|kind| (CONTENT_TYPE, kind)));
    headers.insert("idempotency-replayed", HeaderValue::from_static("true"));
    response
}

/// Whether the incident is still the one that was read, where `If-Match` says which.
async fn is_as_read(flow: &Flow, headers: &HeaderMap, path: &str) -> Result<(), Failure> {
    let Some(wanted) = headers.get(IF_MATCH) else { return Ok(()) };
    let mut parts = path.trim_start_matches("/api/v1/").split('/');
    let (Some("incidents"), Some(typed)) = (parts.next(), parts.next()) else { return Ok(()) };
    let id = flow.engine.find(typed).await?;
    let incident = flow.engine.incident(&id).await?;
    if is_one_of(wanted, &tag_of(&incident)) {
        return Ok(());
    }
    let words = format!("something has happened in {id} since it was read: read it again");
    Err(Failure::new(StatusCode::PRECONDITION_FAILED, words))
}

fn audit(asked: &Asked, status: StatusCode) {
    let by: String = asked.by.chars().filter(|letter| !letter.is_control()).take(NAME_BYTES_MAX).collect();
    let (from, path, outcome) = (&asked.from, asked.uri.path(), status.as_u16());
    tracing::info!(event = "audit", by, from, path, outcome, "something was asked to be done");
}
