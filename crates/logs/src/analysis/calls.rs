//! Owns requests and their responses in a log: how long calls took, which failed, and which were never answered.
//!
//! A guard writes a line before a tool is called and one when the call is answered, without an id for both; so an answer
//! is that of the oldest request of the same session and tool that waits. Where lines have a `request_id` that decides.

use std::collections::{BTreeMap, HashMap, VecDeque};

use serde::Serialize;

use super::{bounded, template};
use crate::entry::Entry;

/// A call that takes longer is slow, in milliseconds.
pub const SLOW_MS: f64 = 5000.0;

/// So many requests may wait for their answers; of more the oldest count as unanswered.
const WAITING_MAX: usize = 10_000;

/// So many slow calls are named, the slowest.
const SLOW_MAX: usize = 20;

/// So many unanswered ones are named, the newest.
const UNANSWERED_MAX: usize = 20;

/// A request that is younger than that at the end may still be answered, in milliseconds.
const PATIENCE_MS: i64 = 5000;

/// Durations are told apart by a twentieth.
const STEP: f64 = 1.05;

/// What came of calls.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Calls {
    /// Each method and tool, those that took longest altogether first.
    pub by_name: Vec<Call>,
    /// How many took longer than 5 seconds.
    pub n_slow: u64,
    /// The slowest of them.
    pub slow: Vec<Slow>,
    /// How many requests have no answer.
    pub n_unanswered: u64,
    /// The newest of them.
    pub unanswered: Vec<Unanswered>,
}

/// Calls of one method and tool.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Call {
    /// The method, and the tool where there is one.
    pub name: String,
    /// How many were answered.
    pub count: u64,
    /// How many of these failed.
    pub errors: u64,
    /// The mean of their durations, in milliseconds.
    pub mean_ms: f64,
    /// 95 of 100 took no longer; exact to 5 percent.
    pub p95_ms: f64,
    /// The longest.
    pub max_ms: f64,
}

/// A call that was slow.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Slow {
    /// The method, and the tool where there is one.
    pub name: String,
    /// When it was answered, in milliseconds since the Unix epoch.
    pub at_ms: Option<i64>,
    /// How long it took, in milliseconds.
    pub duration_ms: f64,
    /// The trace that shows where the time went, where the log says it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
}

/// A request without an answer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Unanswered {
    /// The method, and the tool where there is one.
    pub name: String,
    /// When it was made, in milliseconds since the Unix epoch.
    pub at_ms: Option<i64>,
    /// The session or the id of the request, where the log says it.
    pub whose: String,
}

#[derive(Debug, Default)]
pub(super) struct Collector {
    by_name: BTreeMap<String, Durations>,
    n_slow: u64,
    slow: Vec<Slow>,
    /// The numbers of those that wait, by what an answer to them says.
    by_key: HashMap<String, VecDeque<u64>>,
    waiting: BTreeMap<u64, (String, Unanswered)>,
    n_requests: u64,
    n_given_up: u64,
}

#[derive(Debug, Default)]
struct Durations {
    count: u64,
    errors: u64,
    sum_ms: f64,
    max_ms: f64,
    /// How many took about `STEP` to this power.
    counts: BTreeMap<i32, u64>,
}

// === impl Collector ===

impl Collector {
    pub(super) fn take(&mut self, entry: &Entry) {
        let Some(method) = entry.text("method") else { return };
        let name = match entry.text("tool") {
            Some(tool) => format!("{method} {tool}"),
            None => method.to_owned(),
        };
        let name = template::clip(&name).to_owned();
        let text = |field| entry.text(field).map(|text| template::clip(text).to_owned());
        let id = text("request_id").or_else(|| entry.number("request_id").map(|id| id.to_string()));
        let server = entry.server.as_deref().unwrap_or_default();
        let (key, whose) = match (id, text("session")) {
            (Some(id), _) => (format!("{server} {id}"), id),
            (None, Some(session)) => (format!("{server} {session} {name}"), session),
            (None, None) => (format!("{server} {name}"), String::new()),
        };
        match (entry.event.as_str(), entry.number("duration_ms")) {
            ("request", _) => self.asked(key, Unanswered { name, at_ms: entry.at_ms, whose }),
            ("response" | "performance" | "error", Some(duration_ms)) if duration_ms >= 0.0 => {
                self.answered(&key);
                self.took(name, entry, duration_ms);
            }
            _ => {}
        }
    }

