//! Owns the life of the child: starting it, noticing its end, and carrying out orders, one at a time.
//!
//! A child is started behind a lifeline, greeted (`initialize`), and then offered to clients. It is ended by closing
//! its standard input; after 2 s by SIGTERM, after 3 s more by SIGKILL; a stopped one (SIGSTOP) by SIGKILL at once.
//! Nothing is restarted here except on order: who restarts, and how often, is for `serve` to say.

mod start;

use std::sync::Arc;
use std::time::{Duration, Instant};

use process::control::{Event, Exit, ExitCause, OutOfMemory, Phase, Status};
use process::tuning::MemoryGroup;
use process::{Ending, Lifeline, ProcessId};
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::clock;
use crate::log::{About, Level};
use crate::metrics::Failure;
use crate::oom::Accounts;
use crate::pipe::{Link, Readers};
use crate::revision::Revision;
use crate::start::Start;
use crate::state::{Child, Guard};
pub(crate) use start::{Greeting, introduce};
use start::{greeted, looked_at};

/// The revision that the guard speaks with children.
pub(crate) const PROTOCOL_VERSION: &str = Revision::V2025_11_25.name();
/// All servers seen so far leave within 0.7 s once their input ends.
pub(crate) const CLOSE_GRACE: Duration = Duration::from_secs(2);
pub(crate) const TERMINATE_GRACE: Duration = Duration::from_secs(3);
/// What the child wrote before it ended is in the pipes already; longer than this only waits for somebody else.
pub(crate) const DRAIN: Duration = Duration::from_millis(200);

/// Something that the child is to go through.
#[derive(Debug)]
pub(crate) enum Order {
    /// End the child, if there is one, and start another; not twice for one key.
    Restart { key: String, by: String, reply: Reply },
    /// Start a child if none runs; not twice for one key.
    Start { key: String, by: String, reply: Reply },
    /// End the child.
    Stop { by: String, reply: Reply },
    /// End the child, and the guard with it.
    Shutdown { by: String, reply: Reply },
}

/// Gets the status once an order is carried out.
pub(crate) type Reply = oneshot::Sender<Status>;

/// Carries out orders.
pub(crate) struct Keeper {
    guard: Arc<Guard>,
    orders: mpsc::Receiver<Order>,
    running: Option<Running>,
    /// The greeting of the running child, while it has not been answered.
    greeting: Option<JoinHandle<Result<String, Greeting>>>,
    /// How the start of the running child goes on, for as long as it is greeted.
    start: Option<Start>,
    /// Who waits for a start to succeed or fail.
    waiting: Vec<Reply>,
    exits: u64,
    /// The control group of the child, where it has one of its own.
    group: Option<MemoryGroup>,
}

struct Running {
    lifeline: Lifeline,
    link: Arc<Link>,
    readers: Readers,
    child: Child,
    /// None where nobody counts what the kernel kills.
    accounts: Option<Arc<Accounts>>,
}

/// How a child came to its end.
struct End {
    pid: Option<i32>,
    ending: Option<Ending>,
    uptime: Duration,
    cause: ExitCause,
    reason: String,
    stderr: Vec<String>,
    out_of_memory: Option<OutOfMemory>,
}

// === impl Keeper ===

impl Keeper {
    pub(crate) fn new(guard: Arc<Guard>, orders: mpsc::Receiver<Order>) -> Self {
        Self {
            guard,
            orders,
            running: None,
            greeting: None,
            start: None,
            waiting: Vec::new(),
            exits: 0,
            group: None,
        }
    }

    /// Starts the first child, and keeps to the orders until a shutdown is done.
    /// Returns why the child ended, where the guard has to end with it.
    pub(crate) async fn run(mut self) -> Option<String> {
        self.start().await;
        loop {
            if self.guard.settings.once
                && let Some(reason) = self.guard.down()
            {
                return Some(reason);
            }
            tokio::select! {
                ending = ended(self.running.as_ref()) => self.child_ended(ending).await,
                greeted = greeted(self.greeting.as_mut()) => self.greeted(greeted).await,
                () = looked_at(self.start.as_ref()) => self.look().await,
                order = self.orders.recv() => match order {
                    None => return None,
                    Some(Order::Shutdown { by, reply }) => {
                        self.end(&format!("being shut down by {by}"), &format!("shut down by {by}")).await;
                        self.stopped(by);
                        // Whoever asked may not wait for the answer.
                        let _ = reply.send(self.guard.status());
                        return None;
                    }
                    Some(order) => self.obey(order).await,
                },
            }
        }
    }

    async fn obey(&mut self, order: Order) {
        let reply = match order {
            Order::Restart { key, by, reply } => {
                if self.is_new(&key) {
                    self.note_order("restart", &by, &key);
                    self.end(&format!("being restarted by {by}"), &format!("restarted by {by}")).await;
                    self.start().await;
                }
                reply
            }
            Order::Start { key, by, reply } => {
                if self.is_new(&key) {
                    self.note_order("start", &by, &key);
                    if self.running.is_none() {
                        self.start().await;
                    }
                }
                reply
            }
            Order::Stop { by, reply } | Order::Shutdown { by, reply } => {
                self.note_order("stop", &by, "");
                self.end(&format!("being stopped by {by}"), &format!("stopped by {by}")).await;
                // Also where the guard's own child has ended before.
                self.guard.private.end_all(&format!("stopped by {by}")).await;
                self.stopped(by);
                reply
            }
        };
        self.waiting.push(reply);
        self.settle();
    }

    /// Whether no order with this key has been carried out; from now on, one has.
    fn is_new(&self, key: &str) -> bool {
        let mut state = self.guard.state();
        let new = state.last_key.as_deref() != Some(key);
        state.last_key = Some(key.to_owned());
        new
    }

