//! Owns `[api]`: who may use the API over the network.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `[api]`
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Api {
    /// Whether tokens are taken from other machines, where `listen` is an address that they reach. It speaks no TLS: only
    /// where something in front of it does.
    pub beyond_loopback: bool,
    /// The names under which browsers reach the pages, beside those of this machine itself and the address of `listen`: that
    /// of the proxy in front, for instance.
    pub names: Vec<String>,
}
