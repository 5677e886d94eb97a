//! Owns backtests: what rules would have fired over samples of the past. Pure: the samples are there, time is made up.

mod history;
mod recorded;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

pub use history::{History, HistoryFull};
pub use recorded::read_recorded;

use crate::alert::{AlertState, Alerts, AtOnce, EvaluationError, RuleSettings, Transition};
use crate::labels::Labels;
use crate::rule::{Rule, RuleGroup};

/// How often groups are evaluated in one backtest at most: a year of a group each minute.
const EVALUATIONS_MAX: usize = 600_000;
/// How many times alerts may fire in one: more than this is noise whose details nobody reads.
const FIRINGS_MAX: usize = 100_000;
/// What fires again within this time after it was resolved is flapping.
const FLAPPING_WITHIN_MS: i64 = 15 * 60_000;

/// What came of a backtest.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Backtest {
    /// The first moment, in milliseconds since the Unix epoch.
    pub from_ms: i64,
    /// The last one.
    pub until_ms: i64,
    /// At how many moments rules were evaluated.
    pub n_evaluations: usize,
    /// Alerts that fired, or waited and did not; by rule and labels.
    pub alerts: Vec<PastAlert>,
    /// Alerting rules of which no alert fired.
    pub quiet: Vec<String>,
    /// Rules that failed.
    pub failures: Vec<PastFailure>,
}

/// An alert of the past.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PastAlert {
    /// The name of the rule.
    pub rule: String,
    /// What tells it from other alerts.
    pub labels: Labels,
    /// When it fired.
    pub firings: Vec<Firing>,
    /// How long it fired, all times together, in milliseconds.
    pub firing_ms: i64,
    /// How often it fired again within 15 minutes after it was resolved.
    pub n_flaps: usize,
    /// How often it waited, and its cause had gone before it fired.
    pub n_false_starts: usize,
}

/// One time that an alert fired.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Firing {
    /// When its cause was there for the first time.
    pub started_ms: i64,
    /// When it began to fire.
    pub from_ms: i64,
    /// When it was resolved; none if it still fired at the end.
    pub until_ms: Option<i64>,
}

/// A rule that failed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PastFailure {
    /// Its name.
    pub rule: String,
    /// How often.
    pub n_times: usize,
    /// When for the first time.
    pub first_ms: i64,
    /// Why, for the first time.
    pub message: String,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BacktestError {
    /// The end is not after the beginning.
    #[error("the stretch of time ends before it begins")]
    Empty,
    /// More evaluations than anybody waits for.
    #[error(
        "more than {EVALUATIONS_MAX} evaluations are needed: choose a shorter stretch of time, or longer intervals"
    )]
    TooLong,
    /// More firings than anybody reads.
    #[error(
        "the alerts fire more than {FIRINGS_MAX} times: choose a shorter stretch of time, or fewer rules"
    )]
    TooMany,
    /// The samples take more room than there is.
    #[error(transparent)]
    Full(#[from] HistoryFull),
    /// It took longer than it may.
    #[error("it took longer than it may: choose a shorter stretch of time, or fewer rules")]
    Late,
}

/// Evaluates rules over the past, from a moment to another, each group at its interval. `is_late` is asked before each
/// evaluation.
///
/// Rules begin as much earlier as the longest `for` and `keep_firing_for`, so that what was going on at the beginning is
/// seen as it was.
///
/// # Errors
///
/// Fails if the stretch of time is empty or too long, there are too many firings, or it is late.
pub fn backtest(
    history: History,
    groups: Vec<RuleGroup>,
    settings: RuleSettings,
    (from_ms, until_ms): (i64, i64),
    is_late: &dyn Fn() -> bool,
) -> Result<Backtest, BacktestError> {
    if until_ms < from_ms {
        return Err(BacktestError::Empty);
    }
    let mut past = Past::default();
    let begin_ms = from_ms.saturating_sub(warm_up_ms(&groups));
    let settings = RuleSettings { restoring: None, ..settings };
    let names: BTreeSet<String> = alerting(&groups).map(str::to_owned).collect();
    let mut store = history.into_store(&made_by(&groups))?;
    let mut alerts = Alerts::new(groups, settings);
    let (mut now_ms, mut n_evaluations) = (begin_ms, 0);
    while now_ms <= until_ms {
        if is_late() {
            return Err(BacktestError::Late);
        }
        n_evaluations += 1;
        if n_evaluations > EVALUATIONS_MAX {
            return Err(BacktestError::TooLong);
        }
        let (transitions, errors) = alerts.evaluate_due(&mut store, now_ms, &AtOnce::nothing());
        transitions.iter().for_each(|transition| past.take(transition));
        errors.iter().for_each(|error| past.fail(error, now_ms));
        if past.n_firings > FIRINGS_MAX {
            return Err(BacktestError::TooMany);
        }
        now_ms = alerts.next_due_ms(now_ms).map_or(i64::MAX, |due_ms| due_ms.max(now_ms + 1));
    }
    let alerts = past.alerts(from_ms, until_ms);
    let fired = |name: &String| alerts.iter().any(|alert| alert.rule == *name && !alert.firings.is_empty());
    let quiet = names.into_iter().filter(|name| !fired(name)).collect();
    let failures = past.failures.into_values().collect();
    Ok(Backtest { from_ms, until_ms, n_evaluations, alerts, quiet, failures })
}

