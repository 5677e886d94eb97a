//! Owns the words for records: one line each, for the report and for the terminal.

use diagnosis::Finding;

use super::calls;

use super::text::{duration, one_line};
use crate::fold::Ended;
use crate::record::{ApprovalEnd, Record, UnitEnd, UnitRef};

/// One line on a record; `None` for those that only matter to the machine. What comes from outside is in it as text
/// that plays no tricks.
pub fn describe(record: &Record) -> Option<String> {
    words(record).map(|line| one_line(&line))
}

fn words(record: &Record) -> Option<String> {
    Some(match record {
        Record::Opened { alarm, title, .. } => format!("incident opened for {title}: {}", alarm.summary),
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
        Record::Outcome { unit, end, meaning, started_ms, finished_ms, background_ms, .. } => {
            let jobs = background_ms.map(|_| ", and runs on in the background").unwrap_or_default();
            format!("{} {}{jobs}", unit.unit, ending(end, meaning, *started_ms, *finished_ms))
        }
        Record::UnitVerified { unit, condition, problem: None } => {
            format!("{} verified: `{condition}` holds", unit.unit)
        }
        Record::UnitVerified { unit, problem: Some(problem), .. } => {
            format!("{} not verified: {problem}", unit.unit)
        }
        Record::StepEnded { .. } => return None,
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
        Record::Found { unit, findings } => found(unit.as_ref(), findings),
        Record::CauseNamed { cause: Some(cause), .. } => format!("cause: {cause}"),
        Record::CauseNamed { cause: None, .. } => "no cause stands out".to_owned(),
        later => return describe_change(later),
    })
}

/// The same for watches, background jobs, changes, and what is done afterwards.
fn describe_change(record: &Record) -> Option<String> {
    Some(match record {
        Record::WatchStarted { unit, until, every_ms, limit_ms } => {
            let until = until.as_ref().map(|until| format!(" until `{until}`")).unwrap_or_default();
            let (every, limit) = (duration(*every_ms), duration(*limit_ms));
            format!("{} is watched every {every}{until}, for {limit} at most", unit.unit)
        }
        Record::WatchChanged { unit, round, end, meaning, .. } => {
            format!("{} {} (look {round})", unit.unit, ending(end, meaning, None, None))
        }
        Record::WatchEnded { unit, reason, .. } => format!("{} is watched no more: {reason}", unit.unit),
        Record::BackgroundEnded { unit, reason, took_ms, .. } => {
            format!("{} ended in the background after {}: {reason}", unit.unit, duration(*took_ms))
        }
        Record::UndoKept { .. } => return None,
        Record::Changed { number, by, change, .. } => {
            let name = if *number > 0 { format!("change c{number}: ") } else { String::new() };
            let back =
                change.undoes.map(|number| format!(", which takes c{number} back")).unwrap_or_default();
            format!("{name}{} `{}` changed by {by}{back}", change.what, change.target)
        }
        Record::DeadlinePassed { .. }
        | Record::CriterionMet { .. }
        | Record::NotificationAsked { .. }
        | Record::NotificationEnded { .. } => return calls::describe(record),
        Record::FollowUpDone { number, by, note } => format!("follow-up {number} done by {by}: {note}"),
        Record::DutyMet { duty, by, note, follow_up } => duty_met(*duty, by, note, *follow_up),
        trouble => return super::trouble::line(trouble),
    })
}

/// How a unit ended, in words.
pub(crate) fn outcome(ended: &Ended) -> String {
    ending(&ended.end, &ended.meaning, ended.started_ms, ended.finished_ms)
}

fn found(unit: Option<&UnitRef>, findings: &[Finding]) -> String {
    let by = unit.map_or_else(String::new, |unit| format!("{} ", unit.unit));
    let all: Vec<_> = findings.iter().map(ToString::to_string).collect();
    format!("{by}found: {}", all.join("; "))
}

fn duty_met(duty: u32, by: &str, note: &str, follow_up: Option<u32>) -> String {
    match follow_up {
        None => format!("{by} notes for documentation duty {duty}: {note}"),
        Some(number) => format!("{by} leaves documentation duty {duty} to follow-up {number}: {note}"),
    }
}

/// How a unit ended, in words.
pub(super) fn ending(
    end: &UnitEnd,
    meaning: &str,
    started_ms: Option<i64>,
    finished_ms: Option<i64>,
) -> String {
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

fn first_line(statement: &str) -> String {
    let mut lines = statement.trim().lines();
    let first = lines.next().unwrap_or_default();
    if lines.next().is_some() { format!("{first} …") } else { first.to_owned() }
}
