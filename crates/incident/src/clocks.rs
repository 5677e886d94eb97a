//! Owns the clocks of an incident: from the first sign of trouble to notice, diagnosis, mitigation and resolution.

use crate::fold::Incident;
use crate::record::Record;

/// When what happened, in milliseconds since the Unix epoch; `None` is not yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clocks {
    /// The first sign of trouble: the end of the process, or the first bad sample.
    pub began_ms: i64,
    /// The incident was opened.
    pub detected_ms: i64,
    /// Somebody, or the runbook's own step, took notice.
    pub acknowledged_ms: Option<i64>,
    /// A cause was named for the first time.
    pub diagnosed_ms: Option<i64>,
    /// Recovery was verified.
    pub mitigated_ms: Option<i64>,
    /// And the alert was over.
    pub resolved_ms: Option<i64>,
}

// === impl Clocks ===

impl Clocks {
    /// Reads the clocks of an incident.
    pub fn of(incident: &Incident) -> Self {
        let exit = incident.alarm.exit.as_ref().map(|exit| exit.at_ms);
        let alert = incident.alarm.alert.as_ref().map(|alert| alert.started_ms);
        let first = exit.into_iter().chain(alert).min().unwrap_or(incident.opened_ms);
        let named =
            |(_, record): &&(i64, Record)| matches!(record, Record::CauseNamed { cause: Some(_), .. });
        Self {
            began_ms: first.min(incident.opened_ms),
            detected_ms: incident.opened_ms,
            acknowledged_ms: incident.acknowledged.as_ref().map(|(at_ms, _)| *at_ms),
            diagnosed_ms: incident.timeline.iter().find(named).map(|(at_ms, _)| *at_ms),
            mitigated_ms: incident.mitigated_ms,
            resolved_ms: incident.resolved_ms,
        }
    }

    /// How long after the first sign of trouble something was.
    pub fn after_ms(&self, at_ms: i64) -> i64 {
        at_ms - self.began_ms
    }
}