/// How much earlier rules begin, so that their alerts stand as they did.
pub(crate) fn warm_up_ms(groups: &[RuleGroup]) -> i64 {
    let waits = groups.iter().flat_map(|group| &group.rules).map(|rule| match rule {
        Rule::Alerting(rule) => rule.for_ms.max(0).saturating_add(rule.keep_firing_for_ms.max(0)),
        Rule::Recording(_) => 0,
    });
    waits.max().unwrap_or_default()
}

fn alerting(groups: &[RuleGroup]) -> impl Iterator<Item = &str> {
    groups.iter().flat_map(|group| &group.rules).filter_map(|rule| match rule {
        Rule::Alerting(rule) => Some(rule.name.as_str()),
        Rule::Recording(_) => None,
    })
}

/// The names of the series that the rules make themselves: those of the past would be in their way.
fn made_by(groups: &[RuleGroup]) -> BTreeSet<String> {
    let recorded = groups.iter().flat_map(|group| &group.rules).filter_map(|rule| match rule {
        Rule::Recording(rule) => Some(rule.name.clone()),
        Rule::Alerting(_) => None,
    });
    recorded.chain(["ALERTS", "ALERTS_FOR_STATE"].map(str::to_owned)).collect()
}

/// What has come of it so far.
#[derive(Default)]
struct Past {
    alerts: BTreeMap<(String, Labels), PastAlert>,
    failures: BTreeMap<String, PastFailure>,
    n_firings: usize,
}

// === impl History ===

impl History {
    /// Returns the selectors of the series that rules read, less those that they make themselves, and how long before the
    /// first evaluation their samples are needed, in milliseconds.
    pub fn needs(groups: &[RuleGroup]) -> (Vec<String>, i64) {
        let made = made_by(groups);
        let (mut selectors, mut reach_ms) = (BTreeSet::new(), 0);
        for group in groups {
            for rule in &group.rules {
                let needs = rule.query().needs();
                reach_ms = reach_ms.max(needs.reach_ms.saturating_add(group.query_offset_ms));
                let wanted = needs.selectors.into_iter();
                let wanted = wanted.filter(|(name, _)| name.as_ref().is_none_or(|name| !made.contains(name)));
                selectors.extend(wanted.map(|(_, selector)| selector));
            }
        }
        (selectors.into_iter().collect(), reach_ms.saturating_add(warm_up_ms(groups)))
    }
}

// === impl Past ===

impl Past {
    fn take(&mut self, transition: &Transition) {
        let key = (transition.rule.clone(), transition.labels.clone());
        let alert = self.alerts.entry(key).or_insert_with(|| PastAlert {
            rule: transition.rule.clone(),
            labels: transition.labels.clone(),
            firings: Vec::new(),
            firing_ms: 0,
            n_flaps: 0,
            n_false_starts: 0,
        });
        match transition.state {
            AlertState::Pending => {}
            AlertState::Inactive => alert.n_false_starts += 1,
            AlertState::Firing => {
                self.n_firings += 1;
                let (started_ms, from_ms) = (transition.started_ms, transition.at_ms);
                alert.firings.push(Firing { started_ms, from_ms, until_ms: None });
            }
            AlertState::Resolved => {
                if let Some(firing) = alert.firings.last_mut() {
                    firing.until_ms = Some(transition.at_ms);
                }
            }
        }
    }

    fn fail(&mut self, error: &EvaluationError, now_ms: i64) {
        let failure = self.failures.entry(error.rule().to_owned()).or_insert_with(|| {
            let cause =
                std::error::Error::source(error).map(|cause| format!(": {cause}")).unwrap_or_default();
            let (rule, message) = (error.rule().to_owned(), format!("{error}{cause}"));
            PastFailure { rule, n_times: 0, first_ms: now_ms, message }
        });
        failure.n_times += 1;
    }

    /// What fired within the stretch of time.
    fn alerts(&mut self, from_ms: i64, until_ms: i64) -> Vec<PastAlert> {
        let mut all = Vec::new();
        for mut alert in std::mem::take(&mut self.alerts).into_values() {
            alert.firings.retain(|firing| firing.until_ms.is_none_or(|end_ms| end_ms > from_ms));
            let length_ms = |firing: &Firing| {
                firing.until_ms.unwrap_or(until_ms).saturating_sub(firing.from_ms.max(from_ms))
            };
            alert.firing_ms = alert.firings.iter().map(length_ms).sum();
            let flaps = alert.firings.windows(2).filter(|two| {
                let end_ms = two[0].until_ms.unwrap_or(until_ms);
                two[1].from_ms.saturating_sub(end_ms) <= FLAPPING_WITHIN_MS
            });
            alert.n_flaps = flaps.count();
            if !alert.firings.is_empty() || alert.n_false_starts > 0 {
                all.push(alert);
            }
        }
        all
    }
}

#[cfg(test)]
mod tests;
