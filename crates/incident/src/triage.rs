//! Owns the way from an alert to an incident: one for each place, no alert twice, and none that ends and comes back anew.

use crate::flapping::Flapping;
use crate::fold::{Incident, Place};
use crate::id::IncidentId;
use crate::record::{Alarm, Source};
use crate::state::State;

/// An alert that fires, with the procedure that answers it.
#[derive(Debug, Clone)]
pub struct Firing<'a> {
    /// The server it is about; empty where the alert names none.
    pub server: &'a str,
    /// The id of the procedure.
    pub procedure: &'a str,
    /// The failed dependency that it is about, where servers share it: its name and target.
    pub dependency: Option<&'a str>,
    /// What was seen.
    pub alarm: &'a Alarm,
}

/// What becomes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Triage {
    /// A new incident; the earlier one is of the same trouble and ended shortly before.
    Open {
        /// That one.
        earlier: Option<IncidentId>,
    },
    /// A line in the timeline of an open one.
    Again(IncidentId),
    /// One more server in an open one.
    Join(IncidentId),
    /// One that was resolved is opened again.
    Reopen(IncidentId),
    /// Known already.
    Known(IncidentId),
}

// === impl Firing ===

impl Firing<'_> {
    /// What the alert is about.
    pub fn place(&self) -> Place {
        Place::of(self.server, self.procedure, self.dependency)
    }

    fn fingerprint(&self) -> Option<&str> {
        Some(self.alarm.alert.as_ref()?.fingerprint.as_str())
    }
}

// === impl Triage ===

impl Triage {
    /// Decides, given the incidents that may be meant: those of the same place, and those that are about the alert.
    pub fn of<'a>(
        firing: &Firing<'_>,
        candidates: impl IntoIterator<Item = &'a Incident>,
        limits: &Flapping,
        now_ms: i64,
    ) -> Self {
        let place = firing.place();
        let tracks = |one: &Incident| firing.fingerprint().is_some_and(|name| one.alerts.contains_key(name));
        // What a person follows by hand is theirs: the machine neither joins it nor waits for it. What was merged goes
        // on elsewhere.
        let meant: Vec<&Incident> = candidates
            .into_iter()
            .filter(|one| one.alarm.source != Source::Person && one.merged_into.is_none())
            .filter(|one| one.places().contains(&place) || tracks(one))
            .collect();
        if let Some(open) = meant.iter().find(|one| one.state.is_open()) {
            let id = open.id.clone();
            return if open.knows(firing.alarm) {
                Self::Known(id)
            } else if firing.dependency.is_some() && open.server != firing.server {
                Self::Join(id)
            } else {
                Self::Again(id)
            };
        }
        if let Some(over) = meant.iter().find(|one| one.knows(firing.alarm)) {
            return Self::Known(over.id.clone());
        }
        let back = |one: &&&Incident| one.ended_ms().is_some_and(|ended_ms| limits.is_back(ended_ms, now_ms));
        match meant.iter().filter(back).max_by_key(|one| one.ended_ms()) {
            // Whoever opens an incident means a new one, and what a person has closed stays so.
            Some(last)
                if last.state == State::Resolved
                    && firing.alarm.source != Source::Operator
                    && last.places().contains(&place) =>
            {
                Self::Reopen(last.id.clone())
            }
            last => Self::Open { earlier: last.map(|last| last.id.clone()) },
        }
    }
}

#[cfg(test)]
mod tests;
