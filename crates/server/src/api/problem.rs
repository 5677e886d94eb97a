//! Owns how a request is told what went wrong: RFC 9457 for every error of the API, those of the framework too.

use axum::Json;
use axum::body::{Body, to_bytes};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use incident::EngineError;

use super::wire::Problem;
use crate::fleet::OrderError;
use crate::tokens::Role;

/// The media type of a problem.
pub(super) const KIND: &str = "application/problem+json";

/// How much of what the framework says is told on, in bytes.
const WORDS_BYTES_MAX: usize = 4 * 1024;

/// What a handler answers when it cannot do what it was asked.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) status: StatusCode,
    /// In words, with what to do next.
    pub(crate) words: String,
    needs_role: Option<Role>,
    retry_after_s: Option<u64>,
}

// === impl Failure ===

impl Failure {
    pub(crate) fn new(status: StatusCode, words: impl Into<String>) -> Self {
        Self { status, words: words.into(), needs_role: None, retry_after_s: None }
    }

    /// Says which role is missing.
    pub(super) fn needing(self, role: Role) -> Self {
        Self { needs_role: Some(role), ..self }
    }

    /// Says after how many seconds it may be tried again.
    pub(super) fn after_s(self, seconds: u64) -> Self {
        Self { retry_after_s: Some(seconds), ..self }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let Self { status, words, needs_role, retry_after_s } = self;
        let problem = Problem {
            kind: "about:blank".to_owned(),
            title: status.canonical_reason().unwrap_or("Error").to_owned(),
            status: status.as_u16(),
            detail: words,
            needs_role,
            retry_after_s,
        };
        let mut response =
            (status, [(CONTENT_TYPE, KIND)], Json(problem).into_response().into_body()).into_response();
        let after = retry_after_s.map(|seconds| (RETRY_AFTER, HeaderValue::from(seconds)));
        response.headers_mut().extend(after);
        response
    }
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        let status = match &error {
            EngineError::NoIncident(_) => StatusCode::NOT_FOUND,
            EngineError::Refused(_)
            | EngineError::NothingAsked { .. }
            | EngineError::AskedAnew { .. }
            | EngineError::Expired
            | EngineError::CannotUndo { .. }
            | EngineError::NotWell(_) => StatusCode::CONFLICT,
            EngineError::UndoForbidden { .. } => StatusCode::FORBIDDEN,
            EngineError::Ambiguous { .. }
            | EngineError::Missing(_)
            | EngineError::Reserved(_)
            | EngineError::NoDuty { .. }
            | EngineError::NoProcedure { .. } => StatusCode::BAD_REQUEST,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self::new(status, incident::error_chain(&error))
    }
}

impl From<OrderError> for Failure {
    fn from(error: OrderError) -> Self {
        let status = match &error {
            OrderError::NoServer(_) => StatusCode::NOT_FOUND,
            OrderError::NotOurs(_) | OrderError::OfClient(_) => StatusCode::FORBIDDEN,
            OrderError::Failed(_) | OrderError::TimedOut(..) => StatusCode::CONFLICT,
        };
        Self::new(status, incident::error_chain(&error))
    }
}

/// Does what waits for a disk, on a thread of its own.
///
/// # Errors
/// Where it panics.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Failure> {
    let ended = tokio::task::spawn_blocking(work).await;
    ended.map_err(|error| Failure::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))
}

/// Nothing is there.
pub(super) async fn unknown() -> Failure {
    Failure::new(
        StatusCode::NOT_FOUND,
        "there is nothing of this name: /api/v1/openapi.json says what there is",
    )
}

/// Makes a problem of what the framework answers by itself: a plain text, or nothing. Its headers stay, such as `Allow`.
pub(super) async fn of_framework(response: Response) -> Response {
    let status = response.status();
    let kind = response.headers().get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    let is_plain = kind.is_none_or(|kind| kind.starts_with(b"text/plain"));
    if !(status.is_client_error() || status.is_server_error()) || !is_plain {
        return response;
    }
    let (mut head, body) = response.into_parts();
    let words = to_bytes(body, WORDS_BYTES_MAX).await.unwrap_or_default();
    let mut words = String::from_utf8_lossy(&words).into_owned();
    if words.is_empty() {
        words = match status {
            StatusCode::METHOD_NOT_ALLOWED => "this is not done here: `Allow` says what is".to_owned(),
            _ => status.canonical_reason().unwrap_or("error").to_lowercase(),
        };
    }
    let problem = Failure::new(status, words).into_response();
    head.headers.remove(CONTENT_LENGTH);
    // What stood there is replaced.
    head.headers.remove(CONTENT_TYPE);
    head.headers.extend(problem.headers().get(CONTENT_TYPE).map(|kind| (CONTENT_TYPE, kind.clone())));
    Response::from_parts(head, Body::new(problem.into_body()))
}
