//! Owns the forms of bundles of evidence.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which bundles are wanted, the oldest first: those that are all of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BundleQuestion {
    /// Of this incident, by its whole name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub incident: Option<String>,
    /// About this server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    /// Collected at this moment or later, in milliseconds since the Unix epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since_ms: Option<i64>,
    /// Whose last check has found them as they were sealed, or has not; those that nobody has checked are neither.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sound: Option<bool>,
    /// So many at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub limit: Option<u32>,
    /// Where to go on: what `Link` (`rel="next"`) of the answer before has, as it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 600))]
    pub cursor: Option<String>,
}

/// A bundle in a list: what it says of itself, and what came of its last check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BundleSummary {
    /// Its name.
    pub bundle: String,
    /// The size of its items, packed, in bytes.
    pub bytes: u64,
    /// The server that it is about; none where it is the machine, or where the bundle does not say.
    #[serde(default)]
    pub server: Option<String>,
    /// The incident.
    #[serde(default)]
    pub incident: Option<String>,
    /// When its collection began, in milliseconds since the Unix epoch.
    #[serde(default)]
    pub collected_ms: Option<i64>,
    /// Who collected it.
    #[serde(default)]
    pub collected_by: Option<String>,
    /// What came of its last check; none where nobody has checked it.
    #[serde(default)]
    pub checked: Option<BundleCheck>,
}

/// What came of the last check of a bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BundleCheck {
    /// When, in milliseconds since the Unix epoch.
    pub at_ms: i64,
    /// Who has checked it.
    pub by: String,
    /// Whether it was as it was sealed.
    pub sound: bool,
    /// The hash of it all.
    pub sha256: Option<String>,
    /// What was wrong with it, the first few.
    pub problems: Vec<String>,
}

/// What a command on this machine has found when it checked a bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NoteCheck {
    /// Who has checked it.
    pub by: String,
    /// The hash of it all.
    pub sha256: Option<String>,
    /// What is wrong with it.
    pub problems: Vec<String>,
}

/// A bundle that was checked with the key of its host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BundleVerification {
    /// Its name.
    pub bundle: String,
    /// The server that it is about.
    pub server: Option<String>,
    /// The incident.
    pub incident: Option<String>,
    /// `complete`, `interrupted` or `collecting`.
    pub state: Option<String>,
    /// How many items it has.
    pub items: usize,
    /// How many were looked for in vain.
    pub missing: usize,
    /// The hash of it all.
    pub sha256: Option<String>,
    /// What is wrong with it; nothing where it is as it was sealed.
    pub problems: Vec<String>,
    /// What is worth knowing, and not wrong.
    pub remarks: Vec<String>,
}

// === impl BundleQuestion ===

impl BundleQuestion {
    /// Whether a bundle is one of those.
    pub fn is_about(&self, one: &BundleSummary) -> bool {
        (self.incident.is_none() || one.incident == self.incident)
            && (self.server.is_none() || one.server == self.server)
            && self.since_ms.is_none_or(|since_ms| one.collected_ms >= Some(since_ms))
            && self.sound.is_none_or(|sound| one.checked.as_ref().is_some_and(|check| check.sound == sound))
    }
}
