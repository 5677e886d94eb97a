//! Owns aggregations: the grouping of elements, and what becomes of each group.

use std::cmp::Ordering;
use std::collections::HashMap;

use promql_parser::parser::token::{
    T_AVG, T_BOTTOMK, T_COUNT, T_COUNT_VALUES, T_GROUP, T_LIMIT_RATIO, T_LIMITK, T_MAX, T_MIN, T_QUANTILE,
    T_STDDEV, T_STDVAR, T_SUM, T_TOPK,
};
use promql_parser::parser::{AggregateExpr, LabelModifier};

use super::eval::Evaluator;
use super::value::{Point, shown};
use super::{QueryError, reduce};
use crate::fingerprint::Fingerprint;
use crate::labels::{Labels, METRIC_NAME};

/// Elements that are aggregated together.
struct Group {
    labels: Labels,
    points: Vec<Point>,
}

pub(super) fn evaluate(
    evaluator: &Evaluator<'_>,
    expr: &AggregateExpr,
    at_ms: i64,
) -> Result<Vec<Point>, QueryError> {
    let modifier = expr.modifier.as_ref();
    let number = || parameter(evaluator, expr, at_ms);
    let points = || evaluator.vector(&expr.expr, at_ms);
    match expr.op.id() {
        T_SUM => Ok(reduced(group(points()?, modifier), |values| reduce::sum(values.into_iter()))),
        T_AVG => Ok(reduced(group(points()?, modifier), |values| reduce::mean(values.into_iter()))),
        T_MIN => Ok(reduced(group(points()?, modifier), |values| reduce::min(values.into_iter()))),
        T_MAX => Ok(reduced(group(points()?, modifier), |values| reduce::max(values.into_iter()))),
        T_COUNT => Ok(reduced(group(points()?, modifier), |values| values.len() as f64)),
        T_GROUP => Ok(reduced(group(points()?, modifier), |_| 1.0)),
        T_STDVAR => Ok(reduced(group(points()?, modifier), |values| reduce::variance(values.into_iter()))),
        T_STDDEV => {
            Ok(reduced(group(points()?, modifier), |values| reduce::variance(values.into_iter()).sqrt()))
        }
        T_QUANTILE => {
            let q = number()?;
            Ok(reduced(group(points()?, modifier), |values| reduce::quantile(q, values)))
        }
        T_COUNT_VALUES => count_values(evaluator, expr, at_ms),
        T_TOPK => {
            let count = whole(number()?)?;
            Ok(selected(group(points()?, modifier), |points| ranked(points, count, Ordering::Greater)))
        }
        T_BOTTOMK => {
            let count = whole(number()?)?;
            Ok(selected(group(points()?, modifier), |points| ranked(points, count, Ordering::Less)))
        }
        T_LIMITK => {
            let count = whole(number()?)?;
            Ok(selected(group(points()?, modifier), |points| points.truncate(count)))
        }
        T_LIMIT_RATIO => {
            let ratio = number()?;
            if ratio.is_nan() {
                return Err(QueryError::parameter("Ratio value is NaN"));
            }
            Ok(selected(group(points()?, modifier), |points| {
                points.retain(|point| is_sampled(&point.labels, ratio));
            }))
        }
        _ => Err(QueryError::Type { expected: "aggregation operator", got: "another word" }),
    }
}

fn parameter(evaluator: &Evaluator<'_>, expr: &AggregateExpr, at_ms: i64) -> Result<f64, QueryError> {
    match &expr.param {
        Some(param) => evaluator.scalar(param, at_ms),
        None => Err(QueryError::Type { expected: "scalar", got: "nothing" }),
    }
}

/// Returns a number of elements; less than one is none.
fn whole(number: f64) -> Result<usize, QueryError> {
    if number.is_nan() {
        return Err(QueryError::parameter("Parameter value is NaN"));
    }
    if number.abs() >= i64::MAX as f64 {
        let reason = if number > 0.0 { "overflows" } else { "underflows" };
        return Err(QueryError::Parameter { reason: format!("Scalar value {number} {reason} int64") });
    }
    Ok(number.max(0.0) as usize)
}

