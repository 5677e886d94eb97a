//! Owns the way from a line of a page to a sample of a series: recognition of lines, the labels of the target, and
//! what stands before the first sample of a counter.
//!
//! A target's page is much the same each time. Its lines are remembered as hashes in their order, so that a line that
//! comes again costs one comparison, and neither its labels are read nor anything is allocated.

use std::collections::HashMap;

use super::scrape::ScrapeSummary;
use super::series::{Owner, Series, Written, is_stale};
use super::table::SeriesId;
use super::{AppendError, Store};
use crate::exposition::{Families, Kind, Pairs, Reading, Sink};
use crate::hash::{Given, hash};
use crate::labels::Labels;

/// Clocks differ a little; a page that claims more is wrong and would end its series for later samples.
pub(super) const FUTURE_MS_MAX: i64 = 10 * 60_000;
/// How many of the next lines are looked at for one that is not the expected one, before all are.
const NEAR: usize = 16;

/// A line of the page before.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known {
    /// Of the series as it is written.
    hash: u64,
    length: u32,
    pub(super) id: SeriesId,
    /// Ends when it is not on the page any more; one with timestamps of its own ends by growing old.
    pub(super) is_live: bool,
    /// Is on this page as well.
    pub(super) is_seen: bool,
}

/// How far a page was taken in.
#[derive(Debug)]
pub(super) struct Progress {
    target: Labels,
    pub(super) source: u32,
    pub(super) now_ms: i64,
    /// When the target was asked before, if it has answered within the retention.
    before_ms: Option<i64>,
    pub(super) before: Box<[Known]>,
    cursor: usize,
    /// Where a line stands in `before`; made when a page is not in the order of the one before.
    index: Option<HashMap<u64, u32, Given>>,
    pub(super) next: Vec<Known>,
    pub(super) summary: ScrapeSummary,
}

/// Takes in a piece of a page.
pub(super) struct Intake<'s> {
    pub(super) store: &'s mut Store,
    pub(super) progress: &'s mut Progress,
}

// === impl Known ===

impl Known {
    /// Returns a series whose line is not known, only that it was on the last page.
    pub(super) fn live(id: SeriesId) -> Self {
        Self { hash: 0, length: u32::MAX, id, is_live: true, is_seen: false }
    }
}

// === impl Progress ===

impl Progress {
    pub(super) fn new(target: &Labels, source: u32, before: Box<[Known]>, now_ms: i64) -> Self {
        Self {
            target: target.clone(),
            source,
            now_ms,
            before_ms: None,
            cursor: 0,
            index: None,
            next: Vec::with_capacity(before.len()),
            before,
            summary: ScrapeSummary::default(),
        }
    }

    pub(super) fn after(mut self, before_ms: Option<i64>) -> Self {
        self.before_ms = before_ms;
        self
    }

    /// Finds a line of the page before that is not the expected one, and expects the one after it from now on.
    fn look_up(&mut self, hash: u64) -> Option<usize> {
        let near = self.before.iter().skip(self.cursor).take(NEAR).position(|known| known.hash == hash);
        let at = match near {
            Some(near) => self.cursor + near,
            None => {
                let index = self.index.get_or_insert_with(|| {
                    self.before.iter().zip(0u32..).map(|(known, at)| (known.hash, at)).collect()
                });
                *index.get(&hash)? as usize
            }
        };
        self.cursor = at + 1;
        Some(at)
    }
}

// === impl Intake ===

impl Sink for Intake<'_> {
    #[inline]
    fn expected(&self, rest: &[u8]) -> Option<usize> {
        let known = self.progress.before.get(self.progress.cursor)?;
        let length = known.length as usize;
        let is_next = matches!(rest.get(length), Some(b' ' | b'\t'))
            && hash(self.store.key, &rest[..length]) == known.hash
            && self.store.table.get(known.id).is_some();
        is_next.then_some(length)
    }

    #[inline]
    fn known(&mut self, reading: Reading, families: &Families) {
        let at = self.progress.cursor;
        self.progress.cursor += 1;
        self.known_at(at, reading, families);
    }

    fn series(&mut self, raw: &[u8], pairs: &Pairs<'_>, reading: Reading, families: &Families) {
        let hash = hash(self.store.key, raw);
        if let Some(at) = self.progress.look_up(hash)
            && self.store.table.get(self.progress.before[at].id).is_some()
        {
            return self.known_at(at, reading, families);
        }
        let exported = exported(pairs, &self.progress.target);
        let exported = exported.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let further = pairs.iter().map(|(name, value)| (name.as_ref(), value.as_ref())).chain(exported);
        let labels = self.store.table.labels(further, &self.progress.target);
        let (at_ms, now_ms) = (reading.at_ms.unwrap_or(self.progress.now_ms), self.progress.now_ms);
        let id = match self.store.table.find(&labels) {
            Some(id) => Ok(id),
            // What is refused makes no series.
            None => self
                .store
                .check_time(&labels, at_ms, now_ms)
                .and_then(|()| self.store.insert(&labels, self.progress.source)),
        };
        match id {
            Ok(id) => {
                let length = u32::try_from(raw.len()).unwrap_or(u32::MAX);
                let known = Known { hash, length, id, is_live: false, is_seen: false };
                self.take(known, reading, families);
            }
            Err(error) => self.progress.summary.refuse(error),
        }
    }
}

