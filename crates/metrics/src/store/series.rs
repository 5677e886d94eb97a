//! Owns the samples of one series, in the order of time: complete chunks, and the one that is being filled.

use std::cmp::Ordering;
use std::hint::black_box;

use super::Limits;
use super::chunk::{Chunk, Head, Place, Samples};
use crate::labels::Labels;

/// The NaN that says "this series ended here"; Prometheus chose these bits, and no arithmetic yields them.
const STALE_BITS: u64 = 0x7ff0_0000_0000_0002;
/// Samples of a chunk: enough that its frame does not count, few enough that one is soon read.
const CHUNK_SAMPLES: usize = 120;
/// A chunk spans this part of the retention at most, because it is dropped as a whole.
const SPANS: i64 = 8;

/// Who writes a series.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Owner {
    /// A scraped target.
    #[default]
    Target,
    /// The responder itself; it keeps a series that it ever wrote.
    Responder,
}

/// What became of a sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Written {
    /// It is there now.
    Stored,
    /// It was there before.
    Repeated,
    /// The responder writes this series, a target may not.
    Owned,
}

/// The samples of one series.
#[derive(Debug)]
pub(crate) struct Series {
    labels: Labels,
    head: Head,
    /// Behind a pointer, because a store has very many series and most of them are short.
    sealed: Option<Box<Sealed>>,
    /// The time of the last sample that was less than the one before, or NaN: what the series grew by since then, two
    /// samples tell.
    fell_ms: i64,
    /// The target that it came from, by number; 0 is the responder.
    source: u32,
    /// The segment of the log that defines it.
    pub(super) defined_in: u32,
    owner: Owner,
}

/// The edges of a stretch of time in which a series only rose.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Rise {
    /// The first sample, its time in milliseconds since the Unix epoch.
    pub(crate) first: (i64, f64),
    pub(crate) last: (i64, f64),
    /// How many samples there are, the edges included.
    pub(crate) count: usize,
}

/// How many pointers have to be followed.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Distance {
    Near,
    Middle,
    Far,
}

/// Where a stretch began, so that a later one need not be looked for from the beginning of its chunk.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Mark {
    /// The first time of the chunk, which no other chunk of the series has.
    chunk_ms: i64,
    place: Place,
}

/// Complete chunks, the oldest first.
#[derive(Debug, Default)]
struct Sealed(Vec<Chunk>);

/// Returns the value that marks the end of a series.
pub(crate) fn stale() -> f64 {
    f64::from_bits(STALE_BITS)
}

/// Tells whether a value marks the end of a series.
pub(crate) fn is_stale(value: f64) -> bool {
    value.to_bits() == STALE_BITS
}

/// Tells whether a value is less than the one before, or one of them is NaN.
fn falls(before: Option<f64>, value: f64) -> bool {
    match before {
        Some(before) => value.partial_cmp(&before).is_none_or(Ordering::is_lt),
        None => value.is_nan(),
    }
}

// === impl Series ===

impl Series {
    pub(super) fn new(labels: Labels, source: u32) -> Self {
        let (head, owner) = (Head::default(), Owner::default());
        Self { labels, head, sealed: None, fell_ms: i64::MIN, source, defined_in: 0, owner }
    }

    /// Adds a sample at the end and makes room at the front; fails with the time of the last sample if that is not
    /// older.
    #[inline]
    pub(super) fn push(
        &mut self,
        owner: Owner,
        at_ms: i64,
        value: f64,
        limits: &Limits,
    ) -> Result<Written, i64> {
        if owner == Owner::Target && self.owner == Owner::Responder {
            return Ok(Written::Owned);
        }
        self.owner = owner;
        let newest = self.last();
        if let Some((newest_ms, newest)) = newest
            && newest_ms >= at_ms
        {
            let same = newest_ms == at_ms && newest.to_bits() == value.to_bits();
            return if same { Ok(Written::Repeated) } else { Err(newest_ms) };
        }
        // Small limits get small chunks, so that what is dropped at once is small as well.
        let chunk_samples = CHUNK_SAMPLES.min(limits.samples_per_series_max / 8).max(1);
        let span_ms = (limits.retention_ms / SPANS).max(1);
        let begun = self.head.len() > 0;
        if begun && (self.head.len() >= chunk_samples || at_ms.saturating_sub(self.head.first_ms()) > span_ms)
        {
            self.seal();
            self.keep_after(at_ms.saturating_sub(limits.retention_ms));
            self.keep_samples(limits.samples_per_series_max.saturating_sub(1));
        }
        if falls(newest.map(|(_, newest)| newest), value) {
            self.fell_ms = at_ms;
        }
        self.head.push(at_ms, value);
        Ok(Written::Stored)
    }

