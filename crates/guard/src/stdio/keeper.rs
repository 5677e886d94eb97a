//! Owns the life of a client's server: started, met, missed when it ends, started again; and its end with the client.
//!
//! A server is ended as in front of HTTP: its input is closed, after 2 s comes SIGTERM, after 3 s more SIGKILL. A client
//! that has closed its output and reads on, as a shell does, gets its last answers first, for 10 s at most.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use process::control::{Exit, ExitCause, Phase};
use process::{Bounds, Ending, Launch, Lifeline, Pipes};
use serde_json::json;
use tokio::signal::unix::Signal as UnixSignal;
use tokio::sync::mpsc::UnboundedReceiver;

use super::backoff::{Backoff, Pace};
use super::handshake::Replay;
use super::package;
use super::pumps::Readers;
use super::relay::{Gone, Signal};
use super::shared::Shared;
use super::streams::Inlet;
use crate::child::{CLOSE_GRACE, DRAIN, TERMINATE_GRACE};
use crate::clock;
use crate::log::{About, Level};
use crate::metrics::Failure;
use crate::state::Child;

mod start;

use start::Start;

/// How long the last answers to a client that has closed its output may take.
const ANSWERS_MAX: Duration = Duration::from_secs(10);
/// How long a server may take to leave by itself when the guard is told to end: whoever tells it so kills it soon.
const TOLD_GRACE: Duration = Duration::from_secs(1);
/// How long a server may live on after closing its output; it is about to exit, as a rule.
const CLOSED_GRACE: Duration = Duration::from_secs(1);
/// The last errors are still said, if the client reads them.
const FAREWELL: Duration = Duration::from_secs(1);
/// The time between two looks at something that tells nobody when it is done.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

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
                self.exited(None, None, Duration::ZERO, Fault(ExitCause::StartFailed, reason));
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
        self.shared.state().child = Some(child);
        let fields = [("pid", child.id.pid.into()), ("starts", generation.into())];
        relay.record.note(Level::Info, About::System, &format!("started process {}", child.id), fields);
        Ok(Running { generation, lifeline, inlet, readers, child })
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
                Happening::Told(Signal::Met) => self.ready(&running, &mut start, None),
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
        match relay.replay() {
            Replay::Nothing => relay.open(&running.inlet),
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
            let difference = relay.greeted(&inlet, &result);
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
            record.package(&package);
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

    // --- end ---

    /// Whatever the server managed to say is passed on; what it did not is answered with an error.
    async fn bury(&mut self, running: Running, ending: Ending, fault: Option<Fault>) {
        let was_ready = self.shared.state().phase == Phase::Ready;
        let Running { readers, child, .. } = running;
        let uptime = child.started.elapsed();
        drained(&readers).await;
        let fault = fault.unwrap_or_else(|| match was_ready {
            true => Fault(ExitCause::Unexpected, ending.to_string()),
            false => Fault(ExitCause::StartFailed, format!("{ending} before it was ready")),
        });
        self.exited(Some(child), Some(ending), uptime, fault);
    }

    fn exited(
        &mut self,
        child: Option<Child>,
        ending: Option<Ending>,
        uptime: Duration,
        fault: Fault,
    ) -> Option<JoinHandle<()>> {
        self.exits += 1;
        let Fault(cause, reason) = fault;
        let relay = &self.shared.relay;
        let exit = Exit {
            sequence: self.exits,
            pid: child.map(|child| child.id.pid),
            ending,
            at_ms: clock::now_ms(),
            uptime_ms: u64::try_from(uptime.as_millis()).unwrap_or(u64::MAX),
            cause,
            reason,
            stderr: relay.record.tail(),
        };
        let words = format!("has ended ({}) and is being started again", exit.reason);
        relay.wait(&relay.record.reason(&words));
        let told = relay.record.reason(&format!(
            "has ended ({}) before it answered; the request is not repeated, and may or may not have been carried out",
            exit.reason
        ));
        let telling = relay.bury(told);
        if cause != ExitCause::Requested {
            relay.record.metrics.failed(Failure::ChildExit);
        }
        let level = if cause == ExitCause::Requested { Level::Info } else { Level::Error };
        let fields =
            [("pid", json!(exit.pid)), ("uptime_ms", exit.uptime_ms.into()), ("cause", json!(cause))];
        relay.record.note(level, About::System, &format!("ended: {}", exit.reason), fields);
        let mut state = self.shared.state();
        state.phase = if cause == ExitCause::Requested { Phase::Stopped } else { Phase::Exited };
        state.words = words;
        state.child = None;
        state.last_exit = Some(exit);
        telling
    }

    /// Waits before the next start, as long as the client is there.
    async fn rest(&mut self, pace: Pace) -> Then {
        let wait = match pace {
            Pace::Soon(wait) => wait,
            Pace::Looping(wait) => {
                let words = {
                    let mut state = self.shared.state();
                    let last = state.last_exit.as_ref().map(|exit| exit.reason.clone()).unwrap_or_default();
                    let stderr = state.last_exit.as_ref().and_then(|exit| exit.stderr.last().cloned());
                    let stderr = stderr.map(|line| format!("; its last words: {line}")).unwrap_or_default();
                    state.phase = Phase::Failed;
                    state.words = format!(
                        "ends again and again, or cannot be run ({last}{stderr}); it is tried every {} s",
                        wait.as_secs()
                    );
                    state.words.clone()
                };
                let reason = self.shared.relay.record.reason(&words);
                tracing::error!("{reason}");
                self.shared.relay.record.note(Level::Error, About::System, &reason, []);
                self.shared.relay.close(Instant::now(), &reason);
                wait
            }
        };
        let until = tokio::time::sleep(wait);
        tokio::pin!(until);
        loop {
            tokio::select! {
                biased;
                () = told_to_end(&mut self.terminate) => return Then::Over,
                Some(signal) = self.signals.recv() => if let Signal::ClientGone(_) = signal { return Then::Over },
                () = &mut until => return Then::Again,
            }
        }
    }

    /// Ends the server, because its client is gone.
    async fn leave(&mut self, running: Running, gone: Gone, by: &str) -> Then {
        self.shared.relay.record.note(Level::Info, About::System, &format!("ending, as {by} wants"), []);
        running.inlet.close();
        if running.child.id.is_stopped() {
            running.lifeline.kill();
        } else if !self.leaves_kindly(&running, gone).await {
            running.lifeline.terminate();
            if tokio::time::timeout(TERMINATE_GRACE, running.lifeline.ended()).await.is_err() {
                running.lifeline.kill();
            }
        }
        let ending = running.lifeline.ended().await;
        let fault = Fault(ExitCause::Requested, format!("ended with its client, {ending}"));
        drained(&running.readers).await;
        let uptime = running.child.started.elapsed();
        if let Some(telling) = self.exited(Some(running.child), Some(ending), uptime, fault) {
            until_true(|| telling.is_finished(), FAREWELL).await;
        }
        Then::Over
    }

    /// Waits for a server whose input is closed. False if it stays.
    async fn leaves_kindly(&mut self, running: &Running, mut gone: Gone) -> bool {
        let closed = Instant::now();
        let mut until = closed + if gone == Gone::Told { TOLD_GRACE } else { CLOSE_GRACE };
        loop {
            if gone == Gone::Closed && !self.shared.relay.methods().is_empty() {
                until = (Instant::now() + CLOSE_GRACE).min(closed + ANSWERS_MAX);
            }
            let look = until.min(Instant::now() + LOOK_AGAIN);
            match self.next(running, Some(look)).await {
                Happening::Ended(_) => return true,
                Happening::ToldToEnd => return false,
                Happening::Told(Signal::ClientGone(Gone::Unreachable)) => {
                    gone = Gone::Unreachable;
                    until = until.min(Instant::now() + CLOSE_GRACE);
                }
                Happening::Told(_) => {}
                Happening::Time if Instant::now() >= until => return false,
                Happening::Time => {}
            }
        }
    }
}

async fn told_to_end((terminate, interrupt): &mut (UnixSignal, UnixSignal)) {
    tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
}

/// Waits until all is passed on that a server has left in its pipes, but no longer than it takes: a client that does not
/// read, or a process that has got away with a pipe, must not hold up the next server.
async fn drained(readers: &Readers) {
    until_true(|| readers.are_done(), DRAIN).await;
}

async fn until_true(mut is: impl FnMut() -> bool, within: Duration) {
    let until = Instant::now() + within;
    while !is() && Instant::now() < until {
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}
