//! Owns the life of alerts: inactive → pending → firing → resolved. Pure: what happens is returned as data.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::fingerprint::Fingerprint;
use crate::labels::Labels;
use crate::promql::{Element, QueryError, Value};
use crate::rule::AlertingRule;
use crate::store::Store;

/// How long a resolved alert is still shown; the same as in Prometheus.
const RESOLVED_RETENTION_MS: i64 = 15 * 60_000;
/// One rule with more alerts than this selects something else than it means, and nobody could read them.
const ALERTS_PER_RULE_MAX: usize = 1_000;

/// Where an alert stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
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

/// Why a rule could not be evaluated. Its alerts stay as they are until it can.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EvaluationError {
    /// The query failed.
    #[error("query of rule `{rule}` failed")]
    Query {
        /// The rule.
        rule: String,
        /// What went wrong.
        source: QueryError,
    },
    /// The query yields no alerts but text or ranges.
    #[error("query of rule `{rule}` yields no vector")]
    NotVector {
        /// The rule.
        rule: String,
    },
    /// Two elements of the result would be the same alert.
    #[error("rule `{rule}` yields two alerts with the labels `{labels}`")]
    Duplicate {
        /// The rule.
        rule: String,
        /// The labels.
        labels: Labels,
    },
    /// The rule has more alerts than anybody can read.
    #[error("rule `{rule}` yields more than {limit} alerts")]
    TooMany {
        /// The rule.
        rule: String,
        /// The limit.
        limit: usize,
    },
}

/// All rules and their alerts.
#[derive(Debug, Default)]
pub struct Alerts {
    watches: Vec<Watch>,
}

/// A rule and its alerts.
#[derive(Debug)]
struct Watch {
    rule: AlertingRule,
    metrics: BTreeSet<String>,
    alerts: BTreeMap<Labels, Alert>,
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

// === impl Alerts ===

impl Alerts {
    /// Returns the rules with no alert yet.
    pub fn new(rules: Vec<AlertingRule>) -> Self {
        let watch =
            |rule: AlertingRule| Watch { metrics: rule.query.metric_names(), rule, alerts: BTreeMap::new() };
        Self { watches: rules.into_iter().map(watch).collect() }
    }

    /// Evaluates every rule at one moment; returns what changed, in the order of the rules, and which rules failed.
    pub fn evaluate(
        &mut self,
        store: &Store,
        now_ms: i64,
        at_once: &AtOnce,
    ) -> (Vec<Transition>, Vec<EvaluationError>) {
        let (mut transitions, mut errors) = (Vec::new(), Vec::new());
        for watch in &mut self.watches {
            match watch.found(store, now_ms) {
                Ok(found) => watch.advance(&found, now_ms, at_once, &mut transitions),
                Err(error) => errors.push(error),
            }
        }
        (transitions, errors)
    }

    /// Returns the rules, in their order.
    pub fn rules(&self) -> impl Iterator<Item = &AlertingRule> {
        self.watches.iter().map(|watch| &watch.rule)
    }

    /// Returns every alert that is pending, firing, or was resolved in the last 15 minutes.
    pub fn active(&self) -> impl Iterator<Item = &Alert> {
        self.watches.iter().flat_map(|watch| watch.alerts.values())
    }
}

// === impl Watch ===

impl Watch {
    /// Returns the elements that alert, by the labels of their alerts.
    fn found(&self, store: &Store, now_ms: i64) -> Result<BTreeMap<Labels, Element>, EvaluationError> {
        let rule = || self.rule.name.clone();
        let elements = match self.rule.query.instant(store, now_ms) {
            Ok(Value::Vector(elements)) => elements,
            Ok(Value::Scalar(value)) => vec![Element { labels: Labels::empty(), value }],
            Ok(Value::Matrix(_) | Value::Text(_)) => return Err(EvaluationError::NotVector { rule: rule() }),
            Err(source) => return Err(EvaluationError::Query { rule: rule(), source }),
        };
        if elements.len() > ALERTS_PER_RULE_MAX {
            return Err(EvaluationError::TooMany { rule: rule(), limit: ALERTS_PER_RULE_MAX });
        }
        let mut found = BTreeMap::new();
        for element in elements {
            let labels = self.rule.alert_labels(&element.labels, element.value);
            if found.contains_key(&labels) {
                return Err(EvaluationError::Duplicate { rule: rule(), labels });
            }
            found.insert(labels, element);
        }
        Ok(found)
    }

    fn advance(
        &mut self,
        found: &BTreeMap<Labels, Element>,
        now_ms: i64,
        at_once: &AtOnce,
        transitions: &mut Vec<Transition>,
    ) {
        let rule = &self.rule;
        for (labels, element) in found {
            let known = self.alerts.get(labels).is_some_and(|alert| alert.state != AlertState::Resolved);
            if !known {
                self.alerts.insert(labels.clone(), Alert::new(rule, labels, now_ms));
            }
            let Some(alert) = self.alerts.get_mut(labels) else { continue };
            alert.value = element.value;
            alert.annotations = rule.alert_annotations(&element.labels, element.value);
            alert.unseen_since_ms = None;
            let due = now_ms.saturating_sub(alert.started_ms) >= rule.for_ms
                || at_once.concerns(&self.metrics, labels);
            if alert.state == AlertState::Pending && due {
                alert.state = AlertState::Firing;
                alert.fired_ms = Some(now_ms);
                transitions.push(alert.transition(now_ms));
            } else if !known {
                transitions.push(alert.transition(now_ms));
            }
        }
        let keep_ms = rule.keep_firing_for_ms;
        let unseen = self.alerts.iter_mut().filter(|(labels, _)| !found.contains_key(*labels));
        for (_, alert) in unseen {
            transitions.extend(alert.unseen(now_ms, keep_ms));
        }
        self.alerts.retain(|_, alert| !alert.is_over(now_ms));
    }
}

// === impl Alert ===

impl Alert {
    fn new(rule: &AlertingRule, labels: &Labels, now_ms: i64) -> Self {
        Self {
            rule: rule.name.clone(),
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