    fn asked(&mut self, key: String, request: Unanswered) {
        self.n_requests += 1;
        self.by_key.entry(key.clone()).or_default().push_back(self.n_requests);
        self.waiting.insert(self.n_requests, (key, request));
        if self.waiting.len() > WAITING_MAX
            && let Some((_, (key, _))) = self.waiting.pop_first()
        {
            self.n_given_up += 1;
            self.forget(&key);
        }
    }

    fn answered(&mut self, key: &str) {
        if let Some(number) = self.forget(key) {
            self.waiting.remove(&number);
        }
    }

    /// Takes the oldest one out that waits for such an answer.
    fn forget(&mut self, key: &str) -> Option<u64> {
        let numbers = self.by_key.get_mut(key)?;
        let number = numbers.pop_front();
        if numbers.is_empty() {
            self.by_key.remove(key);
        }
        number
    }

    fn took(&mut self, name: String, entry: &Entry, duration_ms: f64) {
        let of_name = bounded(&mut self.by_name, &name);
        of_name.count += 1;
        of_name.errors += u64::from(entry.event == "error");
        of_name.sum_ms += duration_ms;
        of_name.max_ms = of_name.max_ms.max(duration_ms);
        let power = duration_ms.max(0.01).log(STEP).ceil() as i32;
        *of_name.counts.entry(power).or_default() += 1;
        if duration_ms < SLOW_MS {
            return;
        }
        self.n_slow += 1;
        let place = self.slow.partition_point(|slow| slow.duration_ms >= duration_ms);
        let trace_id = entry.text("trace_id").map(|text| template::clip(text).to_owned());
        self.slow.insert(place, Slow { name, at_ms: entry.at_ms, duration_ms, trace_id });
        self.slow.truncate(SLOW_MAX);
    }

    pub(super) fn end(self, last_ms: Option<i64>) -> Calls {
        let mut by_name: Vec<_> =
            self.by_name.into_iter().map(|(name, of)| (of.sum_ms, of.end(name))).collect();
        by_name.sort_by(|(a, _), (b, _)| b.total_cmp(a));
        let is_old = |request: &Unanswered| match (request.at_ms, last_ms) {
            (Some(at_ms), Some(last_ms)) => last_ms.saturating_sub(at_ms) >= PATIENCE_MS,
            _ => true,
        };
        let waiting = self.waiting.into_values().map(|(_, request)| request);
        let mut unanswered: Vec<_> = waiting.filter(is_old).collect();
        let n_unanswered = self.n_given_up + unanswered.len() as u64;
        unanswered.drain(..unanswered.len().saturating_sub(UNANSWERED_MAX));
        let by_name = by_name.into_iter().map(|(_, call)| call).collect();
        Calls { by_name, n_slow: self.n_slow, slow: self.slow, n_unanswered, unanswered }
    }
}

// === impl Durations ===

impl Durations {
    fn end(&self, name: String) -> Call {
        let mut left = self.count - self.count / 20;
        let p95 = self.counts.iter().find(|(_, count)| {
            left = left.saturating_sub(**count);
            left == 0
        });
        Call {
            name,
            count: self.count,
            errors: self.errors,
            mean_ms: self.sum_ms / self.count as f64,
            p95_ms: p95.map_or(self.max_ms, |(power, _)| STEP.powi(*power).min(self.max_ms)),
            max_ms: self.max_ms,
        }
    }
}
