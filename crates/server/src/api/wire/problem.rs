//! Owns the form of what went wrong: RFC 9457, `application/problem+json`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::tokens::Role;

/// What went wrong with a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Problem {
    /// `about:blank`: the status says what kind of problem it is.
    #[serde(rename = "type")]
    pub kind: String,
    /// The name of the status.
    pub title: String,
    /// The HTTP status.
    #[schemars(range(min = 400, max = 599))]
    pub status: u16,
    /// What went wrong this time, with what to do next.
    pub detail: String,
    /// The lowest role that may do this, where that is what is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub needs_role: Option<Role>,
    /// After how many seconds it may be tried again, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_s: Option<u64>,
}
