//! Owns how a part of a list is asked for.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The most that one answer lists.
pub const LIMIT_MAX: u32 = 1_000;

/// Which part of a list is wanted: without anything its first [`LIMIT_MAX`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ListQuestion {
    /// So many at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub limit: Option<u32>,
    /// Where to go on: what `Link` (`rel="next"`) of the answer before has, as it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 600))]
    pub cursor: Option<String>,
}
