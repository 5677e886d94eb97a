//! Owns the terms on which a client is served over its pipe: what it may take, what is kept for it, what is written down.
//!
//! They hold only where the settings say so: without, every byte goes through.

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::HeaderMap;
use serde_json::json;

use crate::admin::Freed;
use crate::audit::{Asked, Audit, Extent};
use crate::cache::{Cache, CacheSettings, Wanted};
use crate::controls::Refused;
use crate::envelope::SERVER_ERROR;
use crate::limits::{Held, Limits, Slot};
use crate::own::Own;
use crate::spans::Spans;

/// There is one client at a pipe, so all of its requests are counted together.
const CLIENT: &str = "stdio";
/// There is one server at a time, and nothing is kept over its end.
const GENERATION: u64 = 1;

/// What holds for one pipe.
#[derive(Debug)]
pub(crate) struct Terms {
    limits: Limits,
    held: Arc<Held>,
    audit: Audit,
    /// None where nothing is kept.
    keep: Option<CacheSettings>,
    cache: Cache,
    spans: Arc<Spans>,
}

/// A message that is over a limit.
#[derive(Debug)]
pub(crate) struct Over {
    pub(crate) refused: Refused,
    /// The limit's name in the settings.
    pub(crate) limit: &'static str,
    /// In words that follow the name of the server.
    pub(crate) words: String,
    /// When there is room again; none where that depends on others.
    pub(crate) again: Option<Duration>,
}

// === impl Over, Terms ===

impl Over {
    /// The error of JSON-RPC that says it.
    pub(crate) fn error(&self) -> String {
        let again = self.again.map(|again| again.as_millis());
        let data = json!({ "limit": self.limit, "retry_after_ms": again });
        json!({ "code": SERVER_ERROR, "message": self.words, "data": data }).to_string()
    }
}

impl Terms {
    pub(crate) fn new(own: &Own, spans: Arc<Spans>) -> Self {
        let keep = own.says_cache().then_some(own.cache);
        let (limits, audit) = (own.limits.clone(), own.audit.clone());
        Self { limits, held: Arc::default(), audit, keep, cache: Cache::default(), spans }
    }

    /// What is wrong with a message of the client that is so long, if something is.
    pub(crate) fn request_too_long(&self, bytes: usize) -> Option<Over> {
        let most = self.limits.request_bytes.filter(|most| bytes as u64 > *most)?;
        let words = format!("the message has {bytes} bytes, and may have {most}");
        Some(Over { refused: Refused::Size, limit: "request_bytes", words, again: None })
    }

    /// The same of an answer of the server.
    pub(crate) fn answer_too_long(&self, bytes: usize) -> Option<Over> {
        let most = self.limits.answer_bytes.filter(|most| bytes > *most)?;
        let words =
            format!("the answer has {bytes} bytes, and may have {most}; it was carried out, ask for less");
        Some(Over { refused: Refused::Size, limit: "answer_bytes", words, again: None })
    }

    /// Whether answers have a length that they may have.
    pub(crate) fn bounds_answers(&self) -> bool {
        self.limits.answer_bytes.is_some()
    }

    /// Whether messages of the client have one.
    pub(crate) fn bounds_requests(&self) -> bool {
        self.limits.request_bytes.is_some()
    }

    /// Takes what one request needs, or nothing. None where nothing is limited.
    ///
    /// # Errors
    /// When a limit is reached.
    pub(crate) fn take(&self, method: &str, tool: Option<&str>, now: Instant) -> Result<Option<Slot>, Over> {
        // Whoever asks whether somebody is there is told so, and without `initialize` there is nothing to limit.
        if matches!(method, "ping" | "initialize") {
            return Ok(None);
        }
        self.held.take(&self.limits, CLIENT, tool, now).map_err(|reached| {
            let refused = if reached.again.is_some() { Refused::Rate } else { Refused::Concurrency };
            Over { refused, limit: reached.limit, words: reached.words, again: reached.again }
        })
    }

    /// Until when a request has to be answered; none where it may take as long as it likes. A start is no request: it
    /// has a time-out of its own.
    pub(crate) fn deadline(&self, method: &str, tool: Option<&str>, now: Instant) -> Option<Instant> {
        let timeout = self.limits.said_timeout(tool)?;
        (method != "initialize").then(|| now + timeout)
    }

    /// The shortest time that a request may take; none where none has one.
    pub(crate) fn shortest_timeout(&self) -> Option<Duration> {
        let shortest = self.limits.shortest_timeout(Duration::MAX);
        (shortest < Duration::MAX).then_some(shortest)
    }

    /// What is known of a request, for its line in the log and its span.
    pub(crate) fn asked(
        &self,
        extent: Extent,
        client: &str,
        (tool, params): (Option<&str>, Option<&str>),
        bytes: usize,
    ) -> Asked {
        let arguments = tool.zip(params).and_then(|(tool, params)| self.audit.shown(extent, tool, params));
        let part = self.spans.begin(params, &HeaderMap::new());
        Asked { client: client.into(), user: None, address: None, bytes, part, arguments }
    }

    /// What a request asks for, if its answer may be kept, and what is kept of it. `initialized` is what the server
    /// said of itself.
    pub(crate) fn kept(
        &self,
        initialized: &str,
        method: &str,
        params: Option<&str>,
        now: Instant,
    ) -> Option<(Wanted, Option<Arc<str>>)> {
        let wanted = self.cache.wanted(self.keep.as_ref()?, GENERATION, initialized, method, params)?;
        let found = self.cache.find(&wanted, now);
        Some((wanted, found))
    }

    /// Keeps an answer.
    pub(crate) fn keep(&self, wanted: Wanted, result: &str, now: Instant) {
        self.cache.keep(wanted, result, now);
    }

    /// The server has announced this.
    pub(crate) fn announced(&self, method: &str) {
        self.cache.announced(method);
    }

    /// Forgets what is kept. Returns what was freed, where anything is kept at all.
    pub(crate) fn clear(&self) -> Vec<Freed> {
        self.keep.map_or_else(Vec::new, |_| self.cache.clear())
    }

    #[cfg(test)]
    pub(crate) fn of(own: &Own) -> Self {
        Self::new(own, Arc::new(Spans::new("mem", &own.traces, 7)))
    }
}
