//! Owns the moments at which a query, or a part of one, is evaluated.

/// The moments at which a range query is evaluated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Steps {
    /// The first moment.
    pub start_ms: i64,
    /// No moment is later than this one.
    pub end_ms: i64,
    /// The time between two moments; less than 1 counts as 1.
    pub step_ms: i64,
}

/// Regular moments; each row of a vector has a value, or none, for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Grid {
    pub(super) start_ms: i64,
    pub(super) step_ms: i64,
    pub(super) count: usize,
}

// === impl Steps ===

impl Steps {
    /// Returns the one step of a query at one moment.
    pub(super) fn one(at_ms: i64) -> Self {
        Self { start_ms: at_ms, end_ms: at_ms, step_ms: 0 }
    }

    /// Returns the moments, first to last.
    pub fn moments(&self) -> impl Iterator<Item = i64> + use<> {
        let (step_ms, end_ms) = (self.step_ms.max(1), self.end_ms);
        std::iter::successors(Some(self.start_ms), move |at_ms| at_ms.checked_add(step_ms))
            .take_while(move |at_ms| *at_ms <= end_ms)
    }

    pub(super) fn grid(&self) -> Grid {
        Grid::between(self.start_ms, self.end_ms, self.step_ms)
    }
}

// === impl Grid ===

impl Grid {
    /// Returns the moments from a first one to no later than a last one.
    pub(super) fn between(start_ms: i64, end_ms: i64, step_ms: i64) -> Self {
        let step_ms = step_ms.max(1);
        let span = i128::from(end_ms) - i128::from(start_ms);
        let count = if span < 0 { 0 } else { span / i128::from(step_ms) + 1 };
        Self { start_ms, step_ms, count: usize::try_from(count).unwrap_or(usize::MAX) }
    }

    pub(super) fn at(&self, step: usize) -> i64 {
        let passed = i64::try_from(step).unwrap_or(i64::MAX).saturating_mul(self.step_ms);
        self.start_ms.saturating_add(passed)
    }

    pub(super) fn last_ms(&self) -> i64 {
        self.at(self.count.saturating_sub(1))
    }

    pub(super) fn moments(&self) -> impl Iterator<Item = i64> + use<'_> {
        (0..self.count).map(|step| self.at(step))
    }
}
