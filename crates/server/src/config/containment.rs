//! Owns `[containment]`: who is never shut out, and how long a server stays contained that nobody has confirmed.

use ::containment::Network;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Span;

/// `[containment]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Containment {
    /// Addresses and networks of the people who respond: they get through whatever is contained, and are never shut out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<String>")]
    pub responders: Vec<Network>,
    /// What nobody has confirmed within this time is taken back.
    pub confirm_within: Span,
}

// === impl Containment ===

impl Default for Containment {
    fn default() -> Self {
        Self { responders: Vec::new(), confirm_within: Span::seconds(30 * 60) }
    }
}
