//! Owns the end of a server: told to whoever waits, waited after, or brought about because the client is gone.

use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use process::Ending;
use process::control::{Exit, ExitCause, OutOfMemory, Phase};
use serde_json::json;

use super::{Fault, Happening, Keeper, Running, Then, told_to_end};
use crate::child::{CLOSE_GRACE, DRAIN, TERMINATE_GRACE, worded};
use crate::clock;
use crate::log::{About, Level};
use crate::metrics::Failure;
use crate::state::Child;
use crate::stdio::backoff::Pace;
use crate::stdio::pumps::Readers;
use crate::stdio::relay::{Gone, Signal};

/// How long the last answers to a client that has closed its output may take.
const ANSWERS_MAX: Duration = Duration::from_secs(10);
/// How long a server may take to leave by itself when the guard is told to end: whoever tells it so kills it soon.
const TOLD_GRACE: Duration = Duration::from_secs(1);
/// The last errors are still said, if the client reads them.
const FAREWELL: Duration = Duration::from_secs(1);
/// The time between two looks at something that tells nobody when it is done.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

// === impl Keeper ===

impl Keeper {
    /// Whatever the server managed to say is passed on; what it did not is answered with an error.
    pub(super) async fn bury(&mut self, running: Running, ending: Ending, fault: Option<Fault>) {
        let was_ready = self.shared.state().phase == Phase::Ready;
        let Running { readers, child, accounts, .. } = running;
        let out_of_memory = accounts.and_then(|accounts| accounts.end(ending, Instant::now()));
        let uptime = child.started.elapsed();
        drained(&readers).await;
        let fault = fault.unwrap_or_else(|| match was_ready {
            true => Fault(ExitCause::Unexpected, ending.to_string()),
            false => Fault(ExitCause::StartFailed, format!("{ending} before it was ready")),
        });
        self.exited(Some(child), Some(ending), uptime, fault, out_of_memory);
    }

    pub(super) fn exited(
        &mut self,
        child: Option<Child>,
        ending: Option<Ending>,
        uptime: Duration,
        fault: Fault,
        out_of_memory: Option<OutOfMemory>,
    ) -> Option<JoinHandle<()>> {
        self.exits += 1;
        let Fault(cause, reason) = fault;
        let reason = worded(reason, out_of_memory);
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
            out_of_memory,
        };
        let words = format!("has ended ({}) and is being started again", exit.reason);
        // First of all: what was noted after the burial nobody would answer.
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
    pub(super) async fn rest(&mut self, pace: Pace) -> Then {
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
    pub(super) async fn leave(&mut self, running: Running, gone: Gone, by: &str) -> Then {
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
        if let Some(telling) = self.exited(Some(running.child), Some(ending), uptime, fault, None) {
            until_true(|| telling.is_finished(), FAREWELL).await;
        }
        Then::Over
    }

    /// Waits for a server whose input is closed. False if it stays.
    async fn leaves_kindly(&mut self, running: &Running, mut gone: Gone) -> bool {
        let closed = Instant::now();
        let mut until = closed + if gone == Gone::Told { TOLD_GRACE } else { CLOSE_GRACE };
        loop {
            if gone == Gone::Closed && !self.shared.relay.running(Instant::now()).is_empty() {
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
