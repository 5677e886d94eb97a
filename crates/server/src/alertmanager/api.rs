//! Owns the JSON of silences in the API of Alertmanager, version 2.

use std::collections::BTreeMap;

use chrono::{DateTime, SecondsFormat};
use serde::{Deserialize, Serialize};

/// A silence as it stands there.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Silence {
    pub(super) id: String,
    pub(super) status: Status,
    pub(super) comment: String,
    pub(super) created_by: String,
    pub(super) starts_at: String,
    pub(super) ends_at: String,
    pub(super) matchers: Vec<Matcher>,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Status {
    pub(super) state: String,
}

/// A condition on a label.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Matcher {
    pub(super) name: String,
    pub(super) value: String,
    pub(super) is_regex: bool,
    #[serde(default = "yes")]
    pub(super) is_equal: bool,
}

/// A silence that is made, or made to last longer.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct NewSilence<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) id: Option<&'a str>,
    pub(super) matchers: Vec<Matcher>,
    pub(super) starts_at: String,
    pub(super) ends_at: String,
    pub(super) created_by: &'a str,
    pub(super) comment: &'a str,
}

/// What is answered.
#[derive(Debug, Deserialize)]
pub(super) struct Made {
    #[serde(rename = "silenceID")]
    pub(super) id: String,
}

fn yes() -> bool {
    true
}

// === impl Silence ===

impl Silence {
    pub(super) fn is_over(&self) -> bool {
        self.status.state == "expired"
    }

    /// When it ends, in milliseconds since the Unix epoch.
    pub(super) fn ends_ms(&self) -> i64 {
        DateTime::parse_from_rfc3339(&self.ends_at).map_or(0, |at| at.timestamp_millis())
    }

    /// The labels that it is about, where it is about exact values only.
    pub(super) fn labels(&self) -> Option<BTreeMap<String, String>> {
        let is_exact = |matcher: &Matcher| matcher.is_equal && !matcher.is_regex;
        let pair = |matcher: &Matcher| (matcher.name.clone(), matcher.value.clone());
        self.matchers.iter().all(is_exact).then(|| self.matchers.iter().map(pair).collect())
    }
}

/// Conditions that hold for these very labels.
pub(super) fn exactly(labels: &BTreeMap<String, String>) -> Vec<Matcher> {
    let given = labels.iter().filter(|(_, value)| !value.is_empty());
    given
        .map(|(name, value)| Matcher {
            name: name.clone(),
            value: value.clone(),
            is_regex: false,
            is_equal: true,
        })
        .collect()
}

/// A moment as it is written there.
pub(super) fn time(at_ms: i64) -> String {
    DateTime::from_timestamp_millis(at_ms).unwrap_or_default().to_rfc3339_opts(SecondsFormat::Millis, true)
}
