//! Owns the life of alerts: inactive → pending → firing → resolved. What happens is returned as data.

mod error;
mod evaluation;
mod group;
mod recording;
mod restoring;
mod series;
mod watch;

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use error::EvaluationError;
pub use group::{Alerts, GroupStatus, RuleSettings, RuleStatus};
pub use restoring::Restoring;

use crate::fingerprint::Fingerprint;
use crate::labels::Labels;

/// How long a resolved alert is still shown; the same as in Prometheus.
const RESOLVED_RETENTION_MS: i64 = 15 * 60_000;
/// One rule with more alerts than this selects something else than it means, and nobody could read them.
const ALERTS_PER_RULE_MAX: usize = 1_000;

/// Where an alert stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AlertState {
    /// Its element has gone before it fired.
    Inactive,
    /// Its element is there, but not for long enough.
    Pending,
    /// Its element is there for long enough, or was until a moment ago.
    Firing,
    /// It fired, and its element has gone.
    Resolved,
}

/// One alert of one rule.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Alert {
    /// The name of the rule.
    pub rule: String,
    /// Where the rule comes from: the file, or what else its group was made of.
    pub source: String,
    /// What tells it from other alerts, the name of the rule included.
    pub labels: Labels,
    /// The short form of the labels.
    pub fingerprint: Fingerprint,
    /// Where it stands.
    pub state: AlertState,
    /// When its element was first seen.
    pub started_ms: i64,
    /// When it began to fire.
    pub fired_ms: Option<i64>,
    /// When it was resolved.
    pub resolved_ms: Option<i64>,
    /// The last value of its element.
    pub value: f64,
    /// Texts for people.
    pub annotations: BTreeMap<String, String>,
    #[serde(skip)]
    unseen_since_ms: Option<i64>,
}

/// A change of an alert's state.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Transition {
    /// The name of the rule.
    pub rule: String,
    /// What tells the alert from others, the name of the rule included.
    pub labels: Labels,
    /// The short form of the labels.
    pub fingerprint: Fingerprint,
    /// The new state.
    pub state: AlertState,
    /// When it changed.
    pub at_ms: i64,
    /// When the alert's element was first seen.
    pub started_ms: i64,
    /// The last value of its element.
    pub value: f64,
    /// Texts for people.
    pub annotations: BTreeMap<String, String>,
}

/// Servers about which something happened that needs no waiting: `for` applies to samples, the exit of a process
/// is an event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AtOnce {
    /// Rules whose query selects this metric…
    pub metric: String,
    /// … fire at once for alerts with one of these as `server_name`.
    pub server_names: BTreeSet<String>,
}

// === impl AtOnce ===

impl AtOnce {
    /// Returns that nothing happened.
    pub fn nothing() -> Self {
        Self::default()
    }

    fn concerns(&self, metrics: &BTreeSet<String>, labels: &Labels) -> bool {
        metrics.contains(&self.metric)
            && labels.get("server_name").is_some_and(|server| self.server_names.contains(server))
    }
}

// === impl Alert ===

impl Alert {
    fn new(rule: &str, source: &str, labels: &Labels, now_ms: i64) -> Self {
        Self {
            rule: rule.to_owned(),
            source: source.to_owned(),
            labels: labels.clone(),
            fingerprint: Fingerprint::of(labels),
            state: AlertState::Pending,
            started_ms: now_ms,
            fired_ms: None,
            resolved_ms: None,
            value: f64::NAN,
            annotations: BTreeMap::new(),
            unseen_since_ms: None,
        }
    }

    /// Notes that the element is not there; returns what that changes.
    fn unseen(&mut self, now_ms: i64, keep_ms: i64) -> Option<Transition> {
        let since_ms = *self.unseen_since_ms.get_or_insert(now_ms);
        match self.state {
            AlertState::Pending => self.state = AlertState::Inactive,
            AlertState::Firing if now_ms.saturating_sub(since_ms) >= keep_ms => {
                self.state = AlertState::Resolved;
                self.resolved_ms = Some(now_ms);
            }
            AlertState::Firing | AlertState::Resolved | AlertState::Inactive => return None,
        }
        Some(self.transition(now_ms))
    }

    /// Tells whether it is pending or firing.
    pub fn is_active(&self) -> bool {
        matches!(self.state, AlertState::Pending | AlertState::Firing)
    }

    fn is_over(&self, now_ms: i64) -> bool {
        match (self.state, self.resolved_ms) {
            (AlertState::Inactive, _) => true,
            (AlertState::Resolved, Some(at_ms)) => now_ms.saturating_sub(at_ms) > RESOLVED_RETENTION_MS,
            _ => false,
        }
    }

    fn transition(&self, at_ms: i64) -> Transition {
        Transition {
            rule: self.rule.clone(),
            labels: self.labels.clone(),
            fingerprint: self.fingerprint,
            state: self.state,
            at_ms,
            started_ms: self.started_ms,
            value: self.value,
            annotations: self.annotations.clone(),
        }
    }
}

#[cfg(test)]
mod tests;
