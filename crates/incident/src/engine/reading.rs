//! Owns which question a yes is to: the one that was read, and not another that stands in its place by now.

use super::EngineError;
use crate::fold::{Asked, Incident};
use crate::record::{Record, UnitRef};

/// So many digits of its binding name a question at least: fewer could be another's by chance.
const READ_MIN: usize = 8;

/// Whether `read` is the question that is open, and what has changed otherwise.
pub(super) fn check_read(
    incident: &Incident,
    unit: &UnitRef,
    asked: &Asked,
    read: &str,
) -> Result<(), EngineError> {
    if names(&asked.binding, read) {
        return Ok(());
    }
    let (incident_id, unit) = (incident.id.clone(), unit.unit.clone());
    let changed = changed(incident, &unit, asked, read);
    Err(EngineError::AskedAnew { incident: incident_id, unit, changed })
}

fn names(binding: &str, read: &str) -> bool {
    read.len() >= READ_MIN && binding.starts_with(read)
}

fn changed(incident: &Incident, unit: &str, asked: &Asked, read: &str) -> String {
    let posed = |is: &dyn Fn(&str) -> bool| {
        let asked = |(_, record): &&(i64, Record)| matches!(record, Record::ApprovalAsked { unit: of, binding, .. } if of.unit == unit && is(binding));
        incident.timeline.iter().rev().find(asked).map(|(_, record)| record)
    };
    let (Some(before), Some(now)) =
        (posed(&|binding| names(binding, read)), posed(&|binding| binding == asked.binding))
    else {
        return format!("no question there was ever called `{read}`");
    };
    let changes = differences(before, now);
    if changes.is_empty() {
        // What else it is bound to stands in no record.
        return "its text is the same, and it was asked anew since, with other values, another state, or later".to_owned();
    }
    changes.join("; ")
}

/// What a person would read otherwise.
fn differences(before: &Record, now: &Record) -> Vec<String> {
    let (
        Record::ApprovalAsked { unit, statement, effect, reason, missing, people, .. },
        Record::ApprovalAsked {
            unit: unit_now,
            statement: statement_now,
            effect: effect_now,
            reason: reason_now,
            missing: missing_now,
            people: people_now,
            ..
        },
    ) = (before, now)
    else {
        return Vec::new();
    };
    let run = || format!("it is asked in run {} now, and not in run {}", unit_now.run, unit.run);
    let needs = || match missing_now.as_slice() {
        [] => "it needs no value any more".to_owned(),
        names => format!("it needs {}", names.join(", ")),
    };
    let all: [(bool, &dyn Fn() -> String); 6] = [
        (unit.run != unit_now.run, &run),
        (statement != statement_now, &|| format!("the statement is now `{}`", statement_now.trim())),
        (effect != effect_now, &|| format!("its effect is now {effect_now}")),
        (reason != reason_now, &|| format!("the reason is now: {reason_now}")),
        (missing != missing_now, &needs),
        (people != people_now, &|| format!("{} have to approve it now", people_now.unwrap_or(1))),
    ];
    all.into_iter().filter(|(differs, _)| *differs).map(|(_, words)| words()).collect()
}