impl Intake<'_> {
    #[inline]
    fn known_at(&mut self, at: usize, reading: Reading, families: &Families) {
        let known = self.progress.before[at];
        self.progress.before[at].is_seen = true;
        self.take(known, reading, families);
    }

    #[inline]
    fn take(&mut self, known: Known, reading: Reading, families: &Families) {
        let is_live = reading.at_ms.is_none();
        let written = self.write(known.id, reading, families);
        let is_owned = written == Ok(Written::Owned);
        match written {
            Ok(Written::Stored | Written::Repeated) => self.progress.summary.samples += 1,
            Ok(Written::Owned) => {}
            Err(error) => self.progress.summary.refuse(error),
        }
        self.progress.next.push(Known { is_live: is_live && !is_owned, is_seen: false, ..known });
    }

    #[inline]
    fn write(&mut self, id: SeriesId, reading: Reading, families: &Families) -> Result<Written, AppendError> {
        let now_ms = self.progress.now_ms;
        let Some(series) = self.store.table.get(id) else { return Ok(Written::Owned) };
        if let Some(at_ms) = reading.at_ms {
            let labels = series.labels().clone();
            self.store.check_time(&labels, at_ms, now_ms)?;
            return self.store.write(Owner::Target, id, at_ms, reading.value);
        }
        let goes_on = series.last().is_some_and(|(_, last)| !is_stale(last));
        if !goes_on
            && let Some((at_ms, value)) = self.baseline(series, reading.value, families)
            && at_ms < now_ms
        {
            self.store.write(Owner::Target, id, at_ms, value)?;
        }
        self.store.write(Owner::Target, id, now_ms, reading.value)
    }

    /// Returns the sample to put before the first one of a counter that appears or comes back.
    fn baseline(&self, series: &Series, value: f64, families: &Families) -> Option<(i64, f64)> {
        let before_ms = self.progress.before_ms?;
        if families.kind(series.labels().metric_name().unwrap_or_default()) != Kind::Counter {
            return None;
        }
        let Some((last_ms, last)) = series.last() else { return Some((before_ms, 0.0)) };
        if !is_stale(last) {
            return None;
        }
        let baseline_ms = before_ms.max(last_ms.saturating_add(1));
        match series.last_value() {
            Some(old) if old == value => None,
            Some(old) if old < value => Some((baseline_ms, old)),
            _ => Some((baseline_ms, 0.0)),
        }
    }
}

// === impl Store ===

impl Store {
    /// Refuses a time that a page claims, if it is too far away.
    fn check_time(&mut self, labels: &Labels, at_ms: i64, now_ms: i64) -> Result<(), AppendError> {
        let labels = || labels.clone();
        let error = if at_ms > now_ms.saturating_add(FUTURE_MS_MAX) {
            AppendError::Future { labels: labels(), at_ms }
        } else if at_ms <= self.oldest_ms(now_ms) {
            AppendError::Past { labels: labels(), at_ms }
        } else {
            return Ok(());
        };
        self.counters.samples_refused += 1;
        Err(error)
    }
}

/// Returns the labels of a page that differ from those of its target, under the names that they get.
fn exported(scraped: &Pairs<'_>, target: &Labels) -> Vec<(String, String)> {
    let differing = target.iter().filter_map(|(name, value)| {
        let (_, own) =
            scraped.iter().find(|(known, own)| known == name && own != value && !own.is_empty())?;
        Some((format!("exported_{name}"), own.to_string()))
    });
    differing.collect()
}
