//! Owns what `serve` knows of its servers from looking at them: samples, alerts, the last report on each.

mod evaluating;
mod probing;
mod scraping;

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use metrics::{AlertingRule, Alerts, AppendError, Labels, Limits, Store};
use probe::Report;

use crate::clock;
use crate::config::Config;

pub(crate) use evaluating::{alarm, evaluate};
pub(crate) use probing::probe_server;
pub(crate) use scraping::scrape_guard;

/// How many samples of one series are kept at most: a week of one every ten seconds is far below it.
const SAMPLES_PER_SERIES_MAX: usize = 100_000;

/// What is known, shared by the loops.
pub(crate) struct Watch {
    store: Mutex<Store>,
    alerts: Mutex<Alerts>,
    looked: Mutex<BTreeMap<String, Looked>>,
}

/// Whether a sample was kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kept {
    /// It was.
    Yes,
    /// The series has a sample of this millisecond, or of a later one.
    TooSoon,
    /// There is no room.
    No,
}

/// What the last look at a server said.
#[derive(Debug, Clone)]
pub(crate) struct Looked {
    pub(crate) liveness: Report,
    pub(crate) readiness: Report,
}

// === impl Watch ===

impl Watch {
    pub(crate) fn new(config: &Config, rules: Vec<AlertingRule>) -> Self {
        let limits = Limits {
            retention_ms: config.metrics.retention.ms(),
            series_max: config.metrics.series_max,
            samples_per_series_max: SAMPLES_PER_SERIES_MAX,
        };
        Self {
            store: Mutex::new(Store::new(limits)),
            alerts: Mutex::new(Alerts::new(rules)),
            looked: Mutex::default(),
        }
    }

    pub(crate) fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn alerts(&self) -> MutexGuard<'_, Alerts> {
        self.alerts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the last look at a server said; none before the first.
    pub(crate) fn looked(&self, server: &str) -> Option<Looked> {
        self.looked.lock().unwrap_or_else(PoisonError::into_inner).get(server).cloned()
    }

    fn keep(&self, looked: Looked) {
        let name = looked.liveness.target.clone();
        self.looked.lock().unwrap_or_else(PoisonError::into_inner).insert(name, looked);
    }

    /// Adds one sample of a series that the responder itself makes, now. Returns whether it was kept.
    pub(crate) fn sample(&self, name: &str, labels: &[(&str, &str)], value: f64) -> Kept {
        let labels = Labels::metric(name, labels);
        // The clock is read under the lock, so that samples of one series come in the order of their times.
        let mut store = self.store();
        match store.append(&labels, clock::now_ms(), value) {
            Ok(()) => Kept::Yes,
            // One is there from this very millisecond, or the clock was set back.
            Err(AppendError::NotNewer { .. }) => Kept::TooSoon,
            Err(error) => {
                tracing::warn!(series = %labels, %error, "a sample was not kept");
                Kept::No
            }
        }
    }
}
