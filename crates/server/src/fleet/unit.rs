//! Owns the care for one server that lives in a unit of systemd: listened to, ordered by jobs, and never started twice.
//!
//! systemd owns its restarts. What it does by itself is told as what it is; what a person does with `systemctl` is
//! respected: a unit that somebody stopped is stopped, and not down.

mod order;
mod until;
mod witness;

use std::path::PathBuf;
use std::time::Duration;

use process::control::{Exit, ExitCause, OutOfMemory, Phase, Status};
use process::{Ending, ProcessId};
use systemd::journal::{From, Wanted};
use systemd::watch::{Event as UnitEvent, Told, Whose};
use systemd::{ActiveState, JobKind, JobResult, Journal, SubState, Systemd, Unit, UnitName};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::{Event, Order, Supervised, What};
use crate::clock;
pub(super) use order::Orders;
use until::{NEWS_WITHIN, Until};
use witness::Witness;

/// How a person with `systemctl` is called: systemd does not say who they are.
const SOMEBODY: &str = "somebody with systemctl";

/// How systemd is called where it restarts a unit by itself.
const SYSTEMD: &str = "systemd";

/// How many lines of the journal are kept with the end of a process.
const WORDS_MAX: u32 = 20;

/// How long they may take: an incident waits for them.
const WORDS_WITHIN: Duration = Duration::from_secs(2);

/// How old they may be at that end, in milliseconds.
const WORDS_AGE_MS: i64 = 60_000;

/// How a unit is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitStatus {
    /// Its exact name.
    pub name: UnitName,
    /// Where its main process is in its life.
    pub phase: Phase,
    /// Its main process, while it runs.
    pub main: Option<ProcessId>,
    /// How often systemd has started it again by itself since somebody started it.
    pub restarts: u64,
    /// How its main process ended last, where that was seen.
    pub last_exit: Option<Exit>,
    /// Who stopped it, in the phase [`Phase::Stopped`].
    pub stopped_by: Option<String>,
}

/// One server in its unit.
pub(super) struct Care {
    pub(super) server: String,
    pub(super) unit: UnitName,
    pub(super) systemd: Systemd,
    pub(super) orders: Orders,
    /// Where the guard in it listens, if there is one.
    pub(super) control: Option<PathBuf>,
    /// How long an order may take.
    pub(super) timeout: Duration,
}

/// Looks after one server until nobody gives orders any more.
pub(super) async fn supervise(
    care: Care,
    mut inbox: mpsc::Receiver<Order>,
    report: watch::Sender<Supervised>,
    events: mpsc::Sender<Event>,
) {
    let mut told = match care.systemd.watch(vec![care.unit.clone()]) {
        Ok(told) => told,
        Err(error) => {
            let problem = Some(incident::error_chain(&error));
            report.send_replace(Supervised { problem, ..Supervised::default() });
            return;
        }
    };
    let mut known = Known::new(&care.unit);
    let mut witness = Witness::listen(care.control.clone());
    // An order may take as long as the unit takes to stop; what happens meanwhile is heard all the same.
    let mut under_way = JoinSet::new();
    loop {
        tokio::select! {
            news = told.next() => {
                let Some(news) = news else { return };
                let what = known.take(news, clock::now_ms());
                let status = witness.status(known.guard());
                report.send_replace(known.supervised(status));
                for mut what in what {
                    if let What::Exited(exit) = &mut what {
                        if let Some(own) = witness.end_of(exit.pid).await {
                            known.learn(exit, own);
                            report.send_replace(known.supervised(None));
                        }
                        exit.stderr = last_words(&care.unit, exit.at_ms).await;
                    }
                    let _ = events.send(Event { server: care.server.clone(), what }).await;
                }
            }
            () = witness.changed() => {
                let status = witness.status(known.guard());
                report.send_replace(known.supervised(status));
            }
            order = inbox.recv() => match order {
                None => return,
                // A unit has nobody who could be told how its dependencies are.
                Some(Order::Tell(_)) => {}
                Some(Order::Do(deed)) => {
                    let until = Until {
                        known: report.subscribe(),
                        has_guard: care.control.is_some(),
                        news_within: NEWS_WITHIN,
                    };
                    let target = (care.systemd.clone(), care.unit.clone());
                    under_way.spawn(care.orders.clone().carry_out(target, deed, until, care.timeout));
                }
            },
            Some(_) = under_way.join_next() => {}
        }
    }
}

