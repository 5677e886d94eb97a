//! Owns the set operators: `and`, `or`, `unless`.

use super::super::QueryError;
use super::super::eval::Evaluator;
use super::super::index::{Index, Projection};
use super::super::syntax::{Expr, Matching, SetOperator};
use super::super::value::{ABSENT, Vector, is_absent};

pub(super) fn combine(
    evaluator: &Evaluator<'_>,
    expr: &Expr,
    operator: SetOperator,
    matching: &Matching,
    mut left: Vector,
    mut right: Vector,
) -> Result<Vector, QueryError> {
    let projection = || Projection::of(&matching.labels);
    match operator {
        SetOperator::And => keep(&mut left, &right, projection(), true),
        SetOperator::Unless => keep(&mut left, &right, projection(), false),
        SetOperator::Or => {
            keep(&mut right, &left, projection(), false);
            left.keys.append(&mut right.keys);
            left.values.append(&mut right.values);
            // At one step, two elements with the same labels may still be told apart by what follows.
            return if left.steps > 1 { evaluator.merged(expr, left) } else { Ok(left) };
        }
    }
    Ok(left)
}

/// Keeps the elements that have a partner on the other side at the same step, or those that have none.
fn keep(vector: &mut Vector, other: &Vector, projection: Projection, wanted: bool) {
    let steps = vector.steps;
    let mut index = Index::new(projection);
    let mut there: Vec<bool> = Vec::new();
    for (key, row) in other.rows() {
        let number = index.number(&key.labels);
        there.resize(there.len().max((number + 1) * steps), false);
        for (there, value) in there[number * steps..].iter_mut().zip(row) {
            *there |= !is_absent(*value);
        }
    }
    for row in 0..vector.len() {
        let number = index.find(&vector.keys[row].labels);
        for (step, value) in vector.row_mut(row).iter_mut().enumerate() {
            let has_partner = number.is_some_and(|number| there[number * steps + step]);
            if has_partner != wanted {
                *value = ABSENT;
            }
        }
    }
    vector.compact();
}
