//! Owns the forms of the journal: its entries, and the check of its chain.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Which entries are wanted, the newest first: those that are all of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct JournalQuestion {
    /// Of this incident, by its whole name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub incident: Option<String>,
    /// Of incidents about this server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    /// Of this kind, such as `opened`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// So many at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub limit: Option<u32>,
    /// Where to go on: what `Link` (`rel="next"`) of the answer before has, as it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 600))]
    pub cursor: Option<String>,
}

/// An entry of the journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct JournalEntry {
    /// Its place.
    pub seq: i64,
    /// The host that wrote it.
    pub node: String,
    /// When, in milliseconds since the Unix epoch.
    pub at_ms: i64,
    /// The incident that it belongs to.
    pub incident: Option<String>,
    /// What it says, such as `opened`.
    pub kind: String,
    /// The version of its form.
    pub version: u32,
    /// All of it.
    pub body: Value,
    /// The digest of the entry before: SHA-256, in hexadecimal.
    pub previous: String,
    /// Its own.
    pub digest: String,
}

/// What the check of the whole chain found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct JournalVerification {
    /// How many entries are whole and in their place, before the first that is not.
    pub entries: u64,
    /// How many were given up between those, as the journal itself states.
    pub pruned: u64,
    /// Where the chain breaks, and why, where it does.
    pub broken: Option<String>,
}

// === impl JournalEntry, JournalVerification ===

impl From<::journal::Entry> for JournalEntry {
    fn from(entry: ::journal::Entry) -> Self {
        let ::journal::Entry { seq, node, at_ms, incident, kind, version, body, previous, digest } = entry;
        let (previous, digest) = (previous.to_string(), digest.to_string());
        Self { seq, node, at_ms, incident, kind, version, body, previous, digest }
    }
}

impl From<::journal::Verification> for JournalVerification {
    fn from(found: ::journal::Verification) -> Self {
        let broken = found.broken.map(|broken| broken.to_string());
        Self { entries: found.entries, pruned: found.pruned, broken }
    }
}
