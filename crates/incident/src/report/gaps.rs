//! Owns what a report does not know and what is not done: said, so that nobody takes silence for success.

use super::text::{clock, duration};
use crate::fold::Incident;
use crate::record::{ApprovalEnd, Record, UnitEnd};

/// How late the journal may be about something before somebody must have been away, in milliseconds: nothing that
/// runs takes so long to write down what it sees.
const LATE_MS: i64 = 10_000;

/// What the record lacks.
pub(super) fn gaps(incident: &Incident) -> Vec<String> {
    let mut gaps = Vec::new();
    if incident.evidence().next().is_none() {
        gaps.push("No evidence was kept before the first change.".to_owned());
    }
    for captured in incident.evidence() {
        if let Some(problem) = &captured.problem {
            gaps.push(format!("Evidence is missing or incomplete: {}: {problem}.", captured.what));
        }
    }
    for (unit, view) in &incident.units {
        match &view.outcome {
            Some(ended) if ended.end == (UnitEnd::Interrupted {}) => {
                gaps.push(format!("What unit {} did is not known: Paramedic died while it ran.", unit.unit));
            }
            None if view.intent.is_some() => gaps.push(format!("Unit {} has no outcome.", unit.unit)),
            _ => {}
        }
        let outputs = view.outcome.iter().flat_map(|ended| [&ended.stdout, &ended.stderr]).flatten();
        if outputs.filter(|output| output.truncated).count() > 0 {
            gaps.push(format!("Unit {} printed more than is kept.", unit.unit));
        }
    }
    for (_, record) in &incident.timeline {
        let Record::BackgroundEnded { unit, stdout, stderr, .. } = record else { continue };
        if [stdout, stderr].into_iter().flatten().any(|output| output.truncated) {
            gaps.push(format!("Unit {} printed more in the background than is kept.", unit.unit));
        }
    }
    gaps.extend(unwatched(incident));
    gaps
}

/// Times at which nobody watched: the journal learnt of something much later than it happened.
fn unwatched(incident: &Incident) -> Vec<String> {
    let mut away = Vec::new();
    let mut expiries = std::collections::BTreeMap::new();
    for (at_ms, record) in &incident.timeline {
        let (what, happened_ms) = match record {
            Record::Opened { alarm, .. } | Record::SeenAgain { alarm } => {
                let Some(exit) = &alarm.exit else { continue };
                ("the process ended", exit.at_ms)
            }
            Record::Outcome { finished_ms: Some(finished_ms), .. } => ("a unit ended", *finished_ms),
            Record::ApprovalAsked { unit, expires_ms, .. } => {
                expiries.insert(unit, *expires_ms);
                continue;
            }
            Record::ApprovalEnded { unit, end: ApprovalEnd::Expired, .. } => {
                let Some(expires_ms) = expiries.get(unit) else { continue };
                ("a question expired", *expires_ms)
            }
            _ => continue,
        };
        let late_ms = at_ms.saturating_sub(happened_ms);
        if late_ms > LATE_MS {
            away.push(format!(
                "Nobody watched for {}: {what} at {} UTC, and the journal has it from {} on.",
                duration(late_ms.unsigned_abs()),
                clock(happened_ms),
                clock(*at_ms)
            ));
        }
    }
    away
}

/// What is not done.
pub(super) fn open_ends(incident: &Incident) -> Vec<String> {
    let mut ends = Vec::new();
    if incident.acknowledged.is_none() {
        ends.push("Nobody has acknowledged the incident.".to_owned());
    }
    for job in incident.open_jobs() {
        ends.push(format!("Unit {} runs on in the background.", job.unit.unit));
    }
    for (unit, ..) in incident.open_questions() {
        ends.push(format!("Unit {} waits for a word.", unit.unit));
    }
    if let Some(reason) = &incident.person_needed {
        ends.push(format!("A person is needed: {}.", reason.trim_end_matches('.')));
    }
    if incident.state.is_open() {
        ends.push(format!("The incident is {}.", incident.state));
    }
    ends
}
