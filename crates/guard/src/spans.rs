//! Owns the guard's own spans: one for each request of a client, part of the client's trace where it says that there is
//! one, and handed on to the server as the parent of whatever that does.
//!
//! ```toml
//! [traces]
//! endpoint = "http://127.0.0.1:4318"   # where they go, in place of what `--traces` says
//! ratio = 1.0                          # of the traces that begin here
//! per_second = 100                     # traces that begin here, at most
//! ```
//!
//! Names and attributes are those of OpenTelemetry's conventions for MCP (semantic-conventions-genai, "MCP", status
//! Development, as of 2026-11): the span `tools/call NAME` of kind SERVER, `mcp.method.name`, `gen_ai.tool.name`, `error.type`.
//! A client's trace is kept where the client keeps it. What was slow or has failed is kept in any case: that it is one is
//! known when it is over, so such a span has no children where its trace was not to be kept.
//!
//! On the path of a request stands only what has to: reading `traceparent` where there is one, two ids, and a push into a
//! list. Twice a second a task takes the list, makes spans of it, and sends them.

mod sending;

use std::borrow::Cow;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use http::{HeaderMap, HeaderName};
use serde::Deserialize;
use traces::{Context, Ids, TraceId};

use crate::audit::SLOW;
use crate::envelope::{self, Outcome};
use crate::log::clip;
use crate::metrics::Method;

pub(crate) use sending::{Endpoint, send, send_last};

/// Where clients say what a request is part of.
pub(crate) const PARENT: &str = "traceparent";
/// The same as the name of a header.
pub(crate) static HEADER: HeaderName = HeaderName::from_static(PARENT);

/// Spans that wait to be sent at most: what a receiver that is away may take of the guard's memory. More are dropped.
const WAITING_MAX: usize = 8192;

/// What an error says goes into its span as far as helps.
const REASON_CHARS: usize = 300;

/// What the settings say of traces.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TraceSettings {
    /// Where spans go: `http://HOST:PORT`, a whole URL of a receiver of OTLP, or `unix:PATH` for a local socket. None where
    /// there are to be none.
    pub endpoint: Option<String>,
    /// How many of the traces that begin here are kept, from 0 to 1.
    pub ratio: f64,
    /// How many traces may begin here in a second.
    pub per_second: u32,
}

/// What a request is part of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Part {
    /// As the client says.
    given: Option<Context>,
    /// The guard's own span; none where no spans are made.
    own: Option<Context>,
}

/// A request that is over.
pub(crate) struct Over<'a> {
    pub(crate) part: Part,
    pub(crate) method: Method,
    pub(crate) tool: Option<&'a str>,
    /// The beginning of the session's id.
    pub(crate) session: &'a str,
    pub(crate) took: Duration,
    /// Why it failed, where it did.
    pub(crate) failed: Option<&'a Failed>,
}

/// A span that waits to be sent.
#[derive(Debug)]
struct Waiting {
    own: Context,
    given: Option<Context>,
    method: Method,
    tool: Option<Box<str>>,
    session: Box<str>,
    end_ns: u64,
    took: Duration,
    error: Option<Failed>,
}

/// Why a request failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failed {
    kind: Box<str>,
    reason: Box<str>,
}

/// The spans of one guard.
#[derive(Debug)]
pub(crate) struct Spans {
    server: Arc<str>,
    endpoint: Option<Endpoint>,
    ids: Ids,
    /// Of 2^32 traces so many are kept.
    share: u64,
    per_second: u64,
    /// The second since the start, and how many traces have begun in it, in its lower half.
    begun: AtomicU64,
    started: Instant,
    waiting: Mutex<Vec<Waiting>>,
    sent: AtomicU64,
    dropped: AtomicU64,
}

// === impl TraceSettings, Part ===

impl Default for TraceSettings {
    fn default() -> Self {
        Self { endpoint: None, ratio: 1.0, per_second: 100 }
    }
}