/// What the unit said last, as far as the journal can be read at once.
async fn last_words(unit: &UnitName, at_ms: i64) -> Vec<String> {
    let wanted = Wanted { lines_max: WORDS_MAX, since_ms: Some(at_ms - WORDS_AGE_MS), ..Wanted::default() };
    let journal = Journal { timeout: WORDS_WITHIN, ..Journal::default() };
    match journal.read(unit, &wanted).await {
        Ok(read) => {
            let own = read.lines.into_iter().filter(|line| line.from == From::Unit);
            own.map(|line| line.message).collect()
        }
        Err(error) => {
            tracing::warn!(%unit, error = incident::error_chain(&error), "the journal of a unit cannot be read");
            Vec::new()
        }
    }
}

/// What is known of a unit, and what follows from news of it. Pure: no bus, no clock.
struct Known {
    status: Option<UnitStatus>,
    name: UnitName,
    problem: Option<String>,
    /// The kernel has killed a process of it; told with the exit.
    out_of_memory: bool,
    exits: u64,
}

// === impl Known ===

impl Known {
    fn new(name: &UnitName) -> Self {
        Self { status: None, name: name.clone(), problem: None, out_of_memory: false, exits: 0 }
    }

    /// All of it, with the words of the guard.
    fn supervised(&self, status: Option<Status>) -> Supervised {
        Supervised { status, unit: self.status.clone(), problem: self.problem.clone(), outdated: false }
    }

    /// Its main process, which is the guard where it has one.
    fn guard(&self) -> Option<i32> {
        self.status.as_ref()?.main.map(|main| main.pid)
    }

    /// The end of the guard that systemd has seen was the end of the server, as the guard tells it.
    fn learn(&mut self, exit: &mut Exit, own: Exit) {
        let (pid, ending, reason, out_of_memory) = (own.pid, own.ending, own.reason, own.out_of_memory);
        *exit = Exit { pid, ending, reason, out_of_memory, ..exit.clone() };
        if let Some(status) = &mut self.status {
            status.last_exit = Some(exit.clone());
        }
    }

    /// Takes in news; returns what the flow has to know of.
    fn take(&mut self, news: Told, now_ms: i64) -> Vec<What> {
        match news {
            // What was known last is the best that is known; the probes say the rest.
            Told::Lost { reason } => {
                self.problem = Some(reason);
                Vec::new()
            }
            Told::Found => {
                self.problem = None;
                Vec::new()
            }
            Told::Of { event, .. } => self.apply(event, now_ms),
        }
    }

    fn apply(&mut self, event: UnitEvent, now_ms: i64) -> Vec<What> {
        match event {
            UnitEvent::Seen(unit) => {
                self.see(&unit);
                self.down_already(&unit, now_ms).into_iter().collect()
            }
            UnitEvent::Changed { to, .. } => {
                self.see(&to);
                Vec::new()
            }
            UnitEvent::OutOfMemory => {
                self.out_of_memory = true;
                Vec::new()
            }
            UnitEvent::Exited(exit) => self.exited(&exit, now_ms).into_iter().collect(),
            UnitEvent::Restarting { restarts } => {
                let key = format!("{SYSTEMD}-{}-{now_ms}-{restarts}", self.name);
                vec![What::Restarted { by: SYSTEMD.to_owned(), key }]
            }
            UnitEvent::StartLimitHit => {
                let reason = "systemd has given up: it was started too often, and stays down until a person runs \
                              `systemctl reset-failed`";
                self.phase(Phase::Failed);
                vec![What::Exited(self.exit(None, None, now_ms, 0, reason.to_owned()))]
            }
            UnitEvent::JobEnded { job, whose: Whose::Others, kind: Some(kind), result, .. } => {
                let failed = result.is_some_and(|result| result != JobResult::Done);
                let key = format!("systemctl-{}-{now_ms}-{job}", self.name);
                if failed { Vec::new() } else { self.by_hand(&kind, key).into_iter().collect() }
            }
            UnitEvent::Unseen(kind) => {
                let key = format!("systemctl-{}-{now_ms}", self.name);
                self.by_hand(&kind, key).into_iter().collect()
            }
            UnitEvent::JobBegun { .. } | UnitEvent::JobEnded { .. } => Vec::new(),
        }
    }

