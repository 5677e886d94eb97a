//! Owns aggregations: the grouping of rows, and what becomes of each group at each step.

use std::cmp::Ordering;
use std::collections::HashMap;

use super::eval::Evaluator;
use super::grid::Grid;
use super::index::Projection;
use super::memo::Grouper;
use super::syntax::{Aggregation, Expr, Grouping, Kind};
use super::value::{ABSENT, Key, KeyRef, Vector, brief, is_absent, shown};
use super::{QueryError, rank, reduce};
use crate::labels::Labels;

/// The rows of each group, and the labels that they have in common.
pub(super) struct Groups {
    pub(super) keys: Vec<Key>,
    /// The rows of all groups, group after group, in the order of the rows.
    rows: Vec<u32>,
    /// Where each group ends in `rows`.
    ends: Vec<usize>,
}

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
    let mut members = Members::new(evaluator, expr, grouping);
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
    evaluator.budget.numbers(groups.keys.len(), grid.count)?;
    Ok(groups.reduced((grid.count, &values), |step, values| match reduce {
        Some(reduce) => reduce(values),
        None => reduce::quantile(param.values[step], values),
    }))
}

/// Which group each row belongs to.
struct Members<'e> {
    grouper: Grouper<'e>,
    /// The number of the group of each row.
    numbers: Vec<u32>,
    /// Of each group.
    drop_names: Vec<bool>,
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

// === impl Members ===

impl<'e> Members<'e> {
    fn new(evaluator: &Evaluator<'e>, expr: &Expr, grouping: &Grouping) -> Self {
        let grouper = Grouper::new(evaluator, expr, Projection::of(grouping));
        Self { grouper, numbers: Vec::new(), drop_names: Vec::new() }
    }

    /// Adds the next row.
    fn add(&mut self, key: KeyRef<'_>) {
        let number = self.grouper.number(key);
        if number == self.drop_names.len() {
            self.drop_names.push(key.drop_name);
        }
        self.numbers.push(number as u32);
    }

    /// Puts the rows into groups, in the order in which the groups first occurred.
    fn groups(self) -> Groups {
        let Self { grouper, numbers, drop_names } = self;
        let mut ends = vec![0; drop_names.len()];
        numbers.iter().for_each(|number| ends[*number as usize] += 1);
        let mut end = 0;
        for count in &mut ends {
            let start = end;
            end += *count;
            *count = start;
        }
        // Each begins where the one before ends; filling it moves its mark to its own end.
        let mut rows = vec![0; numbers.len()];
        for (row, number) in numbers.iter().enumerate() {
            let end = &mut ends[*number as usize];
            rows[*end] = row as u32;
            *end += 1;
        }
        let keys = grouper.finish().into_iter().zip(drop_names);
        let keys = keys.map(|(labels, drop_name)| Key { drop_name, ..Key::of(labels) }).collect();
        Groups { keys, rows, ends }
    }
}

// === impl Groups ===

impl Groups {
    /// Returns the rows of each group.
    pub(super) fn iter(&self) -> impl Iterator<Item = &[u32]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, end)| &self.rows[start..*end])
    }

    /// Makes one row of each group.
    fn reduced(
        &self,
        (steps, all): (usize, &[f64]),
        mut reduce: impl FnMut(usize, &mut Vec<f64>) -> f64,
    ) -> Vector {
        let mut reduced = Vector::empty(steps);
        let mut values = Vec::new();
        for (key, rows) in self.keys.iter().zip(self.iter()) {
            let row = reduced.add(key.clone());
            for (step, result) in row.iter_mut().enumerate() {
                values.clear();
                let there = rows.iter().map(|row| all[*row as usize * steps + step]);
                values.extend(there.filter(|value| !is_absent(*value)));
                *result = if values.is_empty() { ABSENT } else { reduce(step, &mut values) };
            }
        }
        reduced.compact();
        reduced
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
