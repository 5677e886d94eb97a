//! Owns a rule and what came of it: its alerts, the series that it makes, how its last evaluation went.

use std::collections::{BTreeMap, BTreeSet};

use super::evaluation::{self, Found};
use super::restoring::{Earlier, Pool};
use super::series::Made;
use super::{Alert, AlertState, AtOnce, EvaluationError, RuleSettings, Transition, recording};
use crate::labels::{Labels, METRIC_NAME};
use crate::rule::{AlertingRule, Rule, RuleGroup};
use crate::store::Store;

/// The series that tells which alerts are pending and firing.
pub(super) const ALERTS: &str = "ALERTS";
/// The series that tells since when, in seconds since the Unix epoch.
pub(super) const ALERTS_FOR_STATE: &str = "ALERTS_FOR_STATE";
/// The series that tells since when the element of an alert has been gone that is kept firing.
pub(super) const KEPT_FIRING: &str = "paramedic_alert_keep_firing_since_seconds";
/// The label that tells how an alert stands.
pub(super) const ALERT_STATE: &str = "alertstate";

/// A rule, and what came of it.
#[derive(Debug)]
pub(super) struct Watch {
    pub(super) rule: Rule,
    pub(super) metrics: BTreeSet<String>,
    pub(super) alerts: BTreeMap<Labels, Alert>,
    pub(super) last_error: Option<EvaluationError>,
    made: Made,
    /// No other rule has this name, so that whatever an earlier run left under it is its own.
    pub(super) is_unique: bool,
}

/// One evaluation of a group.
#[derive(Clone, Copy)]
pub(super) struct Moment<'m> {
    pub(super) group: &'m RuleGroup,
    pub(super) settings: &'m RuleSettings,
    pub(super) now_ms: i64,
    pub(super) at_once: &'m AtOnce,
}

// === impl Watch ===

impl Watch {
    pub(super) fn new(rule: Rule, is_unique: bool) -> Self {
        let metrics = rule.metric_names();
        let (alerts, made) = (BTreeMap::new(), Made::default());
        Self { rule, metrics, alerts, last_error: None, made, is_unique }
    }

    /// Evaluates the rule, and writes the series that it makes. `pool` has what an earlier run left, the first time.
    pub(super) fn evaluate(
        &mut self,
        store: &mut Store,
        moment: Moment<'_>,
        pool: Option<&mut Pool>,
        transitions: &mut Vec<Transition>,
    ) {
        let at_ms = moment.now_ms.saturating_sub(moment.group.query_offset_ms);
        let limit = moment.group.limit;
        let evaluated = match &self.rule {
            Rule::Recording(rule) => recording::evaluate(rule, store, at_ms, limit),
            Rule::Alerting(rule) => {
                let rule = rule.clone();
                let found = evaluation::evaluate(&rule, store, at_ms, moment.settings);
                found.and_then(|found| {
                    self.bounded(&found, &rule, limit)?;
                    self.advance(&rule, &found, moment, pool, transitions);
                    Ok(self.samples())
                })
            }
        };
        self.last_error = match evaluated {
            Ok(samples) => self.made.keep(store, self.rule.name(), samples, at_ms),
            Err(error) => Some(error),
        };
    }

    /// Fails if there would be more alerts than the group allows: then none is taken up, and those that stand stay.
    fn bounded(
        &self,
        found: &BTreeMap<Labels, Found>,
        rule: &AlertingRule,
        limit: usize,
    ) -> Result<(), EvaluationError> {
        let kept = |(labels, alert): &(&Labels, &Alert)| {
            alert.state == AlertState::Firing && rule.keep_firing_for_ms > 0 && !found.contains_key(*labels)
        };
        let n_alerts = found.len() + self.alerts.iter().filter(kept).count();
        if limit > 0 && n_alerts > limit {
            return Err(EvaluationError::TooMany { rule: rule.name.clone(), limit, what: "alerts" });
        }
        Ok(())
    }

    fn advance(
        &mut self,
        rule: &AlertingRule,
        found: &BTreeMap<Labels, Found>,
        moment: Moment<'_>,
        pool: Option<&mut Pool>,
        transitions: &mut Vec<Transition>,
    ) {
        let Moment { group, now_ms, at_once, .. } = moment;
        if let Some(pool) = pool {
            self.restore(rule, found, moment, pool);
        }
        for (labels, element) in found {
            let known = self.alerts.get(labels).is_some_and(Alert::is_active);
            if !known {
                let alert = Alert::new(&rule.name, &group.source, labels, now_ms);
                self.alerts.insert(labels.clone(), alert);
            }
            let Some(alert) = self.alerts.get_mut(labels) else { continue };
            alert.value = element.value;
            alert.annotations.clone_from(&element.annotations);
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
        let unseen = self.alerts.iter_mut().filter(|(labels, _)| !found.contains_key(*labels));
        for (_, alert) in unseen {
            transitions.extend(alert.unseen(now_ms, rule.keep_firing_for_ms));
        }
        self.alerts.retain(|_, alert| !alert.is_over(now_ms));
    }

    /// Takes over the alerts that an earlier run left: those whose element is there, and those of this rule that fired.
    fn restore(
        &mut self,
        rule: &AlertingRule,
        found: &BTreeMap<Labels, Found>,
        moment: Moment<'_>,
        pool: &mut Pool,
    ) {
        let mut taken: Vec<(Labels, Earlier)> = Vec::new();
        for labels in found.keys() {
            taken.extend(pool.take(labels).map(|earlier| (labels.clone(), earlier)));
        }
        if self.is_unique {
            taken.extend(pool.take_all(&rule.name));
        }
        for (labels, earlier) in taken {
            self.made.inherit(earlier.series);
            let is_there = found.contains_key(&labels);
            if !is_there && !earlier.is_firing {
                continue;
            }
            let mut alert = Alert::new(&rule.name, &moment.group.source, &labels, moment.now_ms);
            alert.started_ms = pool.started_ms(&earlier.times, earlier.is_firing, rule.for_ms, moment.now_ms);
            if earlier.is_firing {
                alert.state = AlertState::Firing;
                let fired_ms = earlier.times.active_ms.saturating_add(rule.for_ms.max(0));
                alert.fired_ms = Some(fired_ms.min(earlier.times.seen_ms));
                // Nobody knows when the element went while nobody looked: at the last evaluation it was there.
                alert.unseen_since_ms = earlier.times.kept_since_ms.or(Some(earlier.times.seen_ms));
            }
            self.alerts.insert(labels, alert);
        }
    }

    /// The samples that tell of the alerts that are pending and firing.
    fn samples(&self) -> BTreeMap<Labels, f64> {
        let mut samples = BTreeMap::new();
        for (labels, alert) in self.alerts.iter().filter(|(_, alert)| alert.is_active()) {
            let state = if alert.state == AlertState::Firing { "firing" } else { "pending" };
            samples.insert(labels.with(METRIC_NAME, ALERTS).with(ALERT_STATE, state), 1.0);
            let seconds = alert.started_ms as f64 / 1e3;
            samples.insert(labels.with(METRIC_NAME, ALERTS_FOR_STATE), seconds);
            if let Some(since_ms) = alert.unseen_since_ms {
                samples.insert(labels.with(METRIC_NAME, KEPT_FIRING), since_ms as f64 / 1e3);
            }
        }
        samples
    }
}
