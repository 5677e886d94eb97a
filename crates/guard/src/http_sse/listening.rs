//! Owns listening to the stream of the session behind one of HTTP+SSE, and opening it anew where it breaks off.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderValue, Method, Response, StatusCode};

use super::answers::pass_on;
use super::connection::Connection;
use crate::endpoint;
use crate::http::Body;
use crate::state::Guard;
use crate::upstream::{Events, is_stream};

/// Between two attempts.
const PAUSE: Duration = Duration::from_secs(1);
/// In a row. A server that is away for longer has forgotten its sessions, as a rule.
const ATTEMPTS_MAX: u32 = 5;
const LAST_EVENT_ID: &str = "last-event-id";

/// Passes on what the server says by itself, until the session is over.
pub(super) async fn listen(guard: Arc<Guard>, connection: Arc<Connection>) {
    let mut events = Events::default();
    let mut failed = 0;
    while failed < ATTEMPTS_MAX {
        let response = open(&guard, &connection, &events).await;
        match response.status() {
            StatusCode::OK if is_stream(response.headers()) => {
                // Half an event of the stream before belongs to none of this one.
                events = events.resumed();
                if pass_on(&guard, &connection, response.into_body(), &mut events).await.messages > 0 {
                    failed = 0;
                }
            }
            StatusCode::NOT_FOUND => {
                let over = async move { connection.over(&guard, "its session is over").await };
                // This task ends with the stream.
                drop(tokio::spawn(over));
                return;
            }
            // This server says nothing by itself.
            StatusCode::METHOD_NOT_ALLOWED => return,
            // The event is unknown, or too old.
            StatusCode::BAD_REQUEST if events.last_id().is_some() => events = Events::default(),
            _ => {}
        }
        failed += 1;
        if failed > 1 {
            tokio::time::sleep(PAUSE).await;
        }
    }
    drop(tokio::spawn(async move { connection.over(&guard, "its server says nothing any more").await }));
}

/// Goes on with the stream of a request that has ended before its answer. Returns whether that has come.
pub(super) async fn go_on(guard: &Arc<Guard>, connection: &Connection, mut events: Events) -> bool {
    for _ in 0..ATTEMPTS_MAX {
        if events.last_id().is_none() {
            break;
        }
        tokio::time::sleep(PAUSE).await;
        let response = open(guard, connection, &events).await;
        if response.status() == StatusCode::OK && is_stream(response.headers()) {
            events = events.resumed();
            if pass_on(guard, connection, response.into_body(), &mut events).await.answered {
                return true;
            }
        }
    }
    false
}

/// Opens a stream of the session, after the last event of another if there is one.
async fn open(guard: &Arc<Guard>, connection: &Connection, events: &Events) -> Response<Body> {
    let (mut head, ends) = connection.own_request(&Method::GET);
    if let Some(id) = events.last_id().and_then(|id| HeaderValue::from_bytes(id).ok()) {
        head.headers.insert(LAST_EVENT_ID, id);
    }
    endpoint::get(guard, &head, ends).await
}
