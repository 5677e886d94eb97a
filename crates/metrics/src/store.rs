//! Owns the series in memory: what was appended and scraped, for as long as the retention says.
//!
//! What is written by `append` belongs to the responder; a scrape of a target neither writes nor ends such a series,
//! so the responder's own `mcp_server_up` holds beside the copy on a guard's page.

mod batch;
mod chunk;
mod export;
mod intake;
mod limits;
mod recover;
mod scrape;
mod series;
mod table;

use std::collections::{BTreeSet, HashMap};
use std::hash::{BuildHasher, RandomState};

use crate::exposition::PageLimits;
use crate::labels::Labels;
use batch::Batch;
pub use export::{Piece, Stretch};
pub use limits::{AppendError, Bounds, Counters, Limits, Size};
pub(crate) use recover::Replay;
use scrape::Target;
pub use scrape::{Scrape, ScrapeSummary};
pub(crate) use series::{Distance, Mark, Rise, Series, is_stale, stale};
use series::{Owner, Written};
use table::{SeriesId, Table};

/// How often series that hold nothing any more are looked for; it costs one pass over all of them.
const PRUNE_INTERVAL_MS: i64 = 60_000;
/// The source of the responder's own series.
const RESPONDER: u32 = 0;

/// All series of one responder, in memory.
#[derive(Debug)]
pub struct Store {
    limits: Limits,
    bounds: Bounds,
    page_limits: PageLimits,
    table: Table,
    targets: HashMap<Labels, Target>,
    /// The number of the last target that was met.
    last_source: u32,
    /// What lines of pages are hashed with.
    key: u64,
    counters: Counters,
    /// What is to be written to a disk, if anybody does that.
    batch: Option<Batch>,
    pruned_ms: i64,
}

// === impl Store ===

