//! Owns whether a server behind a client's guard is healthy: a question put to the server itself, at this moment.
//!
//! As in front of HTTP (`crate::health`), with two differences. Before the client and the server have met, nothing is
//! asked: the server is starting, or installing. And the question is one of the era in which they have met.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use process::ProcessId;
use process::control::Phase;
use serde_json::json;

use super::Shared;
use crate::clock;
use crate::health::{BUSY_MAX, Health, PING_DEADLINE, Verdict, frozen, told_child};
use crate::usage;

/// Asks one question at a time, on behalf of everybody who waits for it.
#[derive(Debug, Default)]
pub(crate) struct Asker {
    turn: tokio::sync::Mutex<()>,
    last: Mutex<Option<(Instant, Asked)>>,
}

/// What came of a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    Answered,
    Silent,
    /// There is nobody to ask.
    Nobody,
}

// === impl Asker ===

impl Asker {
    async fn ask(&self, shared: &Shared) -> Asked {
        let came = Instant::now();
        let _turn = self.turn.lock().await;
        let last = *self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, asked)) = last
            && at >= came
        {
            return asked;
        }
        let asked = match shared.relay.ask() {
            None => Asked::Nobody,
            Some(answer) => match tokio::time::timeout(PING_DEADLINE, answer).await {
                Ok(Ok(())) => Asked::Answered,
                Ok(Err(_)) | Err(_) => Asked::Silent,
            },
        };
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), asked));
        asked
    }
}

/// Asks the server.
pub(crate) async fn check(shared: &Shared) -> Verdict {
    let (phase, child) = {
        let state = shared.state();
        (state.phase, state.child)
    };
    let not_ready = || {
        let health = match phase {
            Phase::Starting => Health::Starting,
            Phase::Installing => Health::Installing,
            Phase::Stopped => Health::Stopped,
            Phase::Ready | Phase::Exited | Phase::Failed => Health::Unhealthy,
        };
        Verdict::new(health, shared.reason())
    };
    let Some(child) = child.filter(|_| phase == Phase::Ready) else { return not_ready() };
    if child.id.is_stopped() {
        return Verdict::new(Health::Unhealthy, frozen(child.id));
    }
    match shared.asker.ask(shared).await {
        Asked::Answered => Verdict::new(Health::Healthy, "the server answers"),
        Asked::Nobody => not_ready(),
        Asked::Silent => silent(child.id, shared),
    }
}

fn silent(child: ProcessId, shared: &Shared) -> Verdict {
    // The child may be a wrapper, and the server that is stopped a process below it.
    if let Some(process) = usage::tree(child).into_iter().find(ProcessId::is_stopped) {
        return Verdict::new(Health::Unhealthy, frozen(process));
    }
    let deadline = PING_DEADLINE.as_secs();
    match shared.relay.youngest_call() {
        Some(age) if age < BUSY_MAX => {
            let age = age.as_secs();
            let reason =
                format!("no answer within {deadline} s, but a tool call has been running for {age} s");
            Verdict::new(Health::Busy, reason)
        }
        Some(_) | None => {
            Verdict::new(Health::Unhealthy, format!("the server does not answer within {deadline} s"))
        }
    }
}

/// The verdict with all that belongs to it, as JSON.
pub(crate) fn report(shared: &Shared, verdict: &Verdict, took: Duration) -> String {
    let tail = shared.relay.record.tail();
    let state = shared.state();
    let child = state.child.map(|child| told_child(child.id, child.started));
    // The last words of the present child, or else of the one before.
    let before = || state.last_exit.as_ref().map(|exit| exit.stderr.clone()).unwrap_or_default();
    let stderr = if tail.is_empty() { before() } else { tail };
    let report = json!({
        "status": verdict.health,
        "server": shared.relay.record.name,
        "source": "client",
        "reason": verdict.reason,
        "phase": state.phase,
        "child": child,
        "starts": state.starts,
        "restarts": shared.restarts.now().told(),
        "last_exit": state.last_exit,
        "stderr": stderr,
        "package": state.package,
        "difference": state.difference,
        "checked_at": clock::rfc3339(clock::now_ms()),
        "duration_ms": took.as_micros() as f64 / 1000.0,
    });
    report.to_string()
}
