//! Owns what counts as an answer: to the question that is open, as it stands; and where two have to approve, the first yes
//! keeps it open, and the second is another person's.

use std::collections::BTreeMap;

use super::undo::is_undo;
use super::{Incident, UnitView};
use crate::record::{ApprovalEnd, Record};
use crate::state::Refusal;

// === impl Incident ===

impl Incident {
    /// Whoever answers too late, or to another question than is open by now, has not answered.
    pub(super) fn check_answer(&self, record: &Record) -> Result<(), Refusal> {
        let (unit, event, answered) = match record {
            Record::Approved { unit, by, binding, .. } if !is_undo(unit) => {
                (unit, format!("a yes by {by}"), Some(binding))
            }
            Record::ApprovalEnded { unit, end: ApprovalEnd::Rejected, by: Some(by), .. } => {
                (unit, format!("a no by {by}"), None)
            }
            _ => return Ok(()),
        };
        let asked = self.unit(unit).and_then(|view| view.asked.as_ref());
        let reason = match asked {
            None => format!("the question at {} is answered already, or is one no more", unit.unit),
            Some(asked) if answered.is_some_and(|binding| *binding != asked.binding) => {
                format!("the question at {} was asked anew meanwhile", unit.unit)
            }
            Some(_) => return self.check_second(record),
        };
        Err(Refusal { event, reason })
    }

    /// Two people have to say yes to the same thing.
    fn check_second(&self, record: &Record) -> Result<(), Refusal> {
        let Record::Approved { unit, by, values, .. } = record else { return Ok(()) };
        let asked = self.unit(unit).and_then(|view| view.asked.as_ref());
        let Some((first, given)) = asked.and_then(|asked| asked.first.as_ref()) else { return Ok(()) };
        let event = format!("a second yes by {by}");
        if is_same(first, by) {
            let reason = "two different people have to approve it".to_owned();
            return Err(Refusal { event, reason });
        }
        if given != values {
            let given: Vec<String> = given.iter().map(|(name, value)| format!("{name}={value}")).collect();
            let reason = format!("the first one, by {first}, was to {}", given.join(", "));
            return Err(Refusal { event, reason });
        }
        Ok(())
    }
}

// === impl UnitView ===

impl UnitView {
    /// Whether the next yes leaves the question open.
    pub(super) fn waits_for_another(&self) -> bool {
        self.asked.as_ref().is_some_and(|asked| asked.people > 1 && asked.first.is_none())
    }

    pub(super) fn take_first(&mut self, by: &str, values: &BTreeMap<String, String>) {
        if let Some(asked) = &mut self.asked {
            asked.reason.push_str(&format!("; one yes by {by}, waits for a second person"));
            asked.first = Some((by.to_owned(), values.clone()));
        }
    }
}

/// Names are typed by people: upper and lower case make no second person.
fn is_same(one: &str, other: &str) -> bool {
    one.trim().to_lowercase() == other.trim().to_lowercase()
}