    fn seal(&mut self) {
        let sealed = &mut self.sealed.get_or_insert_default().0;
        sealed.reserve_exact(1);
        sealed.push(self.head.seal());
    }

    /// Drops the chunks that end before a time, or at it; tells whether any samples are left.
    pub(super) fn keep_after(&mut self, oldest_ms: i64) -> bool {
        self.evict(oldest_ms);
        if self.head.last().is_some_and(|(last_ms, _)| last_ms <= oldest_ms) {
            self.head = Head::default();
        }
        self.len() > 0
    }

    /// Drops the complete chunks that end before a time, or at it.
    pub(super) fn evict(&mut self, oldest_ms: i64) {
        let n_old = self.sealed().partition_point(|chunk| chunk.last_ms <= oldest_ms);
        self.drop_first(n_old);
    }

    /// Drops the oldest chunks until there are so many samples at most; the one that is being filled stays.
    fn keep_samples(&mut self, samples_max: usize) {
        let (mut left, mut n_old) = (self.len(), 0);
        for chunk in self.sealed() {
            if left <= samples_max {
                break;
            }
            left -= usize::from(chunk.n_samples);
            n_old += 1;
        }
        self.drop_first(n_old);
    }

    fn drop_first(&mut self, n_old: usize) {
        if let Some(sealed) = self.sealed.as_mut().filter(|_| n_old > 0) {
            sealed.0.drain(..n_old);
            sealed.0.shrink_to_fit();
        }
    }

    /// Fills an empty series with chunks, each later than the one before; tells whether they were whole.
    pub(super) fn restore(&mut self, owner: Owner, mut chunks: Vec<Chunk>) -> bool {
        let in_order = chunks.is_sorted_by(|before, after| before.last_ms < after.first_ms);
        if self.len() > 0 || !in_order {
            return false;
        }
        let (mut before, mut fell_ms) = (None, i64::MIN);
        let mut see = |at_ms, value| {
            if falls(before.replace(value), value) {
                fell_ms = at_ms;
            }
        };
        if !chunks.iter().all(|chunk| chunk.is_whole(&mut see)) {
            return false;
        }
        let Some(newest) = chunks.pop() else { return false };
        (self.owner, self.fell_ms) = (owner, fell_ms);
        self.head = Head::of(&newest);
        self.sealed = (!chunks.is_empty()).then(|| Box::new(Sealed(chunks)));
        true
    }

    pub(super) fn labels(&self) -> &Labels {
        &self.labels
    }

    pub(super) fn source(&self) -> u32 {
        self.source
    }

    pub(super) fn len(&self) -> usize {
        self.head.len() + self.sealed().iter().map(|chunk| usize::from(chunk.n_samples)).sum::<usize>()
    }

    /// Returns how many bytes the samples take.
    pub(super) fn bytes(&self) -> usize {
        self.head.bytes() + self.sealed().iter().map(Chunk::size).sum::<usize>()
    }

    /// Returns the chunks that are complete, the oldest first.
    pub(super) fn sealed(&self) -> &[Chunk] {
        self.sealed.as_ref().map_or(&[], |sealed| &sealed.0)
    }

    /// Returns the chunk that is being filled, as it is now.
    pub(super) fn open_chunk(&self) -> Option<Chunk> {
        (self.head.len() > 0).then(|| self.head.chunk())
    }

    pub(super) fn owner(&self) -> Owner {
        self.owner
    }

    /// Returns the last sample, be it a stale marker.
    #[inline]
    pub(super) fn last(&self) -> Option<(i64, f64)> {
        self.head.last()
    }

