//! Owns the start of a child: started behind its lifeline, greeted, looked at while it takes its time, and ready or given up.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use process::Lifeline;
use process::control::{Event, ExitCause, Phase};
use serde_json::json;
use tokio::task::JoinHandle;

use super::{End, Keeper, PROTOCOL_VERSION, Running};
use crate::inflight::Answer;
use crate::log::{About, Level};
use crate::metrics::Failure;
use crate::oom::Accounts;
use crate::pipe::{Link, Unanswered};
use crate::questions::Offers;
use crate::start::{Limits, Start};
use crate::state::{Child, Guard};
use crate::{clock, envelope, package, tuned};

/// Why a child was not taken into service.
pub(crate) enum Greeting {
    TimedOut,
    Refused(String),
}

// === impl Keeper ===

impl Keeper {
    pub(super) async fn start(&mut self) {
        let generation = {
            let mut state = self.guard.state();
            state.phase = Phase::Starting;
            state.stopped_by = None;
            state.package = None;
            state.starting = None;
            state.starts += 1;
            state.starts
        };
        self.guard.metrics.started();
        if generation > 1
            && let Err(error) = self.guard.restarts.add()
        {
            let message = format!("the count of restarts is not written down: {error}");
            self.guard.note(Level::Error, About::System, &message, []);
        }
        let (launch, group) = tuned::launch(&self.guard);
        self.group = group;
        match Lifeline::spawn(launch).await {
            Ok((lifeline, pipes)) => self.started(generation, lifeline, pipes),
            Err(error) => {
                let reason = match std::error::Error::source(&error) {
                    Some(source) => format!("{error}: {source}"),
                    None => error.to_string(),
                };
                self.exited(End {
                    pid: None,
                    ending: None,
                    uptime: Duration::ZERO,
                    cause: ExitCause::StartFailed,
                    reason,
                    stderr: Vec::new(),
                    out_of_memory: None,
                });
            }
        }
    }

    fn started(&mut self, generation: u64, lifeline: Lifeline, pipes: process::Pipes) {
        let child = Child { id: lifeline.child(), started: Instant::now(), started_ms: clock::now_ms() };
        let (link, readers) = Link::open(&self.guard, generation, pipes);
        let accounts = Accounts::of(child.id).map(Arc::new);
        {
            let mut state = self.guard.state();
            state.child = Some(child);
            state.accounts.clone_from(&accounts);
        }
        self.guard.tell(Event::Started { child: child.id, at_ms: child.started_ms, starts: generation });
        let message = format!("started process {}", child.id);
        self.guard.note(Level::Info, About::System, &message, [("pid", child.id.pid.into())]);
        let settings = &self.guard.settings;
        let limits = Limits { start: settings.start_timeout, install: settings.install_timeout };
        self.start = Some(Start::new(child.started, limits));
        // The looks say when its time is up; later than this they cannot.
        self.greeting = Some(tokio::spawn(greet(link.clone(), 2 * limits.start + limits.install)));
        self.running = Some(Running { lifeline, link, readers, child, accounts });
    }

    /// Looks whether the child that starts gets on; gives it up when its time is up.
    pub(super) async fn look(&mut self) {
        let (Some(start), Some(running)) = (&mut self.start, &self.running) else {
            self.start = None;
            return;
        };
        let (child, began) = (running.child.id, running.child.started);
        let seen = start.look(child, Some(began)).await;
        let changed = {
            let mut state = self.guard.state();
            state.starting = Some(seen.words.clone());
            std::mem::replace(&mut state.phase, seen.phase) != seen.phase
        };
        if changed {
            self.guard.tell_status();
            self.guard.note(Level::Info, About::System, &seen.words, [("pid", child.pid.into())]);
        }
        if let Some(late) = seen.late {
            self.greeting.take().inspect(JoinHandle::abort);
            self.timed_out(late).await;
            self.settle();
        }
    }

    pub(super) async fn greeted(&mut self, greeted: Result<String, Greeting>) {
        self.greeting = None;
        match greeted {
            Ok(result) => self.ready(result),
            Err(Greeting::TimedOut) => self.timed_out("did not answer `initialize` in time".to_owned()).await,
            Err(Greeting::Refused(reason)) => self.give_up(ExitCause::StartFailed, reason).await,
        }
        self.settle();
    }

