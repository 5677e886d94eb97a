//! Owns windows: the samples of a stretch of time that moves with the steps, of a series or of a subquery.

use super::QueryError;
use super::eval::{self, Evaluator};
use super::grid::Grid;
use super::selector::{self, Sample};
use super::syntax::{Expr, Kind, Selector};
use super::value::KeyRef;

/// The step of a subquery that names none: the default evaluation interval of Prometheus.
const SUBQUERY_STEP_MS: i64 = 60_000;
/// More steps than this are a slip: one for each second of eleven days.
const SUBQUERY_STEPS_MAX: usize = 1_000_000;

/// The samples of one series in a stretch of time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Window<'w> {
    /// The stretch begins after this moment…
    pub(super) start_ms: i64,
    /// … and reaches up to this one.
    pub(super) end_ms: i64,
    /// In the order of time; never empty, without stale markers.
    pub(super) samples: &'w [Sample],
}

/// The one window of a range.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fixed<'e> {
    pub(super) selector: &'e Selector,
    /// When it begins and when it ends, in milliseconds since the Unix epoch.
    pub(super) edges: (i64, i64),
}

/// The samples of one series for the windows of all steps.
#[derive(Debug, Clone, Copy)]
pub(super) struct Run<'r> {
    samples: &'r [Sample],
    ends: Grid,
    range_ms: i64,
    steps: usize,
}

/// Returns the window of a range if that is the same at each step.
pub(super) fn fixed<'e>(
    evaluator: &Evaluator<'_>,
    expr: &'e Expr,
    grid: Grid,
) -> Result<Option<Fixed<'e>>, QueryError> {
    let Kind::Range { selector, range } = &expr.unwrapped().kind else { return Ok(None) };
    let range_ms = evaluator.range_millis(range)?;
    let ends = selector::moments(evaluator, &selector.when, grid)?;
    let edges = (ends.start_ms.saturating_sub(range_ms), ends.start_ms);
    Ok((ends.count == 1).then_some(Fixed { selector, edges }))
}

/// Hands each series of a range to `visit`; series without a sample in any window may be among them.
pub(super) fn each_series(
    evaluator: &Evaluator<'_>,
    expr: &Expr,
    grid: Grid,
    visit: &mut dyn FnMut(KeyRef<'_>, Run<'_>) -> Result<(), QueryError>,
) -> Result<(), QueryError> {
    match &expr.unwrapped().kind {
        Kind::Range { selector, range } => {
            let range_ms = evaluator.range_millis(range)?;
            let ends = selector::moments(evaluator, &selector.when, grid)?;
            let stretch = (ends.start_ms.saturating_sub(range_ms), ends.last_ms());
            selector::samples(evaluator, selector, stretch, &mut |key, samples| {
                visit(key, Run { samples, ends, range_ms, steps: grid.count })
            })
        }
        Kind::Subquery { inner, range, step, when } => {
            let range_ms = evaluator.range_millis(range)?;
            let ends = selector::moments(evaluator, when, grid)?;
            let step_ms = step.as_ref().map_or(Ok(SUBQUERY_STEP_MS), |step| evaluator.range_millis(step))?;
            let inside = aligned(ends.start_ms.saturating_sub(range_ms), ends.last_ms(), step_ms);
            if inside.count > SUBQUERY_STEPS_MAX {
                return Err(QueryError::TooMuch { limit: SUBQUERY_STEPS_MAX, unit: "steps of a subquery" });
            }
            if inside.count == 0 {
                return Ok(());
            }
            let vector = evaluator.vector(inner, inside)?;
            let mut buffer = Vec::<Sample>::new();
            for (key, row) in vector.rows() {
                buffer.clear();
                buffer.extend(eval::samples(inside, row));
                evaluator.budget.samples(buffer.len())?;
                visit(key.lent(), Run { samples: &buffer, ends, range_ms, steps: grid.count })?;
            }
            Ok(())
        }
        _ => Err(evaluator.invalid(expr, "expected a range vector")),
    }
}

/// Returns the moments after a first one and not after a last one that are multiples of a step since the epoch: the
/// same ones whatever the moment of evaluation.
fn aligned(after_ms: i64, last_ms: i64, step_ms: i64) -> Grid {
    let first = after_ms.div_euclid(step_ms).saturating_add(1).saturating_mul(step_ms);
    Grid::between(first, last_ms, step_ms)
}

// === impl Run ===

impl<'r> Run<'r> {
    /// Tells whether the window is the same at each step.
    pub(super) fn is_fixed(self) -> bool {
        self.ends.count == 1
    }

    /// Returns the windows that have samples, and their steps.
    pub(super) fn windows(self) -> impl Iterator<Item = (usize, Window<'r>)> {
        let Self { samples, ends, range_ms, steps } = self;
        let (mut first, mut behind) = (0, 0);
        // Where all windows are the same, the later steps find it as the first one did.
        (0..steps).filter_map(move |step| {
            let end_ms = ends.at(if ends.count == 1 { 0 } else { step });
            let start_ms = end_ms.saturating_sub(range_ms);
            while samples.get(behind).is_some_and(|(at_ms, _)| *at_ms <= end_ms) {
                behind += 1;
            }
            while first < behind && samples[first].0 <= start_ms {
                first += 1;
            }
            let samples = &samples[first..behind];
            (!samples.is_empty()).then_some((step, Window { start_ms, end_ms, samples }))
        })
    }
}

// === impl Window ===

impl Window<'_> {
    pub(super) fn values(&self) -> impl Iterator<Item = f64> + '_ {
        self.samples.iter().map(|(_, value)| *value)
    }

    pub(super) fn first(&self) -> Option<Sample> {
        self.samples.first().copied()
    }

    pub(super) fn last(&self) -> Option<Sample> {
        self.samples.last().copied()
    }

    /// Returns the pairs of neighbours.
    pub(super) fn steps(&self) -> impl Iterator<Item = (f64, f64)> + '_ {
        self.samples.windows(2).map(|pair| (pair[0].1, pair[1].1))
    }
}
