//! Owns what one evaluation may use: samples, numbers in memory, steps, time.

use std::cell::Cell;
use std::fmt;

use super::QueryError;

/// How much one evaluation may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueryLimits {
    /// Samples that are read; looking at a series counts like reading one. The same as in Prometheus by default.
    pub samples_max: usize,
    /// Numbers that its parts may yield, each of 8 bytes, all of them together: what they hold at once is less.
    pub numbers_max: usize,
    /// Steps of a range query; no plot has more points than the default.
    pub steps_max: usize,
}

/// What an evaluation may use, and who says when it has taken too long.
#[derive(Clone, Copy)]
pub struct QueryBounds<'b> {
    /// How much it may use.
    pub limits: QueryLimits,
    /// Is asked now and then, at least once in some thousand samples; `true` ends the evaluation.
    pub is_late: &'b dyn Fn() -> bool,
}

/// A series costs its labels beside its numbers.
const NUMBERS_PER_SERIES: usize = 8;
/// So much is done between two looks at the clock: well below a millisecond.
const UNITS_BETWEEN_LOOKS: usize = 4096;

/// What is left of the bounds.
pub(super) struct Budget<'b> {
    bounds: QueryBounds<'b>,
    samples_left: Cell<usize>,
    numbers_left: Cell<usize>,
    unlooked: Cell<usize>,
}

// === impl QueryLimits ===

impl Default for QueryLimits {
    fn default() -> Self {
        Self { samples_max: 50_000_000, numbers_max: 20_000_000, steps_max: 11_000 }
    }
}

// === impl QueryBounds ===

impl Default for QueryBounds<'_> {
    /// Limits as they should be for a query whose author is known; never late.
    fn default() -> Self {
        Self { limits: QueryLimits::default(), is_late: &|| false }
    }
}

impl fmt::Debug for QueryBounds<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueryBounds").field("limits", &self.limits).finish_non_exhaustive()
    }
}

// === impl Budget ===

impl<'b> Budget<'b> {
    pub(super) fn new(bounds: QueryBounds<'b>) -> Self {
        Self {
            bounds,
            samples_left: Cell::new(bounds.limits.samples_max),
            numbers_left: Cell::new(bounds.limits.numbers_max),
            unlooked: Cell::new(0),
        }
    }

    /// Takes samples, or series that are looked at, off what may be read.
    pub(super) fn samples(&self, count: usize) -> Result<(), QueryError> {
        let limit = self.bounds.limits.samples_max;
        let left = self.samples_left.get().checked_sub(count);
        self.samples_left.set(left.ok_or(QueryError::TooMuch { limit, unit: "samples" })?);
        self.look(count)
    }

    /// Takes the numbers of some series off what may be held, before they are.
    pub(super) fn numbers(&self, series: usize, steps: usize) -> Result<(), QueryError> {
        let count = series.saturating_mul(steps.saturating_add(NUMBERS_PER_SERIES));
        let limit = self.bounds.limits.numbers_max;
        let left = self.numbers_left.get().checked_sub(count);
        self.numbers_left.set(left.ok_or(QueryError::TooMuch { limit, unit: "numbers in memory" })?);
        self.look(count)
    }

    /// Fails if there are more steps than there may be.
    pub(super) fn steps(&self, count: usize) -> Result<(), QueryError> {
        let limit = self.bounds.limits.steps_max;
        if count > limit { Err(QueryError::TooMuch { limit, unit: "steps" }) } else { Ok(()) }
    }

    /// Looks at the clock if enough was done since the last time.
    fn look(&self, units: usize) -> Result<(), QueryError> {
        let unlooked = self.unlooked.get().saturating_add(units);
        if unlooked < UNITS_BETWEEN_LOOKS {
            self.unlooked.set(unlooked);
            return Ok(());
        }
        self.unlooked.set(0);
        if (self.bounds.is_late)() { Err(QueryError::Late) } else { Ok(()) }
    }
}
