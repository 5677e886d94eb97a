//! Owns the ends of waits that the child has no part in: overdue, taken back, and left behind with a session.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Link, OVERDUE_EVERY_MAX};
use crate::envelope;
use crate::metrics::Failure;
use crate::questions;
use crate::session::Session;
use crate::state::Guard;

/// Ends the waits that are overdue, and tells the child that nobody waits any more.
pub(super) async fn expire(guard: Arc<Guard>, link: Arc<Link>) {
    let timeout = guard.own().limits.shortest_timeout(guard.settings.request_timeout);
    let mut every = tokio::time::interval((timeout / 4).clamp(Duration::from_millis(10), OVERDUE_EVERY_MAX));
    while link.in_flight.ended().is_none() {
        every.tick().await;
        questions::expire(&link, Instant::now());
        for (number, entry) in link.in_flight.overdue(Instant::now()) {
            if entry.is_cancelled {
                let reason = "the request was cancelled by its client, and the server has not answered it";
                entry.fail(&guard, reason, None);
                continue;
            }
            cancel(&link, number, "the request timed out");
            let timeout = entry.deadline.saturating_duration_since(entry.started).as_secs_f64();
            let reason = format!("no answer within {timeout} s; the request was cancelled");
            entry.fail(&guard, &reason, Some(Failure::Timeout));
        }
    }
}

/// Ends what waits for an answer in a session that its client has ended, and tells the child so.
pub(crate) fn leave(guard: &Guard, link: &Link, session: &Session) {
    for (number, entry) in link.in_flight.of_session(session) {
        if !entry.is_cancelled {
            cancel(link, number, "the client has ended its session");
        }
        entry.fail(guard, "the client has ended its session; the request was cancelled", None);
    }
}

/// Tells the child that nobody waits any more.
fn cancel(link: &Link, number: u64, reason: &str) {
    let params = serde_json::json!({ "requestId": number, "reason": reason });
    let mut line = envelope::notification("notifications/cancelled", Some(&params.to_string()));
    line.push(b'\n');
    // One that does not read is busy, or at its end.
    let _ = link.send(line);
}