impl TraceSettings {
    /// # Errors
    /// In words, when they make no sense.
    pub fn check(&self) -> Result<(), String> {
        if !(0.0..=1.0).contains(&self.ratio) {
            return Err("`ratio` is 0 to 1".to_owned());
        }
        self.endpoint.as_deref().map_or(Ok(()), |endpoint| Endpoint::parse(endpoint).map(drop))
    }
}

impl Part {
    /// The trace, where the client has named one.
    pub(crate) fn given(&self) -> Option<TraceId> {
        self.given.map(|given| given.trace)
    }

    /// What the server is told as the parent of what it does; none where it is told what the client has said.
    pub(crate) fn handed_on(&self) -> Option<Context> {
        self.own.filter(|own| own.sampled)
    }
}

// === impl Spans ===

impl Spans {
    pub(crate) fn new(server: &str, settings: &TraceSettings, seed: u64) -> Self {
        Self {
            server: server.into(),
            // What is no endpoint was refused when it was read.
            endpoint: settings.endpoint.as_deref().and_then(|text| Endpoint::parse(text).ok()),
            ids: Ids::new(seed),
            share: (settings.ratio * 4_294_967_296.0) as u64,
            per_second: settings.per_second.into(),
            begun: AtomicU64::new(0),
            started: Instant::now(),
            waiting: Mutex::default(),
            sent: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
        }
    }

    /// How many were sent, and how many were dropped.
    pub(crate) fn counts(&self) -> [(&'static str, u64); 2] {
        [("sent", self.sent.load(Ordering::Relaxed)), ("dropped", self.dropped.load(Ordering::Relaxed))]
    }

    /// A request has come: what it is part of, by `_meta.traceparent` of its parameters or else by the header.
    pub(crate) fn begin(&self, params: Option<&str>, headers: &HeaderMap) -> Part {
        self.part(given(params, headers))
    }

    fn part(&self, given: Option<Context>) -> Part {
        if self.endpoint.is_none() {
            return Part { given, own: None };
        }
        let trace = given.map_or_else(|| self.ids.trace(), |given| given.trace);
        let sampled =
            given.map_or_else(|| self.may_begin(trace, self.started.elapsed()), |given| given.sampled);
        Part { given, own: Some(Context { trace, span: self.ids.span(), sampled }) }
    }

    /// Whether a trace that begins now, so long after the start, is one of those that are kept.
    fn may_begin(&self, trace: TraceId, now: Duration) -> bool {
        let [.., a, b, c, d] = *trace.bytes();
        if u64::from(u32::from_be_bytes([a, b, c, d])) >= self.share {
            return false;
        }
        let second = now.as_secs() << 32;
        let count = |begun: u64| if begun >> 32 == now.as_secs() { begun & 0xffff_ffff } else { 0 };
        let next = |begun| (count(begun) < self.per_second).then(|| second | (count(begun) + 1));
        self.begun.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next).is_ok()
    }

    /// A request is over. Returns its trace, where it is kept.
    pub(crate) fn over(&self, over: &Over<'_>, now_ns: u64) -> Option<TraceId> {
        let own = over.part.own?;
        if !own.sampled && over.failed.is_none() && over.took < SLOW {
            return None;
        }
        let waiting = Waiting {
            own,
            given: over.part.given,
            method: over.method,
            tool: over.tool.map(Into::into),
            session: over.session.into(),
            end_ns: now_ns,
            took: over.took,
            error: over.failed.cloned(),
        };
        let mut list = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if list.len() >= WAITING_MAX {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        list.push(waiting);
        Some(own.trace)
    }
}

// === impl Failed ===

impl Failed {
    /// What an answer that is an error says.
    pub(crate) fn of(outcome: Outcome<'_>) -> Self {
        let Outcome::Error(error) = outcome else {
            return Self { kind: "tool_error".into(), reason: "the tool says that it failed".into() };
        };
        let member = |name| envelope::member(error, name).ok().flatten();
        let message = member("message").and_then(|json| serde_json::from_str::<String>(json).ok());
        let message = message.unwrap_or_default();
        Self::because(member("code").unwrap_or("error"), &message)
    }

