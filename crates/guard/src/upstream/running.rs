//! Owns the requests of clients that an upstream has not answered yet.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::seen::Session;
use crate::audit::{Asked, Line};
use crate::cache::Wanted;
use crate::envelope::Outcome;
use crate::inflight::{Meaning, meaning};
use crate::limits::Slot;
use crate::metrics::{Failure, Method};
use crate::outgoing::{self, Answering};
use crate::state::Guard;

/// More running requests than this mean that the upstream does not keep up; their clients should hear so.
const REQUESTS_MAX: usize = 4096;

/// All requests that wait for an answer.
#[derive(Debug, Default)]
pub(crate) struct Running {
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    /// By their numbers, which only grow.
    entries: BTreeMap<u64, Entry>,
    last: u64,
}

#[derive(Debug)]
struct Entry {
    method: Method,
    tool: Option<String>,
    started: Instant,
}

/// One request that waits. Whatever becomes of it, it is not counted as running when this is gone.
pub(crate) struct Request {
    guard: Arc<Guard>,
    number: u64,
    /// Its id, as JSON.
    pub(crate) id: Box<str>,
    pub(crate) method: Method,
    session: Arc<Session>,
    started: Instant,
    asked: Asked,
    /// What it has taken of the limits.
    slots: Vec<Slot>,
    /// What is kept of its answer.
    pub(crate) wanted: Option<Wanted>,
    finished: bool,
}

// === impl Running ===

impl Running {
    /// Takes a request; none where there are too many.
    pub(crate) fn add(
        &self,
        guard: &Arc<Guard>,
        id: &str,
        method: Method,
        tool: Option<String>,
        session: &Arc<Session>,
        (asked, slots): (Asked, Vec<Slot>),
    ) -> Option<Request> {
        let started = Instant::now();
        let mut table = self.lock();
        if table.entries.len() >= REQUESTS_MAX {
            return None;
        }
        table.last += 1;
        let number = table.last;
        table.entries.insert(number, Entry { method, tool, started });
        let (guard, session) = (Arc::clone(guard), Arc::clone(session));
        Some(Request {
            guard,
            number,
            id: id.into(),
            method,
            session,
            started,
            asked,
            slots,
            wanted: None,
            finished: false,
        })
    }

    pub(crate) fn len(&self) -> usize {
        self.lock().entries.len()
    }

    /// What clients wait for, and for how long.
    pub(crate) fn running(&self, now: Instant) -> Vec<(Method, Duration)> {
        let told = |entry: &Entry| (entry.method, now.saturating_duration_since(entry.started));
        self.lock().entries.values().map(told).collect()
    }

    /// How many tools that are called now are not among those that only read.
    pub(crate) fn writes(&self, is_read: impl Fn(&str) -> bool) -> usize {
        let table = self.lock();
        let calls = table.entries.values().filter(|entry| entry.method == Method::TOOLS_CALL);
        calls.filter(|entry| !entry.tool.as_deref().is_some_and(&is_read)).count()
    }

    /// How long the youngest tool call has been running.
    pub(crate) fn youngest_call(&self, now: Instant) -> Option<Duration> {
        let table = self.lock();
        let calls = table.entries.values().filter(|entry| entry.method == Method::TOOLS_CALL);
        calls.map(|entry| now.saturating_duration_since(entry.started)).min()
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Request ===

impl Request {
    /// Its answer may be kept.
    pub(crate) fn keeping(mut self, wanted: Option<Wanted>) -> Self {
        self.wanted = wanted;
        self
    }

    /// It was answered so. Only the first answer counts.
    pub(crate) fn answered(&mut self, outcome: Outcome<'_>) {
        if let (Outcome::Result(result), Some(wanted)) = (outcome, self.wanted.take()) {
            self.guard.cache.keep(wanted, result, Instant::now());
        }
        self.finish(outcome, meaning(self.method, outcome));
    }

    /// The error in the place of an answer that stays here; none where it goes on.
    pub(crate) fn held_back(&self, outcome: Outcome<'_>) -> Option<String> {
        if !self.guard.own().security.results {
            return None;
        }
        let table = self.guard.upstream.as_ref().map(|upstream| upstream.running.lock());
        let tool = table.as_ref().and_then(|table| table.entries.get(&self.number)?.tool.clone());
        drop(table);
        let answering = Answering {
            method: Some(self.method),
            tool: tool.as_deref(),
            client: &self.session.client,
            session: &self.session.shown,
        };
        outgoing::held_back(&self.guard, answering, outcome)
    }

    /// It will not be answered, for this reason.
    pub(crate) fn failed(&mut self, error: &str, failure: Failure) {
        self.finish(Outcome::Error(error), Meaning::Failed(failure));
    }

    /// Nobody here will see its answer, for this reason.
    pub(crate) fn left(&mut self, reason: &str) {
        let error = serde_json::json!({ "message": reason }).to_string();
        self.finish(Outcome::Error(&error), Meaning::Lost);
    }

    /// What the upstream is told as the parent of what it does.
    pub(crate) fn handed_on(&self) -> Option<traces::Context> {
        self.asked.part.handed_on()
    }

    pub(crate) fn is_finished(&self) -> bool {
        self.finished
    }

    fn finish(&mut self, outcome: Outcome<'_>, meaning: Meaning) {
        if std::mem::replace(&mut self.finished, true) {
            return;
        }
        let tool = self.forget().and_then(|entry| entry.tool);
        self.slots.clear();
        let (took, status) = (self.started.elapsed(), meaning.status());
        self.guard.metrics.finished(self.method, tool.as_deref(), meaning, took);
        if self.method != Method::PING {
            let (tool, session, asked) = (tool.as_deref(), &*self.session.shown, &self.asked);
            Line { method: self.method, tool, session, took, asked }.write(&self.guard, outcome, status);
        }
    }

    fn forget(&self) -> Option<Entry> {
        self.guard.upstream.as_ref()?.running.lock().entries.remove(&self.number)
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        if !self.finished {
            self.left("its client has hung up before the answer came");
        }
    }
}
