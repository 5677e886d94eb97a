//! Owns the store: the last traces, bounded by bytes, spans and age.
//!
//! What goes first when it is full is the trace that was heard of longest ago. Traces with an error, or a span that was
//! slow, are what a person looks for, and go only when no others are left, or when they take more than half of the room:
//! else one bad hour would leave nothing to compare it with.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use crate::{Resource, Span, TraceId};

/// A span that takes longer is slow: the threshold of the first alert.
pub(crate) const SLOW: Duration = Duration::from_secs(5);

/// Spans of one trace; what comes beyond is one that never ends.
const TRACE_SPANS_MAX: usize = 10_000;

/// What a trace takes beside its spans, roughly, in bytes.
const TRACE_BYTES: usize = 256;

/// How much a store holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of memory, roughly.
    pub bytes: usize,
    /// Spans.
    pub spans: usize,
    /// How long a trace is kept after it was heard of for the last time.
    pub keep: Duration,
}

/// How much has come and gone.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Traces that are held.
    pub traces: usize,
    /// Spans that are held.
    pub spans: usize,
    /// What they take, roughly, in bytes.
    pub bytes: usize,
    /// Spans that have gone because others needed the room.
    pub displaced: u64,
    /// Spans that have gone because of their age.
    pub expired: u64,
    /// Spans that were not taken because their trace has too many.
    pub refused: u64,
}

/// The last traces.
#[derive(Debug)]
pub struct Store {
    limits: Limits,
    traces: HashMap<TraceId, Trace>,
    /// In the order in which they were heard of for the last time: those of no note, and the others.
    order: [BTreeMap<u64, TraceId>; 2],
    /// What the others take.
    notable: Size,
    size: Size,
    turn: u64,
    counts: Counts,
}

