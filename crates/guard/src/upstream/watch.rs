//! Owns the life of a guard in front of an upstream: whether it answers, and orders that are for somebody else.

use std::sync::Arc;
use std::time::{Duration, Instant};

use process::control::{Event, Exit, ExitCause, Phase};
use tokio::sync::mpsc;

use super::Upstream;
use crate::child::Order;
use crate::clock;
use crate::health::PING_DEADLINE;
use crate::log::{About, Level};
use crate::pipe::Unanswered;
use crate::state::Guard;

/// The time between two looks at an upstream.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// The same while it does not answer.
const LOOK_SOON: Duration = Duration::from_millis(500);
/// Saying goodbye must not keep the guard from ending.
const FAREWELL: Duration = Duration::from_millis(500);

/// Looks and obeys until a shutdown.
pub(crate) async fn run(guard: Arc<Guard>, upstream: Arc<Upstream>, mut orders: mpsc::Receiver<Order>) {
    let mut ends = 0;
    let mut since = Instant::now();
    loop {
        upstream.reap(Instant::now());
        let is_ready = look(&guard, &upstream, &mut ends, &mut since).await;
        let wait = if is_ready { LOOK_EVERY } else { LOOK_SOON };
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = upstream.doubtful.notified() => {}
            order = orders.recv() => match order {
                None => return,
                Some(Order::Shutdown { by, reply }) => {
                    upstream.own.leave(&upstream, FAREWELL).await;
                    let mut state = guard.state();
                    state.phase = Phase::Stopped;
                    state.stopped_by = Some(by);
                    drop(state);
                    let _ = reply.send(guard.status());
                    return;
                }
                Some(Order::Restart { by, reply, .. } | Order::Start { by, reply, .. } | Order::Stop { by, reply }) => {
                    let message = format!("an order by {by} is not carried out: whoever started the upstream restarts it");
                    guard.note(Level::Warning, About::Audit, &message, []);
                    let _ = reply.send(guard.status());
                }
            },
        }
    }
}

async fn look(guard: &Guard, upstream: &Upstream, ends: &mut u64, since: &mut Instant) -> bool {
    let was = guard.state().phase;
    let before = upstream.own.generation();
    let found = upstream.own.ask(upstream, "ping", None, PING_DEADLINE).await;
    let trouble = match found {
        Ok(_) => None,
        // Whoever carries out calls may take its time.
        Err(Unanswered::TimedOut) if upstream.running.youngest_call(Instant::now()).is_some() => return true,
        Err(Unanswered::TimedOut) => Some("does not answer `ping`".to_owned()),
        Err(Unanswered::Ended(reason)) => Some(reason),
    };
    let (phase, words) = match &trouble {
        None => (Phase::Ready, "the upstream answers".to_owned()),
        // Before it was there for the first time it is starting, as far as anybody knows.
        Some(reason) if was == Phase::Starting => (Phase::Starting, reason.clone()),
        Some(reason) => (Phase::Exited, reason.clone()),
    };
    let met = upstream.own.generation();
    if met != before {
        guard.cache.end_generation(before);
        let mut state = guard.state();
        state.starts = met;
        drop(state);
        guard.metrics.started();
    }
    if phase == was {
        guard.state().starting = trouble;
        return phase == Phase::Ready;
    }
    guard.note(if phase == Phase::Ready { Level::Info } else { Level::Error }, About::System, &words, []);
    let uptime = std::mem::replace(since, Instant::now()).elapsed();
    if phase == Phase::Exited {
        *ends += 1;
        upstream.own.doubt();
        let exit = Exit {
            sequence: *ends,
            pid: None,
            ending: None,
            at_ms: clock::now_ms(),
            uptime_ms: u64::try_from(uptime.as_millis()).unwrap_or(u64::MAX),
            cause: ExitCause::Unexpected,
            reason: words,
            stderr: Vec::new(),
            out_of_memory: None,
        };
        {
            let mut state = guard.state();
            state.phase = phase;
            state.last_exit = Some(exit.clone());
        }
        guard.tell(Event::Exited { exit });
    } else {
        guard.state().phase = phase;
    }
    guard.tell_status();
    phase == Phase::Ready
}
