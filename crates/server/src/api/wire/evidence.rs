//! Owns the forms of bundles of evidence.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A bundle in a list: what its name says. Nothing of it was checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BundleSummary {
    /// Its name.
    pub bundle: String,
    /// The size of its items, packed, in bytes.
    pub bytes: u64,
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