    /// Nobody will answer it any more.
    pub(crate) fn lost(reason: &str) -> Self {
        Self::because("lost", reason)
    }

    pub(crate) fn because(kind: &str, reason: &str) -> Self {
        Self { kind: kind.into(), reason: clip(&logs::redact::text(reason), REASON_CHARS).into() }
    }
}

/// What the client says that a request is part of.
pub(crate) fn given(params: Option<&str>, headers: &HeaderMap) -> Option<Context> {
    // Nearly no request has one, and looking for a word is quicker than reading.
    let params = params.filter(|params| memchr::memmem::find(params.as_bytes(), PARENT.as_bytes()).is_some());
    let of_params = params.and_then(|params| {
        let meta = envelope::member(params, "_meta").ok()??;
        let json = envelope::member(meta, PARENT).ok()??;
        Context::parse(&serde_json::from_str::<String>(json).ok()?)
    });
    of_params.or_else(|| Context::parse(headers.get(&HEADER)?.to_str().ok()?))
}

/// Parameters in which `_meta` names another parent, and as they were where it cannot be put in.
pub(crate) fn with_parent(params: &str, parent: Context) -> Cow<'_, str> {
    let parent = format!("\"{parent}\"");
    let text = match envelope::member(params, "_meta") {
        Ok(Some(meta)) => match envelope::member(meta, PARENT) {
            Ok(Some(known)) => Some(envelope::exchange(params, known, &parent)),
            Ok(None) => first_member(params, meta, &format!("\"{PARENT}\":{parent}")),
            Err(_) => None,
        },
        Ok(None) => first_member(params, params, &format!("\"_meta\":{{\"{PARENT}\":{parent}}}")),
        Err(_) => None,
    };
    text.map_or(Cow::Borrowed(params), Cow::Owned)
}