    /// Returns the last value that is not a stale marker.
    pub(super) fn last_value(&self) -> Option<f64> {
        let last =
            |samples: Samples<'_>| samples.map(|(_, value)| value).filter(|value| !is_stale(*value)).last();
        last(self.head.samples())
            .or_else(|| self.sealed().iter().rev().find_map(|chunk| last(chunk.samples())))
    }

    /// Returns the newest sample after `from_ms` and not after `to_ms`, unless the series had ended by then.
    pub(crate) fn newest(&self, from_ms: i64, to_ms: i64) -> Option<(i64, f64)> {
        let (last_ms, last) = self.last()?;
        let (at_ms, value) = if last_ms <= to_ms {
            (last_ms, last)
        } else if self.head.first_ms() <= to_ms {
            self.head.samples().take_while(|(at_ms, _)| *at_ms <= to_ms).last()?
        } else {
            let chunk = self.sealed().iter().rev().find(|chunk| chunk.first_ms <= to_ms)?;
            chunk.samples().take_while(|(at_ms, _)| *at_ms <= to_ms).last()?
        };
        (at_ms > from_ms && !is_stale(value)).then_some((at_ms, value))
    }

    /// Adds the samples after `from_ms` and not after `to_ms` to a buffer, stale markers included.
    pub(crate) fn read(&self, from_ms: i64, to_ms: i64, into: &mut Vec<(i64, f64)>) {
        let start = self.sealed().partition_point(|chunk| chunk.last_ms <= from_ms);
        for chunk in self.sealed()[start..].iter().take_while(|chunk| chunk.first_ms <= to_ms) {
            chunk.samples().read(from_ms, to_ms, into);
        }
        if self.last().is_some_and(|(last_ms, _)| last_ms > from_ms) && self.head.first_ms() <= to_ms {
            self.head.samples().read(from_ms, to_ms, into);
        }
    }

    /// Returns the edges of what lies after `from_ms`, if that is not later than `to_ms`, never falls and has no stale
    /// marker; nothing may also mean that this is not known without reading it. The mark is one that this series left
    /// at the same `from_ms` or an earlier one, or a new one.
    #[inline]
    pub(crate) fn rise(&self, from_ms: i64, to_ms: i64, mark: &mut Mark) -> Option<Rise> {
        let last = self.last().filter(|(last_ms, _)| *last_ms > from_ms && *last_ms <= to_ms)?;
        if self.fell_ms > from_ms {
            return None;
        }
        let sealed = self.sealed();
        let chunks = &sealed[sealed.partition_point(|chunk| chunk.last_ms <= from_ms)..];
        let chunk_ms = chunks.first().map_or(self.head.first_ms(), |chunk| chunk.first_ms);
        let place = if mark.chunk_ms == chunk_ms { mark.place } else { Place::start(chunk_ms) };
        let after =
            chunks.first().map_or_else(|| self.head.samples_after(place), |chunk| chunk.samples_after(place));
        let (place, n_first) = after.first_after(from_ms)?;
        *mark = Mark { chunk_ms, place };
        let n_others = match chunks {
            [] => 0,
            [_, others @ ..] => {
                self.head.len() + others.iter().map(|chunk| usize::from(chunk.n_samples)).sum::<usize>()
            }
        };
        Some(Rise { first: (place.at_ms, place.value), last, count: usize::from(n_first) + n_others })
    }

    /// Reads one word of each place that [`Series::rise`] reads, at the given distance from the series. They lie scattered
    /// in memory, and whoever looks at many series waits for all of them at once instead of for one after another.
    #[inline]
    pub(crate) fn touch(&self, distance: Distance) {
        match distance {
            Distance::Near => {
                black_box((self.fell_ms, self.head.first_byte()));
            }
            Distance::Middle => {
                black_box(self.sealed().last().map(|chunk| chunk.last_ms));
            }
            Distance::Far => {
                black_box(self.sealed().last().and_then(|chunk| chunk.bytes.first()));
            }
        }
    }

    /// Returns every sample, stale markers included.
    #[cfg(test)]
    pub(crate) fn all(&self) -> impl Iterator<Item = (i64, f64)> {
        self.sealed().iter().flat_map(Chunk::samples).chain(self.head.samples())
    }
}
