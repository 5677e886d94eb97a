//! Owns the forms of logs.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Which lines of a log are wanted: those that are all of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LogQuestion {
    /// They have this text; in any case, unless it has a capital.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub search: Option<String>,
    /// The text is a regular expression.
    pub regex: bool,
    /// Of this level, and more serious ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("enum" = ["trace", "debug", "info", "warning", "error", "critical"]))]
    pub level: Option<String>,
    /// Nothing older, in milliseconds since the Unix epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since_ms: Option<i64>,
    /// Nothing newer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until_ms: Option<i64>,
    /// So many at most, the newest; without it two hundred.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub limit: Option<u32>,
}

/// Lines of a log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LogLines {
    /// In their order; secrets in them are hidden.
    pub lines: Vec<LogLine>,
    /// Whether there are others before them.
    pub is_cut: bool,
    /// What was in the way.
    pub notes: Vec<String>,
}

/// A line of a log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LogLine {
    /// When, in milliseconds since the Unix epoch.
    pub at_ms: Option<i64>,
    /// How serious it is.
    pub level: Option<String>,
    /// What it is about; empty where it does not say.
    pub event: String,
    /// What it says.
    pub message: String,
    /// All fields of a line of JSON; none of a line of text.
    pub fields: Option<Map<String, Value>>,
}

// === impl LogLine ===

impl From<logs::Entry> for LogLine {
    fn from(entry: logs::Entry) -> Self {
        let logs::Entry { at_ms, level, server: _, event, message, fields } = entry;
        Self { at_ms, level: level.map(|level| level.name().to_owned()), event, message, fields }
    }
}
