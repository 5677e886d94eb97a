//! Owns all series: by number, and by the name of their metric and their labels.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};

use super::series::Series;
use crate::labels::{Labels, Symbols};

/// The next number for a set of series; no two sets of one process have the same.
static NEXT_SHAPE: AtomicU64 = AtomicU64::new(1);

/// A series by number. A number is used again, a generation is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct SeriesId {
    index: u32,
    generation: u32,
}

/// All series of a store.
#[derive(Debug, Default)]
pub(super) struct Table {
    slots: Vec<Slot>,
    free: Vec<u32>,
    /// By the name of the metric, then by labels: most queries name their metric, and what they get is in order.
    metrics: BTreeMap<Box<str>, Metric>,
    symbols: Symbols,
    /// How many series each source has.
    of_source: HashMap<u32, usize>,
    n_series: usize,
    /// See [`Table::shape`]; 0 is the one of all tables that are still empty.
    shape: u64,
}

/// The series of one metric.
#[derive(Debug, Default)]
struct Metric {
    series: BTreeMap<Labels, u32>,
    shape: u64,
}

#[derive(Debug)]
struct Slot {
    generation: u32,
    series: Option<Series>,
}

// === impl SeriesId ===

impl SeriesId {
    /// Returns the number, which no other series has while this one is there.
    pub(super) fn index(self) -> u32 {
        self.index
    }
}

// === impl Table ===

impl Table {
    pub(super) fn len(&self) -> usize {
        self.n_series
    }

    /// Returns a number that changes whenever a series of one metric, or of any, comes or goes, and that no table with
    /// other series has.
    pub(super) fn shape(&self, name: Option<&str>) -> u64 {
        name.map_or(self.shape, |name| self.metrics.get(name).map_or(0, |metric| metric.shape))
    }

    /// Returns how many series came from a source.
    pub(super) fn of_source(&self, source: u32) -> usize {
        self.of_source.get(&source).copied().unwrap_or_default()
    }

    #[inline]
    pub(super) fn get(&self, id: SeriesId) -> Option<&Series> {
        let slot = self.slots.get(id.index as usize)?;
        if slot.generation == id.generation { slot.series.as_ref() } else { None }
    }

    #[inline]
    pub(super) fn get_mut(&mut self, id: SeriesId) -> Option<&mut Series> {
        let slot = self.slots.get_mut(id.index as usize)?;
        if slot.generation == id.generation { slot.series.as_mut() } else { None }
    }

    pub(super) fn find(&self, labels: &Labels) -> Option<SeriesId> {
        let of_name = self.metrics.get(labels.metric_name().unwrap_or_default())?;
        let index = *of_name.series.get(labels)?;
        Some(SeriesId { index, generation: self.slots.get(index as usize)?.generation })
    }

    /// Returns the labels of a series of a target; see [`Symbols::labels`].
    pub(super) fn labels<'l>(
        &self,
        further: impl Iterator<Item = (&'l str, &'l str)>,
        target: &Labels,
    ) -> Labels {
        self.symbols.labels(further, target)
    }

    /// Returns the series in places `from` and after, as many as `count`; none if there are no places any more.
    pub(super) fn range(&self, from: usize, count: usize) -> Option<impl Iterator<Item = (u32, &Series)>> {
        let slots = self.slots.get(from..).filter(|slots| !slots.is_empty())?;
        let numbered = slots.iter().take(count).zip(from as u32..);
        Some(numbered.filter_map(|(slot, index)| Some((index, slot.series.as_ref()?))))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Series> {
        self.slots.iter().filter_map(|slot| slot.series.as_ref())
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Series> {
        self.slots.iter_mut().filter_map(|slot| slot.series.as_mut())
    }

    /// Returns the series of one metric, or of all, in the order of their labels.
    pub(super) fn select(&self, name: Option<&str>) -> impl Iterator<Item = (&Labels, &Series)> {
        let one = name.and_then(|name| self.metrics.get(name));
        let all = name.is_none().then(|| self.metrics.values());
        let found = one.into_iter().chain(all.into_iter().flatten()).flat_map(|metric| &metric.series);
        found.filter_map(|(labels, index)| Some((labels, self.slots[*index as usize].series.as_ref()?)))
    }

    /// Adds an empty series that is not there yet.
    pub(super) fn insert(&mut self, labels: &Labels, source: u32) -> SeriesId {
        let labels = self.symbols.intern(labels);
        let series = Some(Series::new(labels.clone(), source));
        let index = match self.free.pop() {
            Some(index) => {
                self.slots[index as usize].series = series;
                index
            }
            None => {
                self.slots.push(Slot { generation: 0, series });
                // Four billion series do not fit in any memory.
                (self.slots.len() - 1) as u32
            }
        };
        self.shape = NEXT_SHAPE.fetch_add(1, Ordering::Relaxed);
        let name = labels.metric_name().unwrap_or_default();
        let metric = match self.metrics.get_mut(name) {
            Some(metric) => metric,
            None => self.metrics.entry(name.into()).or_default(),
        };
        metric.shape = self.shape;
        metric.series.insert(labels, index);
        *self.of_source.entry(source).or_default() += 1;
        self.n_series += 1;
        SeriesId { index, generation: self.slots[index as usize].generation }
    }

    /// Removes the series that do not pass.
    pub(super) fn retain(&mut self, mut keep: impl FnMut(&mut Series) -> bool) {
        let shape = NEXT_SHAPE.fetch_add(1, Ordering::Relaxed);
        for (index, slot) in self.slots.iter_mut().enumerate() {
            if slot.series.as_mut().is_none_or(&mut keep) {
                continue;
            }
            self.shape = shape;
            slot.generation = slot.generation.wrapping_add(1);
            self.free.push(index as u32);
            self.n_series -= 1;
            let Some(series) = slot.series.take() else { continue };
            if let Some(count) = self.of_source.get_mut(&series.source()) {
                *count = count.saturating_sub(1);
            }
            if let Some(metric) = self.metrics.get_mut(series.labels().metric_name().unwrap_or_default()) {
                metric.series.remove(series.labels());
                metric.shape = shape;
            }
        }
        if self.shape == shape {
            self.metrics.retain(|_, metric| !metric.series.is_empty());
            self.of_source.retain(|_, count| *count > 0);
            self.symbols.prune();
        }
    }
}
