//! Owns the line of one request that is over.

use std::time::Duration;

use serde_json::Value;

use super::Asked;
use crate::clock;
use crate::envelope::{self, Outcome};
use crate::log::{About, Level, clip};
use crate::metrics::{Method, Status};
use crate::spans::Over;
use crate::state::Guard;

/// An answer that took longer is marked in the log.
pub(crate) const SLOW: Duration = Duration::from_secs(5);
/// What a server says about an error goes into the log as far as a line should be long.
const MESSAGE_CHARS: usize = 500;

/// A request that is over.
pub(crate) struct Line<'a> {
    pub(crate) method: Method,
    pub(crate) tool: Option<&'a str>,
    /// The beginning of the session's id.
    pub(crate) session: &'a str,
    pub(crate) took: Duration,
    pub(crate) asked: &'a Asked,
}

// === impl Line ===

impl Line<'_> {
    /// Writes it down.
    pub(crate) fn write(&self, guard: &Guard, outcome: Outcome<'_>, status: Status) {
        let method = self.method;
        let (level, about, word) = match status {
            Status::Error => (Level::Error, About::Error, "error"),
            Status::Success if self.took >= SLOW => (Level::Warning, About::Performance, "success"),
            Status::Success => (Level::Info, About::Response, "success"),
        };
        let (words, bytes) = match (status, outcome) {
            (Status::Success, Outcome::Result(text) | Outcome::Error(text)) => {
                (format!("{method} answered"), text.len())
            }
            (Status::Error, Outcome::Result(result)) => {
                (format!("{method} answered: the tool says that it failed"), result.len())
            }
            (Status::Error, Outcome::Error(error)) => {
                let message = envelope::member(error, "message").ok().flatten();
                let message = message.and_then(|json| serde_json::from_str::<String>(json).ok());
                let message = clip(&message.unwrap_or_default(), MESSAGE_CHARS);
                (format!("{method} failed: {message}"), error.len())
            }
        };
        guard.metrics.answered(method, bytes);
        if let Some(tool) = self.tool {
            guard.metrics.called(tool, status, self.took);
        }
        let millis = self.took.as_micros() as f64 / 1000.0;
        let fields: [(&str, Value); 5] = [
            ("method", method.name().into()),
            ("session", self.session.into()),
            ("duration_ms", millis.into()),
            ("outcome", word.into()),
            ("bytes_out", bytes.into()),
        ];
        let tool = self.tool.map(|tool| ("tool", tool.into()));
        let Self { tool: called, session, took, asked, .. } = *self;
        let over = Over { part: asked.part, method, tool: called, session, took, outcome, status };
        let trace = guard.spans.over(&over, clock::now_ns()).or_else(|| asked.part.given());
        let trace = trace.map(|trace| ("trace_id", trace.to_string().into()));
        guard.log.write(
            level,
            about,
            &words,
            fields.into_iter().chain(tool).chain(self.asked.fields()).chain(trace),
        );
    }
}
