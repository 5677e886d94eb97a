//! Owns `[intrusion]`: how often servers and their machine are looked at for an intruder, and what is looked at beside the usual.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Bytes, Config, Span};

/// `[intrusion]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Intrusion {
    /// The time between two looks at servers that have a baseline.
    pub every: Span,
    /// How much may leave to somebody to whom a server never was connected before that is a sign.
    pub leaving_max: Bytes,
    /// Files and folders that are the servers' own, beside their programs: configuration, code.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub own: Vec<PathBuf>,
}

impl Default for Intrusion {
    fn default() -> Self {
        Self { every: Span::seconds(30), leaving_max: Bytes(10 << 20), own: Vec::new() }
    }
}

pub(super) fn problems(config: &Config) -> Vec<(&'static str, String)> {
    let mut problems = Vec::new();
    if config.intrusion.every.ms() < 100 {
        problems.push(("every", format!("`{}` is too short; 100ms is the least", config.intrusion.every)));
    }
    if let Some(relative) = config.intrusion.own.iter().find(|path| !path.is_absolute()) {
        problems.push(("own", format!("`{}` has to be an absolute path", relative.display())));
    }
    problems
}
