//! Owns the selection of samples, the only place that reads the store: matchers, `offset` and `@`, look-back.

use std::collections::BTreeMap;

use super::QueryError;
use super::eval::Evaluator;
use super::grid::Grid;
use super::syntax::{At, Condition, Matcher, Selector, When};
use super::value::{ABSENT, KeyRef, Source, Vector, is_absent};
use crate::labels::{Labels, METRIC_NAME};
use crate::store::{Distance, Rise, Series, is_stale};

/// How old a sample may be and still be the value of its series; the default of Prometheus.
pub(super) const LOOKBACK_MS: i64 = 5 * 60_000;

/// So many series are fetched from memory at once.
const BATCH: usize = 32;

/// A moment in milliseconds since the Unix epoch, and the value.
pub(super) type Sample = (i64, f64);

/// Takes the samples of one series.
type SampleVisitor<'v> = dyn FnMut(KeyRef<'_>, &[Sample]) -> Result<(), QueryError> + 'v;

/// What is known of the samples of one series in a stretch of time.
pub(super) enum Stretch<'s> {
    /// All of them, without stale markers.
    Samples(&'s [Sample]),
    /// They only rise, and this is enough for whoever asks how a counter grew.
    Rise(Rise),
}

/// Yields, for each selected series and step, what `pick` makes of the time and the value of the newest sample.
pub(super) fn instant(
    evaluator: &Evaluator<'_>,
    selector: &Selector,
    grid: Grid,
    pick: fn(i64, f64) -> f64,
) -> Result<Vector, QueryError> {
    let seen = moments(evaluator, &selector.when, grid)?;
    let mut found = Vector::empty(grid.count);
    let mut buffer = Vec::<Sample>::new();
    each(evaluator, selector, &mut |key, series| {
        if seen.count == 1 {
            let newest = series.newest(seen.start_ms.saturating_sub(LOOKBACK_MS), seen.start_ms);
            if let Some((at_ms, value)) = newest {
                evaluator.budget.numbers(1, grid.count)?;
                found.add_constant(key.to_key(), pick(at_ms, value));
            }
            return Ok(());
        }
        buffer.clear();
        series.read(seen.start_ms.saturating_sub(LOOKBACK_MS), seen.last_ms(), &mut buffer);
        evaluator.budget.samples(buffer.len())?;
        if buffer.is_empty() {
            return Ok(());
        }
        evaluator.budget.numbers(1, grid.count)?;
        let row = found.add(key.to_key());
        let mut next = 0;
        for (step, at_ms) in seen.moments().enumerate() {
            while buffer.get(next).is_some_and(|(sample_ms, _)| *sample_ms <= at_ms) {
                next += 1;
            }
            let newest = next.checked_sub(1).map(|newest| buffer[newest]);
            row[step] = match newest {
                Some((sample_ms, value))
                    if sample_ms > at_ms.saturating_sub(LOOKBACK_MS) && !is_stale(value) =>
                {
                    pick(sample_ms, value)
                }
                _ => ABSENT,
            };
        }
        if row.iter().all(|value| is_absent(*value)) {
            found.pop();
        }
        Ok(())
    })?;
    Ok(found)
}

/// Hands the samples of each selected series after one moment and not after another to `visit`.
pub(super) fn samples(
    evaluator: &Evaluator<'_>,
    selector: &Selector,
    stretch: (i64, i64),
    visit: &mut SampleVisitor<'_>,
) -> Result<(), QueryError> {
    let mut buffer = Vec::<Sample>::new();
    each(evaluator, selector, &mut |key, series| {
        read(evaluator, series, stretch, &mut buffer)?;
        if buffer.is_empty() { Ok(()) } else { visit(key, &buffer) }
    })
}

