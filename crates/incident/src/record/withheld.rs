//! Owns what a record says of a statement that policy kept from being run: what would have been done, and what allows it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A statement that policy kept from being run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Withheld {
    /// What kept it.
    pub keeper: Keeper,
    /// Its effect.
    pub effect: String,
    /// Why it has that effect.
    pub effect_reason: String,
    /// The values of the parameters that it reads.
    pub values: BTreeMap<String, String>,
    /// Why a person would have been asked; absent where it would have been run without a question.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asks: Option<String>,
    /// What would allow it.
    pub allow: String,
}

/// What keeps a statement from being run, whatever a person says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Keeper {
    /// The mode `observe`.
    Observe,
    /// All of it is only tried out.
    DryRun,
    /// The kill switch.
    KillSwitch,
    /// The alert is resolved.
    Resolved,
}

// === impl Withheld ===

impl Withheld {
    /// Whether this is the machine only looking on: what it would have done tells whether it can be trusted.
    pub fn is_shadow(&self) -> bool {
        matches!(self.keeper, Keeper::Observe | Keeper::DryRun)
    }
}