    fn note_order(&self, what: &str, by: &str, key: &str) {
        let message = format!("{what} ordered by {by}");
        self.guard.note(Level::Info, About::Audit, &message, [("key", key.into()), ("by", by.into())]);
    }

    fn stopped(&self, by: String) {
        let mut state = self.guard.state();
        state.phase = Phase::Stopped;
        state.stopped_by = Some(by);
    }

    /// Answers everybody who waits for a start, unless one is still going on.
    fn settle(&mut self) {
        if self.greeting.is_none() {
            for reply in self.waiting.drain(..) {
                let _ = reply.send(self.guard.status());
            }
        }
    }

    // --- end ---

    /// Ends the child, if there is one. `doing` and `done` say it in words.
    async fn end(&mut self, doing: &str, done: &str) {
        let Some(running) = self.running.take() else { return };
        // A start that is cut short is over, for whoever waits for it.
        self.greeting.take().inspect(JoinHandle::abort);
        self.start = None;
        self.guard.set_link(None);
        self.guard.state().ending = Some(doing.to_owned());
        let guard = self.guard.clone();
        let (ending, ()) = tokio::join!(
            wind_down(&running.lifeline, &running.link, running.child.id),
            guard.private.end_all(done),
        );
        self.bury(running, ending, ExitCause::Requested, |ending| format!("{done}, {ending}")).await;
        self.guard.state().ending = None;
    }

    async fn child_ended(&mut self, ending: Ending) {
        let Some(running) = self.running.take() else { return };
        match self.greeting.take() {
            Some(greeting) => {
                greeting.abort();
                let reason = |ending| format!("{ending} before it answered `initialize`");
                self.bury(running, ending, ExitCause::StartFailed, reason).await;
            }
            None => {
                self.bury(running, ending, ExitCause::Unexpected, |ending| ending.to_string()).await;
            }
        }
        self.settle();
    }

    /// Whatever the child managed to say is passed on; what it did not is answered with an error.
    async fn bury(
        &mut self,
        running: Running,
        ending: Ending,
        cause: ExitCause,
        reason: impl FnOnce(Ending) -> String,
    ) {
        let Running { link, readers, child, accounts, .. } = running;
        self.start = None;
        let out_of_memory = accounts.and_then(|accounts| accounts.end(ending, Instant::now()));
        let uptime = child.started.elapsed();
        readers.drain(DRAIN).await;
        self.guard.set_link(None);
        let reason = worded(reason(ending), out_of_memory);
        let told = lost(&self.guard.settings.name, &reason);
        link.end(&self.guard, &told);
        self.guard.sessions.end_generation(link.generation);
        self.guard.cache.end_generation(link.generation);
        self.exited(End {
            pid: Some(child.id.pid),
            ending: Some(ending),
            uptime,
            cause,
            reason,
            stderr: link.tail(),
            out_of_memory,
        });
    }

    fn exited(&mut self, end: End) {
        self.group.take().inspect(MemoryGroup::remove);
        self.exits += 1;
        let exit = Exit {
            sequence: self.exits,
            pid: end.pid,
            ending: end.ending,
            at_ms: clock::now_ms(),
            uptime_ms: u64::try_from(end.uptime.as_millis()).unwrap_or(u64::MAX),
            cause: end.cause,
            reason: end.reason,
            stderr: end.stderr,
            out_of_memory: end.out_of_memory,
        };
        let (phase, level) = match end.cause {
            ExitCause::Unexpected => (Phase::Exited, Level::Error),
            ExitCause::StartFailed | ExitCause::StartTimedOut => (Phase::Failed, Level::Error),
            // A restart goes on to start, and a stop to say who stopped it.
            ExitCause::Requested => (Phase::Stopped, Level::Info),
        };
        {
            let mut state = self.guard.state();
            state.phase = phase;
            state.child = None;
            state.last_exit = Some(exit.clone());
        }
        self.guard.tell(Event::Exited { exit: exit.clone() });
        if end.cause != ExitCause::Requested {
            self.guard.metrics.failed(Failure::ChildExit);
        }
        let pid = exit.pid.map_or(Value::Null, Value::from);
        let fields = [("pid", pid), ("uptime_ms", exit.uptime_ms.into()), ("cause", json!(exit.cause))];
        self.guard.note(level, About::System, &format!("ended: {}", exit.reason), fields);
    }
}

/// Ends a child: by the end of its input, then by SIGTERM, then by SIGKILL.
pub(crate) async fn wind_down(lifeline: &Lifeline, link: &Link, process: ProcessId) -> Ending {
    link.close();
    let ended = |within| tokio::time::timeout(within, lifeline.ended());
    if process.is_stopped() {
        lifeline.kill();
    } else if ended(CLOSE_GRACE).await.is_err() {
        lifeline.terminate();
        if ended(TERMINATE_GRACE).await.is_err() {
            lifeline.kill();
        }
    }
    lifeline.ended().await
}

/// What whoever waits is told when a child has ended.
pub(crate) fn lost(name: &str, reason: &str) -> String {
    format!(
        "server `{name}` has ended ({reason}) before it answered; the request is not repeated, and may or may not have \
         been carried out"
    )
}

/// How a child ended, in words, with what the kernel did.
pub(crate) fn worded(reason: String, out_of_memory: Option<OutOfMemory>) -> String {
    match out_of_memory {
        Some(out_of_memory) => format!("{reason}: {out_of_memory}"),
        None => reason,
    }
}

async fn ended(running: Option<&Running>) -> Ending {
    match running {
        Some(running) => running.lifeline.ended().await,
        None => std::future::pending().await,
    }
}
