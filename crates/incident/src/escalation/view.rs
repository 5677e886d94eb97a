//! Owns what the records say of escalation: whether somebody is wanted, and what was fired already.

use std::collections::BTreeSet;

use super::calling::{Answerer, Calling, CallingEvent, Wanted};
use super::is_machine;
use crate::control::Control;
use crate::record::{ApprovalEnd, Deadline, Record, Source};
use crate::state::{Refusal, State};

/// Escalation as the records of an incident tell it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Escalation {
    /// Whether somebody is wanted.
    pub calling: Calling,
    /// The phases of which somebody was told that they take too long.
    pub late: BTreeSet<String>,
    /// The criteria that held, as written.
    pub met: BTreeSet<String>,
}

// === impl Escalation ===

impl Escalation {
    /// An incident that was opened. What a person follows by hand is theirs.
    pub(crate) fn opened(at_ms: i64, source: Source) -> Self {
        let calling = match source {
            Source::Person => Calling::Quiet,
            _ => Calling::Unanswered { since_ms: at_ms, calls: 0, last_ms: at_ms, wanted: Wanted::Anybody },
        };
        Self { calling, late: BTreeSet::new(), met: BTreeSet::new() }
    }

    /// Whether `record` may be written now: whatever fires does so once.
    ///
    /// # Errors
    /// A [`Refusal`] where it has fired, or does not fit.
    pub(crate) fn check(&self, record: &Record) -> Result<(), Refusal> {
        let again = |event: &str, what: &str| {
            Err(Refusal { event: event.to_owned(), reason: format!("{what} was told already") })
        };
        match record {
            Record::DeadlinePassed { deadline: Deadline::Phase { phase }, .. }
                if self.late.contains(phase) =>
            {
                again("a deadline", phase)
            }
            Record::CriterionMet { criterion, .. } if self.met.contains(criterion) => {
                again("a criterion", criterion)
            }
            Record::DeadlinePassed { deadline, .. } => match of_deadline(deadline) {
                Some(event) => self.calling.after(&event, 0).map(|_| ()),
                None => Ok(()),
            },
            _ => Ok(()),
        }
    }

    /// Takes in a record that was allowed; `state` and `control` are the incident's after it.
    pub(crate) fn apply(
        &mut self,
        at_ms: i64,
        record: &Record,
        source: Source,
        state: State,
        control: Control,
    ) {
        if source == Source::Person {
            return;
        }
        match record {
            Record::DeadlinePassed { deadline: Deadline::Phase { phase }, .. } => {
                self.late.insert(phase.clone());
            }
            Record::CriterionMet { criterion, .. } => {
                self.met.insert(criterion.clone());
            }
            _ => {}
        }
        let stands = matches!(state, State::Triggered | State::Acknowledged) && control != Control::Held;
        if !stands {
            self.take(&CallingEvent::End, at_ms);
            return;
        }
        // Whatever made it stand again, somebody is wanted again.
        self.take(&CallingEvent::Begin, at_ms);
        if let Some(event) = of_record(record) {
            self.take(&event, at_ms);
        }
    }

    /// Whether a person is at it.
    pub(super) fn is_persons(&self) -> bool {
        matches!(self.calling, Calling::Answered { by: Answerer::Person(_), .. })
    }

    fn take(&mut self, event: &CallingEvent, at_ms: i64) {
        if let Ok(calling) = self.calling.after(event, at_ms) {
            self.calling = calling;
        }
    }
}

fn of_deadline(deadline: &Deadline) -> Option<CallingEvent> {
    match deadline {
        Deadline::Level { call, .. } => Some(CallingEvent::Call(*call)),
        Deadline::NobodyAnswered {} => Some(CallingEvent::GiveUp),
        Deadline::AckTimeout { .. } => Some(CallingEvent::Lapse),
        Deadline::AckReminder { number, .. } => Some(CallingEvent::Remind(*number)),
        Deadline::Phase { .. } => None,
    }
}

/// What a record means for whoever is wanted. A person who acts is at it, whatever they do.
fn of_record(record: &Record) -> Option<CallingEvent> {
    let acts = |by: &String| match is_machine(by) {
        true => CallingEvent::Work,
        false => CallingEvent::Answer(Answerer::Person(by.clone())),
    };
    match record {
        Record::DeadlinePassed { deadline, .. } => of_deadline(deadline),
        Record::Acknowledged { by } if is_machine(by) => {
            Some(CallingEvent::Answer(Answerer::Machine(by.clone())))
        }
        Record::Acknowledged { by }
        | Record::Approved { by, .. }
        | Record::ApprovalEnded { by: Some(by), end: ApprovalEnd::Rejected, .. }
        | Record::HandedBack { by }
        | Record::Aborted { by, .. }
        | Record::Stopped { by, .. }
        | Record::Restarted { by, .. }
        | Record::Noted { by, .. }
        | Record::Escalated { by, .. }
        | Record::FollowUp { by, .. }
        | Record::FollowUpDone { by, .. } => Some(acts(by)),
        Record::PersonNeeded { .. } | Record::ApprovalAsked { .. } => Some(CallingEvent::Need),
        Record::RunStarted { .. }
        | Record::StepStarted { .. }
        | Record::StepEnded { .. }
        | Record::Intent { .. }
        | Record::Outcome { .. }
        | Record::Found { .. }
        | Record::CauseNamed { .. }
        | Record::Verified { .. }
        | Record::NotVerified { .. } => Some(CallingEvent::Work),
        _ => None,
    }
}
