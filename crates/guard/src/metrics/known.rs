//! Owns the histograms of what has been called before: found at once, where the families would hash all their labels.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use prometheus_client::metrics::histogram::Histogram;

use super::labels::{METHODS, Method};
use crate::inflight::Meaning;

/// What one more request of its kind is observed by.
#[derive(Clone, Debug)]
pub(super) struct Observed {
    pub(super) duration: Histogram,
    pub(super) operation: Histogram,
    /// None where no tool was called.
    pub(super) tool: Option<Histogram>,
}

/// A kind of request to one tool, or to none.
#[derive(Debug)]
struct Sort {
    method: Method,
    meaning: Meaning,
    observed: Observed,
}

/// All that were met: by tool, or by nothing, of which each has a few sorts.
#[derive(Debug, Default)]
pub(super) struct Known {
    by_tool: Mutex<HashMap<Box<str>, Vec<Sort>>>,
    answers: Mutex<[Option<Histogram>; METHODS.len()]>,
}

// === impl Observed, Known ===

impl Observed {
    pub(super) fn observe(&self, seconds: f64) {
        self.duration.observe(seconds);
        self.operation.observe(seconds);
        self.tool.iter().for_each(|tool| tool.observe(seconds));
    }
}

impl Known {
    /// Observes, where such a request is known; false where it is not.
    pub(super) fn observe(&self, tool: Option<&str>, method: Method, meaning: Meaning, seconds: f64) -> bool {
        let known = self.by_tool.lock().unwrap_or_else(PoisonError::into_inner);
        let of_tool = known.get(tool.unwrap_or_default()).into_iter().flatten();
        let found = of_tool.into_iter().find(|sort| {
            // A tool may be called nothing, which is not the same as none.
            (sort.method, sort.meaning) == (method, meaning) && sort.observed.tool.is_some() == tool.is_some()
        });
        found.map(|sort| sort.observed.observe(seconds)).is_some()
    }

    /// From now on it is known. As many are as there are series.
    pub(super) fn add(&self, tool: Option<&str>, method: Method, meaning: Meaning, observed: Observed) {
        let mut known = self.by_tool.lock().unwrap_or_else(PoisonError::into_inner);
        known.entry(tool.unwrap_or_default().into()).or_default().push(Sort { method, meaning, observed });
    }

    /// The histogram of the answers to this method, which `find` finds for the first time.
    pub(super) fn answered(&self, method: Method, bytes: usize, find: impl FnOnce() -> Histogram) {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        answers[method.place()].get_or_insert_with(find).observe(bytes as f64);
    }
}
