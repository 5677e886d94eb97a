//! Owns the series in memory: what was appended and scraped, for as long as the retention says.
//!
//! What is written by `append` belongs to the responder; a scrape of a target neither writes nor ends such a series,
//! so the responder's own `mcp_server_up` holds beside the copy on a guard's page.

mod scrape;
mod series;

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::labels::Labels;
pub use scrape::ScrapeSummary;
use scrape::Target;
use series::{Owner, Written};
pub(crate) use series::{Series, is_stale};

/// How often series that hold nothing any more are looked for; it costs one pass over all of them.
const PRUNE_INTERVAL_MS: i64 = 60_000;
/// The next number for a set of series; no two sets of one process have the same.
static NEXT_SHAPE: AtomicU64 = AtomicU64::new(0);

/// How much a store may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Samples older than this are dropped.
    pub retention_ms: i64,
    /// A new series beyond this number is refused.
    pub series_max: usize,
    /// A series that is longer loses its oldest sample.
    pub samples_per_series_max: usize,
}

/// Why a sample was not stored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// The series already has a sample at this time or later.
    #[error("sample of `{labels}` at {at_ms} ms is not newer than its last one at {newest_ms} ms")]
    NotNewer {
        /// The series.
        labels: Labels,
        /// The time of the refused sample.
        at_ms: i64,
        /// The time of the last sample that the series has.
        newest_ms: i64,
    },
    /// The sample claims to be from the future.
    #[error("sample of `{labels}` at {at_ms} ms lies in the future")]
    Future {
        /// The series.
        labels: Labels,
        /// The time of the refused sample.
        at_ms: i64,
    },
    /// The store holds as many series as it may.
    #[error("no room for the new series `{labels}`: the store holds {series_max} series")]
    Full {
        /// The series that found no room.
        labels: Labels,
        /// The limit.
        series_max: usize,
    },
}

/// How much a store holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// The number of series.
    pub series: usize,
    /// The number of samples of all series.
    pub samples: usize,
}

/// All series of one responder, in memory.
#[derive(Debug)]
pub struct Store {
    limits: Limits,
    /// By the name of the metric, then by labels: most queries name their metric, and what they get is in order.
    metrics: BTreeMap<Box<str>, BTreeMap<Labels, Series>>,
    series: usize,
    shape: u64,
    targets: HashMap<Labels, Target>,
    pruned_ms: i64,
}

// === impl Store ===

impl Store {
    /// Returns an empty store.
    pub fn new(limits: Limits) -> Self {
        let (metrics, targets) = (BTreeMap::new(), HashMap::new());
        Self { limits, metrics, series: 0, shape: next_shape(), targets, pruned_ms: i64::MIN }
    }

    /// Adds one sample to a series of the responder's own. A sample equal to the last one is accepted again.
    ///
    /// Whoever counts something should append a first 0, so that the first increment can be seen.
    ///
    /// # Errors
    ///
    /// Fails if the series has a sample at that time or later, or is new and the store is full.
    pub fn append(&mut self, labels: &Labels, at_ms: i64, value: f64) -> Result<(), AppendError> {
        self.prune_when_due(at_ms);
        self.write(Owner::Responder, labels, at_ms, value).map(|_| ())
    }

    /// Forgets every series, and every target, that has this label with this value: what they tell of is gone, and was not
    /// missed. Looks at all series.
    pub fn forget(&mut self, label: &str, value: &str) {
        let is_it = |labels: &Labels| labels.get(label) == Some(value);
        for of_name in self.metrics.values_mut() {
            of_name.retain(|labels, _| !is_it(labels));
        }
        self.metrics.retain(|_, of_name| !of_name.is_empty());
        self.count_series();
        self.targets.retain(|target, _| !is_it(target));
    }

    /// Drops what is older than the retention, and series and targets of which nothing is left.
    pub fn prune(&mut self, now_ms: i64) {
        let oldest_ms = now_ms.saturating_sub(self.limits.retention_ms);
        for of_name in self.metrics.values_mut() {
            of_name.retain(|_, series| series.keep_after(oldest_ms));
        }
        self.metrics.retain(|_, of_name| !of_name.is_empty());
        self.count_series();
        self.targets.retain(|_, target| target.attempted_ms > oldest_ms);
        self.pruned_ms = now_ms;
    }

    /// Returns how much the store holds.
    pub fn size(&self) -> Size {
        let samples = self.metrics.values().flat_map(BTreeMap::values).map(Series::len).sum();
        Size { series: self.series, samples }
    }

    /// Returns the series of one metric, or of all, in the order of their labels.
    pub(crate) fn select(&self, name: Option<&str>) -> impl Iterator<Item = (&Labels, &Series)> {
        let one = name.and_then(|name| self.metrics.get(name));
        let all = name.is_none().then(|| self.metrics.values());
        one.into_iter().chain(all.into_iter().flatten()).flatten()
    }

    /// Returns a number that changes whenever a series comes or goes, and that no other store has.
    pub(crate) fn shape(&self) -> u64 {
        self.shape
    }

    fn count_series(&mut self) {
        let series = self.metrics.values().map(BTreeMap::len).sum();
        if series != self.series {
            self.series = series;
            self.shape = next_shape();
        }
    }

    fn find(&self, labels: &Labels) -> Option<&Series> {
        self.metrics.get(labels.metric_name().unwrap_or_default())?.get(labels)
    }

    fn write(
        &mut self,
        owner: Owner,
        labels: &Labels,
        at_ms: i64,
        value: f64,
    ) -> Result<Written, AppendError> {
        let name = labels.metric_name().unwrap_or_default();
        let known = self.metrics.get_mut(name).and_then(|of_name| of_name.get_mut(labels));
        let series = match known {
            Some(series) => series,
            None if self.series >= self.limits.series_max => {
                let series_max = self.limits.series_max;
                return Err(AppendError::Full { labels: labels.clone(), series_max });
            }
            None => {
                self.series += 1;
                self.shape = next_shape();
                self.metrics.entry(name.into()).or_default().entry(labels.clone()).or_default()
            }
        };
        series.push(owner, at_ms, value, &self.limits).map_err(|newest_ms| AppendError::NotNewer {
            labels: labels.clone(),
            at_ms,
            newest_ms,
        })
    }

    fn prune_when_due(&mut self, now_ms: i64) {
        if now_ms.saturating_sub(self.pruned_ms) >= PRUNE_INTERVAL_MS {
            self.prune(now_ms);
        }
    }
}

fn next_shape() -> u64 {
    NEXT_SHAPE.fetch_add(1, Ordering::Relaxed)
}

#[cfg(test)]
mod tests;
