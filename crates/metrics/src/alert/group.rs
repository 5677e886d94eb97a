//! Owns the groups of rules: which of them are due, and their evaluation in order.

use std::collections::BTreeMap;

use super::restoring::{Pool, Restoring};
use super::series::Made;
use super::watch::{Moment, Watch};
use super::{Alert, AlertState, AtOnce, EvaluationError, Transition};
use crate::labels::Labels;
use crate::rule::{Rule, RuleGroup};
use crate::store::Store;

/// The time between two evaluations where a group does not say; the default of Prometheus.
const INTERVAL_MS: i64 = 60_000;

/// What all groups have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleSettings {
    /// The time between two evaluations of a group that does not say.
    pub interval_ms: i64,
    /// What templates see as `$externalLabels`.
    pub external_labels: Labels,
    /// What templates see as `$externalURL`.
    pub external_url: String,
    /// How alerts of an earlier run are taken over from the store; none: they are not.
    pub restoring: Option<Restoring>,
}

/// All rules and their alerts.
#[derive(Debug, Default)]
pub struct Alerts {
    settings: RuleSettings,
    groups: Vec<Group>,
    has_begun: bool,
}

#[derive(Debug)]
struct Group {
    /// Without its rules, which are watched.
    group: RuleGroup,
    interval_ms: i64,
    evaluated_ms: Option<i64>,
    watches: Vec<Watch>,
}

/// How a group stands.
#[derive(Debug, Clone, Copy)]
pub struct GroupStatus<'g> {
    group: &'g Group,
}

/// How a rule stands.
#[derive(Debug, Clone, Copy)]
pub struct RuleStatus<'r> {
    watch: &'r Watch,
}

// === impl RuleSettings ===

impl Default for RuleSettings {
    fn default() -> Self {
        Self {
            interval_ms: INTERVAL_MS,
            external_labels: Labels::empty(),
            external_url: String::new(),
            restoring: None,
        }
    }
}

// === impl Alerts ===

impl Alerts {
    /// Returns the rules with no alert yet.
    pub fn new(groups: Vec<RuleGroup>, settings: RuleSettings) -> Self {
        let mut n_named: BTreeMap<String, usize> = BTreeMap::new();
        for rule in groups.iter().flat_map(|group| &group.rules) {
            *n_named.entry(rule.name().to_owned()).or_default() += 1;
        }
        let watched = |mut group: RuleGroup| {
            let rules = std::mem::take(&mut group.rules).into_iter();
            let watch = |rule: Rule| {
                let is_unique = n_named.get(rule.name()) == Some(&1);
                Watch::new(rule, is_unique)
            };
            let interval_ms = group.interval_ms.unwrap_or(settings.interval_ms).max(1);
            Group { interval_ms, evaluated_ms: None, watches: rules.map(watch).collect(), group }
        };
        let groups = groups.into_iter().map(watched).collect();
        Self { groups, settings, has_begun: false }
    }

    /// Evaluates every rule at one moment, and writes the series that they make; returns what changed, in the order of the
    /// rules, and which rules failed.
    pub fn evaluate(
        &mut self,
        store: &mut Store,
        now_ms: i64,
        at_once: &AtOnce,
    ) -> (Vec<Transition>, Vec<EvaluationError>) {
        self.evaluate_those(store, now_ms, at_once, |_| true)
    }

    /// As [`Alerts::evaluate`], of the groups whose time has come, and of those with a rule about what happened.
    pub fn evaluate_due(
        &mut self,
        store: &mut Store,
        now_ms: i64,
        at_once: &AtOnce,
    ) -> (Vec<Transition>, Vec<EvaluationError>) {
        let concerned = |group: &Group| {
            !at_once.server_names.is_empty()
                && group.watches.iter().any(|watch| watch.metrics.contains(&at_once.metric))
        };
        self.evaluate_those(store, now_ms, at_once, |group| group.is_due(now_ms) || concerned(group))
    }

