//! Owns what a scrape does to the store: the labels of the target, zero injection, and the end of series.

use std::collections::BTreeSet;

use super::series::{Owner, Written, is_stale, stale};
use super::{AppendError, Store};
use crate::exposition::{self, Diagnostic, Kind, PageSample, Stamp};
use crate::labels::Labels;

/// Clocks differ a little; a page that claims more is wrong and would end its series for later samples.
const FUTURE_MS_MAX: i64 = 10 * 60_000;
/// A full store would otherwise refuse a whole page in as many messages.
const REFUSALS_MAX: usize = 10;

/// What became of one scraped page.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ScrapeSummary {
    /// Samples that the store took.
    pub samples: usize,
    /// Series that the page no longer has, and that were ended.
    pub ended: usize,
    /// Lines that could not be read.
    pub lines_rejected: usize,
    /// Samples that could be read but not stored.
    pub samples_refused: usize,
    /// What was wrong with lines, the first ones in full.
    pub diagnostics: Vec<Diagnostic>,
    /// Why samples were refused, the first ones in full.
    pub refusals: Vec<AppendError>,
}

/// What the store remembers about a target.
#[derive(Debug, Default)]
pub(super) struct Target {
    pub(super) attempted_ms: i64,
    succeeded_ms: Option<i64>,
    /// The series of its last page, except those with timestamps of their own, which end by growing old.
    live: BTreeSet<Labels>,
}

// === impl Store ===

impl Store {
    /// Stores a page that was scraped from a target at `now_ms`.
    ///
    /// Every series gets the labels of the target; a label of the page that differs stays as `exported_NAME`.
    /// A series of the target that is not on the page any more is ended. A counter that appears on a target that was
    /// scraped before is preceded by a 0, so that its first increment is one. A counter that comes back after its end
    /// with a larger value is preceded by its old value, with a smaller one by 0: whatever happened unseen counts.
    pub fn scrape(&mut self, target: &Labels, page: &str, now_ms: i64) -> ScrapeSummary {
        self.prune_when_due(now_ms);
        let page = exposition::read(page, now_ms);
        let before = self.targets.remove(target).unwrap_or_default();
        let oldest_ms = now_ms.saturating_sub(self.limits.retention_ms);
        let seen = before.succeeded_ms.is_some_and(|at_ms| at_ms > oldest_ms);
        let before_ms = seen.then_some(before.attempted_ms);
        let mut summary = ScrapeSummary {
            lines_rejected: page.lines_rejected,
            diagnostics: page.diagnostics,
            ..ScrapeSummary::default()
        };
        let mut live = BTreeSet::new();
        for scraped in page.samples {
            let labels = with_target(&scraped.sample.labels, target);
            match self.store_scraped(&labels, &scraped, before_ms, now_ms) {
                Ok(Written::Stored) => summary.samples += 1,
                Ok(Written::Owned) => continue,
                Err(error) => {
                    summary.samples_refused += 1;
                    if summary.refusals.len() < REFUSALS_MAX {
                        summary.refusals.push(error);
                    }
                }
            }
            if scraped.stamp == Stamp::Scrape {
                live.insert(labels);
            }
        }
        summary.ended = self.end(before.live.difference(&live), now_ms);
        let state = Target { attempted_ms: now_ms, succeeded_ms: Some(now_ms), live };
        self.targets.insert(target.clone(), state);
        summary
    }

    /// Notes that a target could not be scraped at `now_ms`: all its series end. Returns how many did.
    pub fn scrape_failed(&mut self, target: &Labels, now_ms: i64) -> usize {
        self.prune_when_due(now_ms);
        let Some(mut state) = self.targets.remove(target) else { return 0 };
        state.attempted_ms = now_ms;
        let ended = self.end(std::mem::take(&mut state.live).iter(), now_ms);
        self.targets.insert(target.clone(), state);
        ended
    }

    fn end<'l>(&mut self, gone: impl Iterator<Item = &'l Labels>, now_ms: i64) -> usize {
        // A series that is already newer than now, or pruned, needs no end.
        gone.filter(|labels| self.find(labels).is_some_and(|series| series.owner() == Owner::Target))
            .cloned()
            .collect::<Vec<_>>()
            .iter()
            .filter(|labels| self.write(Owner::Target, labels, now_ms, stale()).is_ok())
            .count()
    }

    fn store_scraped(
        &mut self,
        labels: &Labels,
        scraped: &PageSample,
        before_ms: Option<i64>,
        now_ms: i64,
    ) -> Result<Written, AppendError> {
        let (at_ms, value) = (scraped.sample.at_ms, scraped.sample.value);
        if at_ms > now_ms.saturating_add(FUTURE_MS_MAX) {
            return Err(AppendError::Future { labels: labels.clone(), at_ms });
        }
        if scraped.kind == Kind::Counter
            && scraped.stamp == Stamp::Scrape
            && let Some((baseline_ms, baseline)) = self.baseline(labels, before_ms, value)
            && baseline_ms < at_ms
        {
            self.write(Owner::Target, labels, baseline_ms, baseline)?;
        }
        self.write(Owner::Target, labels, at_ms, value)
    }

    /// Returns the sample to put before the first one of a counter that appears or comes back.
    fn baseline(&self, labels: &Labels, before_ms: Option<i64>, value: f64) -> Option<(i64, f64)> {
        let before_ms = before_ms?;
        let Some(series) = self.find(labels) else { return Some((before_ms, 0.0)) };
        let (last_ms, last) = series.last()?;
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

fn with_target(scraped: &Labels, target: &Labels) -> Labels {
    let exported = target.iter().filter_map(|(name, value)| {
        let own = scraped.get(name).filter(|own| *own != value)?;
        Some((format!("exported_{name}"), own.to_owned()))
    });
    let exported: Vec<(String, String)> = exported.collect();
    let exported = exported.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    scraped.iter().chain(target.iter()).chain(exported).collect()
}
