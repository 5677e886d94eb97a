//! Owns the functions that make a new number of each element: rounding, powers, logarithms, angles, limits.

use super::{Arguments, Function};
use crate::promql::QueryError;
use crate::promql::value::{Operand, Point};

pub(super) fn find(name: &str) -> Option<Function> {
    let compute: fn(f64) -> f64 = match name {
        "abs" => f64::abs,
        "acos" => f64::acos,
        "acosh" => f64::acosh,
        "asin" => f64::asin,
        "asinh" => f64::asinh,
        "atan" => f64::atan,
        "atanh" => f64::atanh,
        "ceil" => f64::ceil,
        "cos" => f64::cos,
        "cosh" => f64::cosh,
        "deg" => f64::to_degrees,
        "exp" => f64::exp,
        "floor" => f64::floor,
        "ln" => f64::ln,
        "log10" => f64::log10,
        "log2" => f64::log2,
        "rad" => f64::to_radians,
        "sgn" => sign,
        "sin" => f64::sin,
        "sinh" => f64::sinh,
        "sqrt" => f64::sqrt,
        "tan" => f64::tan,
        "tanh" => f64::tanh,
        "clamp" => return Some(Function::Whole(clamp)),
        "clamp_max" => return Some(Function::Whole(clamp_max)),
        "clamp_min" => return Some(Function::Whole(clamp_min)),
        "round" => return Some(Function::Whole(round)),
        _ => return None,
    };
    Some(Function::Element(compute))
}

/// Makes a new number of each element of a vector.
pub(super) fn each(points: Vec<Point>, compute: impl Fn(f64) -> f64) -> Result<Operand, QueryError> {
    let computed = points.into_iter().map(|point| Point::nameless(point.labels, compute(point.value)));
    Ok(Operand::Vector(computed.collect()))
}

fn clamp(arguments: Arguments<'_>) -> Result<Operand, QueryError> {
    let (least, most) = (arguments.scalar(1)?, arguments.scalar(2)?);
    let points = arguments.vector(0)?;
    if least > most {
        return Ok(Operand::Vector(Vec::new()));
    }
    each(points, |value| larger(least, smaller(most, value)))
}

fn clamp_max(arguments: Arguments<'_>) -> Result<Operand, QueryError> {
    let most = arguments.scalar(1)?;
    each(arguments.vector(0)?, |value| smaller(most, value))
}

fn clamp_min(arguments: Arguments<'_>) -> Result<Operand, QueryError> {
    let least = arguments.scalar(1)?;
    each(arguments.vector(0)?, |value| larger(least, value))
}

/// Rounds to the nearest multiple; what lies halfway goes up.
fn round(arguments: Arguments<'_>) -> Result<Operand, QueryError> {
    let nearest = if arguments.len() > 1 { arguments.scalar(1)? } else { 1.0 };
    // Dividing by the inverse loses less than multiplying: 0.1 has no exact form, 10 has.
    let inverse = 1.0 / nearest;
    each(arguments.vector(0)?, |value| (value * inverse + 0.5).floor() / inverse)
}

fn sign(value: f64) -> f64 {
    if value > 0.0 {
        1.0
    } else if value < 0.0 {
        -1.0
    } else {
        value
    }
}

/// The smaller of two; NaN if one is (`f64::min` would pass over it).
fn smaller(left: f64, right: f64) -> f64 {
    if left.is_nan() || right.is_nan() { f64::NAN } else { left.min(right) }
}

/// The larger of two; NaN if one is.
fn larger(left: f64, right: f64) -> f64 {
    if left.is_nan() || right.is_nan() { f64::NAN } else { left.max(right) }
}
