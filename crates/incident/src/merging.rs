//! Owns merging: two open incidents of one server that turn out to be the same trouble are one.

use diagnosis::Cause;

use crate::control::Control;
use crate::fold::Incident;
use crate::record::Source;
use crate::state::State;

/// What the alert of an incident is about, as far as that decides who can answer for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Symptom {
    /// A server holds too much memory: only the procedure of a cause that is about memory looks into that.
    Memory,
    /// Anything else.
    Other,
}

/// Why `later`, with this symptom, is to be merged into `earlier`; nothing where it is not.
///
/// What a person holds or has opened is never merged away, and neither is a security incident, nor one in which
/// something is still to be done.
pub(crate) fn reason(earlier: &Incident, later: &Incident, symptom: Symptom) -> Option<String> {
    let is_earlier = (earlier.opened_ms, &earlier.id) < (later.opened_ms, &later.id);
    let fits = is_earlier
        && !later.server.is_empty()
        && earlier.server == later.server
        && earlier.procedure != later.procedure
        && [earlier, later].iter().all(|one| is_led_by_machine(one))
        && later.alarm.source != Source::Operator
        && later.state != State::Mitigated
        && !is_security(later)
        && later.follow_ups.iter().all(|one| one.done.is_some());
    if !fits {
        return None;
    }
    let (first, second) = (cause(earlier)?, cause(later)?);
    if symptom == Symptom::Memory && !first.is_about_memory() {
        return None;
    }
    if first == second {
        return Some(format!("both have the cause `{first}`"));
    }
    let explains = |one: Cause, other: Cause| {
        one.explains(other).then(|| format!("the cause `{one}` explains the cause `{other}`"))
    };
    explains(first, second).or_else(|| explains(second, first))
}

/// Whether a person has nothing to do with it, and it is not over.
fn is_led_by_machine(incident: &Incident) -> bool {
    incident.state.is_open()
        && incident.control == Control::Machine
        && incident.alarm.source != Source::Person
}

fn cause(incident: &Incident) -> Option<Cause> {
    Cause::of_name(incident.cause.as_deref()?)
}

/// Whether it may be an attack: by its alert, its procedure, its cause, or anything that was found.
pub fn is_security(incident: &Incident) -> bool {
    let alert = incident.alarm.alert.as_ref().map_or("", |alert| alert.name.as_str());
    let says_so = |text: &str| text.to_lowercase().contains("security");
    says_so(alert)
        || says_so(&incident.procedure)
        || says_so(&incident.title)
        || cause(incident).is_some_and(Cause::is_attack)
        || incident.findings.values().any(|finding| finding.kind() == diagnosis::kind::SECURITY_EVENT.name)
}

#[cfg(test)]
mod tests;