    fn see(&mut self, unit: &Unit) {
        let phase = match unit.active {
            Some(ActiveState::Active | ActiveState::Reloading) => Phase::Ready,
            Some(ActiveState::Activating) => Phase::Starting,
            Some(ActiveState::Failed) => Phase::Exited,
            _ => Phase::Stopped,
        };
        let before = self.status.take();
        let last_exit = before.as_ref().and_then(|before| before.last_exit.clone());
        let stopped_by = match (phase, before) {
            (Phase::Stopped, Some(before)) => before.stopped_by,
            _ => None,
        };
        self.status = Some(UnitStatus {
            name: unit.id.clone(),
            phase,
            main: unit.main_pid.and_then(ProcessId::of),
            restarts: u64::from(unit.restarts.unwrap_or(0)),
            last_exit,
            stopped_by,
        });
    }

    fn phase(&mut self, phase: Phase) {
        if let Some(status) = &mut self.status {
            status.phase = phase;
        }
    }

    /// A unit that has failed before anybody listened is down, and so is one whose process has ended and which systemd is
    /// about to start again; one that is inactive is so because somebody wants it.
    fn down_already(&mut self, unit: &Unit, now_ms: i64) -> Option<What> {
        let waits = unit.active == Some(ActiveState::Activating) && unit.sub == Some(SubState::AutoRestart);
        let is_down = unit.active == Some(ActiveState::Failed) || waits;
        let end = unit.main_exit.filter(|_| is_down);
        let at_ms = end.map_or(now_ms, |end| end.at_ms());
        let pid = end.and_then(|end| end.pid);
        is_down.then(|| {
            let reason = reason(end.and_then(|end| end.ending), None);
            What::Exited(self.exit(pid, end.and_then(|end| end.ending), at_ms, 0, reason))
        })
    }

    /// An end that somebody has ordered is no trouble.
    fn exited(&mut self, exit: &systemd::watch::Exit, now_ms: i64) -> Option<What> {
        let out_of_memory = std::mem::take(&mut self.out_of_memory);
        let uptime_ms = exit.uptime.map_or(0, |time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
        let out_of_memory = out_of_memory.then_some(OutOfMemory { limit_bytes: None, kills: 1 });
        let reason = reason(exit.ending, out_of_memory);
        let ordered = matches!(exit.during, Some(Whose::Ours | Whose::Others));
        let mut end = self.exit(exit.pid, exit.ending, exit.at_ms.unwrap_or(now_ms), uptime_ms, reason);
        end.out_of_memory = out_of_memory;
        if ordered {
            end.cause = ExitCause::Requested;
        }
        if let Some(status) = &mut self.status {
            status.last_exit = Some(end.clone());
        }
        (!ordered).then_some(What::Exited(end))
    }

    fn exit(
        &mut self,
        pid: Option<i32>,
        ending: Option<Ending>,
        at_ms: i64,
        uptime_ms: u64,
        reason: String,
    ) -> Exit {
        self.exits += 1;
        let (sequence, cause) = (self.exits, ExitCause::Unexpected);
        let (stderr, out_of_memory) = (Vec::new(), None);
        let exit = Exit { sequence, pid, ending, at_ms, uptime_ms, cause, reason, stderr, out_of_memory };
        if let Some(status) = &mut self.status {
            status.last_exit = Some(exit.clone());
        }
        exit
    }

    /// A person outranks the machine: what they stopped stays stopped, and what they restarted was restarted.
    fn by_hand(&mut self, kind: &JobKind, key: String) -> Option<What> {
        let by = SOMEBODY.to_owned();
        match kind {
            JobKind::Stop => {
                if let Some(status) = &mut self.status {
                    status.stopped_by = Some(by.clone());
                }
                Some(What::Stopped { by, key })
            }
            JobKind::Restart => Some(What::Restarted { by, key }),
            _ => None,
        }
    }
}

fn reason(ending: Option<Ending>, out_of_memory: Option<OutOfMemory>) -> String {
    let ended = ending.map_or_else(|| "ended, nobody knows how".to_owned(), |ending| ending.to_string());
    out_of_memory.map_or(ended.clone(), |out_of_memory| format!("{ended}: {out_of_memory}"))
}

#[cfg(test)]
mod tests;