impl Store {
    /// Returns an empty store.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            bounds: Bounds::default(),
            page_limits: PageLimits::default(),
            table: Table::default(),
            targets: HashMap::new(),
            last_source: RESPONDER,
            key: RandomState::new().hash_one(0),
            counters: Counters::default(),
            batch: None,
            pruned_ms: i64::MIN,
        }
    }

    /// Sets further bounds.
    #[must_use]
    pub fn with_bounds(mut self, bounds: Bounds) -> Self {
        self.bounds = bounds;
        self
    }

    /// Sets how much of a page is read.
    #[must_use]
    pub fn with_page_limits(mut self, page_limits: PageLimits) -> Self {
        self.page_limits = page_limits;
        self
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
        let id = self.find_or_insert(labels, RESPONDER)?;
        self.begin_record(at_ms);
        let written = self.write(Owner::Responder, id, at_ms, value).map(|_| ());
        if let Some(batch) = &mut self.batch {
            batch.appended();
        }
        written
    }

    /// Forgets every series, and every target, that has this label with this value: what they tell of is gone, and was not
    /// missed. Looks at all series.
    pub fn forget(&mut self, label: &str, value: &str) {
        let is_it = |labels: &Labels| labels.get(label) == Some(value);
        self.table.retain(|series| !is_it(series.labels()));
        self.targets.retain(|target, _| !is_it(target));
        if let Some(batch) = &mut self.batch {
            batch.forgotten(label, value);
        }
    }

    /// Drops what is older than the retention or too much, and series and targets of which nothing is left.
    pub fn prune(&mut self, now_ms: i64) {
        let oldest_ms = self.oldest_ms(now_ms);
        self.table.retain(|series| series.keep_after(oldest_ms));
        self.targets.retain(|_, target| target.attempted_ms > oldest_ms);
        self.pruned_ms = now_ms;
        self.evict();
    }

    /// Returns how much the store holds. Looks at all series.
    pub fn size(&self) -> Size {
        Size { series: self.table.len(), samples: self.table.iter().map(Series::len).sum() }
    }

    /// Returns how many bytes the samples take, compressed. Looks at all series.
    pub fn sample_bytes(&self) -> usize {
        self.table.iter().map(Series::bytes).sum()
    }

    /// Returns what was refused and dropped so far.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Returns the values that a label has. Looks at all series.
    pub fn values(&self, label: &str) -> BTreeSet<String> {
        self.table.iter().filter_map(|series| series.labels().get(label).map(str::to_owned)).collect()
    }

    /// Returns the series of one metric, or of all, in the order of their labels.
    pub(crate) fn select(&self, name: Option<&str>) -> impl Iterator<Item = (&Labels, &Series)> {
        self.table.select(name)
    }

    /// Returns a number that changes whenever a series of one metric, or of any, comes or goes, and that no other store
    /// has.
    pub(crate) fn shape(&self, name: Option<&str>) -> u64 {
        self.table.shape(name)
    }

    fn oldest_ms(&self, now_ms: i64) -> i64 {
        now_ms.saturating_sub(self.limits.retention_ms)
    }

    /// Returns the series with these labels; makes one where there is none and there is room.
    fn find_or_insert(&mut self, labels: &Labels, source: u32) -> Result<SeriesId, AppendError> {
        match self.table.find(labels) {
            Some(id) => Ok(id),
            None => self.insert(labels, source),
        }
    }

    /// Makes a series that is not there yet, if there is room.
    fn insert(&mut self, labels: &Labels, source: u32) -> Result<SeriesId, AppendError> {
        let Bounds { series_per_target_max, .. } = self.bounds;
        let series_max = self.limits.series_max;
        let error = if self.table.len() >= series_max {
            AppendError::Full { labels: labels.clone(), series_max }
        } else if source != RESPONDER && self.table.of_source(source) >= series_per_target_max {
            AppendError::TargetFull { labels: labels.clone(), series_per_target_max }
        } else {
            return Ok(self.table.insert(labels, source));
        };
        self.counters.series_refused += 1;
        self.counters.samples_refused += 1;
        Err(error)
    }

    /// Adds a sample to a series that is there.
    #[inline]
    fn write(&mut self, owner: Owner, id: SeriesId, at_ms: i64, value: f64) -> Result<Written, AppendError> {
        // Whoever has a number has found the series under the same lock.
        let Some(series) = self.table.get_mut(id) else { return Ok(Written::Owned) };
        let last = series.last().map(|(_, last)| last);
        match series.push(owner, at_ms, value, &self.limits) {
            Ok(written) => {
                if let Some(batch) = &mut self.batch
                    && written == Written::Stored
                {
                    batch.sample(id.index(), series, last, (at_ms, value));
                }
                Ok(written)
            }
            Err(newest_ms) => {
                self.counters.samples_refused += 1;
                Err(AppendError::NotNewer { labels: series.labels().clone(), at_ms, newest_ms })
            }
        }
    }

    fn begin_record(&mut self, base_ms: i64) {
        if let Some(batch) = &mut self.batch {
            batch.begin(base_ms);
        }
    }

    fn prune_when_due(&mut self, now_ms: i64) {
        if now_ms.saturating_sub(self.pruned_ms) >= PRUNE_INTERVAL_MS {
            self.prune(now_ms);
        }
    }

    /// Drops the oldest complete chunks of all series until a tenth of the bytes is free.
    fn evict(&mut self) {
        let bytes = self.sample_bytes();
        if bytes <= self.bounds.bytes_max {
            return;
        }
        let mut ends: Vec<(i64, usize)> =
            self.table.iter().flat_map(Series::sealed).map(|chunk| (chunk.last_ms, chunk.size())).collect();
        ends.sort_unstable();
        let mut excess = bytes - self.bounds.bytes_max / 10 * 9;
        let mut oldest_ms = None;
        for (last_ms, bytes) in ends {
            if excess == 0 && oldest_ms != Some(last_ms) {
                break;
            }
            oldest_ms = Some(last_ms);
            excess = excess.saturating_sub(bytes);
        }
        let Some(oldest_ms) = oldest_ms else { return };
        let before: usize = self.table.iter().map(Series::len).sum();
        self.table.iter_mut().for_each(|series| series.evict(oldest_ms));
        let after: usize = self.table.iter().map(Series::len).sum();
        self.counters.samples_evicted += (before - after) as u64;
    }
}

#[cfg(test)]
mod tests;
