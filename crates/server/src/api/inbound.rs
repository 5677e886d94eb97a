//! Owns the webhooks: from a request to what it says, written down before it is answered.
//!
//! An Alertmanager drops what is answered by a 4xx and sends again what is answered by a 5xx. So 200 says that it is on
//! disk, 4xx that it will never be taken, and whatever may pass is a 5xx.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_LENGTH, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use http_body_util::LengthLimitError;
use incident::error_chain;
use serde::Serialize;

use super::handlers::Shared;
use super::problem::Failure;
use crate::clock;
use crate::flow::Flow;
use crate::inbound::{Message, NotMessage, Payload, Refused, read_webhook};

/// What a sender is told.
#[derive(Debug, Serialize)]
struct Said {
    /// How many alerts are news.
    news: usize,
    /// How many were known.
    known: usize,
    /// How many are of a time that is over.
    old: usize,
    /// How many are not understood.
    refused: usize,
}

/// Why a message is not taken.
enum Not {
    Refused(Refused),
    TooLong(u64),
    Broken(String),
    Late,
    Wrong(NotMessage),
    /// None of its alerts is understood.
    Nothing,
    Full,
    Failed(String),
}

/// What Alertmanager sends.
pub(super) async fn alertmanager(State(flow): Shared, request: Request) -> Response {
    take(flow, "alertmanager", request).await
}

/// What everybody else sends.
pub(super) async fn webhook(State(flow): Shared, request: Request) -> Response {
    take(flow, "webhook", request).await
}

async fn take(flow: Arc<Flow>, from: &'static str, request: Request) -> Response {
    let timeout = flow.inbound.door().config().timeout.get();
    let taken = tokio::time::timeout(timeout, within(flow, from, request)).await;
    match taken.unwrap_or(Err(Not::Late)) {
        Ok(said) => Json(said).into_response(),
        Err(not) => not.into_response(),
    }
}

async fn within(flow: Arc<Flow>, from: &'static str, request: Request) -> Result<Said, Not> {
    let door = flow.inbound.door();
    let _inside = door.enter(request.headers()).await.map_err(Not::Refused)?;
    let bytes_max = door.config().body_max.0;
    let length =
        request.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length > bytes_max) {
        return Err(Not::TooLong(bytes_max));
    }
    let limit = usize::try_from(bytes_max).unwrap_or(usize::MAX);
    let body = axum::body::to_bytes(request.into_body(), limit).await.map_err(|error| {
        let is_long = std::error::Error::source(&error).is_some_and(|source| source.is::<LengthLimitError>());
        if is_long { Not::TooLong(bytes_max) } else { Not::Broken(error_chain(&error)) }
    })?;
    let said = read(&flow, from, &body)?;
    // Whoever goes away meanwhile does not interrupt it.
    let task = {
        let flow = Arc::clone(&flow);
        tokio::spawn(async move {
            match said {
                Sent::Payload(payload) => flow.inbound.take_payload(&flow, payload).await,
                Sent::Message(message) => Ok(flow.inbound.take(&flow, from, message).await?),
            }
        })
    };
    let taken = match task.await {
        Ok(Ok(taken)) => taken,
        Ok(Err(error)) => return Err(Not::Failed(error_chain(&error))),
        Err(error) => return Err(Not::Failed(error_chain(&error))),
    };
    if taken.full > 0 {
        return Err(Not::Full);
    }
    if taken.refused > 0 && taken.news + taken.known + taken.old == 0 {
        return Err(Not::Nothing);
    }
    Ok(Said { news: taken.news, known: taken.known, old: taken.old, refused: taken.refused })
}

/// What a request holds.
enum Sent {
    Payload(Payload),
    Message(Message),
}

fn read(flow: &Flow, from: &str, body: &[u8]) -> Result<Sent, Not> {
    if from == "alertmanager" {
        return Ok(Sent::Payload(Payload::read(body).map_err(Not::Wrong)?));
    }
    let fields = &flow.inbound.door().config().fields;
    Ok(Sent::Message(read_webhook(body, fields, clock::now_ms()).map_err(Not::Wrong)?))
}

// === impl Not ===

impl Not {
    fn words(self) -> (StatusCode, String) {
        let unavailable = StatusCode::SERVICE_UNAVAILABLE;
        match self {
            Self::Refused(Refused::Stranger) => {
                (StatusCode::UNAUTHORIZED, "no, or not the right, `Authorization: Bearer …`".to_owned())
            }
            Self::Refused(Refused::NoWord(reason)) => {
                tracing::error!(
                    reason,
                    "the `token` of [inbound] is not known, so nobody can tell of alerts"
                );
                (unavailable, "the word that you would have to know can not be read here".to_owned())
            }
            Self::Refused(Refused::Busy) => {
                (unavailable, "too many are telling at once; send it again".to_owned())
            }
            Self::TooLong(bytes_max) => (
                StatusCode::PAYLOAD_TOO_LARGE,
                format!(
                    "a message has {bytes_max} bytes at most (`body_max` of [inbound]; `max_alerts` of an Alertmanager keeps to it)"
                ),
            ),
            Self::Broken(reason) => (StatusCode::BAD_REQUEST, format!("the message broke off: {reason}")),
            Self::Late => {
                (unavailable, "it took too long (`timeout` of [inbound]); send it again".to_owned())
            }
            Self::Wrong(error) => (StatusCode::BAD_REQUEST, error.to_string()),
            Self::Nothing => (
                StatusCode::UNPROCESSABLE_ENTITY,
                "none of its alerts is understood; the log of `serve` says why".to_owned(),
            ),
            Self::Full => (unavailable, "so many alerts stand that no more are taken".to_owned()),
            Self::Failed(reason) => (unavailable, format!("it could not be taken in: {reason}")),
        }
    }
}

impl IntoResponse for Not {
    fn into_response(self) -> Response {
        let (status, words) = self.words();
        if status != StatusCode::UNAUTHORIZED {
            tracing::warn!(status = status.as_u16(), reason = words, "a message on alerts is not taken");
        }
        let mut response = Failure::new(status, words).into_response();
        let header = match status {
            StatusCode::UNAUTHORIZED => Some((WWW_AUTHENTICATE, "Bearer")),
            StatusCode::SERVICE_UNAVAILABLE => Some((RETRY_AFTER, "5")),
            _ => None,
        };
        response.headers_mut().extend(header.map(|(name, value)| (name, HeaderValue::from_static(value))));
        response
    }
}
