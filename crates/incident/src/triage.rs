//! Owns the way from an alert to an incident: one incident per server and procedure, and no alert twice.

use crate::fold::Incident;
use crate::id::IncidentId;
use crate::record::{Alarm, Record, Source};

/// An alert that fires, with the procedure that answers it.
#[derive(Debug, Clone)]
pub struct Firing<'a> {
    /// The server it is about; empty where the alert names none.
    pub server: &'a str,
    /// The id of the procedure.
    pub procedure: &'a str,
    /// What was seen.
    pub alarm: &'a Alarm,
}

/// What becomes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Triage {
    /// A new incident.
    Open,
    /// A line in the timeline of an open one.
    Again(IncidentId),
    /// Known already.
    Known(IncidentId),
}

// === impl Triage ===

impl Triage {
    /// Decides, given the incidents that are open.
    pub fn of<'a>(firing: &Firing<'_>, open: impl IntoIterator<Item = &'a Incident>) -> Self {
        // What a person follows by hand is theirs: the machine neither joins it nor waits for it.
        let same = open.into_iter().find(|incident| {
            incident.state.is_open()
                && incident.alarm.source != Source::Person
                && incident.server == firing.server
                && incident.procedure == firing.procedure
        });
        match same {
            None => Self::Open,
            Some(incident) if is_known(incident, firing.alarm) => Self::Known(incident.id.clone()),
            Some(incident) => Self::Again(incident.id.clone()),
        }
    }
}

/// The end of a process is the same by pid and time; an alert without one by fingerprint and start.
fn is_known(incident: &Incident, alarm: &Alarm) -> bool {
    let mut seen = incident.timeline.iter().filter_map(|(_, record)| match record {
        Record::Opened { alarm, .. } | Record::SeenAgain { alarm } => Some(alarm),
        _ => None,
    });
    match (&alarm.exit, &alarm.alert) {
        (Some(now), _) => seen.any(|seen| {
            seen.exit.as_ref().is_some_and(|seen| seen.at_ms == now.at_ms && seen.pid == now.pid)
        }),
        (None, Some(now)) => seen.any(|seen| {
            seen.alert
                .as_ref()
                .is_some_and(|seen| seen.fingerprint == now.fingerprint && seen.started_ms == now.started_ms)
        }),
        (None, None) => false,
    }
}