/// `text` with a new first member of the object `object`, which is a part of it; none where that is no object.
fn first_member(text: &str, object: &str, member: &str) -> Option<String> {
    let inside = object.strip_prefix('{')?;
    let comma = if inside.trim_start().starts_with('}') { "" } else { "," };
    Some(envelope::exchange(text, &inside[..0], &format!("{member}{comma}")))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    const ONE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

    fn parent(trace: &str, flags: &str) -> String {
        format!("00-{trace}-00f067aa0ba902b7-{flags}")
    }

    fn spans(endpoint: Option<&str>, ratio: f64, per_second: u32) -> Spans {
        let endpoint = endpoint.map(str::to_owned);
        Spans::new("mem", &TraceSettings { endpoint, ratio, per_second }, 7)
    }

    #[test]
    fn the_trace_is_that_of_the_client() {
        let other = "0af7651916cd43dd8448eb211c80319c";
        let params = |parent: &str| format!("{{\"name\":\"a\",\"_meta\":{{\"traceparent\":\"{parent}\"}}}}");
        let mut headers = HeaderMap::new();
        let trace = |params: Option<&str>, headers: &HeaderMap| {
            given(params, headers).map(|given| given.trace.to_string())
        };
        assert_eq!(trace(Some(&params(&parent(ONE, "01"))), &headers).as_deref(), Some(ONE));
        headers.insert("traceparent", HeaderValue::from_str(&parent(other, "01")).unwrap());
        assert_eq!(trace(Some(&params(&parent(ONE, "01"))), &headers).as_deref(), Some(ONE));
        assert_eq!(trace(Some("{\"name\":\"traceparent\"}"), &headers).as_deref(), Some(other));
        assert_eq!(trace(None, &headers).as_deref(), Some(other));
        for wrong in ["", "00", "00-1-2-3", &parent(&"0".repeat(32), "01"), "ff-x-y-z"] {
            assert_eq!(trace(Some(&params(wrong)), &HeaderMap::new()), None, "{wrong}");
        }
    }

    #[test]
    fn the_server_is_told_of_the_guards_own_span() {
        let context = Context::parse(&parent(ONE, "01")).unwrap();
        let told = format!("\"traceparent\":\"{context}\"");
        let check = |params: &str, expect: &str| {
            let changed = with_parent(params, context);
            assert_eq!(changed, expect.replace("PARENT", &told), "{params}");
            assert!(serde_json::from_str::<serde_json::Value>(&changed).is_ok());
        };
        check("{}", "{\"_meta\":{PARENT}}");
        check("{ }", "{\"_meta\":{PARENT} }");
        check("{\"name\":\"a\"}", "{\"_meta\":{PARENT},\"name\":\"a\"}");
        check("{\"_meta\":{}}", "{\"_meta\":{PARENT}}");
        check("{\"_meta\":{\"progressToken\":1}}", "{\"_meta\":{PARENT,\"progressToken\":1}}");
        check("{\"_meta\":{\"a\":1,\"traceparent\":\"x\"},\"b\":2}", "{\"_meta\":{\"a\":1,PARENT},\"b\":2}");
        // What is no object stays what it is: the server says what it thinks of it.
        check("{\"_meta\":7}", "{\"_meta\":7}");
    }

    #[test]
    fn so_many_traces_begin_and_no_more() {
        let off = spans(None, 1.0, 100);
        let context = Context::parse(&parent(ONE, "01"));
        assert_eq!(off.part(context), Part { given: context, own: None });
        let some = spans(Some("unix:/x"), 1.0, 3);
        let begin = |seconds| some.may_begin(ONE.parse().unwrap(), Duration::from_secs(seconds));
        assert_eq!(
            [begin(0), begin(0), begin(0), begin(0), begin(1), begin(0)],
            [true, true, true, false, true, true]
        );
        let half = spans(Some("unix:/x"), 0.5, u32::MAX);
        let n = (0..10_000).filter(|_| half.part(None).handed_on().is_some()).count();
        assert!((4_000..6_000).contains(&n), "{n}");
        assert!(spans(Some("unix:/x"), 0.0, 100).part(None).handed_on().is_none());
        // The client decides on its own.
        let part = spans(Some("unix:/x"), 0.0, 0).part(context);
        assert!(part.handed_on().is_some_and(|own| own.trace.to_string() == ONE && own != context.unwrap()));
        let unkept = Context::parse(&parent(ONE, "00"));
        assert!(spans(Some("unix:/x"), 1.0, 100).part(unkept).handed_on().is_none());
    }

    #[test]
    fn what_was_slow_or_failed_is_kept_in_any_case() {
        let spans = spans(Some("unix:/x"), 0.0, 0);
        let over = |seconds, failed: Option<Failed>| {
            let (part, took) = (spans.part(None), Duration::from_secs(seconds));
            let (method, tool, failed) = (Method::TOOLS_CALL, Some("a"), failed.as_ref());
            spans.over(&Over { part, method, tool, session: "s", took, failed }, 9_000_000_000).is_some()
        };
        assert!(!over(1, None));
        assert!(over(5, None));
        let error = "{\"code\":-32602,\"message\":\"token=abcdefghijkl\"}";
        assert!(over(0, Some(Failed::of(Outcome::Error(error)))));
        let waiting = spans.waiting.lock().unwrap();
        let failed = waiting[1].error.as_ref().unwrap();
        assert_eq!((&*failed.kind, failed.reason.contains("abcdefghijkl")), ("-32602", false));
    }

    #[test]
    fn what_a_receiver_that_is_away_takes_has_a_bound() {
        let spans = spans(Some("unix:/x"), 1.0, u32::MAX);
        for _ in 0..WAITING_MAX + 5 {
            let (part, method) = (spans.part(None), Method::TOOLS_CALL);
            spans
                .over(&Over { part, method, tool: None, session: "", took: Duration::ZERO, failed: None }, 1);
        }
        assert_eq!(spans.counts(), [("sent", 0), ("dropped", 5)]);
    }
}
