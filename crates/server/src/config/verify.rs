//! Owns `[verify]`: what counts as recovered.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Span;

/// `[verify]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Verify {
    /// Good answers in a row, by one process.
    pub probes: u32,
    /// The time between two of them.
    pub interval: Span,
    /// The time from the first to the last, at least.
    pub period: Span,
    /// When to give up.
    pub timeout: Span,
}

// === impl Verify ===

impl Default for Verify {
    fn default() -> Self {
        Self { probes: 3, interval: Span::seconds(1), period: Span::seconds(2), timeout: Span::seconds(60) }
    }
}