/// One trace.
#[derive(Debug)]
pub(crate) struct Trace {
    /// In the order of their ids.
    pub(crate) spans: Vec<Arc<Span>>,
    turn: u64,
    heard_ms: i64,
    is_notable: bool,
    bytes: usize,
    /// Whose bytes were counted last.
    resource: Option<Arc<Resource>>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Size {
    bytes: usize,
    spans: usize,
}

// === impl Store ===

impl Store {
    /// An empty one.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            traces: HashMap::new(),
            order: [BTreeMap::new(), BTreeMap::new()],
            notable: Size::default(),
            size: Size::default(),
            turn: 0,
            counts: Counts::default(),
        }
    }

    /// Takes spans in that are heard of at a time, in milliseconds since the Unix epoch. Returns those that were new;
    /// a sender that did not hear that we have them sends them again.
    pub fn add(&mut self, spans: Vec<Span>, now_ms: i64) -> Vec<Arc<Span>> {
        self.expire(now_ms);
        let mut new = Vec::with_capacity(spans.len());
        for span in spans {
            let span = Arc::new(span);
            if self.add_one(&span, now_ms) {
                new.push(span);
            }
            // So that it is never far beyond its bounds.
            self.make_room();
        }
        new
    }

    fn add_one(&mut self, span: &Arc<Span>, now_ms: i64) -> bool {
        self.turn += 1;
        let mut trace = match self.traces.remove(&span.trace) {
            Some(trace) => {
                self.order[usize::from(trace.is_notable)].remove(&trace.turn);
                self.uncount(&trace);
                trace
            }
            None => Trace::default(),
        };
        let added = trace.add(span);
        if added.is_none() {
            self.counts.refused += 1;
        }
        trace.turn = self.turn;
        trace.heard_ms = now_ms;
        trace.is_notable |= span.is_error() || span.took() >= SLOW;
        self.order[usize::from(trace.is_notable)].insert(self.turn, span.trace);
        self.count(&trace);
        self.traces.insert(span.trace, trace);
        added == Some(true)
    }

    /// Forgets what is too old.
    pub fn expire(&mut self, now_ms: i64) {
        let keep_ms = i64::try_from(self.limits.keep.as_millis()).unwrap_or(i64::MAX);
        let oldest_ms = now_ms.saturating_sub(keep_ms);
        for class in 0..2 {
            while let Some(id) = self.oldest(class)
                && self.traces.get(&id).is_some_and(|trace| trace.heard_ms < oldest_ms)
            {
                self.counts.expired += self.remove(id) as u64;
            }
        }
    }

    fn make_room(&mut self) {
        while self.size.bytes > self.limits.bytes || self.size.spans > self.limits.spans {
            let half =
                self.notable.bytes > self.limits.bytes / 2 || self.notable.spans > self.limits.spans / 2;
            let classes = if half { [1, 0] } else { [0, 1] };
            let Some(id) = classes.into_iter().find_map(|class| self.oldest(class)) else { return };
            self.counts.displaced += self.remove(id) as u64;
        }
    }

    fn oldest(&self, class: usize) -> Option<TraceId> {
        self.order[class].first_key_value().map(|(_, id)| *id)
    }

    fn remove(&mut self, id: TraceId) -> usize {
        let Some(trace) = self.traces.remove(&id) else { return 0 };
        self.order[usize::from(trace.is_notable)].remove(&trace.turn);
        self.uncount(&trace);
        trace.spans.len()
    }

    fn count(&mut self, trace: &Trace) {
        self.size.add(trace);
        if trace.is_notable {
            self.notable.add(trace);
        }
    }

    fn uncount(&mut self, trace: &Trace) {
        self.size.remove(trace);
        if trace.is_notable {
            self.notable.remove(trace);
        }
    }

    /// The spans of a trace, in no order that means anything.
    pub fn trace(&self, id: TraceId) -> Option<&[Arc<Span>]> {
        self.traces.get(&id).map(|trace| trace.spans.as_slice())
    }

    /// Traces whose ids begin with these digits, at most so many.
    pub fn beginning_with(&self, digits: &str, limit: usize) -> Vec<TraceId> {
        let digits = digits.to_ascii_lowercase();
        self.traces.keys().filter(|id| id.to_string().starts_with(&digits)).take(limit).copied().collect()
    }

    /// All traces, from the one that was heard of last.
    pub(crate) fn newest_first(&self) -> impl Iterator<Item = (TraceId, &Trace)> {
        let [some, others] = &self.order;
        let mut some = some.iter().rev().peekable();
        let mut others = others.iter().rev().peekable();
        let ids = std::iter::from_fn(move || match (some.peek(), others.peek()) {
            (Some(one), Some(other)) if one.0 > other.0 => some.next(),
            (Some(_), None) => some.next(),
            (_, Some(_)) => others.next(),
            (None, None) => None,
        });
        ids.filter_map(|(_, id)| Some((*id, self.traces.get(id)?)))
    }

    /// All spans, from those of the trace that was heard of longest ago.
    pub fn spans(&self) -> Vec<Arc<Span>> {
        let mut traces: Vec<&Trace> = self.traces.values().collect();
        traces.sort_unstable_by_key(|trace| trace.turn);
        traces.into_iter().flat_map(|trace| &trace.spans).cloned().collect()
    }

    /// How much has come and gone.
    pub fn counts(&self) -> Counts {
        let Size { bytes, spans } = self.size;
        Counts { traces: self.traces.len(), spans, bytes, ..self.counts }
    }
}

// === impl Trace ===

impl Default for Trace {
    fn default() -> Self {
        Self {
            spans: Vec::new(),
            turn: 0,
            heard_ms: 0,
            is_notable: false,
            bytes: TRACE_BYTES,
            resource: None,
        }
    }
}

impl Trace {
    /// Whether the span was new; none where there is no room.
    fn add(&mut self, span: &Arc<Span>) -> Option<bool> {
        let Err(at) = self.spans.binary_search_by_key(&span.id, |one| one.id) else { return Some(false) };
        if self.spans.len() >= TRACE_SPANS_MAX {
            return None;
        }
        // Each trace counts what it holds of whom, although they may share it: never too little.
        if !self.resource.as_ref().is_some_and(|last| Arc::ptr_eq(last, &span.resource)) {
            self.bytes += span.resource.bytes();
            self.resource = Some(span.resource.clone());
        }
        self.bytes += span.bytes() + span.scope.len();
        self.spans.insert(at, span.clone());
        Some(true)
    }
}

// === impl Size ===

impl Size {
    fn add(&mut self, trace: &Trace) {
        self.bytes += trace.bytes;
        self.spans += trace.spans.len();
    }

    fn remove(&mut self, trace: &Trace) {
        self.bytes -= trace.bytes;
        self.spans -= trace.spans.len();
    }
}
