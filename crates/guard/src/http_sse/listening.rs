//! Owns listening to the stream of the session behind one of HTTP+SSE, and opening it anew where it breaks off.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderValue, Method, StatusCode};

use super::answers::pass_on;
use super::connection::Connection;
use crate::endpoint;
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
        let (mut head, ends) = connection.own_request(&Method::GET);
        if let Some(id) = events.last_id().and_then(|id| HeaderValue::from_bytes(id).ok()) {
            head.headers.insert(LAST_EVENT_ID, id);
        }
        let response = endpoint::get(&guard, &head, ends).await;
        match response.status() {
            StatusCode::OK if is_stream(response.headers()) => {
                // Half an event of the stream before belongs to none of this one.
                events = events.resumed();
                if pass_on(&guard, &connection, response.into_body(), &mut events).await > 0 {
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
