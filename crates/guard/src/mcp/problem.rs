//! Owns how `/mcp` says no: as a JSON-RPC error with the HTTP status that fits.

use std::borrow::Cow;
use std::time::Duration;

use http::{HeaderValue, Response, StatusCode, header};

use crate::envelope::{self, SERVER_ERROR};
use crate::http::{Body, json};
use crate::metrics::Failure;
use crate::spans::Failed;
use crate::state::Guard;

/// What the reference implementations say when a session is unknown.
const SESSION_NOT_FOUND: i32 = -32001;

/// Why a request is not carried out.
#[derive(Debug)]
pub(crate) struct Problem {
    pub(crate) status: StatusCode,
    code: i32,
    reason: Cow<'static, str>,
    /// Of the request, as JSON, if it is known.
    id: Option<Box<str>>,
    /// What it counts as.
    failure: Option<Failure>,
    /// The limit that was reached, and when there is room again.
    limit: Option<(&'static str, Option<Duration>)>,
}

// === impl Problem ===

impl Problem {
    /// The client does not speak the protocol.
    pub(crate) fn protocol(status: StatusCode, code: i32, reason: impl Into<Cow<'static, str>>) -> Self {
        Self { failure: Some(Failure::Protocol), ..Self::plain(status, code, reason) }
    }

    /// No request is known yet, no limit was reached, and nothing is counted.
    fn plain(status: StatusCode, code: i32, reason: impl Into<Cow<'static, str>>) -> Self {
        Self { status, code, reason: reason.into(), id: None, limit: None, failure: None }
    }

    /// The session is over. Not an error: it is how clients learn of a restart.
    pub(crate) fn session_not_found() -> Self {
        let reason = "session not found: initialize again";
        Self::plain(StatusCode::NOT_FOUND, SESSION_NOT_FOUND, reason)
    }

    /// There is no child to ask. What befell it is counted elsewhere.
    pub(crate) fn unavailable(guard: &Guard) -> Self {
        Self::plain(StatusCode::SERVICE_UNAVAILABLE, SERVER_ERROR, guard.unavailable())
    }

    /// There is nobody to ask, and nothing was sent.
    pub(crate) fn unreachable(reason: String) -> Self {
        Self::plain(StatusCode::SERVICE_UNAVAILABLE, SERVER_ERROR, reason)
    }

    /// It was sent, and nobody knows what became of it. It is counted where that is found.
    pub(crate) fn lost(reason: String) -> Self {
        Self::plain(StatusCode::OK, SERVER_ERROR, reason)
    }

    /// Nobody is let in any more.
    pub(crate) fn draining(guard: &Guard) -> Self {
        let reason = format!("server `{}` is being drained and takes no new requests", guard.settings.name);
        Self::plain(StatusCode::SERVICE_UNAVAILABLE, SERVER_ERROR, reason)
    }

    /// An operator has forbidden it. It is counted where that is found.
    pub(crate) fn refused(reason: String) -> Self {
        Self::plain(StatusCode::OK, SERVER_ERROR, reason)
    }

    /// A limit was reached. It is counted where that is found. With HTTP's 429 some clients would end their whole session.
    pub(crate) fn limited(reason: String, limit: &'static str, again: Option<Duration>) -> Self {
        Self { limit: Some((limit, again)), ..Self::refused(reason) }
    }

    /// The child does not keep up.
    pub(crate) fn overloaded(guard: &Guard, reason: &str) -> Self {
        let reason = format!("server `{}` is overloaded: {reason}", guard.settings.name).into();
        let (status, code) = (StatusCode::SERVICE_UNAVAILABLE, SERVER_ERROR);
        Self { status, code, reason, id: None, limit: None, failure: Some(Failure::Internal) }
    }

    /// The request came through, and its answer is this error.
    pub(crate) fn answer(code: i32, reason: impl Into<Cow<'static, str>>, failure: Option<Failure>) -> Self {
        Self { status: StatusCode::OK, code, reason: reason.into(), id: None, limit: None, failure }
    }

    /// The same, as the answer to the request with this id.
    pub(crate) fn to(self, id: &str) -> Self {
        Self { id: Some(id.into()), ..self }
    }

    /// What a span says of it.
    pub(crate) fn failed(&self) -> Failed {
        Failed::because(&self.code.to_string(), &self.reason)
    }

    /// The error alone, for an answer that has others beside it.
    pub(crate) fn message(self, guard: &Guard) -> Vec<u8> {
        if let Some(failure) = self.failure {
            guard.metrics.failed(failure);
        }
        let data = self.limit.map(|(limit, again)| {
            serde_json::json!({ "limit": limit, "retry_after_ms": again.map(|again| again.as_millis()) })
        });
        envelope::error_with(self.id.as_deref(), self.code, &self.reason, data)
    }

    pub(crate) fn response(self, guard: &Guard) -> Response<Body> {
        let (status, limit) = (self.status, self.limit);
        let mut response = json(status, self.message(guard));
        if let Some((_, Some(again))) = limit {
            let seconds = again.as_secs_f64().ceil().max(1.0).to_string();
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, seconds.parse().expect("a number is a header"));
        }
        if status == StatusCode::SERVICE_UNAVAILABLE {
            // A start takes seconds, and asking costs nothing.
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}
