//! Owns the line of one request that is over.

use std::time::Duration;

use traces::TraceId;

use super::Asked;
use crate::clock;
use crate::envelope::{self, Outcome};
use crate::log::{About, Field, Level, Log, clip};
use crate::mcp::gate::Told;
use crate::metrics::{Method, Metrics, Status};
use crate::spans::{Failed, Over, Spans};
use crate::state::Guard;
use crate::unusual;

/// An answer that took longer is marked in the log.
pub(crate) const SLOW: Duration = Duration::from_secs(5);
/// What a server says about an error goes into the log as far as a line should be long.
const MESSAGE_CHARS: usize = 500;

/// What an answer says of itself in the log.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Summary {
    words: String,
    bytes: usize,
    /// Where it is one that says no.
    failed: Option<Failed>,
}

/// A request that is over.
pub(crate) struct Line<'a> {
    pub(crate) method: Method,
    pub(crate) tool: Option<&'a str>,
    /// The beginning of the session's id; empty where there is none.
    pub(crate) session: &'a str,
    pub(crate) took: Duration,
    pub(crate) asked: &'a Asked,
}

// === impl Line, Summary ===

impl Line<'_> {
    /// Writes it down.
    pub(crate) fn write(&self, guard: &Guard, outcome: Outcome<'_>, status: Status) {
        let answer = Summary::of(self.method, outcome, status);
        let about =
            Told { tool: self.tool.unwrap_or_default(), client: &self.asked.client, session: self.session };
        unusual::answered(guard, self.asked, about, answer.bytes);
        self.tell((&guard.spans, &guard.metrics), Some(&guard.log), &answer);
    }

    /// The same where the answer itself is gone already.
    pub(crate) fn tell(&self, (spans, metrics): (&Spans, &Metrics), log: Option<&Log>, answer: &Summary) {
        let trace = self.span(spans, answer.failed.as_ref());
        let (level, about, word) = match answer.failed {
            Some(_) => (Level::Error, About::Error, "error"),
            None if self.took >= SLOW => (Level::Warning, About::Performance, "success"),
            None => (Level::Info, About::Response, "success"),
        };
        metrics.answered(self.method, answer.bytes);
        let Some(log) = log else { return };
        let fields = self.fields(word).chain([("bytes_out", Field::Count(answer.bytes as u64))]);
        log.write(level, about, &answer.words, fields.chain(self.asked.fields()).chain(of_trace(trace)));
    }

    /// Writes down that nobody will answer it any more.
    pub(crate) fn lost(&self, spans: &Spans, log: Option<&Log>, reason: &str) {
        let trace = self.span(spans, Some(&Failed::lost(reason)));
        let Some(log) = log else { return };
        let words = format!("{} failed: {reason}", self.method);
        let fields = self.fields("lost").chain(self.asked.fields()).chain(of_trace(trace));
        log.write(Level::Error, About::Error, &words, fields);
    }

    /// Makes its span. Returns the trace that it is part of, where that is kept or the client's.
    fn span(&self, spans: &Spans, failed: Option<&Failed>) -> Option<TraceId> {
        let Self { method, tool, session, took, asked } = *self;
        let over = Over { part: asked.part, method, tool, session, took, failed };
        spans.over(&over, clock::now_ns()).or_else(|| asked.part.given())
    }

    fn fields(&self, outcome: &'static str) -> impl Iterator<Item = (&'static str, Field<'_>)> {
        let session = Some(self.session).filter(|session| !session.is_empty());
        let fields = [
            ("method", Some(Field::Word(self.method.name()))),
            ("session", session.map(Field::Text)),
            ("duration_ms", Some(Field::Millis(self.took))),
            ("outcome", Some(Field::Word(outcome))),
            ("tool", self.tool.map(Field::Text)),
        ];
        fields.into_iter().filter_map(|(name, value)| Some((name, value?)))
    }
}

/// What the request is part of, as a field.
fn of_trace(trace: Option<TraceId>) -> Option<(&'static str, Field<'static>)> {
    trace.map(|trace| ("trace_id", Field::Trace(trace)))
}

impl Summary {
    pub(crate) fn of(method: Method, outcome: Outcome<'_>, status: Status) -> Self {
        let (words, bytes) = match (status, outcome) {
            (Status::Success, Outcome::Result(text) | Outcome::Error(text)) => {
                ([method.name(), " answered"].concat(), text.len())
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
        Self { words, bytes, failed: (status == Status::Error).then(|| Failed::of(outcome)) }
    }
}
