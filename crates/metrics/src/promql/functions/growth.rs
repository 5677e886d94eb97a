//! Owns how much a series moved within a window, as if its samples reached to the edges of it.

use super::Arguments;
use crate::promql::QueryError;
use crate::promql::selector::{self, Sample, Stretch};
use crate::promql::value::RowVisitor;
use crate::promql::window::{self, Fixed, Window};
use crate::store::Rise;

/// A sample that is further from the edge of its window than the usual distance and a tenth did not begin (or end)
/// there by accident: the series did.
const GAP_FACTOR: f64 = 1.1;

/// How a series moved within a window.
#[derive(Debug, Clone, Copy)]
pub(in crate::promql) struct Growth {
    /// When the window begins and when it ends, in milliseconds since the Unix epoch.
    edges: (i64, i64),
    first: Sample,
    last: Sample,
    /// How many samples there are, two or more.
    count: usize,
    /// From the first sample to the last one.
    moved: f64,
    /// It cannot have been below zero.
    is_counter: bool,
}

/// Computes a number, or none, of how each counter of a range grew.
pub(super) fn each(
    arguments: Arguments<'_>,
    compute: fn(Growth) -> f64,
    visit: &mut RowVisitor<'_>,
) -> Result<(), QueryError> {
    let Arguments { evaluator, grid, .. } = arguments;
    let Some(Fixed { selector, edges }) = window::fixed(evaluator, arguments.expr(0)?, grid)? else {
        return arguments.each_pure_window(|window| Growth::of_counter(window).map(compute), visit);
    };
    let mut row = vec![0.0; evaluator.scalars(grid)?];
    selector::rises(evaluator, selector, edges, &mut |key, stretch| {
        let growth = match stretch {
            Stretch::Rise(rise) => Growth::of_rise(rise, edges),
            Stretch::Samples(samples) => {
                Growth::of_counter(Window { start_ms: edges.0, end_ms: edges.1, samples })
            }
        };
        let Some(growth) = growth else { return Ok(()) };
        evaluator.budget.numbers(1, grid.count)?;
        row.fill(compute(growth));
        visit(key, &row)
    })
}

// === impl Growth ===

impl Growth {
    pub(super) fn of_gauge(window: Window<'_>) -> Option<Self> {
        let (first, last, count) = (window.first()?, window.last()?, window.samples.len());
        let edges = (window.start_ms, window.end_ms);
        (count > 1).then_some(Self { edges, first, last, count, moved: last.1 - first.1, is_counter: false })
    }

    /// A smaller value than the one before is a restart from zero.
    fn of_counter(window: Window<'_>) -> Option<Self> {
        let mut growth = Self { is_counter: true, ..Self::of_gauge(window)? };
        let is_restart = |(before, after): &(f64, f64)| after < before;
        // Most counters did not start again, and to see that costs less than to add up what they did not lose.
        if window.steps().any(|pair| is_restart(&pair)) {
            window.steps().filter(is_restart).for_each(|(before, _)| growth.moved += before);
        }
        Some(growth)
    }

    fn of_rise(rise: Rise, edges: (i64, i64)) -> Option<Self> {
        let Rise { first, last, count } = rise;
        (count > 1).then_some(Self { edges, first, last, count, moved: last.1 - first.1, is_counter: true })
    }

    pub(super) fn per_second(self) -> f64 {
        let (start_ms, end_ms) = self.edges;
        self.scaled(end_ms.saturating_sub(start_ms) as f64 / 1000.0)
    }

    pub(super) fn extrapolated(self) -> f64 {
        self.scaled(1.0)
    }

    /// Returns by how much the series moved, as if its samples reached to the edges, divided by `per`.
    ///
    /// A counter cannot have been below zero, so it is not taken further back than to where it would have been zero.
    fn scaled(self, per: f64) -> f64 {
        let Self { edges: (start_ms, end_ms), first: (first_ms, first), last: (last_ms, _), moved, .. } =
            self;
        let covered = last_ms.saturating_sub(first_ms) as f64 / 1000.0;
        let distance = covered / (self.count - 1) as f64;
        let threshold = distance * GAP_FACTOR;
        let to_edge = |gap_ms: i64| {
            let gap = gap_ms as f64 / 1000.0;
            if gap >= threshold { distance / 2.0 } else { gap }
        };
        let mut before = to_edge(first_ms.saturating_sub(start_ms));
        if self.is_counter && moved > 0.0 && first >= 0.0 {
            before = before.min(covered * (first / moved));
        }
        let after = to_edge(end_ms.saturating_sub(last_ms));
        moved * ((covered + before + after) / covered / per)
    }
}
