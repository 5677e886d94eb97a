//! Owns the forms of tokens, and of who acts.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::tokens::Token;

/// Who acts.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct By {
    /// The name of a person, or of the step of a runbook.
    pub by: String,
}

/// A token that was just made.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
pub struct NewToken {
    /// What is known of it.
    pub token: Token,
    /// Its word, which is shown this once.
    pub word: String,
}
