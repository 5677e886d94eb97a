//! Owns the forms of alerts and silences.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An alert that is pending, fires, or was resolved a short time ago.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct AlertStatus {
    /// Its name.
    pub name: String,
    /// Where it stands.
    pub state: metrics::AlertState,
    /// The server that it names.
    pub server: String,
    /// Since when it stands so, in milliseconds since the Unix epoch.
    pub since_ms: i64,
    /// The last value of its element; none where that is no number.
    pub value: Option<f64>,
    /// All labels.
    #[schemars(with = "BTreeMap<String, String>")]
    pub labels: metrics::Labels,
    /// The fingerprint of the labels.
    pub fingerprint: String,
    /// The numbers of the silences that it falls under.
    pub silenced_by: Vec<u32>,
    /// The name of the alert beside which it says nothing new, where one fires.
    pub inhibited_by: Option<String>,
    /// Who tells of it: `runbooks`, the rule file that has its rule, or another system.
    #[serde(default)]
    pub from: String,
    /// Why it opens no incident, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opens_nothing: Option<String>,
}

/// A silence, and where it stands.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct SilenceStatus {
    /// Where it stands.
    pub state: metrics::SilenceState,
    /// The silence.
    pub silence: metrics::Silence,
}

/// A silence that a person adds.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AddSilence {
    /// All of them have to match.
    #[schemars(with = "Vec<String>")]
    pub matchers: Vec<metrics::Matcher>,
    /// When it begins, in milliseconds since the Unix epoch.
    pub starts_ms: i64,
    /// When it is over, in milliseconds since the Unix epoch.
    pub ends_ms: i64,
    /// Who.
    pub by: String,
    /// Why.
    pub comment: String,
    /// Whether it may be about nearly everything.
    #[serde(default)]
    pub force: bool,
}

// === impl AddSilence ===

impl AddSilence {
    /// The silence, and whether it may be about nearly everything.
    pub fn into_parts(self) -> (metrics::Silence, metrics::Breadth) {
        let Self { matchers, starts_ms, ends_ms, by: created_by, comment, force } = self;
        let breadth = if force { metrics::Breadth::Any } else { metrics::Breadth::Narrow };
        (metrics::Silence { number: 0, matchers, starts_ms, ends_ms, created_by, comment }, breadth)
    }
}
