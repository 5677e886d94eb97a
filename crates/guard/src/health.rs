//! Owns whether the server is healthy: a question put to the server itself, at this moment.
//!
//! `GET /health` is 200 only if the child has just answered a `ping` (an error is an answer too), or is busy: it has
//! not answered within 2 s, but runs, and a tool call is in flight that is younger than 5 minutes. Everything else is
//! 503, with the reason: starting, being installed, stopped by somebody, exited, frozen (SIGSTOP), or silent.
//! `GET /ready` is 200 if the health is, and everything critical that the server depends on is healthy, as `serve` has
//! told.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use http::StatusCode;
use process::ProcessId;
use process::control::{Criticality, DependencyHealth, DependencyStatus, Phase};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::clock;
use crate::pipe::{Link, Unanswered};
use crate::state::Guard;
use crate::upstream::Upstream;
use crate::usage;

/// A ping is answered within 10 ms by every server seen so far; one that computes may take longer.
pub(crate) const PING_DEADLINE: Duration = Duration::from_secs(2);
/// A call that runs longer than this is no excuse for silence any more.
pub(crate) const BUSY_MAX: Duration = Duration::from_secs(300);

/// Asks one question at a time, on behalf of everybody who wants to know.
#[derive(Debug, Default)]
pub(crate) struct Pinger {
    asking: Mutex<Option<watch::Receiver<Option<Pinged>>>>,
}

/// What came of a ping.
#[derive(Clone, Debug)]
enum Pinged {
    Answered,
    Silent,
    Ended(String),
}

/// How the server is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Health {
    Healthy,
    Busy,
    Starting,
    Installing,
    Stopped,
    Unhealthy,
}

/// How the server is, and why.
#[derive(Clone, Debug)]
pub(crate) struct Verdict {
    pub(crate) health: Health,
    pub(crate) reason: String,
}

// === impl Pinger ===

impl Pinger {
    async fn ping(&self, link: Arc<Link>) -> Pinged {
        let mut answer = {
            let mut asking = self.asking.lock().unwrap_or_else(PoisonError::into_inner);
            match &*asking {
                Some(answer) if answer.borrow().is_none() && answer.has_changed().is_ok() => answer.clone(),
                Some(_) | None => {
                    let (sender, answer) = watch::channel(None);
                    tokio::spawn(async move {
                        let pinged = match link.ask("ping", None, PING_DEADLINE).await {
                            Ok(_) => Pinged::Answered,
                            Err(Unanswered::TimedOut) => Pinged::Silent,
                            Err(Unanswered::Ended(reason)) => Pinged::Ended(reason),
                        };
                        sender.send_replace(Some(pinged));
                    });
                    asking.insert(answer).clone()
                }
            }
        };
        let answer = answer.wait_for(Option::is_some).await;
        answer.ok().and_then(|answer| answer.clone()).unwrap_or(Pinged::Silent)
    }
}

// === impl Health, Verdict ===

impl Health {
    pub(crate) fn code(self) -> StatusCode {
        match self {
            Self::Healthy | Self::Busy => StatusCode::OK,
            Self::Starting | Self::Installing | Self::Stopped | Self::Unhealthy => {
                StatusCode::SERVICE_UNAVAILABLE
            }
        }
    }
}

impl Verdict {
    pub(crate) fn new(health: Health, reason: impl Into<String>) -> Self {
        Self { health, reason: reason.into() }
    }
}

/// The answer to `GET /health`.
pub(crate) async fn health(guard: &Guard) -> (StatusCode, String) {
    let asked = Instant::now();
    let verdict = check(guard).await;
    (verdict.health.code(), report(guard, &verdict, asked))
}

/// The answer to `GET /ready`.
pub(crate) async fn ready(guard: &Guard) -> (StatusCode, String) {
    let asked = Instant::now();
    let mut verdict = check(guard).await;
    if verdict.health.code() == StatusCode::OK
        && let Some(missing) = guard.state().dependencies.iter().find(|one| is_missing(one))
    {
        let reason = format!("dependency `{}` is not healthy: {}", missing.name, missing.reason);
        verdict = Verdict::new(Health::Unhealthy, reason);
    }
    (verdict.health.code(), report(guard, &verdict, asked))
}