    fn evaluate_those(
        &mut self,
        store: &mut Store,
        now_ms: i64,
        at_once: &AtOnce,
        is_meant: impl Fn(&Group) -> bool,
    ) -> (Vec<Transition>, Vec<EvaluationError>) {
        let (mut transitions, mut errors) = (Vec::new(), Vec::new());
        let begins = !std::mem::replace(&mut self.has_begun, true);
        let restoring = self.settings.restoring.filter(|_| begins);
        let mut pool = restoring.map(|restoring| Pool::read(store, now_ms, restoring));
        for group in &mut self.groups {
            if !is_meant(group) {
                continue;
            }
            group.evaluated_ms = Some(now_ms);
            for watch in &mut group.watches {
                let moment = Moment { group: &group.group, settings: &self.settings, now_ms, at_once };
                watch.evaluate(store, moment, pool.as_mut(), &mut transitions);
                errors.extend(watch.last_error.clone());
            }
        }
        if let Some(pool) = pool {
            // What no rule has taken over would be shown for some minutes still.
            let mut left = Made::default();
            left.inherit(pool.into_series());
            left.keep(store, "", BTreeMap::new(), now_ms);
        }
        (transitions, errors)
    }

    /// Returns when the next group is due; none without groups.
    pub fn next_due_ms(&self, now_ms: i64) -> Option<i64> {
        self.groups.iter().map(|group| group.due_ms(now_ms)).min()
    }

    /// Returns the rules, in their order.
    pub fn rules(&self) -> impl Iterator<Item = &Rule> {
        self.groups.iter().flat_map(|group| &group.watches).map(|watch| &watch.rule)
    }

    /// Returns the groups, in their order.
    pub fn groups(&self) -> impl Iterator<Item = GroupStatus<'_>> {
        self.groups.iter().map(|group| GroupStatus { group })
    }

    /// Returns every alert that is pending, firing, or was resolved in the last 15 minutes.
    pub fn active(&self) -> impl Iterator<Item = &Alert> {
        self.groups.iter().flat_map(|group| &group.watches).flat_map(|watch| watch.alerts.values())
    }
}

// === impl Group ===

impl Group {
    /// The first multiple of the interval after the last evaluation; at once if there was none, or the clock was set back.
    fn due_ms(&self, now_ms: i64) -> i64 {
        match self.evaluated_ms {
            Some(evaluated_ms) if evaluated_ms <= now_ms => {
                (evaluated_ms.div_euclid(self.interval_ms) + 1).saturating_mul(self.interval_ms)
            }
            _ => now_ms,
        }
    }

    fn is_due(&self, now_ms: i64) -> bool {
        self.due_ms(now_ms) <= now_ms
    }
}

// === impl GroupStatus ===

impl<'g> GroupStatus<'g> {
    /// Returns the name of the group.
    pub fn name(&self) -> &'g str {
        &self.group.group.name
    }

    /// Returns the file that it was read from, or what else it was made of.
    pub fn source(&self) -> &'g str {
        &self.group.group.source
    }

    /// Returns the time between two evaluations.
    pub fn interval_ms(&self) -> i64 {
        self.group.interval_ms
    }

    /// Returns the limit of alerts or series of one rule; 0 is none.
    pub fn limit(&self) -> usize {
        self.group.group.limit
    }

    /// Returns when it was last evaluated.
    pub fn evaluated_ms(&self) -> Option<i64> {
        self.group.evaluated_ms
    }

    /// Returns its rules.
    pub fn rules(&self) -> impl Iterator<Item = RuleStatus<'g>> {
        self.group.watches.iter().map(|watch| RuleStatus { watch })
    }
}

// === impl RuleStatus ===

impl<'r> RuleStatus<'r> {
    /// Returns the rule.
    pub fn rule(&self) -> &'r Rule {
        &self.watch.rule
    }

    /// Returns why the last evaluation failed, if it did.
    pub fn last_error(&self) -> Option<&'r EvaluationError> {
        self.watch.last_error.as_ref()
    }

    /// Returns its alerts: pending, firing, and those that were resolved a while ago.
    pub fn alerts(&self) -> impl Iterator<Item = &'r Alert> {
        self.watch.alerts.values()
    }

    /// Returns how its alerts stand together: the worst of them.
    pub fn state(&self) -> AlertState {
        let all = || self.watch.alerts.values();
        if all().any(|alert| alert.state == AlertState::Firing) {
            AlertState::Firing
        } else if all().any(|alert| alert.state == AlertState::Pending) {
            AlertState::Pending
        } else {
            AlertState::Inactive
        }
    }
}
