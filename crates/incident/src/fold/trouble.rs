//! Owns what the records say of the trouble itself: which alerts, of which servers, again and again, here or elsewhere.

use std::collections::BTreeMap;

use super::undo::is_undo;
use super::{Incident, Intended};
use crate::control::Control;
use crate::id::IncidentId;
use crate::record::{Alarm, AlertFacts, Record};
use crate::state::{Refusal, State};

/// The label by which an alert names its server.
const SERVER_LABEL: &str = "server_name";

/// What an incident is the only open one for.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Place {
    /// One procedure for one server.
    Server {
        /// The server; empty where the alert names none.
        server: String,
        /// The procedure's id.
        procedure: String,
    },
    /// One procedure for a failed dependency, whichever servers need it.
    Dependency {
        /// Its name and target.
        dependency: String,
        /// The procedure's id.
        procedure: String,
    },
}

/// An alert that an incident is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tracked {
    /// The server that it names; the incident's where it names none.
    pub server: String,
    /// The alert's name.
    pub name: String,
    /// When its condition was first seen, in milliseconds since the Unix epoch.
    pub started_ms: i64,
    /// Whether it no longer fires.
    pub is_over: bool,
}

// === impl Place ===

impl Place {
    /// What one procedure for a server is about, where it is about a failed dependency or is not.
    pub fn of(server: &str, procedure: &str, dependency: Option<&str>) -> Self {
        let procedure = procedure.to_owned();
        match dependency {
            Some(dependency) => Self::Dependency { dependency: dependency.to_owned(), procedure },
            None => Self::Server { server: server.to_owned(), procedure },
        }
    }
}

// === impl Incident ===

impl Incident {
    /// What it is the only open one for.
    pub fn places(&self) -> Vec<Place> {
        let own = Place::of(&self.server, &self.procedure, self.dependency.as_deref());
        std::iter::once(own).chain(self.absorbed.iter().map(|(_, place)| place.clone())).collect()
    }

    /// Whether it is about something that a server needs, and not about the server.
    pub(crate) fn is_about_dependency(&self) -> bool {
        self.alarm.dependency().is_some()
    }

    /// The alerts that it is about and that are not over, as they were last seen.
    pub(crate) fn standing_alerts(&self) -> Vec<AlertFacts> {
        let mut facts: BTreeMap<&str, &AlertFacts> = BTreeMap::new();
        for (_, record) in &self.timeline {
            match record {
                Record::Opened { alarm, .. }
                | Record::SeenAgain { alarm }
                | Record::Joined { alarm, .. }
                | Record::Reopened { alarm, .. } => {
                    facts.extend(alarm.alert.iter().map(|alert| (alert.fingerprint.as_str(), alert)));
                }
                Record::Absorbed { alerts, .. } => {
                    facts.extend(alerts.iter().map(|alert| (alert.fingerprint.as_str(), alert)));
                }
                _ => {}
            }
        }
        let standing = self.alerts.iter().filter(|(_, alert)| !alert.is_over);
        standing
            .filter_map(|(fingerprint, _)| facts.get(fingerprint.as_str()).map(|one| (*one).clone()))
            .collect()
    }

    /// Whether something that changes is being carried out.
    pub(crate) fn is_changing(&self) -> bool {
        let runs = |intent: &Intended| intent.effect != "observe";
        self.units.values().any(|unit| unit.outcome.is_none() && unit.intent.as_ref().is_some_and(runs))
    }

