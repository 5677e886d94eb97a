//! Owns what `serve` knows of its servers from looking at them: samples, alerts, the last report on each.

mod answers;
mod data;
mod evaluating;
mod intrusion;
mod keeping;
mod noticing;
mod pages;
mod probing;
mod pulse;
mod scraping;
mod vitals;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use metrics::{
    Alert, Alerts, AppendError, Bounds, Labels, Limits, Metadata, Restoring, RuleGroup, RuleSettings, Store,
};
use probe::Report;
use tokio::sync::Notify;

use crate::clock;
use crate::config::Config;

use answers::Answers;
pub(crate) use data::watch_data;
pub(crate) use evaluating::{alarm, evaluate};
pub(crate) use intrusion::watch_for_intruders;
pub(crate) use pages::scrape_page;
pub(crate) use probing::probe_server;
use pulse::Pulse;
pub(crate) use scraping::{scrape_guard, scrape_self};
pub(crate) use vitals::{Vitals, take_vitals};

/// How many samples of one series are kept at most: a week of one every ten seconds is far below it.
const SAMPLES_PER_SERIES_MAX: usize = 100_000;

/// How long the rules wait at most for looks that were missed: a look takes its interval and its deadline.
const SIGHT_MAX: Duration = Duration::from_secs(30);

/// Of how many families is remembered what they mean; the pages of servers decide their names.
const FAMILIES_MAX: usize = 10_000;

/// What is known, shared by the loops.
pub(crate) struct Watch {
    store: Mutex<Store>,
    files: keeping::Files,
    alerts: Mutex<Alerts>,
    active: Mutex<Arc<Vec<Alert>>>,
    looked: Mutex<BTreeMap<String, Looked>>,
    vitals: Mutex<HashMap<String, Vitals>>,
    metadata: Mutex<BTreeMap<String, Metadata>>,
    answers: Answers,
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
    /// Begins with the samples of the `serve` before, which nothing is concluded from until every server was looked at.
    pub(crate) fn new(config: &Config, rules: Vec<RuleGroup>) -> Self {
        let limits = Limits {
            retention_ms: config.metrics.retention.ms(),
            series_max: config.metrics.series_max,
            samples_per_series_max: SAMPLES_PER_SERIES_MAX,
        };
        let bounds = Bounds {
            bytes_max: usize::try_from(config.metrics.bytes_max.0).unwrap_or(usize::MAX),
            series_per_target_max: config.metrics.series_per_server_max,
        };
        let mut store = Store::new(limits).with_bounds(bounds);
        let (files, n_samples) = keeping::open(config, &mut store);
        let mut pulse = Pulse::new(lookers(config), clock::now_ms());
        if n_samples > 0 {
            tracing::info!(samples = n_samples, "samples of the run before are there");
            pulse.look_anew();
        }
        Self {
            store: Mutex::new(store),
            files,
            alerts: Mutex::new(Alerts::new(rules, settings(config))),
            active: Mutex::default(),
            looked: Mutex::default(),
            vitals: Mutex::default(),
            metadata: Mutex::default(),
            answers: Answers::default(),
            pulse: Mutex::new(pulse),
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

    /// Waits until everybody who missed a look has looked, and returns the time at which that was so.
    async fn sees(&self) -> i64 {
        let all = async {
            loop {
                let sighted = self.sighted.notified();
                // Read before the pulse: whoever is stopped in between learns of the gap.
                let now_ms = clock::now_ms();
                if self.pulse().sees() {
                    return now_ms;
                }
                sighted.await;
            }
        };
        tokio::time::timeout(SIGHT_MAX, all).await.unwrap_or_else(|_| {
            tracing::error!("not every server was looked at in time; the rules are evaluated all the same");
            clock::now_ms()
        })
    }

    pub(crate) fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn alerts(&self) -> MutexGuard<'_, Alerts> {
        self.alerts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The alerts as the last evaluation has left them: whoever only shows them does not wait for the next one.
    pub(crate) fn active(&self) -> Arc<Vec<Alert>> {
        Arc::clone(&self.active.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Shows these alerts from now on.
    fn show(&self, active: Vec<Alert>) {
        *self.active.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(active);
    }

    /// What the last look at a server said; none before the first.
    pub(crate) fn looked(&self, server: &str) -> Option<Looked> {
        self.looked.lock().unwrap_or_else(PoisonError::into_inner).get(server).cloned()
    }

    /// Remembers what a page tells of its families.
    fn learn(&self, page: &str) {
        let mut known = self.metadata.lock().unwrap_or_else(PoisonError::into_inner);
        for (name, family) in metrics::metadata(page) {
            if known.len() < FAMILIES_MAX || known.contains_key(&name) {
                known.insert(name, family);
            }
        }
    }

    /// What is known of families, by the name under which their series are asked for.
    pub(crate) fn metadata(&self) -> BTreeMap<String, Metadata> {
        self.metadata.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How our questions were answered.
    pub(crate) fn answers(&self) -> &Answers {
        &self.answers
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
    /// How long it is until rules have to be evaluated; no longer than the interval of the configuration.
    pub(crate) fn until_due(&self, config: &Config) -> Duration {
        let (now_ms, interval) = (clock::now_ms(), config.metrics.evaluation_interval.get());
        let due_ms = self.alerts().next_due_ms(now_ms);
        let wait_ms = due_ms.map(|due_ms| u64::try_from(due_ms.saturating_sub(now_ms)).unwrap_or_default());
        wait_ms.map_or(interval, |wait_ms| Duration::from_millis(wait_ms).min(interval))
    }

    /// From now on a server that a client has started is looked at.
    pub(crate) fn looks_at(&self, server: &str, config: &Config) {
        let mut pulse = self.pulse();
        pulse.add(prober(server), config.probe.interval.ms());
        pulse.add(scraper(server), config.metrics.scrape_interval.ms());
    }
}

/// What all rules have in common.
fn settings(config: &Config) -> RuleSettings {
    RuleSettings {
        interval_ms: config.metrics.evaluation_interval.ms(),
        external_labels: config.rules.external_labels.iter().collect(),
        external_url: config.rules.external_url.clone(),
        restoring: Some(Restoring::default()),
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
    let guarded = config.server.iter().filter(|server| server.has_guard());
    let scrapes = guarded.map(|server| (scraper(&server.name), config.metrics.scrape_interval.ms()));
    probes.chain(scrapes).collect()
}
