//! Owns what `serve` knows of its servers from looking at them: samples, alerts, the last report on each.

mod probing;
mod scraping;
mod evaluating;

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use metrics::{AlertingRule, Alerts, Labels, Limits, Store};
use probe::Report;

use crate::config::Config;

pub(crate) use evaluating::{alarm, error_chain, evaluate};
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

    /// Adds one sample of a series that the responder itself makes. A full store is told of, and the
    /// responder goes on: an exit opens its incident without samples too.
    pub(crate) fn sample(&self, name: &str, labels: &[(&str, &str)], at_ms: i64, value: f64) {
        let labels = Labels::metric(name, labels);
        if let Err(error) = self.store().append(&labels, at_ms, value) {
            tracing::warn!(series = %labels, %error, "a sample was not kept");
        }
    }
}
