//! Owns `[rules]`: rule files of Prometheus beside the alerts of the runbooks.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `[rules]`
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Rules {
    /// Rule files; the last part of a path may have `*` and `?`.
    pub files: Vec<PathBuf>,
    /// What templates see as `$externalLabels`.
    pub external_labels: BTreeMap<String, String>,
    /// What templates see as `$externalURL`.
    pub external_url: String,
}
