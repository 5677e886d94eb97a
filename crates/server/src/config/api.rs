//! Owns `[api]`: who may use the API over the network.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `[api]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Api {
    /// Whether tokens are taken from other machines, where `listen` is an address that they reach. It speaks no TLS: only
    /// where something in front of it does.
    pub beyond_loopback: bool,
    /// The names under which it is asked, beside `localhost` and addresses: that of what stands in front of it. While
    /// `listen` is on loopback, or where some are said, others are refused.
    pub names: Vec<String>,
    /// How many requests of one token are answered in a minute.
    pub requests_per_minute: u32,
}

// === impl Api ===

impl Default for Api {
    fn default() -> Self {
        Self { beyond_loopback: false, names: Vec::new(), requests_per_minute: 1_200 }
    }
}
