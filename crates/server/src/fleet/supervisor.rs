//! Owns the care for one guard: found or started, listened to, told what to do, and missed when it is gone.

use process::ProcessId;
use process::control::{Exit, ExitCause, Phase};
use tokio::sync::{mpsc, watch};

use super::launch::{Launch, LaunchError, greeting};
use super::link::{Begun, Ended, Link};
use super::{Deed, Event, Order, Supervised, Verb, What};
use crate::clock;

/// Looks after one server until nobody gives orders any more.
pub(super) async fn supervise(
    launch: Launch,
    mut orders: mpsc::Receiver<Order>,
    report: watch::Sender<Supervised>,
    events: mpsc::Sender<Event>,
) {
    let mut waiting: Option<Deed> = None;
    loop {
        match attend(&launch, waiting.is_some()).await {
            Ok(mut link) => {
                let fresh = link.begun == Begun::Now;
                report.send_replace(link.known());
                // A guard that was just started starts its child by itself: the order is carried out by that.
                if let Some(deed) = waiting.take() {
                    if fresh { link.await_ready(deed) } else { link.give(Order::Do(deed)).await }
                }
                match link.run(&mut orders, &report, &launch.name, &events).await {
                    Ended::NoMoreOrders => return,
                    Ended::GuardGone(guard) if is_replaced(&launch, guard).await => continue,
                    Ended::GuardGone(guard) => {
                        let exit = guard_gone(guard);
                        tracing::error!(server = launch.name, "{}", exit.reason);
                        tell(&events, &report, &launch.name, exit).await;
                    }
                    Ended::ShutDown => {
                        let problem = Some("its guard was shut down".to_owned());
                        report.send_replace(Supervised { problem, ..Supervised::default() });
                    }
                }
            }
            Err(error) => {
                let reason = incident::error_chain(&error);
                tracing::error!(server = launch.name, "{reason}");
                if let Some(deed) = waiting.take() {
                    let _ = deed.reply.send(Err(reason.clone()));
                }
                tell(&events, &report, &launch.name, not_started(reason)).await;
            }
        }
        // Without a guard nothing happens until somebody orders it: restarts have one owner.
        loop {
            match orders.recv().await {
                None => return,
                Some(Order::Tell(_)) => {}
                Some(Order::Do(deed)) if matches!(deed.verb, Verb::Stop | Verb::ShutDown) => {
                    let _ = deed.reply.send(Err("there is no guard, and so nothing to stop".to_owned()));
                }
                Some(Order::Do(deed)) => {
                    waiting = Some(deed);
                    break;
                }
            }
        }
    }
}

/// Whether another guard has taken the place of this one: then nothing has happened to the server that clients notice.
pub(super) async fn is_replaced(launch: &Launch, guard: ProcessId) -> bool {
    let Some((_client, mut messages)) = launch.find().await else { return false };
    greeting(&mut messages).await.is_some_and(|status| status.guard != guard)
}

/// Finds the guard or starts one.
pub(super) async fn attend(launch: &Launch, ordered: bool) -> Result<Link, LaunchError> {
    if let Some((client, mut messages)) = launch.find().await
        && let Some(status) = greeting(&mut messages).await
    {
        if !ordered {
            tracing::info!(server = launch.name, guard = status.guard.pid, phase = ?status.phase, "took over a guard that runs");
        }
        let outdated = launch.is_outdated(status.guard);
        if outdated {
            tracing::warn!(
                server = launch.name,
                "the guard that runs has other arguments than the configuration"
            );
        }
        return Ok(Link::new(client, messages, status, Begun::Before { outdated }));
    }
    let (client, mut messages) = launch.start().await?;
    match greeting(&mut messages).await {
        Some(status) => Ok(Link::new(client, messages, status, Begun::Now)),
        None => Err(LaunchError::Silent(launch.control.clone())),
    }
}

async fn tell(events: &mpsc::Sender<Event>, report: &watch::Sender<Supervised>, server: &str, exit: Exit) {
    report.send_replace(Supervised { problem: Some(exit.reason.clone()), ..Supervised::default() });
    // A full queue makes us wait; a closed one means that serve is going down.
    let _ = events.send(Event { server: server.to_owned(), what: What::Exited(exit) }).await;
}

/// The end of a guard, in the words of the end of a child: the child ends with its guard.
fn guard_gone(guard: ProcessId) -> Exit {
    Exit {
        pid: Some(guard.pid),
        reason: format!("its guard (process {}) is gone, and the server with it", guard.pid),
        ..not_started(String::new())
    }
}

fn not_started(reason: String) -> Exit {
    Exit {
        sequence: 0,
        pid: None,
        ending: None,
        at_ms: clock::now_ms(),
        uptime_ms: 0,
        cause: ExitCause::StartFailed,
        reason,
        stderr: Vec::new(),
        out_of_memory: None,
    }
}

/// Whether a phase means that the server is down by no person's will.
pub(super) fn is_down(phase: Phase) -> bool {
    matches!(phase, Phase::Exited | Phase::Failed)
}
