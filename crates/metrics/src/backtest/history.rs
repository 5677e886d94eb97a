//! Owns samples of the past, as they come: any series, in any order, some of them twice.

use std::collections::{BTreeSet, HashMap};

use crate::labels::Labels;
use crate::store::{Bounds, Limits, Store};

/// How many samples are taken: about 800 MB while they are read.
const SAMPLES_MAX: usize = 50_000_000;
/// How many series.
const SERIES_MAX: usize = 1_000_000;

/// Samples of the past.
#[derive(Debug, Default)]
pub struct History {
    series: HashMap<Labels, Vec<(i64, f64)>>,
    n_samples: usize,
}

/// There are more samples than can be held.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "there are more than {SAMPLES_MAX} samples or {SERIES_MAX} series: choose a shorter stretch of time, or fewer rules"
)]
pub struct HistoryFull;

// === impl History ===

impl History {
    /// Adds samples of a series: milliseconds since the Unix epoch, and the value.
    ///
    /// # Errors
    ///
    /// Fails if there would be more than 50 million samples or a million series.
    pub fn add(
        &mut self,
        labels: Labels,
        samples: impl IntoIterator<Item = (i64, f64)>,
    ) -> Result<(), HistoryFull> {
        if self.series.len() >= SERIES_MAX && !self.series.contains_key(&labels) {
            return Err(HistoryFull);
        }
        let known = self.series.entry(labels).or_default();
        for sample in samples {
            if self.n_samples >= SAMPLES_MAX {
                return Err(HistoryFull);
            }
            self.n_samples += 1;
            known.push(sample);
        }
        Ok(())
    }

    /// Returns the time of the first sample and that of the last, in milliseconds since the Unix epoch.
    pub fn span_ms(&self) -> Option<(i64, i64)> {
        let times = || self.series.values().flatten().map(|(at_ms, _)| *at_ms);
        Some((times().min()?, times().max()?))
    }

    /// Returns how many series and samples there are.
    pub fn size(&self) -> (usize, usize) {
        (self.series.len(), self.n_samples)
    }

    /// Puts the samples into a store, less those of metrics with these names.
    pub(super) fn into_store(self, without: &BTreeSet<String>) -> Result<Store, HistoryFull> {
        let limits =
            Limits { retention_ms: i64::MAX, series_max: 2 * SERIES_MAX, samples_per_series_max: usize::MAX };
        let bounds = Bounds { bytes_max: usize::MAX, ..Bounds::default() };
        let mut store = Store::new(limits).with_bounds(bounds);
        for (labels, mut samples) in self.series {
            if labels.metric_name().is_some_and(|name| without.contains(name)) {
                continue;
            }
            samples.sort_by_key(|(at_ms, _)| *at_ms);
            // Of two samples of a moment the first is as good as the other.
            samples.dedup_by_key(|(at_ms, _)| *at_ms);
            for (at_ms, value) in samples {
                store.append(&labels, at_ms, value).map_err(|_| HistoryFull)?;
            }
        }
        Ok(store)
    }
}
