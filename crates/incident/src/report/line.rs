//! Owns the words for records: one line each, for the report and for the terminal.

use super::calls;
use crate::fold::Ended;
use crate::record::{ApprovalEnd, Record, UnitEnd};

/// One line on a record; `None` for those that only matter to the machine.
pub fn describe(record: &Record) -> Option<String> {
    Some(match record {
        Record::Opened { alarm, title, .. } => format!("incident opened for {title}: {}", alarm.summary),
        Record::SeenAgain { alarm } => format!("seen again: {}", alarm.summary),
        Record::Acknowledged { by } => format!("acknowledged by {by}"),
        Record::Captured(captured) => match &captured.problem {
            None => format!("evidence kept: {} in {}", captured.what, duration(captured.took_ms)),
            Some(problem) => format!("evidence missing: {}: {problem}", captured.what),
        },
        Record::RunStarted { run } if *run == 1 => return None,
        Record::RunStarted { run } => format!("the procedure is followed for the {run}. time"),
        Record::StepStarted { step } => format!("step {}: {}", step.number, step.title),
        Record::UnitSkipped { unit, reason, .. } => format!("{} not run: {reason}", unit.unit),
        Record::ApprovalAsked { unit, reason, .. } => format!("{} waits for a person: {reason}", unit.unit),
        Record::Approved { unit, by, .. } => format!("{} approved by {by}", unit.unit),
        Record::ApprovalEnded { unit, end, by, reason } => {
            let who = by.as_ref().map(|by| format!(" by {by}")).unwrap_or_default();
            let how = match end {
                ApprovalEnd::Rejected => "rejected",
                ApprovalEnd::Expired => "question expired",
                ApprovalEnd::Void => "question void",
            };
            format!("{} {how}{who}: {reason}", unit.unit)
        }
        Record::Intent { unit, statement, effect, attempt, .. } => {
            let again = if *attempt > 1 { format!(", attempt {attempt}") } else { String::new() };
            format!("{} runs ({effect}{again}): {}", unit.unit, first_line(statement))
        }
        Record::Outcome { unit, end, meaning, started_ms, finished_ms, .. } => {
            format!("{} {}", unit.unit, ending(end, meaning, *started_ms, *finished_ms))
        }
        Record::UnitVerified { unit, condition, problem: None } => {
            format!("{} verified: `{condition}` holds", unit.unit)
        }
        Record::UnitVerified { unit, problem: Some(problem), .. } => {
            format!("{} not verified: {problem}", unit.unit)
        }
        Record::Restarted { server, by, start_ms, problem: None, .. } => {
            let ready = start_ms.map(|ms| format!(", ready after {}", duration(ms))).unwrap_or_default();
            format!("{server} restarted by {by}{ready}")
        }
        Record::Restarted { server, problem: Some(problem), .. } => {
            format!("{server} could not be restarted: {problem}")
        }
        Record::Verified { probes, period_ms, .. } => {
            format!("recovery verified: {probes} good answers in a row over {}", duration(*period_ms))
        }
        Record::NotVerified { reason } => format!("recovery not verified: {reason}"),
        Record::PersonNeeded { reason } => format!("a person is needed: {reason}"),
        Record::AlertResolved {} => "the alert no longer fires".to_owned(),
        Record::Mitigated {} => "mitigated".to_owned(),
        Record::Resolved {} => "resolved".to_owned(),
        Record::Closed { by, reason } => format!("closed by {by}: {reason}"),
        Record::Reported { path } => format!("report written to {path}"),
        Record::Held { by, reason } => format!("{by} takes over: {reason}"),
        Record::HandedBack { by } => format!("{by} hands back to the machine"),
        Record::Aborted { by, reason } => format!("{by} ends the machine's part: {reason}"),
        Record::Stopped { server, by } => format!("{server} stopped by {by}"),
        Record::Noted { by, text } => format!("{by} notes: {text}"),
        Record::Escalated { by, to, reason } => format!("{by} calls {to}: {reason}"),
        Record::FollowUp { number, text, .. } => format!("follow-up {number}: {text}"),
        Record::Found { unit, findings } => {
            let by = unit.as_ref().map_or_else(String::new, |unit| format!("{} ", unit.unit));
            let all: Vec<_> = findings.iter().map(ToString::to_string).collect();
            format!("{by}found: {}", all.join("; "))
        }
        Record::CauseNamed { cause: Some(cause), .. } => format!("cause: {cause}"),
        Record::CauseNamed { cause: None, .. } => "no cause stands out".to_owned(),
        Record::FollowUpDone { number, by, note } => format!("follow-up {number} done by {by}: {note}"),
        _ => return calls::describe(record),
    })
}

/// How a unit ended, in words.
pub(super) fn outcome(ended: &Ended) -> String {
    ending(&ended.end, &ended.meaning, ended.started_ms, ended.finished_ms)
}

fn ending(end: &UnitEnd, meaning: &str, started_ms: Option<i64>, finished_ms: Option<i64>) -> String {
    let took = match (started_ms, finished_ms) {
        (Some(started), Some(finished)) => {
            format!(" after {}", duration(u64::try_from(finished - started).unwrap_or(0)))
        }
        _ => String::new(),
    };
    match end {
        UnitEnd::Exited { code: 0 } => format!("done{took}"),
        UnitEnd::Exited { code } if meaning.is_empty() => format!("exited with code {code}{took}"),
        UnitEnd::Exited { code } => format!("answered: {meaning} (code {code}){took}"),
        UnitEnd::Signaled { signal } => format!("ended by signal {signal}{took}"),
        UnitEnd::TimedOut {} => format!("ran out of time{took}"),
        UnitEnd::NotStarted { reason } => format!("was not started: {reason}"),
        UnitEnd::Interrupted {} => "interrupted: what it did is not known".to_owned(),
        UnitEnd::DoneByEvidence { condition } => format!("done by evidence: `{condition}` holds"),
    }
}

/// A duration as people read it: `37 ms`, `1.24 s`, `2 min 5 s`.
pub fn duration(ms: u64) -> String {
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..60_000 => format!("{}.{:02} s", ms / 1_000, ms % 1_000 / 10),
        60_000..3_600_000 => format!("{} min {} s", ms / 60_000, ms / 1_000 % 60),
        _ => format!("{} h {} min", ms / 3_600_000, ms / 60_000 % 60),
    }
}

fn first_line(statement: &str) -> String {
    let mut lines = statement.trim().lines();
    let first = lines.next().unwrap_or_default();
    if lines.next().is_some() { format!("{first} …") } else { first.to_owned() }
}
