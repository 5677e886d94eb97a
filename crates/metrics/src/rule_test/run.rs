//! Owns the running of tests: samples go into a store as time goes on, rules are evaluated, and what comes of it is compared.

use std::collections::{BTreeMap, BTreeSet};

use super::RuleTestFailure;
use super::file::{AlertCase, QueryCase, RuleTestFile, Test};
use crate::alert::{AlertState, Alerts, AtOnce, EvaluationError, RuleSettings};
use crate::labels::Labels;
use crate::promql::{Element, Query, Value};
use crate::rule::{ALERT_NAME, RuleGroup, duration_shown};
use crate::store::{Limits, Store};

/// How often rules are evaluated in one group of tests at most: a year of minutes is half of it.
const EVALUATIONS_MAX: i64 = 1_000_000;
const LIMITS: Limits =
    Limits { retention_ms: i64::MAX, series_max: 1_000_000, samples_per_series_max: 10_000_000 };
/// How much the last bits of a number may differ, relative to it, where a file says so.
const FUZZ: f64 = f64::EPSILON * 4.0;

type Expected = (Labels, BTreeMap<String, String>);

// === impl RuleTestFile ===

impl RuleTestFile {
    /// Runs the tests with the rules of their files; returns those that do not hold, in their order.
    pub fn run(&self, groups: &[RuleGroup]) -> Vec<RuleTestFailure> {
        let mut groups = groups.to_vec();
        // A group that is not named comes as early as the first one that is.
        groups.sort_by_key(|group| self.group_order.iter().position(|name| *name == group.name).unwrap_or(0));
        self.tests.iter().flat_map(|test| Run::new(self, test, &groups).all()).collect()
    }

    /// Returns how many alerts and queries are tested.
    pub fn n_tests(&self) -> usize {
        self.tests.iter().map(|test| test.alerts.len() + test.queries.len()).sum()
    }
}

/// One group of tests on its way.
struct Run<'r> {
    file: &'r RuleTestFile,
    test: &'r Test,
    store: Store,
    alerts: Alerts,
    /// How many values of the series are in the store.
    n_loaded: usize,
    failures: Vec<RuleTestFailure>,
}

// === impl Run ===

impl<'r> Run<'r> {
    fn new(file: &'r RuleTestFile, test: &'r Test, groups: &[RuleGroup]) -> Self {
        let settings = RuleSettings {
            interval_ms: test.interval_ms,
            external_labels: test.external_labels.clone(),
            external_url: test.external_url.clone(),
            restoring: None,
        };
        let alerts = Alerts::new(groups.to_vec(), settings);
        Self { file, test, store: Store::new(LIMITS), alerts, n_loaded: 0, failures: Vec::new() }
    }

    fn all(mut self) -> Vec<RuleTestFailure> {
        let cases = self.test.alerts.iter().map(|case| case.after_ms);
        let last_ms =
            cases.chain(self.test.queries.iter().map(|case| case.after_ms)).max().unwrap_or_default();
        let interval_ms = self.file.evaluation_interval_ms;
        if last_ms / interval_ms > EVALUATIONS_MAX {
            let message =
                format!("more than {EVALUATIONS_MAX} evaluations: make `evaluation_interval` longer");
            self.fail(0, "the times of the tests".to_owned(), message);
            return self.failures;
        }
        let mut series = BTreeSet::new();
        if let Some((twice, _)) = self.test.series.iter().find(|(labels, _)| !series.insert(labels)) {
            self.fail(0, "the series".to_owned(), format!("`{twice}` is given twice"));
            return self.failures;
        }
        let mut after_ms = 0;
        while after_ms <= last_ms {
            let now_ms = self.test.start_ms.saturating_add(after_ms);
            self.load(after_ms);
            let (_, errors) = self.alerts.evaluate(&mut self.store, now_ms, &AtOnce::nothing());
            if !errors.is_empty() {
                self.evaluation_failed(&errors, after_ms);
                return self.failures;
            }
            let due = |case: &&AlertCase| (after_ms..after_ms + interval_ms).contains(&case.after_ms);
            for case in self.test.alerts.iter().filter(due) {
                self.check_alerts(case);
            }
            after_ms += interval_ms;
        }
        for case in &self.test.queries {
            self.check_query(case);
        }
        self.failures
    }

    fn fail(&mut self, line: usize, what: String, message: String) {
        let test = self.test.name.clone();
        self.failures.push(RuleTestFailure { test, line, what, message });
    }

