//! Owns the receiver of OTLP, `POST /v1/traces`, and the questions to the traces.
//!
//! 200 says that the spans are in the store, with those that were not taken counted (partial success); 400 that the
//! message can not be read, 413 that it is too long, 415 that it has another form, 429 with `Retry-After` that there is no
//! room at this time. From other machines nothing is taken where the configuration does not say so, and from a page in a
//! browser never.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Json;
use axum::extract::{ConnectInfo, Path, Query, Request, State};
use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, ORIGIN, RETRY_AFTER};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use incident::error_chain;
use traces::{Encoding, Filter, Malformed, TraceId, answer, decode, gunzip, refusal, to_json};

use super::handlers::Shared;
use super::listing::{self, Listed, Order};
use super::problem::Failure;
use super::wire::{TraceQuestion, TraceSummary};

/// How long a message may take to arrive.
const ARRIVAL_MAX: Duration = Duration::from_secs(10);

/// Traces that are looked at for an answer.
const FOUND_MAX: usize = 10_000;

/// Traces that are told of where nobody says how many.
const LIMIT: u32 = 100;

/// Takes a message of spans in.
pub(super) async fn receive(State(flow): Shared, request: Request) -> Response {
    let content_type = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let encoding = content_type.and_then(Encoding::of);
    let reply = tokio::time::timeout(ARRIVAL_MAX, within(flow, encoding, request)).await;
    let late = || (StatusCode::REQUEST_TIMEOUT, "the message took too long to arrive".to_owned());
    let encoding = encoding.unwrap_or(Encoding::Json);
    let kind = match encoding {
        Encoding::Protobuf => "application/x-protobuf",
        Encoding::Json => "application/json",
    };
    let (status, body) = match reply.unwrap_or_else(|_| Err(late())) {
        Ok((rejected, reason)) => (StatusCode::OK, answer(encoding, rejected, reason)),
        Err((status, reason)) => {
            tracing::debug!(status = status.as_u16(), reason, "spans are not taken");
            (status, refusal(encoding, &reason))
        }
    };
    let mut response = (status, [(CONTENT_TYPE, kind)], body).into_response();
    if status == StatusCode::TOO_MANY_REQUESTS {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

/// How many spans were not taken, and why the first of them was not; or why none was.
type Reply = Result<(u64, &'static str), (StatusCode, String)>;

async fn within(
    flow: std::sync::Arc<crate::flow::Flow>,
    encoding: Option<Encoding>,
    request: Request,
) -> Reply {
    let config = flow.traces.config();
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
    let is_away = peer.is_some_and(|ConnectInfo(address)| !address.ip().to_canonical().is_loopback());
    if request.headers().contains_key(ORIGIN) || (is_away && !config.from_network) {
        let reason = "spans are taken from this machine (`from_network` of [traces]), and not from a browser";
        return Err((StatusCode::FORBIDDEN, reason.to_owned()));
    }
    let Some(encoding) = encoding else {
        let reason = "a message is application/x-protobuf or application/json";
        return Err((StatusCode::UNSUPPORTED_MEDIA_TYPE, reason.to_owned()));
    };
    let packed = is_packed(request.headers())?;
    let bytes_max = usize::try_from(config.body_max.0).unwrap_or(usize::MAX);
    let too_long = || {
        let reason = format!("a message has {bytes_max} bytes at most (`body_max` of [traces])");
        (StatusCode::PAYLOAD_TOO_LARGE, reason)
    };
    let length = request.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    if length.is_some_and(|length: usize| length > bytes_max) {
        return Err(too_long());
    }
    // One that is packed may become as long as any.
    let room = length.filter(|_| !packed).unwrap_or(bytes_max);
    let full = |_| (StatusCode::TOO_MANY_REQUESTS, "too much is coming in; send it again".to_owned());
    let _inside = flow.traces.enter(room).map_err(full)?;
    let body = axum::body::to_bytes(request.into_body(), bytes_max).await.map_err(|error| {
        let is_long = std::error::Error::source(&error)
            .is_some_and(|source| source.is::<http_body_util::LengthLimitError>());
        if is_long { too_long() } else { (StatusCode::BAD_REQUEST, "the message broke off".to_owned()) }
    })?;
    let traces = flow.traces.clone();
    let read = move || {
        let unpacked = if packed { Some(gunzip(&body, bytes_max)?) } else { None };
        let mut decoded = decode(encoding, unpacked.as_deref().unwrap_or(&body))?;
        let refused = traces.add(std::mem::take(&mut decoded.spans));
        if decoded.rejected == 0 && refused > 0 {
            decoded.reason = "a trace has at most 10000 spans";
        }
        let rejected = decoded.rejected + refused;
        traces.reject(rejected);
        Ok((rejected, decoded.reason))
    };
    match tokio::task::spawn_blocking(read).await {
        Ok(Ok(reply)) => Ok(reply),
        Ok(Err(Malformed::TooLarge(_))) => Err(too_long()),
        Ok(Err(malformed)) => Err((StatusCode::BAD_REQUEST, error_chain(&malformed))),
        Err(_) => Err((StatusCode::INTERNAL_SERVER_ERROR, "the spans could not be read".to_owned())),
    }
}

/// Whether a message is packed with gzip.
fn is_packed(headers: &HeaderMap) -> Result<bool, (StatusCode, String)> {
    match headers.get(CONTENT_ENCODING).map(|value| value.as_bytes().trim_ascii()) {
        None => Ok(false),
        Some(by) if by.eq_ignore_ascii_case(b"identity") || by.is_empty() => Ok(false),
        Some(by) if by.eq_ignore_ascii_case(b"gzip") => Ok(true),
        Some(_) => Err((
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "a message is packed with gzip, or not at all".to_owned(),
        )),
    }
}

/// The last traces that are wanted.
pub(super) async fn list(
    State(flow): Shared,
    Query(mut question): Query<TraceQuestion>,
) -> Result<Listed<TraceSummary>, Failure> {
    question.limit.get_or_insert(LIMIT);
    let filter = Filter { limit: FOUND_MAX, ..Filter::from(question.clone()) };
    let traces = flow.traces.clone();
    let found = tokio::task::spawn_blocking(move || traces.find(&filter)).await.unwrap_or_default();
    let found = found.into_iter().map(TraceSummary::from);
    Listed::of(question, Order::Down, found.map(|one| (listing::key(one.start_ms, &one.trace_id), one)))
}

/// One trace, by its id or the digits with which it begins, in OTLP's JSON.
pub(super) async fn show(State(flow): Shared, Path(typed): Path<String>) -> Result<Response, Failure> {
    let id = one(&typed, |limit| flow.traces.beginning_with(&typed, limit))?;
    let spans = flow.traces.trace(id).ok_or_else(|| missing(&typed))?;
    Ok(Json(to_json(spans.iter().map(|span| &**span))).into_response())
}

/// The one trace that is meant.
fn one(typed: &str, beginning_with: impl Fn(usize) -> Vec<TraceId>) -> Result<TraceId, Failure> {
    let is_hex = typed.len() <= 32 && typed.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !is_hex || typed.len() < 4 {
        let words = format!(
            "`{typed}` is no id of a trace: 32 hexadecimal digits, or 4 of the first of them at least"
        );
        return Err(Failure::new(StatusCode::BAD_REQUEST, words));
    }
    match beginning_with(2)[..] {
        [id] => Ok(id),
        [] => Err(missing(typed)),
        _ => Err(Failure::new(
            StatusCode::BAD_REQUEST,
            format!("several traces begin with `{typed}`: give more of it"),
        )),
    }
}

fn missing(typed: &str) -> Failure {
    let words = format!("no trace `{typed}` is kept: `paramedic trace list` shows those that are");
    Failure::new(StatusCode::NOT_FOUND, words)
}