/// Puts elements into groups, in the order in which the groups first occur.
fn group(points: Vec<Point>, modifier: Option<&LabelModifier>) -> Vec<Group> {
    let mut index: HashMap<Labels, usize> = HashMap::new();
    let mut groups: Vec<Group> = Vec::new();
    for point in points {
        let labels = group_labels(&point.labels, modifier);
        let position = *index.entry(labels).or_insert_with_key(|labels| {
            groups.push(Group { labels: labels.clone(), points: Vec::new() });
            groups.len() - 1
        });
        groups[position].points.push(point);
    }
    groups
}

fn group_labels(labels: &Labels, modifier: Option<&LabelModifier>) -> Labels {
    let named = |names: &[String], name: &str| names.iter().any(|known| known == name);
    match modifier {
        None => Labels::empty(),
        Some(LabelModifier::Include(by)) => labels.filtered(|name| named(&by.labels, name)),
        Some(LabelModifier::Exclude(without)) => {
            labels.filtered(|name| name != METRIC_NAME && !named(&without.labels, name))
        }
    }
}

/// Makes one element of each group.
fn reduced(groups: Vec<Group>, reduce: impl Fn(Vec<f64>) -> f64) -> Vec<Point> {
    let reduced = groups.into_iter().map(|group| {
        let drop_name = group.points.first().is_some_and(|point| point.drop_name);
        let values = group.points.iter().map(|point| point.value).collect();
        Point { labels: group.labels, value: reduce(values), drop_name }
    });
    reduced.collect()
}

/// Keeps some elements of each group as they are.
fn selected(groups: Vec<Group>, mut select: impl FnMut(&mut Vec<Point>)) -> Vec<Point> {
    let selected = groups.into_iter().flat_map(|mut group| {
        select(&mut group.points);
        group.points
    });
    selected.collect()
}

/// Keeps the elements with the largest or smallest values, in order; NaN is last either way.
fn ranked(points: &mut Vec<Point>, count: usize, first: Ordering) {
    points.sort_by(|left, right| by_value(left.value, right.value, first));
    points.truncate(count);
}

/// Compares two values so that the larger (`Greater`) or the smaller (`Less`) comes first, and NaN last.
pub(super) fn by_value(left: f64, right: f64, first: Ordering) -> Ordering {
    match left.partial_cmp(&right) {
        Some(order) if first == Ordering::Greater => order.reverse(),
        Some(order) => order,
        None => left.is_nan().cmp(&right.is_nan()),
    }
}

/// Tells whether an element belongs to this part of all: the same ones each time, and the others for `ratio - 1`.
fn is_sampled(labels: &Labels, ratio: f64) -> bool {
    let place = Fingerprint::of(labels).number() as f64 / u64::MAX as f64;
    if ratio >= 0.0 { place < ratio } else { place >= 1.0 + ratio }
}

/// Counts how often each value occurs; the value becomes a label.
fn count_values(
    evaluator: &Evaluator<'_>,
    expr: &AggregateExpr,
    at_ms: i64,
) -> Result<Vec<Point>, QueryError> {
    let Some(param) = &expr.param else {
        return Err(QueryError::Type { expected: "string", got: "nothing" });
    };
    let label = evaluator.text(param, at_ms)?;
    if label.is_empty() {
        return Err(QueryError::parameter("invalid label name \"\""));
    }
    let mut points = evaluator.vector(&expr.expr, at_ms)?;
    for point in &mut points {
        point.labels = point.labels.with(&label, &shown(point.value));
    }
    let modifier = match expr.modifier.clone() {
        None => Some(LabelModifier::include(vec![&label])),
        Some(LabelModifier::Include(by)) => Some(LabelModifier::Include(by.append(label))),
        without => without,
    };
    Ok(reduced(group(points, modifier.as_ref()), |values| values.len() as f64))
}
