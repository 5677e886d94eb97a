//! Owns what the records say of who leads, and of what is left to do: what each forbids, and what it makes void.

use super::Incident;
use super::undo::is_undo;
use crate::control::{Control, ControlEvent};
use crate::record::{ApprovalEnd, Record};
use crate::state::Refusal;

/// Something that has to be done when the incident is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FollowUp {
    /// Its number in the incident, from 1.
    pub number: u32,
    /// What has to be done.
    pub text: String,
    /// Who said so.
    pub by: String,
    /// When it was done (milliseconds since the Unix epoch), by whom, and what they say about it.
    pub done: Option<(i64, String, String)>,
}

// === impl Incident ===

impl Incident {
    /// While a person leads, nothing that changes anything is begun: whoever asked a moment too early hears it here.
    pub(super) fn check_lead(&self, record: &Record) -> Result<(), Refusal> {
        match record {
            Record::Intent { unit, effect, .. }
                if effect != "observe" && self.control != Control::Machine && !is_undo(unit) =>
            {
                Err(Refusal {
                    event: format!("unit {}", unit.unit),
                    reason: format!("the incident is {}", self.control),
                })
            }
            _ => Ok(()),
        }
    }

    pub(super) fn check_follow_ups(&self, record: &Record) -> Result<(), Refusal> {
        let open =
            || self.follow_ups.iter().filter(|one| one.done.is_none()).map(|one| one.number.to_string());
        let (event, reason) = match record {
            Record::FollowUpDone { number, .. } if !open().any(|one| one == number.to_string()) => {
                (format!("finishing follow-up {number}"), "none of this number is open".to_owned())
            }
            Record::Closed { .. } if open().next().is_some() => (
                "`close`".to_owned(),
                format!("follow-ups are open: {}", open().collect::<Vec<_>>().join(", ")),
            ),
            _ => return Ok(()),
        };
        Err(Refusal { event, reason })
    }

    /// What was asked about is another thing now: open questions, and answers that nothing came of yet, are void.
    pub(super) fn void_questions(&mut self, reason: &str) {
        for view in self.units.values_mut() {
            let waits = view.asked.take().is_some();
            if let (Some(approved), Some(_)) = (&mut view.approved, &view.intent) {
                approved.void = Some(reason.to_owned());
                continue;
            }
            if waits || view.approved.take().is_some() {
                view.refused = Some((ApprovalEnd::Void, reason.to_owned()));
            }
        }
    }
}

pub(super) fn control_event(record: &Record) -> Option<ControlEvent> {
    match record {
        Record::Held { .. } => Some(ControlEvent::Hold),
        Record::HandedBack { .. } => Some(ControlEvent::HandBack),
        Record::Aborted { .. } => Some(ControlEvent::Abort),
        _ => None,
    }
}