    /// The other servers that joined it, in the order of their names.
    pub fn members(&self) -> impl Iterator<Item = &str> {
        let mut names: Vec<&str> = self.alerts.values().map(|alert| alert.server.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        names.into_iter().filter(|name| *name != self.server)
    }

    /// Whether a change to its server would come too late: all alerts of that server are over.
    pub fn is_trouble_over(&self) -> bool {
        let mut own = self.alerts.values().filter(|alert| alert.server == self.server).peekable();
        self.alert_resolved_ms.is_some() || (own.peek().is_some() && own.all(|alert| alert.is_over))
    }

    /// Whether no alert keeps it open.
    pub(crate) fn is_alert_over(&self) -> bool {
        self.alert_resolved_ms.is_some() || self.alerts.is_empty()
    }

    /// Whether the very same was seen before: the end of a process by pid and time, an alert by fingerprint and start.
    pub(crate) fn knows(&self, alarm: &Alarm) -> bool {
        let is_alert = |seen: &AlertFacts, now: &AlertFacts| {
            seen.fingerprint == now.fingerprint && seen.started_ms == now.started_ms
        };
        self.timeline.iter().any(|(_, record)| match record {
            Record::Opened { alarm: seen, .. }
            | Record::SeenAgain { alarm: seen }
            | Record::Joined { alarm: seen, .. }
            | Record::Reopened { alarm: seen, .. } => match (&alarm.exit, &alarm.alert) {
                (Some(now), _) => {
                    seen.exit.as_ref().is_some_and(|seen| seen.at_ms == now.at_ms && seen.pid == now.pid)
                }
                (None, Some(now)) => seen.alert.as_ref().is_some_and(|seen| is_alert(seen, now)),
                (None, None) => false,
            },
            Record::Absorbed { alerts, .. } => match (&alarm.exit, &alarm.alert) {
                (None, Some(now)) => alerts.iter().any(|seen| is_alert(seen, now)),
                _ => false,
            },
            _ => false,
        })
    }

    /// The records since it was opened the last time, newest first.
    pub(crate) fn since_opened(&self) -> impl Iterator<Item = &Record> {
        let records = self.timeline.iter().rev().map(|(_, record)| record);
        records.take_while(|record| !matches!(record, Record::Reopened { .. }))
    }

    /// When it ended, where it has.
    pub(crate) fn ended_ms(&self) -> Option<i64> {
        let is_end = |record: &Record| matches!(record, Record::Closed { .. } | Record::Merged { .. });
        match self.state {
            State::Closed => {
                self.timeline.iter().rev().find(|(_, record)| is_end(record)).map(|(at_ms, _)| *at_ms)
            }
            _ => self.resolved_ms,
        }
    }

    /// Whether a change may be begun by what stands here now; asked before an intent is written. The walker knows it
    /// too; this is for the alert that ends, and the person who acts, in between.
    ///
    /// # Errors
    /// A [`Refusal`] that says what stands in the way.
    pub(crate) fn check_change(&self, record: &Record) -> Result<(), Refusal> {
        let Record::Intent { unit, effect, .. } = record else { return Ok(()) };
        // Taking back what was changed is a person's own word, and often comes after the end.
        if effect == "observe" || is_undo(unit) {
            return Ok(());
        }
        let approved = self.unit(unit).is_some_and(|view| view.approved.is_some());
        let reason = if !self.state.is_open() {
            format!("the incident is {}", self.state)
        } else if self.is_trouble_over() {
            "the alert is resolved: a change would come too late".to_owned()
        } else if let Some(reason) = self.flapping.as_ref().filter(|_| !approved) {
            reason.clone()
        } else {
            return Ok(());
        };
        Err(Refusal { event: format!("unit {}", unit.unit), reason })
    }

    /// Handing back also ends the mark of a flapping incident that nobody holds.
    pub(super) fn ends_flapping(&self, record: &Record) -> bool {
        matches!(record, Record::HandedBack { .. })
            && self.control == Control::Machine
            && self.flapping.is_some()
    }

    /// What is over takes in nothing more of the trouble: that is another incident, or the same one opened again.
    pub(super) fn check_trouble(&self, record: &Record) -> Result<(), Refusal> {
        let event = match record {
            Record::Reported { .. } if self.state.is_open() => {
                let reason = format!("it is {} again", self.state);
                return Err(Refusal { event: "a report".to_owned(), reason });
            }
            Record::ApprovalAsked { unit, .. } => format!("a question about unit {}", unit.unit),
            Record::Joined { server, .. } => format!("joining by `{server}`"),
            Record::AlertOver { alert, .. } => format!("the end of `{alert}`"),
            Record::Merged { .. } => "merging".to_owned(),
            Record::Absorbed { from, .. }
                if self.absorbed.iter().any(|(known, _)| known.as_str() == from) =>
            {
                let reason = "it is absorbed already".to_owned();
                return Err(Refusal { event: format!("absorbing {from}"), reason });
            }
            Record::Absorbed { .. } => "absorbing".to_owned(),
            Record::Inhibited { alert, .. } => format!("inhibiting `{}`", alert.name),
            _ => return Ok(()),
        };
        let reason = if !self.state.is_open() {
            format!("it is already {}", self.state)
        } else if !matches!(record, Record::Merged { .. }) {
            return Ok(());
        } else if self.control != Control::Machine {
            format!("it is {}", self.control)
        } else if self.is_changing() {
            "a change of it is under way".to_owned()
        } else {
            return Ok(());
        };
        Err(Refusal { event, reason })
    }

    /// A flapping incident needs a person until somebody says otherwise.
    pub(super) fn clear_person_needed(&mut self) {
        if self.flapping.is_none() {
            self.person_needed = None;
        }
    }

    /// What waits because of it is decided anew, and what comes back is counted anew.
    pub(super) fn end_flapping(&mut self, reason: &str) {
        if let Some(flapping) = self.flapping.take() {
            self.person_needed = self.person_needed.take().filter(|needed| *needed != flapping);
            self.reopened_ms.clear();
            self.void_questions(reason);
        }
    }

    pub(super) fn track(&mut self, alarm: &Alarm) {
        match &alarm.alert {
            Some(alert) => self.track_alert(alert),
            // The end of a process names no alert: those of its server may be meant.
            None => {
                let own = self.alerts.values_mut().filter(|alert| alert.server == self.server);
                own.for_each(|alert| alert.is_over = false);
            }
        }
    }

    fn track_alert(&mut self, alert: &AlertFacts) {
        let server = alert.labels.get(SERVER_LABEL).unwrap_or(&self.server).clone();
        let (name, started_ms) = (alert.name.clone(), alert.started_ms);
        let tracked = Tracked { server, name, started_ms, is_over: false };
        self.alerts.insert(alert.fingerprint.clone(), tracked);
    }

    pub(super) fn apply_trouble(&mut self, at_ms: i64, record: &Record) {
        match record {
            Record::SeenAgain { alarm } => {
                self.alert_resolved_ms = None;
                self.mitigated_ms = None;
                self.track(alarm);
            }
            Record::Joined { alarm, .. } => {
                self.alert_resolved_ms = None;
                self.track(alarm);
            }
            Record::AlertResolved {} => {
                self.alert_resolved_ms = Some(at_ms);
                self.alerts.values_mut().for_each(|alert| alert.is_over = true);
            }
            Record::AlertOver { fingerprint, .. } => {
                if let Some(alert) = self.alerts.get_mut(fingerprint) {
                    alert.is_over = true;
                }
            }
            Record::Reopened { alarm, flapping } => {
                self.flapping = flapping.clone().or_else(|| self.flapping.take());
                self.alert_resolved_ms = None;
                self.resolved_ms = None;
                self.mitigated_ms = None;
                self.acknowledged = None;
                self.person_needed = self.flapping.clone();
                self.run_before = self.run;
                self.reopened_ms.push(at_ms);
                self.inhibited.clear();
                self.track(alarm);
            }
            Record::FlappingEnded { reason } => self.end_flapping(reason),
            Record::Merged { into, reason } => {
                self.merged_into = Some(IncidentId::from_text(into));
                self.flapping = None;
                self.person_needed = None;
                self.void_questions(&format!("merged into {into}: {reason}"));
            }
            Record::Absorbed { from, procedure, dependency, alerts, .. } => {
                let place = Place::of(&self.server, procedure, dependency.as_deref());
                self.absorbed.push((IncidentId::from_text(from), place));
                alerts.iter().for_each(|alert| self.track_alert(alert));
                if !alerts.is_empty() {
                    self.alert_resolved_ms = None;
                }
            }
            Record::Inhibited { alert, .. } => {
                self.inhibited.insert(alert.fingerprint.clone(), alert.started_ms);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests;
