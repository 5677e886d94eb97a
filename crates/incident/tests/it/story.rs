//! Owns the story of an incident: one line per record, without times and names that differ from one test to the next.

use std::fmt::Write as _;

use incident::{Incident, Output, Record, UnitEnd};

/// The records of an incident in order, as people tell them apart; what is about a unit is indented.
pub(crate) fn story(incident: &Incident) -> String {
    let mut out = String::new();
    for (_, record) in &incident.timeline {
        // What the machine of the test says of itself is another thing on each.
        if matches!(record, Record::Found { unit: None, .. } | Record::CauseNamed { cause: None, .. }) {
            continue;
        }
        // Writing to a string cannot fail.
        let _ = writeln!(out, "{}", line(record));
    }
    out
}

fn line(record: &Record) -> String {
    match record {
        Record::Opened { server, procedure, alarm, .. } => {
            format!("opened: {server}, {procedure}, {}", alarm.summary)
        }
        Record::SeenAgain { alarm } => format!("seen again: {}", alarm.summary),
        Record::Acknowledged { by } => format!("acknowledged by {by}"),
        Record::Captured(captured) => match &captured.problem {
            None => format!("captured: {}", captured.what),
            Some(problem) => format!("captured: {}, {problem}", captured.what),
        },
        Record::RunStarted { run } => format!("run {run}"),
        Record::StepStarted { step } => format!("step {} {}", step.number, step.title),
        Record::StepEnded { step, end, reason } => {
            format!("step {} {}: {reason}", step.number, format!("{end:?}").to_lowercase())
        }
        Record::Restarted { server, by, problem, .. } => match problem {
            None => format!("{server} restarted by {by}"),
            Some(problem) => format!("{server} not restarted by {by}: {problem}"),
        },
        Record::Verified { probes, period_ms, .. } => format!("verified: {probes} probes, {period_ms} ms"),
        Record::NotVerified { reason } => format!("not verified: {reason}"),
        Record::PersonNeeded { reason } => format!("person needed: {reason}"),
        Record::AlertResolved {} => "alert resolved".to_owned(),
        Record::Mitigated {} => "mitigated".to_owned(),
        Record::Resolved {} => "resolved".to_owned(),
        Record::Closed { by, reason } => format!("closed by {by}: {reason}"),
        Record::Reported { .. } => "reported".to_owned(),
        Record::CauseNamed { cause: Some(cause), .. } => format!("cause: {cause}"),
        Record::Joined { server, reason, .. } => format!("joined by {server}: {reason}"),
        Record::AlertOver { server, alert, .. } => format!("over: {alert} of {server}"),
        Record::Reopened { alarm, flapping: None } => format!("opened again: {}", alarm.summary),
        Record::Reopened { alarm, flapping: Some(reason) } => {
            format!("opened again: {}; {reason}", alarm.summary)
        }
        Record::FlappingEnded { reason } => format!("flapping ended: {reason}"),
        Record::Merged { reason, .. } => format!("merged: {reason}"),
        Record::Absorbed { procedure, reason, .. } => format!("absorbed {procedure}: {reason}"),
        Record::Inhibited { alert, by } => format!("inhibited: {} by {by}", alert.name),
        unit => unit_line(unit),
    }
}

fn unit_line(record: &Record) -> String {
    match record {
        Record::UnitSkipped { unit, reason, .. } => format!("   {} skipped: {reason}", unit.unit),
        Record::ApprovalAsked { unit, effect, reason, .. } => {
            format!("   {} asks ({effect}): {reason}", unit.unit)
        }
        Record::Approved { unit, by, values, .. } => {
            let given: String = values.iter().map(|(name, value)| format!(", {name}={value}")).collect();
            format!("   {} approved by {by}{given}", unit.unit)
        }
        Record::ApprovalEnded { unit, end, by, reason } => {
            let who = by.as_deref().map(|by| format!(" by {by}")).unwrap_or_default();
            format!("   {} {}{who}: {reason}", unit.unit, format!("{end:?}").to_lowercase())
        }
        Record::Intent { unit, attempt, statement, effect, .. } => {
            format!("   {} intent {attempt} ({effect}): {statement}", unit.unit)
        }
        Record::Outcome { unit, attempt, end, meaning, stdout, background_ms, .. } => {
            let meaning = if meaning.is_empty() { String::new() } else { format!(" ({meaning})") };
            let printed = stdout.as_ref().map(printed).unwrap_or_default();
            let jobs = background_ms.map(|_| ", runs on").unwrap_or_default();
            format!("   {} outcome {attempt}: {}{meaning}{printed}{jobs}", unit.unit, ending(end))
        }
        Record::BackgroundEnded { unit, attempt, reason, stdout, .. } => {
            let printed = stdout.as_ref().map(printed).unwrap_or_default();
            format!("   {} background {attempt} ended: {reason}{printed}", unit.unit)
        }
        Record::Found { unit, findings } => {
            let all: Vec<_> =
                findings.iter().map(|one| format!("{} {}", one.kind(), one.subject())).collect();
            let unit = unit.as_ref().map_or("", |unit| unit.unit.as_str());
            format!("   {unit} found {}", all.join(", "))
        }
        Record::UnitVerified { unit, condition, problem } => match problem {
            None => format!("   {} verified: {condition}", unit.unit),
            Some(problem) => format!("   {} not verified: {problem}", unit.unit),
        },
        Record::WatchStarted { unit, until, every_ms, limit_ms } => {
            let until = until.as_ref().map(|until| format!(" until `{until}`")).unwrap_or_default();
            format!("   {} watched every {every_ms} ms{until}, at most {limit_ms} ms", unit.unit)
        }
        Record::WatchChanged { unit, round, end, meaning, .. } => {
            let meaning = if meaning.is_empty() { String::new() } else { format!(" ({meaning})") };
            format!("   {} look {round}: {}{meaning}", unit.unit, ending(end))
        }
        Record::WatchEnded { unit, end, rounds, took_ms, reason } => {
            let end = format!("{end:?}").to_lowercase();
            format!("   {} watch {end} after {rounds} looks, {took_ms} ms: {reason}", unit.unit)
        }
        Record::UndoKept { unit, statement } => format!("   {} undo: {statement}", unit.unit),
        Record::Changed { number, unit, by, change } => {
            let unit = unit.as_ref().map_or("", |unit| unit.unit.as_str());
            let back = change.undoes.map(|undoes| format!(", takes c{undoes} back")).unwrap_or_default();
            format!("   {unit} changed c{number}: {} {} by {by}{back}", change.what, change.target)
        }
        other => other.kind().to_owned(),
    }
}

fn printed(output: &Output) -> String {
    format!(", printed {:?}", output.excerpt)
}

fn ending(end: &UnitEnd) -> String {
    match end {
        UnitEnd::Exited { code } => format!("code {code}"),
        UnitEnd::Signaled { signal } => format!("signal {signal}"),
        UnitEnd::TimedOut {} => "timed out".to_owned(),
        UnitEnd::NotStarted { reason } => format!("not started, {reason}"),
        UnitEnd::Interrupted {} => "interrupted".to_owned(),
        UnitEnd::DoneByEvidence { condition } => format!("done by evidence, {condition}"),
    }
}
