//! Owns what is due: from one incident, what its procedure says, the policy and the time to what fires now, and when
//! to look again.

use std::time::Duration;

use super::calling::{Answerer, Calling};
use super::criteria::{Fleet, Verdict, is_standing, judge};
use super::plan::{PhaseTime, Plan};
use super::policy::{Called, Escalating};
use crate::control::Control;
use crate::fold::Incident;
use crate::record::{Deadline, Record, Source};
use crate::report::duration;

/// How often whoever took notice is reminded while nothing is done: more is noise.
const REMINDERS_MAX: u32 = 10;

/// What is to be done.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Step {
    /// What fires now, the longest overdue first.
    pub(crate) fire: Option<Record>,
    /// When to look again, in milliseconds since the Unix epoch; nothing is due before that.
    pub(crate) next_ms: Option<i64>,
}

/// Says what is due in an incident. At most one thing fires: its record may change what is due after it.
pub(crate) fn step(
    incident: &Incident,
    plan: &Plan,
    policy: &Escalating,
    fleet: &Fleet,
    now_ms: i64,
) -> Step {
    if incident.alarm.source == Source::Person || !is_standing(incident) {
        return Step::default();
    }
    let mut next_ms = None;
    let mut later = |at_ms: i64| next_ms = next_ms.map_or(Some(at_ms), |next: i64| Some(next.min(at_ms)));
    for (text, criterion) in &plan.criteria {
        if incident.escalation.met.contains(text) {
            continue;
        }
        match judge(text, *criterion, incident, fleet, now_ms) {
            Verdict::Holds(reason) => {
                let criterion = text.clone();
                let Called { to, note } = policy.more(plan);
                let fire = Some(Record::CriterionMet { criterion, to, reason: with(reason, note) });
                return Step { fire, next_ms: None };
            }
            Verdict::At(at_ms) => later(at_ms),
            Verdict::No => {}
        }
    }
    let mut deadlines = deadlines(incident, plan, policy);
    deadlines.sort_by_key(|(due_ms, _)| *due_ms);
    for (due_ms, deadline) in deadlines {
        if due_ms <= now_ms {
            let fire = Some(fire(incident, plan, policy, deadline, due_ms));
            return Step { fire, next_ms: None };
        }
        later(due_ms);
    }
    Step { fire: None, next_ms }
}

/// All deadlines that stand, with the time at which each is due.
fn deadlines(incident: &Incident, plan: &Plan, policy: &Escalating) -> Vec<(i64, Deadline)> {
    let mut all = Vec::new();
    if incident.control == Control::Machine {
        let late = |phase: &&PhaseTime| !incident.escalation.late.contains(&phase.title);
        all.extend(plan.phases.iter().filter(late).filter(|phase| !is_over(incident, phase)).map(|phase| {
            let due_ms = incident.opened_ms.saturating_add_unsigned(phase.end_ms);
            (due_ms, Deadline::Phase { phase: phase.title.clone() })
        }));
    }
    match &incident.escalation.calling {
        Calling::Unanswered { since_ms, calls, last_ms, .. } => {
            all.push(next_call(incident, policy, *since_ms, *calls, *last_ms));
        }
        Calling::Answered { by, active_ms, reminders, reminded_ms } => {
            let (Answerer::Machine(name) | Answerer::Person(name)) = by;
            let by = name.clone();
            if !policy.ack_timeout.is_zero() {
                all.push((after(*active_ms, policy.ack_timeout), Deadline::AckTimeout { by: by.clone() }));
            }
            let number = reminders + 1;
            let is_person = incident.escalation.is_persons();
            if is_person && !policy.ack_reminder.is_zero() && number <= REMINDERS_MAX {
                let due_ms = after(*reminded_ms, policy.ack_reminder);
                all.push((due_ms, Deadline::AckReminder { by, number }));
            }
        }
        Calling::Exhausted | Calling::Quiet => {}
    }
    all
}

