//! Owns what becomes of an answer of `/mcp` on a stream of HTTP+SSE: a message, several, or an error in its place.

use std::sync::Arc;

use http::{Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::body::Frame;

use super::connection::Connection;
use super::listening;
use crate::admin::access::Ends;
use crate::clients;
use crate::envelope::{self, Incoming, Outcome, SERVER_ERROR};
use crate::http::Body;
use crate::mcp::SESSION;
use crate::state::Guard;
use crate::upstream::{Events, is_stream};

/// A little more than what is read of an answer elsewhere.
const ANSWER_BYTES_MAX: usize = 17 << 20;

/// Takes in the answer to these requests.
pub(super) async fn take_in(
    guard: &Arc<Guard>,
    connection: &Arc<Connection>,
    response: Response<Body>,
    ids: &[Box<str>],
) {
    let (head, body) = response.into_parts();
    if is_stream(&head.headers) && head.status.is_success() {
        let mut events = Events::default();
        let passed = pass_on(guard, connection, body, &mut events).await;
        if !passed.answered && !listening::go_on(guard, connection, events).await {
            say_error(guard, connection, ids, None, "its stream has ended before the answer").await;
        }
        return;
    }
    let text = whole(body).await;
    say(guard, connection, head.status, text.as_deref(), ids).await;
    if head.status == StatusCode::NOT_FOUND {
        let (guard, connection) = (Arc::clone(guard), Arc::clone(connection));
        // This one is not done yet.
        drop(tokio::spawn(async move { connection.over(&guard, "its session is over").await }));
    }
}

/// Takes in the answer to `initialize`.
pub(super) async fn opened(
    guard: &Arc<Guard>,
    connection: &Arc<Connection>,
    response: Response<Body>,
    ids: &[Box<str>],
    ends: Ends,
) {
    if let Some(user) = &connection.user {
        clients::given(guard, &response, ends, user);
    }
    let (head, body) = response.into_parts();
    let id = head.headers.get(&SESSION).cloned();
    let text = match is_stream(&head.headers) {
        true => first_answer(guard, connection, body).await,
        false => whole(body).await,
    };
    let version = text.as_deref().and_then(version_of);
    if version.is_none() {
        connection.no_session();
    } else if !connection.opened(id, version.as_deref()) {
        let (head, _) = connection.own_request(&http::Method::DELETE);
        return connection.leave(guard, head.headers, Vec::new());
    }
    say(guard, connection, head.status, text.as_deref(), ids).await;
}

/// The revision that a session speaks, by the answer to `initialize`; none where that is an error.
fn version_of(text: &[u8]) -> Option<String> {
    match envelope::parse(text) {
        Ok(Incoming::Response { outcome: Outcome::Result(result), .. }) => {
            let version = envelope::member(result, "protocolVersion").ok().flatten();
            Some(version.and_then(|json| serde_json::from_str(json).ok()).unwrap_or_default())
        }
        _ => None,
    }
}

/// Says what was answered, or that it cannot be said.
async fn say(
    guard: &Arc<Guard>,
    connection: &Connection,
    status: StatusCode,
    text: Option<&[u8]>,
    ids: &[Box<str>],
) {
    let Some(text) = text else {
        return say_error(guard, connection, ids, None, "the answer has broken off, or is too long").await;
    };
    let is_batch = text.trim_ascii_start().starts_with(b"[")
        && serde_json::from_slice::<serde::de::IgnoredAny>(text).is_ok();
    if is_batch || matches!(envelope::parse(text), Ok(Incoming::Response { .. })) {
        return connection.say(guard, text).await;
    }
    // An error that does not say whose it is, or none of JSON-RPC.
    let error =
        std::str::from_utf8(text).ok().and_then(|text| envelope::member(text.trim_ascii(), "error").ok()?);
    let error = error.filter(|error| error.starts_with('{'));
    say_error(guard, connection, ids, error, &format!("the server has answered {status}")).await;
}

async fn say_error(
    guard: &Arc<Guard>,
    connection: &Connection,
    ids: &[Box<str>],
    error: Option<&str>,
    reason: &str,
) {
    for id in ids {
        let message = match error {
            Some(error) => envelope::response(id, Outcome::Error(error)),
            None => envelope::error(Some(id), SERVER_ERROR, reason),
        };
        connection.say(guard, &message).await;
    }
}

/// What a stream has said.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Passed {
    pub(super) messages: usize,
    /// Whether an answer was among them.
    pub(super) answered: bool,
}

/// Passes on the messages of a stream to its end.
pub(super) async fn pass_on(
    guard: &Arc<Guard>,
    connection: &Connection,
    mut body: Body,
    events: &mut Events,
) -> Passed {
    let mut passed = Passed::default();
    while let Some(Ok(frame)) = body.frame().await {
        for message in messages(frame, events) {
            connection.say(guard, &message).await;
            passed.messages += 1;
            passed.answered |= matches!(envelope::parse(&message), Ok(Incoming::Response { .. }) | Err(_));
        }
    }
    passed
}

/// Passes on what comes before an answer, and returns that.
async fn first_answer(guard: &Arc<Guard>, connection: &Connection, mut body: Body) -> Option<Vec<u8>> {
    let mut events = Events::default();
    while let Some(Ok(frame)) = body.frame().await {
        for message in messages(frame, &mut events) {
            if matches!(envelope::parse(&message), Ok(Incoming::Response { .. })) {
                return Some(message);
            }
            connection.say(guard, &message).await;
        }
    }
    None
}

/// The messages that end in this part; an event without data is none.
fn messages(frame: Frame<bytes::Bytes>, events: &mut Events) -> Vec<Vec<u8>> {
    let Ok(part) = frame.into_data() else { return Vec::new() };
    let ended = events.feed(&part).into_iter().filter_map(|event| event.data);
    ended.filter(|data| !data.trim_ascii().is_empty()).collect()
}

/// The whole of a body that is no stream; none where it breaks off, or is too long.
async fn whole(body: Body) -> Option<Vec<u8>> {
    let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await.ok()?;
    Some(body.to_bytes().into())
}
