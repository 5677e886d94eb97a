//! Owns how much is taken of clients: nothing new while a guard is drained, and no more than an operator says; and that what
//! they ask is looked at more closely for a while.

use std::time::{Duration, Instant};

use http::StatusCode;
use serde_json::json;

use super::parameters::Parameters;
use super::{Answer, Governed, LOOK_AGAIN, change};
use crate::clock;
use crate::controls::Set;

/// Takes no new requests, or takes them again.
pub(super) async fn drain<G: Governed>(
    guard: &G,
    on: bool,
    wait: Duration,
) -> Result<Answer, (StatusCode, String)> {
    if !guard.set_draining(on) {
        let reason = "its one client goes on asking: it is drained by ending the client";
        return Err((StatusCode::CONFLICT, reason.to_owned()));
    }
    let began = Instant::now();
    let running = guard.in_flight();
    let left = if on { drained(wait, || std::future::ready(guard.in_flight())).await } else { running };
    let document = json!({
        "draining": on,
        "requests_in_flight": running,
        "requests_left": left,
        "waited_ms": clock::millis(began.elapsed()),
    });
    Ok((if on && left > 0 { StatusCode::ACCEPTED } else { StatusCode::OK }, document))
}

/// Waits until nothing is left, for so long at most; returns how much is.
pub(super) async fn drained<F: Future<Output = usize>>(within: Duration, count: impl Fn() -> F) -> usize {
    let deadline = Instant::now() + within;
    loop {
        let left = count().await;
        if left == 0 || Instant::now() >= deadline {
            return left;
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// Lets clients take no more than that, or what the settings allow.
pub(super) fn limits<G: Governed>(
    guard: &G,
    form: &Parameters,
    set: Set,
) -> Result<Answer, (StatusCode, String)> {
    if !guard.limits_clients() {
        let reason = "its one client is held to `[limits]` of its settings alone";
        return Err((StatusCode::CONFLICT, reason.to_owned()));
    }
    let changed = change(guard, |controls| {
        if form.off {
            controls.unlimit();
            return Ok(());
        }
        controls.limit(form.per_second, form.at_once, set)
    });
    let changed = changed.map_err(|reason| (StatusCode::BAD_REQUEST, reason))?;
    let document = json!({
        "changed": changed.anew,
        "kept": changed.not_kept.is_none(),
        "problem": changed.not_kept,
        "pace": guard.kept().now().pace,
    });
    Ok((StatusCode::OK, document))
}

/// Has the server looked at more closely for so long, or as always.
pub(super) fn watch<G: Governed>(
    guard: &G,
    form: &Parameters,
    now_ms: i64,
    set: Set,
) -> Result<Answer, (StatusCode, String)> {
    let wrong = |reason: String| (StatusCode::BAD_REQUEST, reason);
    let length = match (form.off, form.duration) {
        (true, None) => None,
        (false, Some(length)) => Some(length),
        _ => return Err(wrong("say for how long (`for`), or `off`".to_owned())),
    };
    let changed = change(guard, |controls| match length {
        Some(length) => controls.watch(now_ms.saturating_add(clock::millis(length)), set),
        None => {
            controls.unwatch();
            Ok(())
        }
    });
    let changed = changed.map_err(wrong)?;
    let document = json!({
        "changed": changed.anew,
        "kept": changed.not_kept.is_none(),
        "problem": changed.not_kept,
        "watched": guard.kept().now().watched,
    });
    Ok((StatusCode::OK, document))
}
