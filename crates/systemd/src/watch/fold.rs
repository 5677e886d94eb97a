//! Owns what a new look at a unit means, given what was known of it. Pure: no bus, no clock.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Event, Exit, Whose};
use crate::job::{JobId, JobKind, JobResult};
use crate::unit::{RestartPolicy, ServiceResult, Unit};

/// So many jobs of one unit are followed: systemd has one that runs and one that waits.
const JOBS_MAX: usize = 16;

/// What is known of a unit.
#[derive(Debug)]
pub(super) struct Tracked {
    unit: Unit,
    jobs: BTreeMap<JobId, Running>,
    /// How many of its automatic restarts have shown up as jobs.
    explained: u32,
}

/// A job that has not ended.
#[derive(Debug)]
struct Running {
    whose: Whose,
    /// What systemd said that it does.
    kind: Option<JobKind>,
    /// The unit when it was queued.
    before: Unit,
}

/// Whether everything was heard since the last look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// It was.
    All,
    /// There was a time in which nothing was heard.
    NotAll,
    /// So there was, and we ordered something in it.
    NotAllAndOrdered,
}

// === impl Tracked ===

impl Tracked {
    /// The first look. Whose job is under way is known only where it is ours.
    pub(super) fn first(unit: Unit, ours: Option<JobId>) -> (Self, Vec<Event>) {
        let mut tracked =
            Self { explained: unit.restarts.unwrap_or(0), unit: unit.clone(), jobs: BTreeMap::new() };
        let mut events = vec![Event::Seen(Box::new(unit))];
        if let Some(job) = tracked.unit.job {
            let whose = if ours == Some(job) { Whose::Ours } else { Whose::Unknown };
            events.push(tracked.follow(job, whose));
        }
        (tracked, events)
    }

    /// A look, where every signal until now was heard.
    pub(super) fn look(&mut self, unit: Unit) -> Vec<Event> {
        let mut events = Vec::new();
        events.extend(self.exit(&unit).map(Event::Exited));
        let again = unit.main_exit != self.unit.main_exit || unit.invocation != self.unit.invocation;
        let newly = |result| unit.result == Some(result) && (again || unit.result != self.unit.result);
        if newly(ServiceResult::OomKill) {
            events.push(Event::OutOfMemory);
        }
        let hit = newly(ServiceResult::StartLimitHit);
        let from = (self.unit.active.clone(), self.unit.sub.clone());
        if from != (unit.active.clone(), unit.sub.clone()) {
            events.push(Event::Changed { from, to: Box::new(unit.clone()) });
        }
        if hit {
            events.push(Event::StartLimitHit);
        }
        let (was, is) = (self.unit.restarts.unwrap_or(0), unit.restarts.unwrap_or(0));
        if is > was {
            events.push(Event::Restarting { restarts: is });
        } else if is < was {
            // Somebody has started it by hand, and systemd counts anew.
            self.explained = is;
        }
        self.unit = unit;
        events
    }

    /// A look after some time in which perhaps not everything was heard.
    pub(super) fn look_again(&mut self, unit: Unit, heard: Heard, ours: Option<JobId>) -> Vec<Event> {
        if heard == Heard::All {
            return self.look(unit);
        }
        let before = self.unit.clone();
        let ended: Vec<JobId> = self.jobs.keys().copied().filter(|job| unit.job != Some(*job)).collect();
        let explained = !ended.is_empty() || heard == Heard::NotAllAndOrdered;
        let unseen = unseen_order(&before, &unit).filter(|_| !explained);
        let job = unit.job.filter(|job| !self.jobs.contains_key(job));
        let mut events = self.look(unit);
        events.extend(ended.into_iter().flat_map(|job| self.job_ended(job, None)));
        events.extend(unseen.map(Event::Unseen));
        if let Some(job) = job {
            events.push(self.job_begun(job, ours == Some(job)));
        }
        // Automatic restarts that came and went have no jobs any more.
        self.explained = self.unit.restarts.unwrap_or(0);
        events
    }

    /// A job was queued.
    pub(super) fn job_begun(&mut self, job: JobId, is_ours: bool) -> Event {
        let restarts = self.unit.restarts.unwrap_or(0);
        let whose = match is_ours {
            true => Whose::Ours,
            // systemd counts a restart of its own just before it announces the job.
            false if restarts > self.explained => Whose::Automatic,
            false => Whose::Others,
        };
        if whose == Whose::Automatic {
            self.explained = restarts;
        }
        self.follow(job, whose)
    }

