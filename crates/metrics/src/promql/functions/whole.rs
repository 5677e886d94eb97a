//! Owns the functions that do not work element by element: absence, histograms, order, time, and changes of type.

use std::cmp::Ordering;

use promql_parser::parser::Expr;

use super::{Arguments, Function};
use crate::labels::Labels;
use crate::promql::aggregate::by_value;
use crate::promql::eval::unwrapped;
use crate::promql::value::{Operand, Point, shown};
use crate::promql::{QueryError, histogram, selector};

pub(super) fn find(name: &str) -> Option<Function> {
    let compute: fn(Arguments<'_>) -> Result<Operand, QueryError> = match name {
        "absent" => absent,
        "absent_over_time" => absent_over_time,
        "end" => |arguments| seconds(arguments.evaluator.steps.end_ms),
        "histogram_fraction" => histogram_fraction,
        "histogram_quantile" => histogram_quantile,
        "histogram_quantiles" => histogram_quantiles,
        "max_of" => |arguments| Ok(Operand::Scalar(arguments.scalar(0)?.max(arguments.scalar(1)?))),
        "min_of" => |arguments| Ok(Operand::Scalar(arguments.scalar(0)?.min(arguments.scalar(1)?))),
        "pi" => |_| Ok(Operand::Scalar(std::f64::consts::PI)),
        "range" => |arguments| {
            let steps = arguments.evaluator.steps;
            seconds(steps.end_ms.saturating_sub(steps.start_ms))
        },
        "scalar" => scalar,
        "sort" => |arguments| sorted(arguments, Ordering::Less),
        "sort_desc" => |arguments| sorted(arguments, Ordering::Greater),
        "start" => |arguments| seconds(arguments.evaluator.steps.start_ms),
        "step" => |arguments| seconds(arguments.evaluator.steps.step_ms),
        "time" => |arguments| seconds(arguments.at_ms),
        "timestamp" => timestamp,
        "vector" => |arguments| Ok(Operand::Vector(vec![unlabelled(arguments.scalar(0)?)])),
        _ => return None,
    };
    Some(Function::Whole(compute))
}

fn seconds(milliseconds: i64) -> Result<Operand, QueryError> {
    Ok(Operand::Scalar(milliseconds as f64 / 1000.0))
}

fn unlabelled(value: f64) -> Point {
    Point { labels: Labels::empty(), value, drop_name: false }
}

/// One element if there is none, with the labels that were asked for.
fn absent(arguments: Arguments<'_>) -> Result<Operand, QueryError> {
    let found = !arguments.vector(0)?.is_empty();
    one_unless(found, arguments)
}

fn absent_over_time(arguments: Arguments<'_>) -> Result<Operand, QueryError> {
    let mut found = false;
    arguments.evaluator.windows(arguments.expr(0)?, arguments.at_ms, &mut |_| found = true)?;
    one_unless(found, arguments)
}

fn one_unless(found: bool, arguments: Arguments<'_>) -> Result<Operand, QueryError> {
    let labels = match unwrapped(arguments.expr(0)?) {
        Expr::VectorSelector(vector) => selector::expected_labels(vector),
        Expr::MatrixSelector(matrix) => selector::expected_labels(&matrix.vs),
        _ => Labels::empty(),
    };
    let absent = Point { labels, ..unlabelled(1.0) };
    Ok(Operand::Vector(if found { Vec::new() } else { vec![absent] }))
}

fn histogram_fraction(arguments: Arguments<'_>) -> Result<Operand, QueryError> {
    let (lower, upper) = (arguments.scalar(0)?, arguments.scalar(1)?);
    let histograms = histogram::collect(&arguments.vector(2)?);
    let fractions = histograms
        .into_iter()
        .map(|histogram| Point::nameless(histogram.labels.clone(), histogram.fraction(lower, upper)));
    Ok(Operand::Vector(fractions.collect()))
}

fn histogram_quantile(arguments: Arguments<'_>) -> Result<Operand, QueryError> {
    let q = arguments.scalar(0)?;
    let histograms = histogram::collect(&arguments.vector(1)?);
    let quantiles = histograms
        .into_iter()
        .map(|histogram| Point::nameless(histogram.labels.clone(), histogram.quantile(q)));
    Ok(Operand::Vector(quantiles.collect()))
}

/// Several quantiles at once, each told by a label.
fn histogram_quantiles(arguments: Arguments<'_>) -> Result<Operand, QueryError> {
    let histograms = histogram::collect(&arguments.vector(0)?);
    let label = arguments.text(1)?;
    let mut points = Vec::new();
    for index in 2..arguments.len() {
        let q = arguments.scalar(index)?;
        let mut name = shown(q);
        if q.is_finite() && !name.contains('.') {
            name.push_str(".0");
        }
        for histogram in &histograms {
            points.push(Point::nameless(histogram.labels.with(&label, &name), histogram.quantile(q)));
        }
    }
    Ok(Operand::Vector(points))
}

/// The value of the only element; NaN if there is not exactly one.
fn scalar(arguments: Arguments<'_>) -> Result<Operand, QueryError> {
    let points = arguments.vector(0)?;
    let [only] = &points[..] else { return Ok(Operand::Scalar(f64::NAN)) };
    Ok(Operand::Scalar(only.value))
}

fn sorted(arguments: Arguments<'_>, first: Ordering) -> Result<Operand, QueryError> {
    let mut points = arguments.vector(0)?;
    points.sort_by(|left, right| by_value(left.value, right.value, first));
    Ok(Operand::Vector(points))
}

/// The time of each sample, in seconds; of anything computed it is the moment of evaluation.
fn timestamp(arguments: Arguments<'_>) -> Result<Operand, QueryError> {
    let timed = match unwrapped(arguments.expr(0)?) {
        Expr::VectorSelector(vector) => selector::instant(arguments.evaluator, vector, arguments.at_ms)?,
        _ => arguments.vector(0)?.into_iter().map(|point| (point, arguments.at_ms)).collect(),
    };
    let times = timed.into_iter().map(|(point, at_ms)| Point::nameless(point.labels, at_ms as f64 / 1000.0));
    Ok(Operand::Vector(times.collect()))
}
