//! Owns what is asked of traces, and what is told of one.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use traces::{Filter, Summary};

/// Which traces are wanted: those with a span that is all of it.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TraceQuestion {
    /// Of this server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    /// A call of this tool.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool: Option<String>,
    /// It took so many milliseconds, or longer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slow_ms: Option<u64>,
    /// It went wrong.
    pub errors: bool,
    /// It ended at this time or later, in milliseconds since the Unix epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since_ms: Option<i64>,
    /// So many at most, the last ones; without it a hundred.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub limit: Option<u32>,
    /// Where to go on: what `Link` (`rel="next"`) of the answer before has, as it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 600))]
    pub cursor: Option<String>,
}

/// One trace.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TraceSummary {
    /// Its id: 32 hexadecimal digits.
    pub trace_id: String,
    /// When its first span began, in milliseconds since the Unix epoch.
    pub start_ms: i64,
    /// From the beginning of its first span to the end of its last, in milliseconds.
    pub duration_ms: f64,
    /// The server of the span that was asked for.
    pub server: String,
    /// The name of that span: of several the one that took longest.
    pub name: String,
    /// How long that span took, in milliseconds.
    pub span_ms: f64,
    /// How many spans it has.
    pub spans: usize,
    /// How many of them went wrong.
    pub errors: usize,
    /// Why the first of those did.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub error: String,
}

// === impl TraceQuestion, TraceSummary ===

/// How many traces are told of where nothing is said.
const LIMIT: usize = 100;

impl From<TraceQuestion> for Filter {
    fn from(question: TraceQuestion) -> Self {
        let TraceQuestion { server, tool, slow_ms, errors, since_ms, limit, cursor: _ } = question;
        let since_ns = since_ms.map(|ms| u64::try_from(ms).unwrap_or(0).saturating_mul(1_000_000));
        let slow = slow_ms.map(Duration::from_millis);
        Self { server, tool, slow, errors, since_ns, limit: limit.map_or(LIMIT, |limit| limit as usize) }
    }
}

impl From<Summary> for TraceSummary {
    fn from(summary: Summary) -> Self {
        let ms = |took: Duration| took.as_secs_f64() * 1e3;
        Self {
            trace_id: summary.trace.to_string(),
            start_ms: i64::try_from(summary.start_ns / 1_000_000).unwrap_or(i64::MAX),
            duration_ms: ms(summary.took),
            server: summary.server,
            name: summary.name,
            span_ms: ms(summary.span_took),
            spans: summary.n_spans,
            errors: summary.n_errors,
            error: summary.error,
        }
    }
}
