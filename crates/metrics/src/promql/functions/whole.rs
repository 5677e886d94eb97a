//! Owns the functions that do not work element by element: absence, order, time, and changes of type.

use std::cmp::Ordering;

use super::{Arguments, Function, Signature};
use crate::labels::Labels;
use crate::promql::QueryError;
use crate::promql::aggregate::by_value;
use crate::promql::selector;
use crate::promql::syntax::Kind;
use crate::promql::syntax::Type::{Range, Scalar};
use crate::promql::value::{ABSENT, Key, Operand, Vector, is_absent};
use crate::promql::window;

pub(super) fn find(name: &str) -> Option<Signature> {
    Some(match name {
        "absent" => Signature::vector("absent", Function::Whole(absent)),
        "absent_over_time" => Signature::new("absent_over_time", &[Range], Function::Whole(absent_over_time)),
        "scalar" => Signature::vector("scalar", Function::Whole(scalar)).returning_number(),
        "sort" => {
            let ascending = |arguments: Arguments<'_>| sorted(arguments, Ordering::Less);
            Signature::vector("sort", Function::Whole(ascending))
        }
        "sort_desc" => {
            let descending = |arguments: Arguments<'_>| sorted(arguments, Ordering::Greater);
            Signature::vector("sort_desc", Function::Whole(descending))
        }
        "timestamp" => Signature::vector("timestamp", Function::Whole(timestamp)),
        "vector" => Signature::new("vector", &[Scalar], Function::Whole(vector)),
        _ => return number(name),
    })
}

/// Functions that yield a number whatever the samples are.
fn number(name: &str) -> Option<Signature> {
    Some(match name {
        "end" => Signature::number(
            "end",
            Function::Whole(|arguments| constant(arguments, seconds(arguments.evaluator.steps.end_ms))),
        ),
        "start" => Signature::number(
            "start",
            Function::Whole(|arguments| constant(arguments, seconds(arguments.evaluator.steps.start_ms))),
        ),
        "step" => Signature::number(
            "step",
            Function::Whole(|arguments| constant(arguments, seconds(arguments.evaluator.steps.step_ms))),
        ),
        "range" => Signature::number(
            "range",
            Function::Whole(|arguments| {
                let steps = arguments.evaluator.steps;
                constant(arguments, seconds(steps.end_ms.saturating_sub(steps.start_ms)))
            }),
        ),
        "pi" => {
            Signature::number("pi", Function::Whole(|arguments| constant(arguments, std::f64::consts::PI)))
        }
        "time" => Signature::number("time", Function::Whole(time)),
        "max_of" => Signature::new(
            "max_of",
            &[Scalar, Scalar],
            Function::Whole(|arguments| of_two(arguments, f64::max)),
        )
        .returning_number(),
        "min_of" => Signature::new(
            "min_of",
            &[Scalar, Scalar],
            Function::Whole(|arguments| of_two(arguments, f64::min)),
        )
        .returning_number(),
        _ => return None,
    })
}

fn seconds(milliseconds: i64) -> f64 {
    milliseconds as f64 / 1000.0
}

fn constant(arguments: Arguments<'_>, value: f64) -> Result<Operand, QueryError> {
    Ok(Operand::Scalar(vec![value; arguments.evaluator.scalars(arguments.grid)?]))
}

fn time(arguments: Arguments<'_>) -> Result<Operand, QueryError> {
    arguments.evaluator.scalars(arguments.grid)?;
    Ok(Operand::Scalar(arguments.grid.moments().map(seconds).collect()))
}

fn of_two(arguments: Arguments<'_>, compute: fn(f64, f64) -> f64) -> Result<Operand, QueryError> {
    let (left, right) = (arguments.scalar(0)?, arguments.scalar(1)?);
    Ok(Operand::Scalar(left.into_iter().zip(right).map(|(left, right)| compute(left, right)).collect()))
}

