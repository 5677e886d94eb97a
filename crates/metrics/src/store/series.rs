//! Owns the samples of one series, in the order of time.

use std::collections::VecDeque;

use super::Limits;

/// The NaN that says "this series ended here"; Prometheus chose these bits, and no arithmetic yields them.
const STALE_BITS: u64 = 0x7ff0_0000_0000_0002;

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
    /// It is there now, or was before.
    Stored,
    /// The responder writes this series, a target may not.
    Owned,
}

/// The samples of one series.
#[derive(Debug, Default)]
pub(crate) struct Series {
    owner: Owner,
    samples: VecDeque<(i64, f64)>,
}

/// Returns the value that marks the end of a series.
pub(super) fn stale() -> f64 {
    f64::from_bits(STALE_BITS)
}

/// Tells whether a value marks the end of a series.
pub(crate) fn is_stale(value: f64) -> bool {
    value.to_bits() == STALE_BITS
}

// === impl Series ===

impl Series {
    /// Adds a sample at the end and makes room at the front; fails with the time of the last sample if that is not
    /// older.
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
        if let Some((newest_ms, newest)) = self.last()
            && newest_ms >= at_ms
        {
            let same = newest_ms == at_ms && newest.to_bits() == value.to_bits();
            return if same { Ok(Written::Stored) } else { Err(newest_ms) };
        }
        self.keep_after(at_ms.saturating_sub(limits.retention_ms));
        if self.samples.len() >= limits.samples_per_series_max {
            self.samples.pop_front();
        }
        self.samples.push_back((at_ms, value));
        Ok(Written::Stored)
    }

    /// Drops the samples up to a time; tells whether any are left.
    pub(super) fn keep_after(&mut self, oldest_ms: i64) -> bool {
        while self.samples.front().is_some_and(|(at_ms, _)| *at_ms <= oldest_ms) {
            self.samples.pop_front();
        }
        !self.samples.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.samples.len()
    }

    pub(super) fn owner(&self) -> Owner {
        self.owner
    }

    /// Returns the last sample, be it a stale marker.
    pub(super) fn last(&self) -> Option<(i64, f64)> {
        self.samples.back().copied()
    }

    /// Returns the last value that is not a stale marker.
    pub(super) fn last_value(&self) -> Option<f64> {
        self.samples.iter().rev().map(|(_, value)| *value).find(|value| !is_stale(*value))
    }

    /// Returns the newest sample after `from_ms` and not after `to_ms`, unless the series had ended by then.
    pub(crate) fn newest(&self, from_ms: i64, to_ms: i64) -> Option<(i64, f64)> {
        let end = self.samples.partition_point(|(at_ms, _)| *at_ms <= to_ms);
        let (at_ms, value) = *self.samples.get(end.checked_sub(1)?)?;
        (at_ms > from_ms && !is_stale(value)).then_some((at_ms, value))
    }

    /// Adds the samples after `from_ms` and not after `to_ms` to a buffer, stale markers included.
    pub(crate) fn read(&self, from_ms: i64, to_ms: i64, into: &mut Vec<(i64, f64)>) {
        // Most windows begin before the first sample or end after the last one: then there is nothing to search.
        let (Some((first_ms, _)), Some((last_ms, _))) = (self.samples.front(), self.samples.back()) else {
            return;
        };
        let start = match *first_ms > from_ms {
            true => 0,
            false => self.samples.partition_point(|(at_ms, _)| *at_ms <= from_ms),
        };
        let end = match *last_ms <= to_ms {
            true => self.samples.len(),
            false => self.samples.partition_point(|(at_ms, _)| *at_ms <= to_ms).max(start),
        };
        into.extend(self.samples.range(start..end));
    }

    /// Returns every sample, stale markers included.
    #[cfg(test)]
    pub(super) fn all(&self) -> impl Iterator<Item = (i64, f64)> {
        self.samples.iter().copied()
    }
}
