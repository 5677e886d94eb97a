//! Owns which error messages were seen and what was changed, as far as the journal has it.

use std::collections::BTreeSet;

use diagnosis::{Severity, kind};

use super::model::{Change, ErrorSeen, Values};
use crate::change;
use crate::fold::Incident;
use crate::record::{Alarm, Record, UnitEnd, UnitRef};

/// The error messages in order, word for word: last words, what statements printed to standard error, findings, and
/// why something did not work.
pub(super) fn errors(incident: &Incident) -> Vec<ErrorSeen> {
    let mut seen: Vec<ErrorSeen> = Vec::new();
    for (at_ms, record) in &incident.timeline {
        let mut push = |source: String, text: &str| {
            if !text.trim().is_empty() && !seen.iter().any(|one| one.source == source && one.text == text) {
                seen.push(ErrorSeen { at_ms: *at_ms, source, text: text.to_owned() });
            }
        };
        match record {
            Record::Opened { alarm, .. } | Record::SeenAgain { alarm } => {
                if let Some((source, text)) = last_words(alarm) {
                    push(source, &text);
                }
            }
            Record::Outcome { unit, stderr: Some(stderr), .. }
            | Record::BackgroundEnded { unit, stderr: Some(stderr), .. } => {
                push(format!("standard error of {}", unit.unit), &stderr.excerpt);
            }
            Record::Found { findings, .. } => {
                let bad = |one: &&diagnosis::Finding| {
                    one.severity() > Severity::Info || one.kind() == kind::LOG_ERROR.name
                };
                for finding in findings.iter().filter(bad).filter(|one| !one.message().is_empty()) {
                    push(format!("{} of {}", finding.kind(), finding.subject()), finding.message());
                }
            }
            Record::Restarted { server, problem: Some(problem), .. } => {
                push(format!("the restart of {server}"), problem);
            }
            Record::UnitVerified { unit, problem: Some(problem), .. } => {
                push(format!("the check after {}", unit.unit), problem);
            }
            Record::NotVerified { reason } => push("the check of recovery".to_owned(), reason),
            _ => {}
        }
    }
    seen
}

fn last_words(alarm: &Alarm) -> Option<(String, String)> {
    let exit = alarm.exit.as_ref()?;
    let who = exit.pid.map_or_else(|| "the process".to_owned(), |pid| format!("process {pid}"));
    Some((format!("the last words of {who}"), exit.stderr.join("\n")))
}

/// What was changed, in order: by the product's own commands with the value before and after; for another statement
/// the journal has no value before it.
pub(super) fn changes(incident: &Incident) -> Vec<Change> {
    let own: BTreeSet<&UnitRef> = incident.changes().filter_map(|made| made.unit).collect();
    let mut changes = Vec::new();
    for (at_ms, record) in &incident.timeline {
        if let Record::Changed { number, unit, by, change } = record {
            changes.extend(of_places(incident, *at_ms, *number, unit.as_ref(), by, change));
        }
        let Record::Outcome { unit, end, .. } = record else { continue };
        if own.contains(unit) {
            continue;
        }
        let Some(view) = incident.unit(unit) else { continue };
        let effect = view.intent.as_ref().map_or("", |intent| intent.effect.as_str());
        let is_begun = !matches!(end, UnitEnd::NotStarted { .. });
        if is_begun && matches!(effect, "change" | "destroy" | "unknown") {
            let by = format!("unit {} (effect {effect})", unit.unit);
            let what = view.statement.clone();
            changes.push(Change { at_ms: *at_ms, by, what, values: None, undone_ms: None });
        }
    }
    changes
}

/// A change of the product's own, a row for each place that it touched.
fn of_places<'a>(
    incident: &'a Incident,
    at_ms: i64,
    number: u32,
    unit: Option<&'a UnitRef>,
    by: &'a str,
    change: &'a change::Change,
) -> impl Iterator<Item = Change> + use<'a> {
    let back = incident.changes().find(|made| number > 0 && made.change.undoes == Some(number));
    let undone_ms = back.map(|made| made.at_ms);
    let by = unit.map_or_else(|| by.to_owned(), |unit| format!("{by}, unit {}", unit.unit));
    change.places.iter().map(move |place| Change {
        at_ms,
        by: by.clone(),
        what: format!("{} `{}`, in {}", change.what, change.target, place.path.display()),
        values: Some(Values { old: place.old.clone(), new: place.new.clone() }),
        undone_ms,
    })
}
