//! Owns what another system tells of an alert: an Alertmanager, or whoever speaks to a webhook of ours.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// An alert as another system told of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heard {
    /// The alert's name.
    pub name: String,
    /// The server that it names; empty where it names none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub server: String,
    /// What tells it from others: 16 hexadecimal digits.
    pub fingerprint: String,
    /// Whether it fires.
    pub state: HeardState,
    /// When it began there, in milliseconds since the Unix epoch.
    pub started_ms: i64,
    /// Whether nobody said when it began, and it is the moment when it was heard.
    #[serde(default, skip_serializing_if = "is_no")]
    pub start_guessed: bool,
    /// When it ended there, where it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_ms: Option<i64>,
    /// All labels.
    pub labels: BTreeMap<String, String>,
    /// Texts for people.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

fn is_no(is_so: &bool) -> bool {
    !is_so
}

/// Whether an alert of another system fires.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HeardState {
    /// It does.
    Firing,
    /// It did.
    Resolved,
}
