//! Owns the forms of what holds the machine back: the kill switch, and maintenance.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How the kill switch stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct KillSwitchStatus {
    /// Whether it is on: nothing is changed then.
    pub on: bool,
    /// Where it is: a file.
    pub path: String,
    /// Who has thrown it, when and why, where the file says so.
    pub note: Option<String>,
    /// Whether this request has changed it; a look never does.
    #[serde(default)]
    pub anew: bool,
}

/// That nothing is to be changed any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ThrowKillSwitch {
    /// Who.
    pub by: String,
    /// Why.
    pub reason: String,
}

/// That people begin to work on a server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StartMaintenance {
    /// The server; absent for all.
    #[serde(default)]
    pub server: Option<String>,
    /// When it begins, in milliseconds since the Unix epoch.
    pub from_ms: i64,
    /// When it is over, in milliseconds since the Unix epoch.
    pub until_ms: i64,
    /// What is done there.
    pub reason: String,
    /// Who says so.
    pub by: String,
}