    async fn timed_out(&mut self, reason: String) {
        self.give_up(ExitCause::StartTimedOut, reason).await;
        self.guard.metrics.failed(Failure::Timeout);
    }

    fn ready(&mut self, result: String) {
        self.start = None;
        let Some(Running { link, child, .. }) = &self.running else { return };
        link.set_initialized(result);
        self.guard.set_link(Some(link.clone()));
        self.guard.state().phase = Phase::Ready;
        let start = child.started.elapsed();
        let start_ms = u64::try_from(start.as_millis()).unwrap_or(u64::MAX);
        self.guard.tell(Event::Ready { child: child.id, at_ms: clock::now_ms(), start_ms });
        let message = format!("ready after {start_ms} ms");
        self.guard.note(Level::Info, About::System, &message, [("pid", child.id.pid.into())]);
        let (guard, child) = (Arc::clone(&self.guard), *child);
        // It reads files, which may hang.
        tokio::task::spawn_blocking(move || resolve(&guard, child));
    }

    /// A child that could not be greeted may not be asked kindly: it would not have understood.
    async fn give_up(&mut self, cause: ExitCause, reason: String) {
        let Some(running) = self.running.take() else { return };
        running.lifeline.kill();
        let ending = running.lifeline.ended().await;
        self.bury(running, ending, cause, |_| reason).await;
    }
}

/// Says which package a child runs, where that is known.
fn resolve(guard: &Guard, child: Child) {
    let Some(package) = package::resolve(Path::new("/proc"), child.id) else { return };
    let message = format!("it is {} {}", package.name, package.version);
    guard.note(Level::Info, About::System, &message, [("package", json!(package))]);
    {
        let mut state = guard.state();
        if state.child.is_none_or(|present| present.id != child.id) {
            return;
        }
        state.package = Some(package.clone());
    }
    guard.metrics.package(&package);
    guard.tell_status();
}

pub(super) async fn looked_at(start: Option<&Start>) {
    match start {
        Some(start) => tokio::time::sleep_until(start.next_look().into()).await,
        None => std::future::pending().await,
    }
}

pub(super) async fn greeted(
    greeting: Option<&mut JoinHandle<Result<String, Greeting>>>,
) -> Result<String, Greeting> {
    match greeting {
        Some(greeting) => greeting.await.unwrap_or_else(|error| Err(Greeting::Refused(error.to_string()))),
        None => std::future::pending().await,
    }
}

/// Introduces the guard to the child. Returns the child's `InitializeResult` as JSON.
async fn greet(link: Arc<Link>, within: Duration) -> Result<String, Greeting> {
    let params = json!({
        "protocolVersion": PROTOCOL_VERSION,
        "capabilities": Offers::declared(),
        "clientInfo": { "name": "paramedic-guard", "version": env!("CARGO_PKG_VERSION") },
    });
    let result = introduce(&link, &params.to_string(), within).await?;
    let mut line = envelope::notification("notifications/initialized", None);
    line.push(b'\n');
    // The child has just read and answered; whatever becomes of it later, its end is noticed.
    let _ = link.send(line);
    Ok(result)
}

/// Says `initialize` with these parameters. Returns the child's `InitializeResult` as JSON.
pub(crate) async fn introduce(link: &Link, params: &str, within: Duration) -> Result<String, Greeting> {
    let result = match link.ask("initialize", Some(params), within).await {
        Ok(Answer::Result(result)) => result,
        Ok(Answer::Error(error)) => {
            return Err(Greeting::Refused(format!("answered `initialize` with the error {error}")));
        }
        Ok(Answer::Ended(reason)) | Err(Unanswered::Ended(reason)) => return Err(Greeting::Refused(reason)),
        Err(Unanswered::TimedOut) => return Err(Greeting::TimedOut),
    };
    if !matches!(envelope::member(&result, "protocolVersion"), Ok(Some(_))) {
        return Err(Greeting::Refused("answered `initialize` without a protocol version".to_owned()));
    }
    Ok(result)
}
