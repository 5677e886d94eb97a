//! Owns the selection of samples: matchers, `offset` and `@`, look-back, windows and subqueries.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use promql_parser::label::{MatchOp, Matcher};
use promql_parser::parser::{AtModifier, MatrixSelector, Offset, SubqueryExpr, VectorSelector};

use super::eval::Evaluator;
use super::value::{Point, Window};
use super::{QueryError, selector_name};
use crate::labels::Labels;

/// How old a sample may be and still be the value of its series; the default of Prometheus.
const LOOKBACK_MS: i64 = 5 * 60_000;
/// The step of a subquery that names none: the default evaluation interval of Prometheus.
const SUBQUERY_STEP_MS: i64 = 60_000;
/// As many steps as a range query may have.
const SUBQUERY_STEPS_MAX: i64 = 11_000;
/// A step costs as much as reading this many samples, even if it finds none: subqueries nest.
const SUBQUERY_STEP_COST: usize = 20;

/// Returns the newest sample of each selected series, and its time.
pub(super) fn instant(
    evaluator: &Evaluator<'_>,
    selector: &VectorSelector,
    at_ms: i64,
) -> Result<Vec<(Point, i64)>, QueryError> {
    let to_ms = moment(evaluator, selector.at.as_ref(), selector.offset.as_ref(), at_ms);
    let from_ms = to_ms.saturating_sub(LOOKBACK_MS);
    let name = selector_name(selector);
    let mut found = Vec::new();
    for (labels, series) in evaluator.store.select(name.as_deref()) {
        evaluator.spend(1)?;
        if matches(&selector.matchers.matchers, labels)
            && let Some((sample_ms, value)) = series.newest(from_ms, to_ms)
        {
            found.push((Point { labels: labels.clone(), value, drop_name: false }, sample_ms));
        }
    }
    Ok(found)
}

/// Hands the samples of each selected series to `visit`.
pub(super) fn windows(
    evaluator: &Evaluator<'_>,
    matrix: &MatrixSelector,
    at_ms: i64,
    visit: &mut dyn FnMut(Window<'_>),
) -> Result<(), QueryError> {
    let selector = &matrix.vs;
    let end_ms = moment(evaluator, selector.at.as_ref(), selector.offset.as_ref(), at_ms);
    let start_ms = end_ms.saturating_sub(millis(matrix.range));
    let name = selector_name(selector);
    let mut samples = Vec::new();
    for (labels, series) in evaluator.store.select(name.as_deref()) {
        evaluator.spend(1)?;
        if !matches(&selector.matchers.matchers, labels) {
            continue;
        }
        samples.clear();
        series.window(start_ms, end_ms, &mut samples);
        evaluator.spend(samples.len())?;
        if !samples.is_empty() {
            visit(Window { labels, drop_name: false, start_ms, end_ms, samples: &samples });
        }
    }
    Ok(())
}

/// Evaluates the inner expression at each step of a stretch, and hands what each series yielded to `visit`.
///
/// Steps are multiples of their length since the epoch, whatever the moment of evaluation.
pub(super) fn subquery(
    evaluator: &Evaluator<'_>,
    subquery: &SubqueryExpr,
    at_ms: i64,
    visit: &mut dyn FnMut(Window<'_>),
) -> Result<(), QueryError> {
    let end_ms = moment(evaluator, subquery.at.as_ref(), subquery.offset.as_ref(), at_ms);
    let start_ms = end_ms.saturating_sub(millis(subquery.range));
    let step_ms = subquery.step.map_or(SUBQUERY_STEP_MS, millis).max(1);
    if millis(subquery.range) / step_ms > SUBQUERY_STEPS_MAX {
        return Err(QueryError::TooMuch { limit: SUBQUERY_STEPS_MAX as usize, unit: "steps of a subquery" });
    }
    let mut all: BTreeMap<Labels, (bool, Vec<(i64, f64)>)> = BTreeMap::new();
    let mut step = start_ms.div_euclid(step_ms).saturating_add(1).saturating_mul(step_ms);
    while step <= end_ms {
        evaluator.spend(SUBQUERY_STEP_COST)?;
        for point in evaluator.vector(&subquery.expr, step)? {
            let (drop_name, samples) = all.entry(point.labels).or_default();
            *drop_name = point.drop_name;
            if samples.last().is_some_and(|(last_ms, _)| *last_ms == step) {
                let reason = "subquery yields the same series twice at one step";
                return Err(QueryError::Matching { reason: reason.to_owned() });
            }
            evaluator.spend(1)?;
            samples.push((step, point.value));
        }
        step = match step.checked_add(step_ms) {
            Some(next) => next,
            None => break,
        };
    }
    for (labels, (drop_name, samples)) in &all {
        visit(Window { labels, drop_name: *drop_name, start_ms, end_ms, samples });
    }
    Ok(())
}

/// Tells whether all matchers accept a label set; an absent label counts as empty.
pub(super) fn matches(matchers: &[Matcher], labels: &Labels) -> bool {
    matchers.iter().all(|matcher| matcher.is_match(labels.get(&matcher.name).unwrap_or_default()))
}

/// Returns the labels that `absent` can tell of what it did not find: those that were asked to be equal, once.
pub(super) fn expected_labels(selector: &VectorSelector) -> Labels {
    let mut expected: BTreeMap<&str, Option<&str>> = BTreeMap::new();
    for matcher in &selector.matchers.matchers {
        let once = !expected.contains_key(matcher.name.as_str()) && matcher.op == MatchOp::Equal;
        expected.insert(&matcher.name, once.then_some(matcher.value.as_str()));
    }
    let expected = expected.into_iter().filter_map(|(name, value)| Some((name, value?)));
    expected.collect::<Labels>().without(crate::labels::METRIC_NAME)
}

/// Returns the moment that a selector looks at from `at_ms`.
fn moment(evaluator: &Evaluator<'_>, at: Option<&AtModifier>, offset: Option<&Offset>, at_ms: i64) -> i64 {
    let base_ms = match at {
        None => at_ms,
        Some(AtModifier::Start) => evaluator.steps.start_ms,
        Some(AtModifier::End) => evaluator.steps.end_ms,
        Some(AtModifier::At(time)) => match time.duration_since(SystemTime::UNIX_EPOCH) {
            Ok(after) => millis(after),
            Err(before) => -millis(before.duration()),
        },
    };
    match offset {
        None => base_ms,
        Some(Offset::Pos(duration)) => base_ms.saturating_sub(millis(*duration)),
        Some(Offset::Neg(duration)) => base_ms.saturating_add(millis(*duration)),
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
