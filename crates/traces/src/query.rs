//! Owns what can be asked of the store: which traces have a span like this, and what each was about.

use std::sync::Arc;
use std::time::Duration;

use crate::{Span, Store, TraceId};

/// Which traces are wanted: those with a span that is all of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Of this server.
    pub server: Option<String>,
    /// A call of this tool.
    pub tool: Option<String>,
    /// It took so long, or longer.
    pub slow: Option<Duration>,
    /// It went wrong.
    pub errors: bool,
    /// It ended at this time or later, in nanoseconds since the Unix epoch.
    pub since_ns: Option<u64>,
    /// So many traces at most, the last ones.
    pub limit: usize,
}

/// What a trace was about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// Its id.
    pub trace: TraceId,
    /// When its first span began, in nanoseconds since the Unix epoch.
    pub start_ns: u64,
    /// From the beginning of the first span to the end of the last.
    pub took: Duration,
    /// The server of the span that was asked for.
    pub server: String,
    /// The name of that span: of several the one that took longest.
    pub name: String,
    /// How long that span took.
    pub span_took: Duration,
    /// How many spans it has.
    pub n_spans: usize,
    /// How many of them went wrong.
    pub n_errors: usize,
    /// Why the first of those did; empty where none did, or it does not say.
    pub error: String,
}

// === impl Filter ===

impl Filter {
    fn wants(&self, span: &Span) -> bool {
        self.server.as_deref().is_none_or(|server| span.server() == Some(server))
            && self.tool.as_deref().is_none_or(|tool| span.tool() == Some(tool))
            && self.slow.is_none_or(|slow| span.took() >= slow)
            && (!self.errors || span.is_error())
            && self.since_ns.is_none_or(|since_ns| span.end_ns >= since_ns)
    }
}

// === impl Summary ===

impl Summary {
    /// What spans of one trace were about; none where no span is wanted.
    pub fn of(spans: &[Arc<Span>], filter: &Filter) -> Option<Self> {
        let wanted = spans.iter().filter(|span| filter.wants(span));
        // The one that encloses the others, where several took equally long.
        let span = wanted.max_by_key(|span| (span.took(), std::cmp::Reverse(span.start_ns)))?;
        let start_ns = spans.iter().map(|span| span.start_ns).min().unwrap_or(span.start_ns);
        let end_ns = spans.iter().map(|span| span.end_ns).max().unwrap_or(span.end_ns);
        let errors = || spans.iter().filter(|span| span.is_error());
        let first = errors().min_by_key(|span| span.end_ns);
        Some(Self {
            trace: span.trace,
            start_ns,
            took: Duration::from_nanos(end_ns - start_ns),
            server: span.server().unwrap_or_default().to_owned(),
            name: span.name.clone(),
            span_took: span.took(),
            n_spans: spans.len(),
            n_errors: errors().count(),
            error: first.map(|span| reason(span).to_owned()).unwrap_or_default(),
        })
    }
}

/// Why a span went wrong: what it says, or else its `error.type`.
pub(crate) fn reason(span: &Span) -> &str {
    match &span.status {
        crate::Status::Error(reason) if !reason.is_empty() => reason,
        crate::Status::Error(_) => span.text("error.type").unwrap_or_default(),
        crate::Status::Unset | crate::Status::Ok => "",
    }
}

impl Store {
    /// The last traces that are wanted, the newest first.
    pub fn find(&self, filter: &Filter) -> Vec<Summary> {
        let found = self.newest_first().filter_map(|(_, trace)| Summary::of(&trace.spans, filter));
        found.take(filter.limit).collect()
    }
}