fn vector(arguments: Arguments<'_>) -> Result<Operand, QueryError> {
    let values = arguments.scalar(0)?;
    Ok(Operand::Vector(Vector { steps: values.len(), keys: vec![Key::of(Labels::empty())], values }))
}

/// One element where there is none, with the labels that were asked for.
fn absent(arguments: Arguments<'_>) -> Result<Operand, QueryError> {
    let vector = arguments.vector(0)?;
    let mut found = vec![false; vector.steps];
    for (_, row) in vector.rows() {
        for (found, value) in found.iter_mut().zip(row) {
            *found |= !is_absent(*value);
        }
    }
    one_unless(&found, arguments)
}

fn absent_over_time(arguments: Arguments<'_>) -> Result<Operand, QueryError> {
    let mut found = vec![false; arguments.evaluator.scalars(arguments.grid)?];
    window::each_series(arguments.evaluator, arguments.expr(0)?, arguments.grid, &mut |_, run| {
        run.windows().for_each(|(step, _)| found[step] = true);
        Ok(())
    })?;
    one_unless(&found, arguments)
}

fn one_unless(found: &[bool], arguments: Arguments<'_>) -> Result<Operand, QueryError> {
    let labels = match &arguments.expr(0)?.unwrapped().kind {
        Kind::Selector(selector) | Kind::Range { selector, .. } => selector::expected_labels(selector),
        _ => Labels::empty(),
    };
    let mut absent = Vector::empty(found.len());
    let row = absent.add(Key::of(labels));
    for (value, found) in row.iter_mut().zip(found) {
        *value = if *found { ABSENT } else { 1.0 };
    }
    absent.compact();
    Ok(Operand::Vector(absent))
}

/// The value of the only element; NaN if there is not exactly one.
fn scalar(arguments: Arguments<'_>) -> Result<Operand, QueryError> {
    let vector = arguments.vector(0)?;
    let mut values = vec![ABSENT; vector.steps];
    let mut several = vec![false; vector.steps];
    for (_, row) in vector.rows() {
        for (step, value) in row.iter().enumerate().filter(|(_, value)| !is_absent(**value)) {
            several[step] |= !is_absent(values[step]);
            values[step] = *value;
        }
    }
    for (value, several) in values.iter_mut().zip(several) {
        if several || is_absent(*value) {
            *value = f64::NAN;
        }
    }
    Ok(Operand::Scalar(values))
}

fn sorted(arguments: Arguments<'_>, first: Ordering) -> Result<Operand, QueryError> {
    sorted_by(arguments, |vector, left, right| by_value(vector.values[left], vector.values[right], first))
}

/// Sorts the elements of an instant query; a range query yields its series in the order of their labels.
pub(super) fn sorted_by(
    arguments: Arguments<'_>,
    compare: impl Fn(&Vector, usize, usize) -> Ordering,
) -> Result<Operand, QueryError> {
    let mut vector = arguments.vector(0)?;
    if vector.steps == 1 {
        let mut order: Vec<usize> = (0..vector.len()).collect();
        order.sort_by(|left, right| compare(&vector, *left, *right));
        vector.reorder(&order);
    } else {
        let text = "sort is ineffective for range queries since results are always ordered by labels";
        arguments.evaluator.warn(arguments.call, text.to_owned());
    }
    Ok(Operand::Vector(vector))
}

/// The time of each sample, in seconds; of anything computed it is the moment of evaluation.
fn timestamp(arguments: Arguments<'_>) -> Result<Operand, QueryError> {
    let grid = arguments.grid;
    let mut vector = match &arguments.expr(0)?.unwrapped().kind {
        Kind::Selector(found) => {
            selector::instant(arguments.evaluator, found, grid, |at_ms, _| seconds(at_ms))?
        }
        _ => {
            let mut vector = arguments.vector(0)?;
            vector.map(|step, _| seconds(grid.at(step)));
            vector
        }
    };
    vector.drop_names();
    Ok(Operand::Vector(vector))
}
