//! Owns the words for calling people: what was due, who was called and told, and who could not be.

use crate::escalation::Escalating;
use crate::record::Record;

/// One line on a record of calling people; none for others, and for what is only logged because it should be.
pub(super) fn describe(record: &Record) -> Option<String> {
    Some(match record {
        Record::DeadlinePassed { reason, .. } => reason.clone(),
        Record::CriterionMet { criterion, to, reason } => {
            format!("more people are called ({}): {criterion}: {reason}", to.join(", "))
        }
        // What is only logged is worth a line where somebody should have been called.
        Record::NotificationAsked { to, note, .. } if is_log(to) => return note.clone(),
        Record::NotificationEnded { contact, problem: None, .. } if contact == Escalating::LOG => {
            return None;
        }
        Record::NotificationAsked { to, news, note, .. } => {
            let note = note.as_ref().map(|note| format!(" ({note})")).unwrap_or_default();
            format!("{}: to be told to {}{note}", news.name().replace('_', " "), to.join(", "))
        }
        Record::NotificationEnded { contact, attempts, problem, instead, .. } => {
            let tries = if *attempts > 1 { format!(" after {attempts} attempts") } else { String::new() };
            match (problem, instead) {
                (None, _) => format!("{contact} was told{tries}"),
                (Some(problem), None) => format!("{contact} could not be told{tries}: {problem}"),
                (Some(problem), Some(instead)) => {
                    format!("{contact} could not be told{tries}, {instead} is told instead: {problem}")
                }
            }
        }
        _ => return None,
    })
}

fn is_log(to: &[String]) -> bool {
    to.iter().all(|contact| contact == Escalating::LOG)
}
