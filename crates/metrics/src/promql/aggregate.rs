//! Owns aggregations: the grouping of rows, and what becomes of each group at each step.

use std::cmp::Ordering;
use std::collections::HashMap;

use super::eval::Evaluator;
use super::grid::Grid;
use super::groups::Members;
use super::index::Projection;
use super::syntax::{Aggregation, Expr, Kind};
use super::value::{Key, Vector, brief, is_absent, shown};
use super::{QueryError, rank, reduce};
use crate::labels::Labels;

pub(super) fn evaluate(evaluator: &Evaluator<'_>, expr: &Expr, grid: Grid) -> Result<Vector, QueryError> {
    let Kind::Aggregate { aggregation, grouping, param, inner } = &expr.kind else {
        return Err(evaluator.invalid(expr, "expected an aggregation"));
    };
    if *aggregation == Aggregation::CountValues {
        return count_values(evaluator, expr, grid);
    }
    let param = match param {
        Some(param) => Parameter { expr: param, values: evaluator.scalar(param, grid)? },
        None => Parameter { expr: inner, values: Vec::new() },
    };
    param.check(evaluator, *aggregation)?;
    let mut members = Members::new(evaluator, expr, Projection::of(grouping));
    let reduce: Option<fn(&mut Vec<f64>) -> f64> = match aggregation {
        Aggregation::Sum => Some(|values| reduce::sum(values.iter().copied())),
        Aggregation::Avg => Some(|values| reduce::mean(values.iter().copied())),
        Aggregation::Min => Some(|values| reduce::min(values.iter().copied())),
        Aggregation::Max => Some(|values| reduce::max(values.iter().copied())),
        Aggregation::Count => Some(|values| values.len() as f64),
        Aggregation::Group => Some(|_| 1.0),
        Aggregation::Stdvar => Some(|values| reduce::variance(values.iter().copied())),
        Aggregation::Stddev => Some(|values| reduce::variance(values.iter().copied()).sqrt()),
        Aggregation::Quantile => None,
        Aggregation::Topk
        | Aggregation::Bottomk
        | Aggregation::Limitk
        | Aggregation::LimitRatio
        | Aggregation::CountValues => {
            let vector = evaluator.vector(inner, grid)?;
            vector.keys.iter().for_each(|key| members.add(key.lent()));
            return Ok(rank::selected(*aggregation, vector, &members.groups(), &param.values));
        }
    };
    let mut values = Vec::new();
    evaluator.each_row(inner, grid, &mut |key, row| {
        members.add(key);
        values.extend_from_slice(row);
        Ok(())
    })?;
    let groups = members.groups();
    evaluator.budget.numbers(groups.len(), grid.count)?;
    Ok(groups.reduced((grid.count, &values), |step, values| match reduce {
        Some(reduce) => reduce(values),
        None => reduce::quantile(param.values[step], values),
    }))
}

/// The number that stands before the vector, at each step.
struct Parameter<'a> {
    expr: &'a Expr,
    values: Vec<f64>,
}

// === impl Parameter ===

impl Parameter<'_> {
    fn check(&self, evaluator: &Evaluator<'_>, aggregation: Aggregation) -> Result<(), QueryError> {
        let any_nan = self.values.iter().any(|value| value.is_nan());
        match aggregation {
            Aggregation::Quantile => evaluator.check_quantiles(self.expr, &self.values),
            Aggregation::Topk | Aggregation::Bottomk | Aggregation::Limitk => {
                if any_nan {
                    return Err(evaluator.invalid(self.expr, "Parameter value is NaN"));
                }
                if let Some(value) = self.values.iter().find(|value| value.abs() >= i64::MAX as f64) {
                    let reason = if *value > 0.0 { "overflows" } else { "underflows" };
                    let reason = format!("Scalar value {} {reason} int64", brief(*value));
                    return Err(evaluator.invalid(self.expr, reason));
                }
            }
            Aggregation::LimitRatio => {
                if any_nan {
                    return Err(evaluator.invalid(self.expr, "Ratio value is NaN"));
                }
                let most = self.values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                let least = self.values.iter().copied().fold(f64::INFINITY, f64::min);
                for (is_odd, ratio, cap) in [(most > 1.0, most, "1"), (least < -1.0, least, "-1")] {
                    if is_odd {
                        let ratio = brief(ratio);
                        let text =
                            format!("ratio value should be between -1 and 1, got {ratio}, capping to {cap}");
                        evaluator.warn(self.expr, text);
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }
}

/// Compares two values so that the larger (`Greater`) or the smaller (`Less`) comes first, and NaN last.
pub(super) fn by_value(left: f64, right: f64, first: Ordering) -> Ordering {
    match left.partial_cmp(&right) {
        Some(order) if first == Ordering::Greater => order.reverse(),
        Some(order) => order,
        None => left.is_nan().cmp(&right.is_nan()),
    }
}

/// Counts how often each value occurs; the value becomes a label.
fn count_values(evaluator: &Evaluator<'_>, expr: &Expr, grid: Grid) -> Result<Vector, QueryError> {
    let Kind::Aggregate { grouping, param: Some(param), inner, .. } = &expr.kind else {
        return Err(evaluator.invalid(expr, "expected a label name"));
    };
    let label = evaluator.string(param)?;
    if label.is_empty() {
        return Err(evaluator.invalid(param, "invalid label name \"\""));
    }
    let projection = Projection::of(grouping);
    let vector = evaluator.vector(inner, grid)?;
    let mut places: HashMap<Labels, usize> = HashMap::new();
    let mut counts = Vector::empty(grid.count);
    for (key, row) in vector.rows() {
        let group = projection.apply(&key.labels);
        for (step, value) in row.iter().enumerate().filter(|(_, value)| !is_absent(**value)) {
            let labels = group.with(&label, &shown(*value));
            let next = counts.len();
            let place = *places.entry(labels).or_insert(next);
            if place == next {
                evaluator.budget.numbers(1, grid.count)?;
                let labels = group.with(&label, &shown(*value));
                counts.add(Key { drop_name: key.drop_name, ..Key::of(labels) });
            }
            let count = &mut counts.row_mut(place)[step];
            *count = if is_absent(*count) { 1.0 } else { *count + 1.0 };
        }
    }
    Ok(counts)
}