/// As [`samples`], for whoever asks how counters grew: most only rise, and of those only the edges are read, from where
/// the last evaluation left off.
pub(super) fn rises(
    evaluator: &Evaluator<'_>,
    selector: &Selector,
    (from_ms, to_ms): (i64, i64),
    visit: &mut dyn FnMut(KeyRef<'_>, Stretch<'_>) -> Result<(), QueryError>,
) -> Result<(), QueryError> {
    let mut buffer = Vec::<Sample>::new();
    let mut marks = evaluator.memo.take_marks(evaluator.store, selector, from_ms);
    each(evaluator, selector, &mut |key, series| {
        if let Some(rise) = series.rise(from_ms, to_ms, marks.of(key.source)) {
            evaluator.budget.samples(rise.count)?;
            return visit(key, Stretch::Rise(rise));
        }
        read(evaluator, series, (from_ms, to_ms), &mut buffer)?;
        if buffer.is_empty() { Ok(()) } else { visit(key, Stretch::Samples(&buffer)) }
    })?;
    evaluator.memo.keep_marks(selector, marks);
    Ok(())
}

fn read(
    evaluator: &Evaluator<'_>,
    series: &Series,
    (from_ms, to_ms): (i64, i64),
    buffer: &mut Vec<Sample>,
) -> Result<(), QueryError> {
    buffer.clear();
    series.read(from_ms, to_ms, buffer);
    if buffer.iter().any(|(_, value)| is_stale(*value)) {
        buffer.retain(|(_, value)| !is_stale(*value));
    }
    evaluator.budget.samples(buffer.len())
}

/// Hands each series that all matchers accept to `visit`, in the order of their labels.
fn each(
    evaluator: &Evaluator<'_>,
    selector: &Selector,
    visit: &mut dyn FnMut(KeyRef<'_>, &Series) -> Result<(), QueryError>,
) -> Result<(), QueryError> {
    let name = selector.metric_name();
    let is_settled = |matcher: &Matcher| {
        let Condition::Equal(value) = &matcher.condition else { return false };
        matcher.name == METRIC_NAME && Some(value.as_str()) == name
    };
    let others: Vec<&Matcher> = selector.matchers.iter().filter(|matcher| !is_settled(matcher)).collect();
    let mut batch = Vec::with_capacity(BATCH);
    let mut selected = evaluator.store.select(name).enumerate();
    loop {
        batch.clear();
        batch.extend(selected.by_ref().take(BATCH));
        if batch.is_empty() {
            return Ok(());
        }
        for distance in [Distance::Near, Distance::Middle, Distance::Far] {
            batch.iter().for_each(|(_, (_, series))| series.touch(distance));
        }
        evaluator.budget.samples(batch.len())?;
        for (ordinal, (labels, series)) in &batch {
            if others.iter().all(|matcher| matcher.accepts(labels.get(&matcher.name).unwrap_or_default())) {
                let source = Source::series(selector.offset, *ordinal);
                visit(KeyRef { labels, drop_name: false, source }, series)?;
            }
        }
    }
}

/// Returns the moments that something looks at from the steps of a grid; one, if they are all the same.
pub(super) fn moments(evaluator: &Evaluator<'_>, when: &When, grid: Grid) -> Result<Grid, QueryError> {
    let offset_ms = when.offset.as_ref().map_or(Ok(0), |offset| evaluator.millis(offset))?;
    let fixed_ms = match when.at {
        None => None,
        Some(At::Start) => Some(evaluator.steps.start_ms),
        Some(At::End) => Some(evaluator.steps.end_ms),
        Some(At::Millis(at_ms)) => Some(at_ms),
    };
    Ok(match fixed_ms {
        Some(at_ms) => Grid { start_ms: at_ms.saturating_sub(offset_ms), step_ms: 1, count: 1 },
        None => Grid { start_ms: grid.start_ms.saturating_sub(offset_ms), ..grid },
    })
}

/// Returns the labels that `absent` can tell of what it did not find: those that were asked to be equal, once.
pub(super) fn expected_labels(selector: &Selector) -> Labels {
    let mut expected: BTreeMap<&str, Option<&str>> = BTreeMap::new();
    for matcher in &selector.matchers {
        let value = match &matcher.condition {
            Condition::Equal(value) if !expected.contains_key(matcher.name.as_str()) => Some(value.as_str()),
            _ => None,
        };
        expected.insert(&matcher.name, value);
    }
    let expected = expected.into_iter().filter_map(|(name, value)| Some((name, value?)));
    expected.collect::<Labels>().without(METRIC_NAME)
}