/// The next call after `calls` calls since somebody was wanted.
fn next_call(
    incident: &Incident,
    policy: &Escalating,
    since_ms: i64,
    calls: u32,
    last_ms: i64,
) -> (i64, Deadline) {
    let levels = policy.levels_count();
    let (level, round) = (calls % levels + 1, calls / levels + 1);
    if calls == 0 {
        let allowed = incident.response_time_ms.map_or(policy.response_time, Duration::from_millis);
        return (after(since_ms, allowed), Deadline::Level { call: 1, level, round });
    }
    // Counted from the call that was made, not from when it was due: whoever is called has the whole time to answer,
    // also where Paramedic was away and is late.
    let due_ms = after(last_ms, policy.delay((calls - 1) % levels + 1));
    if round > policy.loops + 1 {
        return (due_ms, Deadline::NobodyAnswered {});
    }
    (due_ms, Deadline::Level { call: calls + 1, level, round })
}

fn fire(incident: &Incident, plan: &Plan, policy: &Escalating, deadline: Deadline, due_ms: i64) -> Record {
    let (called, reason) = match &deadline {
        Deadline::Level { level, round, call } => {
            let since = match incident.escalation.calling {
                Calling::Unanswered { since_ms, .. } => duration_between(since_ms, due_ms),
                _ => "a while".to_owned(),
            };
            let again = if *round > 1 { format!(", for the {round}. time") } else { String::new() };
            let reason = format!("nobody has taken notice for {since}: level {level} is called{again}");
            let reason = match (call, incident.response_time_ms) {
                (1, Some(allowed)) => format!("{reason} (the runbook allows {})", duration(allowed)),
                _ => reason,
            };
            (policy.at_level(*level, plan), reason)
        }
        Deadline::NobodyAnswered {} => {
            let levels = match policy.levels_count() {
                1 => "1 level".to_owned(),
                n => format!("{n} levels"),
            };
            let times = match policy.loops {
                0 => "once".to_owned(),
                n => format!("{} times", n + 1),
            };
            let reason = format!("nobody answered, with {levels} called {times}");
            (Called { to: vec![Escalating::LOG.to_owned()], note: None }, reason)
        }
        Deadline::Phase { phase } => {
            let allowed = duration_between(incident.opened_ms, due_ms);
            let reason =
                format!("the phase `{phase}` is not over {allowed} after the opening, when it should be");
            (policy.at_level(1, plan), reason)
        }
        Deadline::AckTimeout { by } => {
            let reason = format!(
                "{by} took notice, and nothing was done for {}: it counts as unacknowledged again",
                duration_of(policy.ack_timeout)
            );
            (Called { to: Vec::new(), note: None }, reason)
        }
        Deadline::AckReminder { by, .. } => {
            let reason =
                format!("{by} took notice, and nothing was done for {}", duration_of(policy.ack_reminder));
            let to = match policy.contacts.contains(by) {
                true => Called { to: vec![by.clone()], note: None },
                false => policy.at_level(1, plan),
            };
            (to, reason)
        }
    };
    Record::DeadlinePassed { deadline, due_ms, to: called.to, reason: with(reason, called.note) }
}

/// Whether every step of a phase has ended, in the run that is on.
fn is_over(incident: &Incident, phase: &PhaseTime) -> bool {
    let ended = incident.steps.iter().filter(|view| {
        view.step.run == incident.run && view.step.phase == phase.title && view.ended_ms.is_some()
    });
    ended.count() >= phase.steps
}

fn with(reason: String, note: Option<String>) -> String {
    match note {
        Some(note) => format!("{reason}; {note}"),
        None => reason,
    }
}

fn after(at_ms: i64, time: Duration) -> i64 {
    at_ms.saturating_add(i64::try_from(time.as_millis()).unwrap_or(i64::MAX))
}

fn duration_between(from_ms: i64, to_ms: i64) -> String {
    duration(u64::try_from(to_ms - from_ms).unwrap_or(0))
}

fn duration_of(time: Duration) -> String {
    duration(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
}
