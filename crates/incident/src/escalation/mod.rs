//! Owns escalation: who is called when nobody answers, when something takes too long, and when a criterion holds.
//!
//! Nothing here waits or remembers. What is due next follows from the records of an incident, the policy and the
//! time ([`step`]); each firing is a record first, so that whatever was overdue when Paramedic came back is due
//! once, and what has fired is not due again.

mod calling;
mod criteria;
mod due;
mod plan;
mod policy;
mod view;

pub use calling::{Answerer, Calling, CallingEvent, Wanted};
pub(crate) use criteria::Fleet;
pub(crate) use due::{Step, step};
pub(crate) use plan::Plan;
pub use policy::{Called, Escalating, Level};
pub use view::Escalation;

/// Who calls for more people in a storm.
pub(crate) const BRAKE: &str = "the storm brake";

/// How the step of a runbook begins where it stands in the place of a person.
const RUNBOOK: &str = "the runbook (";

/// Whether this is no person's name.
pub(crate) fn is_machine(by: &str) -> bool {
    by.starts_with(RUNBOOK) || by == BRAKE || by == "the procedure"
}

#[cfg(test)]
mod tests;
