//! Owns what a report says of people: what they were asked and answered, what they noted, and what is left to do.

use std::collections::BTreeMap;

use super::model::{Answer, FollowUpReport, Note, Question};
use crate::fold::Incident;
use crate::record::{ApprovalEnd, Record, UnitRef};

/// The questions in order, each with all that came of it.
pub(super) fn questions(incident: &Incident) -> Vec<Question> {
    let mut questions: Vec<Question> = Vec::new();
    for (at_ms, record) in &incident.timeline {
        if let Record::ApprovalAsked { unit, statement, effect, reason, people, .. } = record {
            questions.push(Question {
                at_ms: *at_ms,
                run: unit.run,
                unit: unit.unit.clone(),
                statement: statement.clone(),
                effect: effect.clone(),
                reason: reason.clone(),
                people: people.unwrap_or(1),
                answers: Vec::new(),
            });
        }
        let Some((unit, answer)) = answer(*at_ms, record) else { continue };
        let is_it = |one: &&mut Question| one.unit == unit.unit && one.run == unit.run;
        if let Some(question) = questions.iter_mut().rev().find(is_it) {
            question.answers.push(answer);
        }
    }
    questions
}

fn answer(at_ms: i64, record: &Record) -> Option<(&UnitRef, Answer)> {
    let made = |answer: &str, by: Option<String>, reason: &str, values: BTreeMap<String, String>| Answer {
        at_ms,
        answer: answer.to_owned(),
        by,
        reason: reason.to_owned(),
        values,
    };
    match record {
        Record::Approved { unit, by, values, .. } => {
            Some((unit, made("yes", Some(by.clone()), "", values.clone())))
        }
        Record::ApprovalEnded { unit, end, by, reason } => {
            let answer = match end {
                ApprovalEnd::Rejected => "no",
                ApprovalEnd::Expired => "expired",
                ApprovalEnd::Void => "void",
            };
            Some((unit, made(answer, by.clone(), reason, BTreeMap::new())))
        }
        _ => None,
    }
}

/// What people wrote down, in order.
pub(super) fn notes(incident: &Incident) -> Vec<Note> {
    let notes = incident.timeline.iter().filter_map(|(at_ms, record)| {
        let (by, text, duty) = match record {
            Record::Noted { by, text } => (by, text, None),
            Record::DutyMet { duty, by, note, .. } => (by, note, Some(*duty)),
            _ => return None,
        };
        Some(Note { at_ms: *at_ms, by: by.clone(), text: text.clone(), duty })
    });
    notes.collect()
}

/// What has to be done, and what was.
pub(super) fn follow_ups(incident: &Incident) -> Vec<FollowUpReport> {
    let follow_ups = incident.follow_ups.iter().map(|one| {
        let done = one.done.as_ref();
        FollowUpReport {
            number: one.number,
            text: one.text.clone(),
            by: one.by.clone(),
            done_ms: done.map(|(at_ms, ..)| *at_ms),
            done_by: done.map(|(_, by, _)| by.clone()),
            note: done.map(|(.., note)| note.clone()),
        }
    });
    follow_ups.collect()
}
