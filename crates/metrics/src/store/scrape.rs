//! Owns what a scrape does to the store: where a page begins and ends, and the end of series.

use std::collections::HashSet;

use super::batch::Stand;
use super::intake::{Intake, Known, Progress};
use super::series::{Owner, Written, stale};
use super::table::SeriesId;
use super::{AppendError, Store};
use crate::exposition::{Diagnostic, Format, Scanner};
use crate::labels::Labels;

/// A scrape may be late by this part of its interval, and get the time when it was due.
const LATE_PART: i64 = 500;
/// And by this much at most.
const LATE_MS_MAX: i64 = 20;
/// Intervals are multiples of this; shorter ones have no rhythm.
const BEAT_MS: i64 = 100;
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

/// A page that is being scraped. It has to be closed or failed: the store has lent what it knows of the target.
#[derive(Debug)]
#[must_use]
pub struct Scrape {
    target: Labels,
    interval_ms: i64,
    succeeded_ms: Option<i64>,
    scanner: Scanner,
    progress: Progress,
}

/// What the store remembers about a target.
#[derive(Debug, Default)]
pub(super) struct Target {
    pub(super) attempted_ms: i64,
    /// The rhythm in which it is asked; 0 before it is known.
    pub(super) interval_ms: i64,
    pub(super) succeeded_ms: Option<i64>,
    /// The number under which its series are counted.
    pub(super) source: u32,
    /// The lines of its last page.
    pub(super) known: Box<[Known]>,
}

// === impl Store ===

impl Store {
    /// Stores a page that was scraped from a target at `now_ms`.
    ///
    /// Every series gets the labels of the target; a label of the page that differs stays as `exported_NAME`.
    /// A series of the target that is not on the page any more is ended. A counter that appears on a target that was
    /// scraped before is preceded by a 0, so that its first increment is one. A counter that comes back after its end
    /// with a larger value is preceded by its old value, with a smaller one by 0: whatever happened unseen counts.
    ///
    /// A page that comes some milliseconds late in the rhythm of its target gets the time when it was due: steady times
    /// take a tenth of the memory of those that jitter.
    pub fn scrape(&mut self, target: &Labels, page: &str, now_ms: i64) -> ScrapeSummary {
        let mut scrape = self.begin_scrape(target, Format::of_page(page), now_ms);
        self.begin_record(now_ms);
        scrape.take(self, page.as_bytes());
        scrape.end(self)
    }

    /// Begins to store a page that arrives in pieces.
    pub fn begin_scrape(&mut self, target: &Labels, format: Format, now_ms: i64) -> Scrape {
        self.prune_when_due(now_ms);
        let before = self.targets.remove(target).unwrap_or_else(|| self.meet());
        let (now_ms, interval_ms) = in_rhythm(&before, now_ms);
        let seen = before.succeeded_ms.is_some_and(|at_ms| at_ms > self.oldest_ms(now_ms));
        Scrape {
            target: target.clone(),
            interval_ms,
            succeeded_ms: before.succeeded_ms,
            scanner: Scanner::new(format, self.page_limits),
            progress: Progress::new(target, before.source, before.known, now_ms)
                .after(seen.then_some(before.attempted_ms)),
        }
    }

    /// Notes that a target could not be scraped at `now_ms`: all its series end. Returns how many did.
    pub fn scrape_failed(&mut self, target: &Labels, now_ms: i64) -> usize {
        self.prune_when_due(now_ms);
        let Some(mut state) = self.targets.remove(target) else { return 0 };
        state.attempted_ms = now_ms;
        let known = std::mem::take(&mut state.known);
        self.begin_record(now_ms);
        let ended = self.end(known.iter(), now_ms);
        self.end_record(target, Stand::Failed);
        self.targets.insert(target.clone(), state);
        ended
    }

    /// Takes back what was lent for a scrape.
    fn end_scrape(
        &mut self,
        target: Labels,
        progress: Progress,
        stand: Stand,
        complete: impl FnOnce(Target) -> Target,
    ) -> ScrapeSummary {
        let Progress { before, next, source, now_ms, mut summary, .. } = progress;
        summary.ended = self.end_unseen(&before, &next, now_ms);
        self.end_record(&target, stand);
        let state = Target { attempted_ms: now_ms, source, known: next.into(), ..Target::default() };
        self.targets.insert(target, complete(state));
        summary
    }

