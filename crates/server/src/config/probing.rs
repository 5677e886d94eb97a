//! Owns `[probe]`: how servers are asked how they are.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Span;

/// `[probe]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Probe {
    /// The time between two probes of a server.
    pub interval: Span,
    /// How long one probe may take.
    pub timeout: Span,
    /// How many servers are asked at a time; the others wait for their turn.
    pub at_once: usize,
}

// === impl Probe ===

impl Default for Probe {
    fn default() -> Self {
        Self { interval: Span::seconds(5), timeout: Span::seconds(3), at_once: 256 }
    }
}
