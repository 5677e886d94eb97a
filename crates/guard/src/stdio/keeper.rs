//! Owns the life of a client's server: started, met, missed when it ends, started again; and its end with the client.
//!
//! A server is ended as in front of HTTP: its input is closed, after 2 s comes SIGTERM, after 3 s more SIGKILL. A client
//! that has closed its output and reads on, as a shell does, gets its last answers first, for 10 s at most.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use process::control::{ExitCause, Phase};
use process::{Bounds, Ending, Launch, Lifeline, Pipes};
use serde_json::json;
use tokio::signal::unix::Signal as UnixSignal;
use tokio::sync::mpsc::UnboundedReceiver;

use super::backoff::Backoff;
use super::handshake::Replay;
use super::pumps::Readers;
use super::relay::{Gone, Signal};
use super::shared::Shared;
use super::streams::Inlet;
use crate::clock;
use crate::log::{About, Level};
use crate::oom::Accounts;
use crate::package;
use crate::state::Child;

mod end;
mod start;

use start::Start;

/// How long a server may live on after closing its output; it is about to exit, as a rule.
const CLOSED_GRACE: Duration = Duration::from_secs(1);

/// Keeps one server for as long as its client is there.
pub(crate) struct Keeper {
    shared: Arc<Shared>,
    signals: UnboundedReceiver<Signal>,
    terminate: (UnixSignal, UnixSignal),
    stderr: OwnedFd,
    backoff: Backoff,
    exits: u64,
}

/// A server that runs.
struct Running {
    generation: u64,
    lifeline: Lifeline,
    inlet: Arc<Inlet>,
    readers: Readers,
    child: Child,
    /// None where nobody counts what the kernel kills.
    accounts: Option<Arc<Accounts>>,
}

/// Why a server was ended by the guard, in words.
struct Fault(ExitCause, String);

/// What happened.
enum Happening {
    Ended(Ending),
    Told(Signal),
    ToldToEnd,
    Time,
}

/// Whether there is more to do.
#[derive(PartialEq, Eq)]
enum Then {
    Again,
    Over,
}

// === impl Keeper ===

impl Keeper {
    pub(crate) fn new(
        shared: Arc<Shared>,
        signals: UnboundedReceiver<Signal>,
        terminate: (UnixSignal, UnixSignal),
        stderr: OwnedFd,
    ) -> Self {
        Self { shared, signals, terminate, stderr, backoff: Backoff::default(), exits: 0 }
    }

    /// Returns when the client is gone, and its server with it.
    pub(crate) async fn run(mut self) {
        while self.one_server().await == Then::Again {}
        self.shared.state().phase = Phase::Stopped;
        self.shared.relay.leave();
    }

    /// The whole life of one server, and the rest after it.
    async fn one_server(&mut self) -> Then {
        let generation = {
            let mut state = self.shared.state();
            state.phase = Phase::Starting;
            "is starting".clone_into(&mut state.words);
            state.package = None;
            state.difference = None;
            state.starts += 1;
            state.starts
        };
        self.shared.relay.record.metrics.started();
        if generation > 1
            && let Err(error) = self.shared.restarts.add()
        {
            tracing::warn!(%error, "the count of restarts is not written down");
        }
        let started = Instant::now();
        let running = match Lifeline::spawn(self.launch()).await {
            Ok((lifeline, pipes)) => self.running(generation, lifeline, pipes),
            Err(error) => {
                let source = std::error::Error::source(&error).map(|source| format!(": {source}"));
                Err(format!("{error}{}", source.unwrap_or_default()))
            }
        };
        let pace = match running {
            Ok(running) => match self.attend(running).await {
                Then::Over => return Then::Over,
                Then::Again => self.backoff.ended(Instant::now(), started.elapsed()),
            },
            Err(reason) => {
                self.exited(None, None, Duration::ZERO, Fault(ExitCause::StartFailed, reason), None);
                self.backoff.cannot_run()
            }
        };
        self.rest(pace).await
    }

    fn launch(&self) -> Launch {
        let settings = &self.shared.settings;
        let mut command = settings.command.iter().cloned();
        Launch {
            paramedic_exe: settings.paramedic_exe.clone(),
            program: command.next().unwrap_or_default(),
            args: command.collect(),
            env: Vec::new(),
            cwd: None,
            bounds: Bounds::default(),
        }
    }

    fn running(&self, generation: u64, lifeline: Lifeline, pipes: Pipes) -> Result<Running, String> {
        let relay = &self.shared.relay;
        let child = Child { id: lifeline.child(), started: Instant::now(), started_ms: clock::now_ms() };
        relay.record.take_tail();
        let (inlet, readers) = (|| {
            let inlet = Inlet::new(pipes.stdin.into_owned_fd()?);
            let (stdout, stderr) = (pipes.stdout.into_owned_fd()?, pipes.stderr.into_owned_fd()?);
            let readers = Readers::start(relay, generation, stdout, stderr, self.stderr.try_clone()?)?;
            Ok::<_, std::io::Error>((inlet, readers))
        })()
        // Dropping the lifeline ends the child.
        .map_err(|error| format!("cannot use the pipes to the server: {error}"))?;
        let accounts = Accounts::of(child.id).map(Arc::new);
        {
            let mut state = self.shared.state();
            state.child = Some(child);
            state.accounts.clone_from(&accounts);
        }
        let fields = [("pid", child.id.pid.into()), ("starts", generation.into())];
        relay.record.note(Level::Info, About::System, &format!("started process {}", child.id), fields);
        Ok(Running { generation, lifeline, inlet, readers, child, accounts })
    }