    fn end_record(&mut self, target: &Labels, stand: Stand) {
        if let Some(batch) = &mut self.batch {
            batch.scraped(target, stand);
        }
    }

    /// Returns the state of a target that was never scraped.
    pub(super) fn meet(&mut self) -> Target {
        self.last_source += 1;
        Target { source: self.last_source, ..Target::default() }
    }

    /// Ends the series that were on the page before and are not on this one, however they are written there.
    fn end_unseen(&mut self, before: &[Known], next: &[Known], now_ms: i64) -> usize {
        let mut gone: Vec<&Known> = before.iter().filter(|known| known.is_live && !known.is_seen).collect();
        if !gone.is_empty() {
            let still: HashSet<SeriesId> = next.iter().map(|known| known.id).collect();
            gone.retain(|known| !still.contains(&known.id));
        }
        self.end(gone.into_iter(), now_ms)
    }

    fn end<'k>(&mut self, gone: impl Iterator<Item = &'k Known>, now_ms: i64) -> usize {
        let mut ended = 0;
        for known in gone.filter(|known| known.is_live) {
            // A series that is already newer than now, or pruned, needs no end.
            let is_there = self.table.get(known.id).is_some_and(|series| {
                series.owner() == Owner::Target && series.last().is_some_and(|(last_ms, _)| last_ms < now_ms)
            });
            if is_there && self.write(Owner::Target, known.id, now_ms, stale()) == Ok(Written::Stored) {
                ended += 1;
            }
        }
        ended
    }
}

// === impl Scrape ===

impl Scrape {
    /// Takes the next piece of the page, wherever it was cut.
    pub fn feed(&mut self, store: &mut Store, piece: &[u8]) {
        store.begin_record(self.progress.now_ms);
        self.take(store, piece);
        store.end_record(&self.target, Stand::GoesOn);
    }

    /// Ends the page: what it did not have any more ends, and the store knows its target again.
    pub fn close(self, store: &mut Store) -> ScrapeSummary {
        store.begin_record(self.progress.now_ms);
        self.end(store)
    }

    /// Gives the page up, because the rest of it cannot be had: what has arrived counts, and the other series of the
    /// target end. Returns how many did.
    pub fn fail(self, store: &mut Store) -> usize {
        store.begin_record(self.progress.now_ms);
        let Self { target, interval_ms, succeeded_ms, progress, .. } = self;
        store
            .end_scrape(target, progress, Stand::Failed, |state| Target {
                interval_ms,
                succeeded_ms,
                ..state
            })
            .ended
    }

    fn take(&mut self, store: &mut Store, piece: &[u8]) {
        self.scanner.feed(piece, &mut Intake { store, progress: &mut self.progress });
    }

    fn end(self, store: &mut Store) -> ScrapeSummary {
        let Self { target, interval_ms, scanner, mut progress, .. } = self;
        let rejected = scanner.close(&mut Intake { store, progress: &mut progress });
        let succeeded_ms = Some(progress.now_ms);
        let mut summary = store.end_scrape(target, progress, Stand::Succeeded, |state| Target {
            interval_ms,
            succeeded_ms,
            ..state
        });
        summary.lines_rejected = rejected.lines;
        summary.diagnostics = rejected.diagnostics;
        summary
    }
}

/// Returns the time that a scrape gets, and the rhythm of its target from then on.
fn in_rhythm(target: &Target, now_ms: i64) -> (i64, i64) {
    let interval_ms = target.interval_ms;
    let passed_ms = now_ms.saturating_sub(target.attempted_ms);
    let late_ms = passed_ms.saturating_sub(interval_ms);
    let allowed_ms = (interval_ms / LATE_PART).min(LATE_MS_MAX);
    // Never ahead of the clock: a rule that is evaluated right now has to see the sample. Who is early sets the beat.
    if interval_ms > 0 && (0..=allowed_ms).contains(&late_ms) {
        return (target.attempted_ms + interval_ms, interval_ms);
    }
    // What people configure is round.
    let round_ms = passed_ms.saturating_add(BEAT_MS / 2) / BEAT_MS * BEAT_MS;
    (now_ms, if target.succeeded_ms.is_some() { round_ms } else { 0 })
}

// === impl ScrapeSummary ===

impl ScrapeSummary {
    pub(super) fn refuse(&mut self, error: AppendError) {
        self.samples_refused += 1;
        if self.refusals.len() < REFUSALS_MAX {
            self.refusals.push(error);
        }
    }
}