    fn follow(&mut self, job: JobId, whose: Whose) -> Event {
        while self.jobs.len() >= JOBS_MAX {
            self.jobs.pop_first();
        }
        self.jobs.insert(job, Running { whose, kind: None, before: self.unit.clone() });
        Event::JobBegun { job, whose }
    }

    /// systemd says what a job does.
    pub(super) fn job_does(&mut self, job: JobId, kind: JobKind) {
        if let Some(running) = self.jobs.get_mut(&job) {
            running.kind = Some(kind);
        }
    }

    /// A job has ended; nothing where nobody knew of it.
    pub(super) fn job_ended(&mut self, job: JobId, result: Option<JobResult>) -> Vec<Event> {
        let Some(Running { whose, kind: told, before }) = self.jobs.remove(&job) else { return Vec::new() };
        let kind = match whose {
            Whose::Automatic => Some(JobKind::Restart),
            // What its unit shows comes first: a restart that has stopped the unit calls itself a start.
            _ => kind_of(&before, &self.unit, result.as_ref()).or(told),
        };
        // Otherwise the state of the unit has told it already.
        let hit = self.unit.result != Some(ServiceResult::StartLimitHit)
            && is_start_limit_hit(&before, &self.unit, result.as_ref());
        let mut events = vec![Event::JobEnded { job, whose, kind, result }];
        events.extend(hit.then_some(Event::StartLimitHit));
        events
    }

    /// Whose job is under way.
    fn during(&self) -> Option<Whose> {
        self.jobs.values().next_back().map(|running| running.whose)
    }

    /// The end of the main process, where a look shows one.
    fn exit(&self, unit: &Unit) -> Option<Exit> {
        if let Some(exit) = unit.main_exit.filter(|exit| self.unit.main_exit != Some(*exit)) {
            return Some(Exit {
                pid: exit.pid,
                ending: exit.ending,
                at_ms: Some(exit.at_ms()),
                uptime: unit
                    .main_started_us
                    .and_then(|us| exit.at_us.checked_sub(us))
                    .map(Duration::from_micros),
                during: self.during(),
            });
        }
        // The next one was there before its end was told. A process that hands over to another one stays in its run.
        let replaced = self.unit.main_pid.filter(|_| {
            unit.main_exit.is_none()
                && unit.main_pid != self.unit.main_pid
                && (unit.invocation != self.unit.invocation || unit.is_down())
        });
        replaced.map(|pid| Exit {
            pid: Some(pid),
            ending: None,
            at_ms: None,
            uptime: None,
            during: self.during(),
        })
    }
}

/// What a job did, by the states of its unit before and after.
fn kind_of(before: &Unit, after: &Unit, result: Option<&JobResult>) -> Option<JobKind> {
    let is_new = after.invocation.is_some() && before.invocation != after.invocation;
    match (before.is_up(), after.is_up()) {
        (true, true) if is_new => Some(JobKind::Restart),
        (false, true) => Some(JobKind::Start),
        (_, false) if result == Some(&JobResult::Done) && after.is_down() && !is_new => Some(JobKind::Stop),
        _ => None,
    }
}

/// Whether a unit was refused another start. The unit itself often says only how its last run ended; but nothing else
/// makes a start fail before there is a run.
pub(crate) fn is_start_limit_hit(before: &Unit, after: &Unit, result: Option<&JobResult>) -> bool {
    let is_limited = after.start_limit.is_some_and(|limit| limit.burst > 0 && !limit.interval.is_zero());
    let no_run = !before.is_up() && after.is_down() && before.invocation == after.invocation;
    is_limited && no_run && result == Some(&JobResult::Failed)
}

/// What somebody must have ordered while nothing was heard; none where it may have happened by itself.
fn unseen_order(before: &Unit, after: &Unit) -> Option<JobKind> {
    let is_new = after.invocation.is_some() && before.invocation != after.invocation;
    let by_itself = after.restarts.unwrap_or(0) > before.restarts.unwrap_or(0);
    if is_new && !by_itself {
        return Some(if before.is_up() { JobKind::Restart } else { JobKind::Start });
    }
    // What systemd always starts again is down only where somebody wants that, or where it has failed.
    let always = before.restart == Some(RestartPolicy::Always);
    let is_stopped = after.is_down() && after.result == Some(ServiceResult::Success);
    (before.is_up() && always && is_stopped && !by_itself).then_some(JobKind::Stop)
}

#[cfg(test)]
mod tests;