    /// Puts the samples up to a moment into the store.
    fn load(&mut self, after_ms: i64) {
        while self.n_loaded as i64 * self.test.interval_ms <= after_ms {
            let at_ms = self.test.start_ms.saturating_add(self.n_loaded as i64 * self.test.interval_ms);
            let mut refused = None;
            for (labels, values) in &self.test.series {
                let Some(Some(value)) = values.get(self.n_loaded) else { continue };
                if let Err(error) = self.store.append(labels, at_ms, *value) {
                    refused.get_or_insert(error);
                }
            }
            self.n_loaded += 1;
            if let Some(error) = refused {
                self.fail(0, "the series".to_owned(), error.to_string());
                return;
            }
        }
    }

    fn evaluation_failed(&mut self, errors: &[EvaluationError], after_ms: i64) {
        for error in errors {
            let what = format!("rule `{}` after {}", error.rule(), duration_shown(after_ms));
            let cause =
                std::error::Error::source(error).map(|cause| format!(": {cause}")).unwrap_or_default();
            self.fail(0, what, format!("{error}{cause}"));
        }
    }

    fn check_alerts(&mut self, case: &AlertCase) {
        let is_meant = |rule: &str| rule == case.name;
        let ignores = self.test.ignores_annotations || case.ignores_annotations;
        let counted = |texts: &BTreeMap<String, String>| match ignores {
            true => BTreeMap::new(),
            false => without_empty(texts),
        };
        let firing = self.alerts.active().filter(|alert| alert.state == AlertState::Firing);
        let mut found: Vec<Expected> = firing
            .filter(|alert| is_meant(&alert.rule))
            .map(|alert| (alert.labels.clone(), counted(&alert.annotations)))
            .collect();
        let named =
            |(labels, annotations): &Expected| (labels.with(ALERT_NAME, &case.name), counted(annotations));
        let mut expect: Vec<Expected> = case.expect.iter().map(named).collect();
        found.sort();
        expect.sort();
        if found != expect {
            let what = format!("alert `{}` after {}", case.name, duration_shown(case.after_ms));
            let message = format!("expected {}\n   found {}", alerts_shown(&expect), alerts_shown(&found));
            self.fail(case.line, what, message);
        }
    }

    fn check_query(&mut self, case: &QueryCase) {
        let what = format!("query `{}` after {}", case.query, duration_shown(case.after_ms));
        let at_ms = self.test.start_ms.saturating_add(case.after_ms);
        let answer = Query::parse(&case.query).and_then(|query| query.instant(&self.store, at_ms));
        let mut found: Vec<(Labels, f64)> = match answer {
            Ok(Value::Vector(elements)) => {
                elements.into_iter().map(|Element { labels, value }| (labels, value)).collect()
            }
            Ok(Value::Scalar(value)) => vec![(Labels::empty(), value)],
            Ok(Value::Matrix(_) | Value::Text(_)) => {
                return self.fail(case.line, what, "the query yields no vector and no number".to_owned());
            }
            Err(error) => return self.fail(case.line, what, error.to_string()),
        };
        let mut expect = case.expect.clone();
        let order =
            |one: &(Labels, f64), other: &(Labels, f64)| one.0.cmp(&other.0).then(one.1.total_cmp(&other.1));
        found.sort_by(order);
        expect.sort_by(order);
        let is_fuzzy = self.file.is_fuzzy;
        let same = |(one, other): (&(Labels, f64), &(Labels, f64))| {
            one.0 == other.0 && same_number(one.1, other.1, is_fuzzy)
        };
        if found.len() != expect.len() || !found.iter().zip(&expect).all(same) {
            let message = format!("expected {}\n   found {}", samples_shown(&expect), samples_shown(&found));
            self.fail(case.line, what, message);
        }
    }
}

/// An empty text is as good as none.
fn without_empty(annotations: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    annotations
        .iter()
        .filter(|(_, text)| !text.is_empty())
        .map(|(name, text)| (name.clone(), text.clone()))
        .collect()
}

fn same_number(one: f64, other: f64, is_fuzzy: bool) -> bool {
    if one == other || (one.is_nan() && other.is_nan()) {
        return true;
    }
    is_fuzzy && (one - other).abs() <= FUZZ * one.abs().max(other.abs())
}

fn alerts_shown(alerts: &[Expected]) -> String {
    if alerts.is_empty() {
        return "none".to_owned();
    }
    let one = |(labels, annotations): &Expected| {
        let texts: Vec<String> = annotations.iter().map(|(name, text)| format!("{name}={text:?}")).collect();
        format!("{labels} {{{}}}", texts.join(", "))
    };
    alerts.iter().map(one).collect::<Vec<_>>().join("\n         ")
}

fn samples_shown(samples: &[(Labels, f64)]) -> String {
    if samples.is_empty() {
        return "none".to_owned();
    }
    let one = |(labels, value): &(Labels, f64)| format!("{labels} {}", crate::promql::shown(*value));
    samples.iter().map(one).collect::<Vec<_>>().join("\n         ")
}
