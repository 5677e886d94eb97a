//! Owns what `serve` knows of its servers from looking at them: samples, alerts, the last report on each.

mod evaluating;
mod probing;
mod pulse;
mod scraping;

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use metrics::{AlertingRule, Alerts, AppendError, Labels, Limits, Store};
use probe::Report;
use tokio::sync::Notify;

use crate::clock;
use crate::config::Config;

pub(crate) use evaluating::{alarm, evaluate};
pub(crate) use probing::probe_server;
use pulse::Pulse;
pub(crate) use scraping::scrape_guard;

/// How many samples of one series are kept at most: a week of one every ten seconds is far below it.
const SAMPLES_PER_SERIES_MAX: usize = 100_000;

/// How long the rules wait at most for looks that were missed: a look takes its interval and its deadline.
const SIGHT_MAX: Duration = Duration::from_secs(30);

/// What is known, shared by the loops.
pub(crate) struct Watch {
    store: Mutex<Store>,
    alerts: Mutex<Alerts>,
    looked: Mutex<BTreeMap<String, Looked>>,
    pulse: Mutex<Pulse>,
    /// Tells that somebody has looked after a gap.
    sighted: Notify,
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
    /// Whether it was neither being started nor being looked for.
    pub(crate) settled: bool,
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
            pulse: Mutex::new(Pulse::new(lookers(config), clock::now_ms())),
            sighted: Notify::new(),
        }
    }

    fn pulse(&self) -> MutexGuard<'_, Pulse> {
        let mut pulse = self.pulse.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(missed_ms) = pulse.beat(clock::now_ms()) {
            tracing::warn!(
                missed_ms,
                "this process was stopped, or the clock was set: servers are looked at anew before any sample is believed"
            );
        }
        pulse
    }

    /// Keeps the pulse until the task is dropped.
    pub(crate) async fn beat(&self) {
        let mut ticks = tokio::time::interval(Duration::from_millis(pulse::BEAT_MS.unsigned_abs()));
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            drop(self.pulse());
        }
    }

    /// How many gaps there were so far.
    fn gaps(&self) -> u64 {
        self.pulse().gaps()
    }

    /// One of the loops has looked, since `gaps` were counted.
    fn saw(&self, looker: &str, gaps: u64) {
        self.pulse().looked(looker, gaps);
        self.sighted.notify_waiters();
    }

    /// Waits until everybody who missed a look has looked.
    async fn sees(&self) {
        let all = async {
            loop {
                let sighted = self.sighted.notified();
                if self.pulse().sees() {
                    return;
                }
                sighted.await;
            }
        };
        if tokio::time::timeout(SIGHT_MAX, all).await.is_err() {
            tracing::error!("not every server was looked at in time; the rules are evaluated all the same");
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

impl Watch {
    /// From now on a server that a client has started is looked at.
    pub(crate) fn looks_at(&self, server: &str, config: &Config) {
        let mut pulse = self.pulse();
        pulse.add(prober(server), config.probe.interval.ms());
        pulse.add(scraper(server), config.metrics.scrape_interval.ms());
    }
}

/// The name of the loop that probes a server.
fn prober(server: &str) -> String {
    format!("probe {server}")
}

/// The name of the loop that scrapes the guard of a server.
fn scraper(server: &str) -> String {
    format!("scrape {server}")
}

/// The loops that look, with their intervals.
fn lookers(config: &Config) -> BTreeMap<String, i64> {
    let probes = config.server.iter().map(|server| (prober(&server.name), config.probe.interval.ms()));
    let guarded = config.server.iter().filter(|server| server.upstream.is_none());
    let scrapes = guarded.map(|server| (scraper(&server.name), config.metrics.scrape_interval.ms()));
    probes.chain(scrapes).collect()
}
