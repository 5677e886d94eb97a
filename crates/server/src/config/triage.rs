//! Owns `[triage]`: when what comes back is the same incident, and when that is too often.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Span;

/// `[triage]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Triage {
    /// What comes back within this time after its incident was resolved opens it again; `0s` never does.
    pub reopen_within: Span,
    /// Opened again so often within `flapping_period`, an incident is flapping: it is looked at, and nothing is changed
    /// without a yes.
    pub flapping_reopens: u32,
    /// The time over which that is counted.
    pub flapping_period: Span,
    /// After so long without coming back it is no longer flapping.
    pub flapping_quiet: Span,
}

// === impl Triage ===

impl Default for Triage {
    fn default() -> Self {
        Self {
            reopen_within: Span::seconds(15 * 60),
            flapping_reopens: 3,
            flapping_period: Span::seconds(60 * 60),
            flapping_quiet: Span::seconds(60 * 60),
        }
    }
}
