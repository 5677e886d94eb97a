//! Owns rules: alerting rules, recording rules, and the groups that they are evaluated in.

mod duration;
mod fields;
mod file;
mod problem;
mod yaml;

use std::collections::{BTreeMap, BTreeSet};

pub(crate) use duration::{duration_shown, parse_duration};
pub(crate) use fields::{Fields, place};
pub use file::{parse_rules, parse_rules_with};
pub use problem::{RuleLevel, RuleProblem};
pub(crate) use yaml::{Node, read};

use crate::labels::{Labels, METRIC_NAME};
use crate::promql::Query;
use crate::template::{Template, TemplateContext};

/// The label that holds the name of an alert's rule.
pub const ALERT_NAME: &str = "alertname";

/// Rules that are evaluated one after another, at one interval.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleGroup {
    /// What tells it from the other groups of its source.
    pub name: String,
    /// The file that it was read from, or what else it was made of.
    pub source: String,
    /// The time between two evaluations; none where whoever evaluates decides.
    pub interval_ms: Option<i64>,
    /// How many alerts, or series, one of its rules may yield; 0 is any number.
    pub limit: usize,
    /// How far back queries look, for samples that arrive late.
    pub query_offset_ms: i64,
    /// The rules in their order.
    pub rules: Vec<Rule>,
}

/// One rule of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rule {
    /// Makes alerts.
    Alerting(AlertingRule),
    /// Makes series.
    Recording(RecordingRule),
}

/// When to alert, and what to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlertingRule {
    /// The name of its alerts.
    pub name: String,
    /// Each element of its result is an alert.
    pub query: Query,
    /// How long an element must be there before its alert fires; 0 or less fires at once.
    pub for_ms: i64,
    /// How long an alert goes on firing after its element has gone.
    pub keep_firing_for_ms: i64,
    /// Labels for each alert; they hold over those of the element.
    pub labels: BTreeMap<String, Template>,
    /// Texts for people.
    pub annotations: BTreeMap<String, Template>,
}

/// A query whose result is kept as a series.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordingRule {
    /// The name of the series.
    pub name: String,
    /// Each element of its result is a sample.
    pub query: Query,
    /// Labels for each series; they hold over those of the element, and an empty one takes a label away.
    pub labels: BTreeMap<String, String>,
}

// === impl RuleGroup ===

impl RuleGroup {
    /// Returns a group of alerting rules without bounds of its own.
    pub fn of(source: &str, rules: Vec<AlertingRule>) -> Self {
        Self {
            name: source.to_owned(),
            source: source.to_owned(),
            interval_ms: None,
            limit: 0,
            query_offset_ms: 0,
            rules: rules.into_iter().map(Rule::Alerting).collect(),
        }
    }
}

// === impl Rule ===

impl Rule {
    /// Returns the name of the alert, or of the series.
    pub fn name(&self) -> &str {
        match self {
            Self::Alerting(rule) => &rule.name,
            Self::Recording(rule) => &rule.name,
        }
    }

    /// Returns the query.
    pub fn query(&self) -> &Query {
        match self {
            Self::Alerting(rule) => &rule.query,
            Self::Recording(rule) => &rule.query,
        }
    }

    /// Returns the names of the metrics that its query selects by name.
    pub(crate) fn metric_names(&self) -> BTreeSet<String> {
        self.query().metric_names()
    }
}

// === impl AlertingRule ===

impl AlertingRule {
    /// Returns the labels of the alert of one element of the result.
    pub(crate) fn alert_labels(&self, context: &TemplateContext<'_>) -> Labels {
        let own = self.labels.iter().map(|(name, text)| (name.clone(), text.expand_or_say(context)));
        let name = std::iter::once((ALERT_NAME.to_owned(), self.name.clone()));
        let found = context.labels.without(METRIC_NAME);
        let found: Vec<(String, String)> =
            found.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        found.into_iter().chain(own).chain(name).collect()
    }

    /// Returns the annotations of the alert of one element of the result.
    pub(crate) fn alert_annotations(&self, context: &TemplateContext<'_>) -> BTreeMap<String, String> {
        self.annotations.iter().map(|(name, text)| (name.clone(), text.expand_or_say(context))).collect()
    }
}

// === impl RecordingRule ===

impl RecordingRule {
    /// Returns the labels of the series of one element of the result.
    pub(crate) fn series_labels(&self, element: &Labels) -> Labels {
        let name = std::iter::once((METRIC_NAME, self.name.as_str()));
        let own = self.labels.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        element.iter().chain(own).chain(name).collect()
    }
}
