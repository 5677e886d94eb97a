//! Owns `[[server.dependency]]`: what a server depends on, and what of that several servers may have in common.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Secret;

/// `[[server.dependency]]`: exactly one of `http`, `tcp`, `postgres`, `process`, `file`, `env`, `nagios`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Dependency {
    /// Its name.
    pub name: String,
    /// A URL that must answer with a status below 400.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<String>,
    /// `HOST:PORT` that must accept a connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tcp: Option<String>,
    /// `[USER@]HOST:PORT[/DATABASE]` of a PostgreSQL that must take connections; as a URL also with `sslmode` and `sslrootcert`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub postgres: Option<String>,
    /// Where the password of that user is; proven by SCRAM, and never sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<Secret>,
    /// The exact name of a process that must run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process: Option<String>,
    /// A file or folder that must exist.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<PathBuf>,
    /// A variable that must not be empty, in the environment that the server gets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env: Option<String>,
    /// A plugin of Nagios and its arguments: exit code 0 is well, 1 is well with less to offer, 2 is not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nagios: Vec<String>,
    /// Whether the server cannot do without it.
    #[serde(default = "default_critical")]
    pub critical: bool,
}

fn default_critical() -> bool {
    true
}

// === impl Dependency ===

impl Dependency {
    /// Its name and target, where another server may need the same; a variable is each server's own.
    pub(crate) fn shared(&self) -> Option<String> {
        let plugin = (!self.nagios.is_empty()).then(|| self.nagios.join(" "));
        let file = self.file.as_ref().map(|path| path.to_string_lossy());
        let (kind, target) = [
            ("http", self.http.as_deref()),
            ("tcp", self.tcp.as_deref()),
            // One that is asked over TLS is the same database.
            ("postgres", self.postgres.as_deref().map(|url| url.split('?').next().unwrap_or_default())),
            ("process", self.process.as_deref()),
            ("file", file.as_deref()),
            ("nagios", plugin.as_deref()),
        ]
        .into_iter()
        .find_map(|(kind, target)| Some((kind, target?)))?;
        Some(format!("{} ({kind} {target})", self.name))
    }
}
