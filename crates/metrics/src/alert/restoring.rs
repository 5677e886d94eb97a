//! Owns what becomes of alerts when whoever evaluates begins anew: the series of the run before tell how they stood.
//!
//! As in Prometheus an alert that was pending goes on waiting, without the time in which nobody looked, and where its
//! rule waits for at least as long as `grace_ms`, it waits so long at least: what is mended meanwhile shall not fire.
//! Other than there, an alert that was firing goes on firing, shorter `for` are restored too, and so is
//! `keep_firing_for`.

use std::collections::BTreeMap;

use super::watch::{ALERT_STATE, ALERTS, ALERTS_FOR_STATE, KEPT_FIRING};
use crate::labels::{Labels, METRIC_NAME};
use crate::rule::ALERT_NAME;
use crate::store::{Series, Store, is_stale};

/// How alerts of an earlier run are taken over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Restoring {
    /// What was last seen longer ago than this is forgotten, in milliseconds.
    pub outage_max_ms: i64,
    /// How long an alert that was pending waits at least, in milliseconds, if its rule waits for as long.
    pub grace_ms: i64,
}

/// The alerts that an earlier run left, by their labels.
#[derive(Debug)]
pub(super) struct Pool {
    restoring: Restoring,
    alerts: BTreeMap<Labels, Earlier>,
}

/// An alert of an earlier run.
#[derive(Debug)]
pub(super) struct Earlier {
    pub(super) is_firing: bool,
    pub(super) times: Times,
    /// The series that told of it.
    pub(super) series: Vec<Labels>,
}

/// When what was, in milliseconds since the Unix epoch.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    /// Its element was there for the first time.
    pub(super) active_ms: i64,
    /// The last evaluation that found it.
    pub(super) seen_ms: i64,
    /// Its element had gone, and it was kept firing.
    pub(super) kept_since_ms: Option<i64>,
}

// === impl Restoring ===

impl Default for Restoring {
    /// The defaults of Prometheus.
    fn default() -> Self {
        Self { outage_max_ms: 60 * 60_000, grace_ms: 10 * 60_000 }
    }
}

// === impl Pool ===

impl Pool {
    /// Reads what an earlier run left.
    pub(super) fn read(store: &Store, now_ms: i64, restoring: Restoring) -> Self {
        let from_ms = now_ms.saturating_sub(restoring.outage_max_ms);
        let of = |name: &'static str| {
            store.select(Some(name)).filter_map(move |(labels, series)| {
                last(series, from_ms, now_ms).map(|(at_ms, value)| (labels, at_ms, value))
            })
        };
        let mut alerts = BTreeMap::new();
        for (series, seen_ms, value) in of(ALERTS_FOR_STATE) {
            let times = Times { active_ms: (value * 1e3).round() as i64, seen_ms, kept_since_ms: None };
            let earlier = Earlier { is_firing: false, times, series: vec![series.clone()] };
            alerts.insert(series.without(METRIC_NAME), earlier);
        }
        for (series, at_ms, _) in of(ALERTS) {
            let key = series.without(METRIC_NAME).without(ALERT_STATE);
            let Some(earlier) = alerts.get_mut(&key) else { continue };
            earlier.series.push(series.clone());
            // Of two states the later one counts.
            if at_ms >= earlier.times.seen_ms {
                earlier.is_firing = series.get(ALERT_STATE) == Some("firing");
            }
        }
        for (series, at_ms, value) in of(KEPT_FIRING) {
            let Some(earlier) = alerts.get_mut(&series.without(METRIC_NAME)) else { continue };
            earlier.series.push(series.clone());
            if at_ms >= earlier.times.seen_ms {
                earlier.times.kept_since_ms = Some((value * 1e3).round() as i64);
            }
        }
        Self { restoring, alerts }
    }

    pub(super) fn take(&mut self, labels: &Labels) -> Option<Earlier> {
        self.alerts.remove(labels)
    }

    /// Takes every alert with this name.
    pub(super) fn take_all(&mut self, name: &str) -> Vec<(Labels, Earlier)> {
        let is_it = |labels: &Labels, _: &mut Earlier| labels.get(ALERT_NAME) == Some(name);
        self.alerts.extract_if(.., is_it).collect()
    }

    /// Returns the series that told of alerts which no rule has taken over.
    pub(super) fn into_series(self) -> impl Iterator<Item = Labels> {
        self.alerts.into_values().flat_map(|earlier| earlier.series)
    }

    /// Returns since when an alert counts as there.
    pub(super) fn started_ms(&self, times: &Times, is_firing: bool, for_ms: i64, now_ms: i64) -> i64 {
        let waited_ms = times.seen_ms.saturating_sub(times.active_ms);
        let left_ms = for_ms.saturating_sub(waited_ms);
        if is_firing || left_ms <= 0 {
            return times.active_ms.min(now_ms);
        }
        let grace_ms = self.restoring.grace_ms;
        if for_ms >= grace_ms && left_ms < grace_ms {
            return now_ms.saturating_add(grace_ms).saturating_sub(for_ms);
        }
        now_ms.saturating_sub(waited_ms).min(now_ms)
    }
}

/// The last sample of a series in a stretch of time, unless the series has ended.
fn last(series: &Series, from_ms: i64, to_ms: i64) -> Option<(i64, f64)> {
    series.newest(from_ms, to_ms).filter(|(_, value)| !is_stale(*value) && value.is_finite())
}
