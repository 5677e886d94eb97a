//! Owns whether each documentation duty of the procedure is met: by what the journal has, or by a person's word.

use runbook::{Asks, Duty};

use super::model::{Command, DutyReport, Report};
use crate::fold::Incident;
use crate::record::Record;

/// Looks at each duty. `report` has everything but its duties.
pub(super) fn duties(incident: &Incident, lines: &[String], report: &Report) -> Vec<DutyReport> {
    let check = |(idx, text): (usize, &String)| {
        let number = u32::try_from(idx + 1).unwrap_or(u32::MAX);
        let by_record = by_record(incident, Duty::read(text).asks, report);
        let (met, why) = match (by_record, by_person(incident, number)) {
            (Ok(why), _) | (Err(_), Some(Ok(why))) => (true, why),
            (Err(_), Some(Err(why))) => (false, why),
            (Err(why), None) => {
                (false, format!("{why}; `incident note {} TEXT --duty {number}`", incident.id))
            }
        };
        DutyReport { number, text: text.clone(), met, why }
    };
    lines.iter().enumerate().map(check).collect()
}

/// What people have said of a duty: their last word counts.
fn by_person(incident: &Incident, number: u32) -> Option<Result<String, String>> {
    let said = incident.timeline.iter().rev().find_map(|(_, record)| match record {
        Record::DutyMet { duty, by, note, follow_up } if *duty == number => Some((by, note, follow_up)),
        _ => None,
    });
    let (by, note, follow_up) = said?;
    let Some(follow_up) = follow_up else { return Some(Ok(format!("{by}: {note}"))) };
    let done = incident.follow_ups.iter().find(|one| one.number == *follow_up).map(|one| one.done.is_some());
    Some(match done {
        Some(true) => Ok(format!("{by}: {note} (follow-up {follow_up} is done)")),
        Some(false) => Err(format!("{by} left it to follow-up {follow_up}, which is open")),
        None => Err(format!("{by} left it to follow-up {follow_up}, which there is not")),
    })
}

/// Whether what the journal has meets a duty; the words say what there is, or what lacks.
fn by_record(incident: &Incident, asks: Asks, report: &Report) -> Result<String, String> {
    let commands = || report.steps.iter().flat_map(|step| &step.commands);
    let unknown: Vec<&str> = commands()
        .filter(|command| command.exit_code.is_none() && !is_known(command.end.as_deref()))
        .map(|command| command.unit.as_str())
        .collect();
    match asks {
        Asks::Commands if unknown.is_empty() => {
            Ok(some(commands().count(), "executed, each with its end and output"))
        }
        Asks::Commands => Err(format!("how {} ended is not known", unknown.join(", "))),
        Asks::CommandsByHand => match acted_by_hand(incident) {
            None => Ok("the journal knows of nobody who acted by hand".to_owned()),
            Some(who) => Err(format!("{who}, and what was run by hand only people know")),
        },
        Asks::ErrorMessages => {
            let truncated =
                |command: &&Command| command.stderr.as_ref().is_some_and(|stderr| stderr.truncated);
            let cut: Vec<&str> = commands().filter(truncated).map(|command| command.unit.as_str()).collect();
            match (unknown.is_empty(), cut.is_empty()) {
                (true, true) => Ok(some(report.errors.len(), "seen, word for word")),
                (false, _) => Err(format!("what {} said is not known", unknown.join(", "))),
                (true, false) => Err(format!("the error output of {} is cut", cut.join(", "))),
            }
        }
        Asks::Changes => Ok(some(report.changes.len(), "made, each with its time")),
        Asks::ChangesWithOldValues => {
            let without = report.changes.iter().filter(|change| change.values.is_none()).count();
            match without {
                0 => Ok(some(report.changes.len(), "made, each with the value before it")),
                without => Err(format!("{without} changed something, and the value before is not recorded")),
            }
        }
        Asks::Timeline if report.gaps.is_empty() => {
            Ok(format!("{} entries, and no gap is known", report.timeline.len()))
        }
        Asks::Timeline => Err(format!("gaps are known: {}", report.gaps.len())),
        Asks::Person => Err("only a person can say".to_owned()),
    }
}

fn some(count: usize, what: &str) -> String {
    if count == 0 { "there was none".to_owned() } else { format!("{count} {what}") }
}

/// A unit that ended without an exit code may have ended as known all the same: by a signal, or never begun.
fn is_known(end: Option<&str>) -> bool {
    end.is_some_and(|end| !end.starts_with("interrupted"))
}

/// The first thing that a person did beside what the machine carries out.
fn acted_by_hand(incident: &Incident) -> Option<String> {
    incident.timeline.iter().find_map(|(_, record)| match record {
        Record::Held { by, .. } => Some(format!("{by} took over")),
        Record::Aborted { by, .. } => Some(format!("{by} ended the machine's part")),
        Record::Stopped { server, by } => Some(format!("{by} stopped {server}")),
        Record::Restarted { server, by, key, .. } if !key.starts_with(incident.id.as_str()) => {
            Some(format!("{by} restarted {server}"))
        }
        Record::PersonNeeded { .. } => Some("a person was needed".to_owned()),
        Record::Approved { unit, by, .. } if !unit.unit.contains('.') => {
            Some(format!("{by} did the task of step {}", unit.unit))
        }
        _ => None,
    })
}
