//! Owns `[policy]`: what may be changed without a person, how often, and what stops everything.

use std::path::PathBuf;

use incident::Mode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Span, schema};

/// `[policy]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Policy {
    /// `observe`, `suggest` or `auto`, for the servers that `serve` has started itself.
    #[schemars(schema_with = "schema::mode")]
    pub mode: Mode,
    /// The same for servers that somebody else has started (`upstream`).
    #[schemars(schema_with = "schema::mode")]
    pub mode_upstream: Mode,
    /// Whether all changes are only decided on and written down, and none is made.
    pub dry_run: bool,
    /// The effects that need no approval in mode `auto`: any of `observe`, `change`, `disrupt`.
    pub allow: Vec<String>,
    /// The same for critical alerts, in place of `allow`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow_critical: Option<Vec<String>>,
    /// The same for warnings.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow_warning: Option<Vec<String>>,
    /// The same for alerts that are for the record.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow_info: Option<Vec<String>>,
    /// How many restarts of one server in an hour need no approval.
    pub restarts_per_hour: u32,
    /// How many changes of all servers together in an hour need no approval.
    pub changes_per_hour: u32,
    /// How long after a change a procedure asks before it changes the same server again, at least.
    pub cooldown: Span,
    /// How many servers in trouble at once stop all changes that nobody has approved.
    pub storm_servers: u32,
    /// How far apart the first and the last of them may be.
    pub storm_window: Span,
    /// Whether two people have to approve what destroys.
    pub second_person: bool,
    /// Whether the kernel holds units that only look to it: they write nowhere but where the product keeps its own things
    /// (Landlock). Of a `serve` that is not root they can not become root either.
    pub observe_read_only: bool,
    /// How long a question to a person stays open.
    pub approval_expiry: Span,
    /// How often a procedure is followed before a person is asked.
    pub runs_max: u32,
    /// A file that, while it exists, stops every change. Default: `kill-switch` in the data directory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kill_switch: Option<PathBuf>,
}

// === impl Policy ===

impl Default for Policy {
    fn default() -> Self {
        Self {
            mode: Mode::Auto,
            mode_upstream: Mode::Observe,
            dry_run: false,
            allow: ["observe", "change", "disrupt"].map(str::to_owned).to_vec(),
            allow_critical: None,
            allow_warning: None,
            allow_info: None,
            restarts_per_hour: 5,
            changes_per_hour: 20,
            cooldown: Span::seconds(5 * 60),
            storm_servers: 5,
            storm_window: Span::seconds(10 * 60),
            observe_read_only: true,
            second_person: false,
            approval_expiry: Span::seconds(30 * 60),
            runs_max: 2,
            kill_switch: None,
        }
    }
}