    /// Attends to a server until it has ended.
    async fn attend(&mut self, running: Running) -> Then {
        let mut start = Start::new(&self.shared, &running.child);
        self.meet(&running, &mut start);
        let mut fault = None;
        let mut silent_since: Option<Instant> = None;
        loop {
            let until =
                silent_since.map(|since| since + CLOSED_GRACE).into_iter().chain(start.next_look()).min();
            match self.next(&running, until).await {
                Happening::Ended(ending) => {
                    self.bury(running, ending, fault).await;
                    return Then::Again;
                }
                Happening::ToldToEnd => return self.leave(running, Gone::Told, "a signal").await,
                Happening::Told(Signal::ClientGone(gone)) => {
                    return self.leave(running, gone, "its client").await;
                }
                Happening::Told(Signal::Met(generation)) if generation == running.generation => {
                    self.ready(&running, &mut start, None);
                }
                Happening::Told(Signal::Greeted(generation, difference))
                    if generation == running.generation =>
                {
                    self.ready(&running, &mut start, difference);
                }
                Happening::Told(Signal::Replayed(generation, result)) if generation == running.generation => {
                    if let Err(error) = self.replayed(&running, result) {
                        fault = Some(Fault(ExitCause::StartFailed, error));
                    }
                }
                Happening::Told(Signal::Silent(generation)) if generation == running.generation => {
                    silent_since = Some(Instant::now());
                }
                // It is about a server that was there before.
                Happening::Told(_) => {}
                Happening::Time => {
                    let silent = silent_since.is_some_and(|since| since.elapsed() >= CLOSED_GRACE);
                    let found = if silent {
                        silent_since = None;
                        Some(Fault(
                            ExitCause::Unexpected,
                            "closed its standard output, and was ended".to_owned(),
                        ))
                    } else {
                        start.look(&self.shared, &running.child).await
                    };
                    if let Some(found) = found {
                        fault.get_or_insert(found);
                        running.lifeline.kill();
                    }
                }
            }
        }
    }

    /// Tells a new server what the client had told the one before, or lets the client speak for itself.
    fn meet(&self, running: &Running, start: &mut Start) {
        let relay = &self.shared.relay;
        match relay.begins(running.generation) {
            Replay::Nothing => relay.open(running.generation, &running.inlet),
            Replay::Line(line) => {
                start.replays();
                let inlet = Arc::clone(&running.inlet);
                // A server that takes nothing is ended when its time is up.
                tokio::task::spawn_blocking(move || drop(inlet.write(&line)));
            }
        }
        if relay.is_met() && !start.is_replay() {
            // In the era without a handshake there is nothing to wait for.
            relay.signal(Signal::Greeted(running.generation, None));
        }
    }

    fn replayed(&self, running: &Running, result: Result<String, String>) -> Result<(), String> {
        let result = result.map_err(|error| {
            running.lifeline.kill();
            format!("answered the client's `initialize`, said again, with the error {error}")
        })?;
        let (relay, inlet) = (Arc::clone(&self.shared.relay), Arc::clone(&running.inlet));
        let generation = running.generation;
        tokio::task::spawn_blocking(move || {
            let difference = relay.greeted(generation, &inlet, &result);
            relay.signal(Signal::Greeted(generation, difference));
        });
        Ok(())
    }

    fn ready(&self, running: &Running, start: &mut Start, difference: Option<String>) {
        start.is_over();
        let record = &self.shared.relay.record;
        if let Some(difference) = &difference {
            let message = format!("the new server is another one than the client has met: {difference}");
            tracing::warn!("{message}");
            record.note(Level::Warning, About::System, &message, []);
        }
        {
            let mut state = self.shared.state();
            state.phase = Phase::Ready;
            "is ready".clone_into(&mut state.words);
            state.difference = difference;
        }
        let message = format!("ready after {} ms", running.child.started.elapsed().as_millis());
        record.note(Level::Info, About::System, &message, [("pid", running.child.id.pid.into())]);
        let (shared, child) = (Arc::clone(&self.shared), running.child);
        tokio::task::spawn_blocking(move || {
            let Some(package) = package::resolve(std::path::Path::new("/proc"), child.id) else { return };
            let record = &shared.relay.record;
            let message = format!("it is {} {}", package.name, package.version);
            let fields = [("package", json!(package))];
            record.note(Level::Info, About::System, &message, fields);
            record.metrics.package(&package);
            let mut state = shared.state();
            if state.child.is_some_and(|present| present.id == child.id) {
                state.package = Some(package);
            }
        });
    }

    async fn next(&mut self, running: &Running, until: Option<Instant>) -> Happening {
        let time = async {
            match until {
                Some(until) => tokio::time::sleep_until(until.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            ending = running.lifeline.ended() => Happening::Ended(ending),
            () = told_to_end(&mut self.terminate) => Happening::ToldToEnd,
            // The relay, which holds the other end, is shared.
            Some(signal) = self.signals.recv() => Happening::Told(signal),
            () = time => Happening::Time,
        }
    }
}

async fn told_to_end((terminate, interrupt): &mut (UnixSignal, UnixSignal)) {
    tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
}