/// Asks the server.
pub(crate) async fn check(guard: &Guard) -> Verdict {
    if let Some(upstream) = &guard.upstream {
        return of_upstream(guard, upstream).await;
    }
    let (phase, child, ending) = {
        let state = guard.state();
        (state.phase, state.child, state.ending.is_some())
    };
    let (Some(link), Some(child)) = (guard.link(), child) else {
        let health = match phase {
            Phase::Starting => Health::Starting,
            Phase::Installing => Health::Installing,
            Phase::Stopped if !ending => Health::Stopped,
            Phase::Stopped | Phase::Ready | Phase::Exited | Phase::Failed => Health::Unhealthy,
        };
        return Verdict::new(health, guard.unavailable());
    };
    if child.id.is_stopped() {
        return Verdict::new(Health::Unhealthy, frozen(child.id));
    }
    match guard.pinger.ping(link.clone()).await {
        Pinged::Answered => Verdict::new(Health::Healthy, "the server answers `ping`"),
        Pinged::Ended(reason) => Verdict::new(Health::Unhealthy, reason),
        Pinged::Silent => silent(child.id, &link),
    }
}

/// The same for a server that is only known by its answers.
async fn of_upstream(guard: &Guard, upstream: &Arc<Upstream>) -> Verdict {
    match upstream.own.ask(upstream, "ping", None, PING_DEADLINE).await {
        Ok(_) => Verdict::new(Health::Healthy, "the upstream answers `ping`"),
        Err(Unanswered::Ended(reason)) => {
            let health = match guard.state().phase {
                Phase::Starting => Health::Starting,
                _ => Health::Unhealthy,
            };
            Verdict::new(health, reason)
        }
        Err(Unanswered::TimedOut) => unanswered(upstream.running.youngest_call(Instant::now())),
    }
}

fn silent(child: ProcessId, link: &Link) -> Verdict {
    // The child may be a wrapper, and the server that is stopped a process below it.
    if let Some(process) = usage::tree(child).into_iter().find(ProcessId::is_stopped) {
        return Verdict::new(Health::Unhealthy, frozen(process));
    }
    unanswered(link.in_flight.youngest_call(Instant::now()))
}

/// What silence means beside the youngest call that runs.
fn unanswered(youngest_call: Option<Duration>) -> Verdict {
    let deadline = PING_DEADLINE.as_secs();
    match youngest_call {
        Some(age) if age < BUSY_MAX => {
            let age = age.as_secs();
            let reason = format!(
                "no answer to `ping` within {deadline} s, but a tool call has been running for {age} s"
            );
            Verdict::new(Health::Busy, reason)
        }
        Some(_) | None => {
            Verdict::new(Health::Unhealthy, format!("the server does not answer `ping` within {deadline} s"))
        }
    }
}

pub(crate) fn frozen(process: ProcessId) -> String {
    format!("process {process} is stopped (SIGSTOP): alive, and answering nothing")
}

fn is_missing(dependency: &DependencyStatus) -> bool {
    dependency.critical == Criticality::Critical && dependency.health != DependencyHealth::Healthy
}

/// A child that runs, as `/health` tells it.
pub(crate) fn told_child(id: ProcessId, started: Instant) -> Value {
    let uptime_seconds = started.elapsed().as_millis() as f64 / 1000.0;
    json!({ "pid": id.pid, "uptime_seconds": uptime_seconds })
}

fn report(guard: &Guard, verdict: &Verdict, asked: Instant) -> String {
    let tail = guard.link().map(|link| link.tail());
    let restriction = guard.restriction();
    let state = guard.state();
    let child = state.child.map(|child| told_child(child.id, child.started));
    // The last words of the present child, or else of the one before.
    let stderr =
        tail.or_else(|| state.last_exit.as_ref().map(|exit| exit.stderr.clone())).unwrap_or_default();
    let report = json!({
        "status": verdict.health,
        "server": guard.settings.name,
        "reason": verdict.reason,
        "phase": state.phase,
        "child": child,
        "starts": state.starts,
        "restarts": guard.restarts.now().told(),
        "last_exit": state.last_exit,
        "stderr": stderr,
        "package": state.package,
        "dependencies": state.dependencies,
        "restriction": restriction,
        "checked_at": clock::rfc3339(clock::now_ms()),
        "duration_ms": asked.elapsed().as_micros() as f64 / 1000.0,
    });
    report.to_string()
}
