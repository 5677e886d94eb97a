//! Owns the functions that make a new number of each element: rounding, powers, logarithms, angles, limits.

use super::{Arguments, Function, Signature};
use crate::promql::QueryError;
use crate::promql::syntax::Type::{Scalar, Vector as InstantVector};
use crate::promql::value::{ABSENT, Operand, Vector};

pub(super) fn find(name: &str) -> Option<Signature> {
    let (name, compute): (_, fn(f64) -> f64) = match name {
        "abs" => ("abs", f64::abs),
        "acos" => ("acos", f64::acos),
        "acosh" => ("acosh", f64::acosh),
        "asin" => ("asin", f64::asin),
        "asinh" => ("asinh", f64::asinh),
        "atan" => ("atan", f64::atan),
        "atanh" => ("atanh", f64::atanh),
        "ceil" => ("ceil", f64::ceil),
        "cos" => ("cos", f64::cos),
        "cosh" => ("cosh", f64::cosh),
        "deg" => ("deg", |value| value * 180.0 / std::f64::consts::PI),
        "exp" => ("exp", f64::exp),
        "floor" => ("floor", f64::floor),
        "ln" => ("ln", f64::ln),
        "log10" => ("log10", f64::log10),
        "log2" => ("log2", f64::log2),
        "rad" => ("rad", |value| value * std::f64::consts::PI / 180.0),
        "sgn" => ("sgn", sign),
        "sin" => ("sin", f64::sin),
        "sinh" => ("sinh", f64::sinh),
        "sqrt" => ("sqrt", f64::sqrt),
        "tan" => ("tan", f64::tan),
        "tanh" => ("tanh", f64::tanh),
        _ => return with_limits(name),
    };
    Some(Signature::vector(name, Function::Element(compute)))
}

fn with_limits(name: &str) -> Option<Signature> {
    Some(match name {
        "clamp" => Signature::new("clamp", &[InstantVector, Scalar, Scalar], Function::Whole(clamp)),
        "clamp_max" => Signature::new("clamp_max", &[InstantVector, Scalar], Function::Whole(clamp_max)),
        "clamp_min" => Signature::new("clamp_min", &[InstantVector, Scalar], Function::Whole(clamp_min)),
        "round" => Signature::new("round", &[InstantVector, Scalar], Function::Whole(round)).optional(1),
        _ => return None,
    })
}

/// Makes a new number of each element of a vector, and of its step.
pub(super) fn each(
    mut vector: Vector,
    compute: impl FnMut(usize, f64) -> f64,
) -> Result<Operand, QueryError> {
    vector.map(compute);
    vector.drop_names();
    Ok(Operand::Vector(vector))
}

fn clamp(arguments: Arguments<'_>) -> Result<Operand, QueryError> {
    let (least, most) = (arguments.scalar(1)?, arguments.scalar(2)?);
    let mut vector = arguments.vector(0)?;
    vector.map(|step, value| match most[step] < least[step] {
        true => ABSENT,
        false => larger(least[step], smaller(most[step], value)),
    });
    vector.drop_names();
    vector.compact();
    Ok(Operand::Vector(vector))
}

fn clamp_max(arguments: Arguments<'_>) -> Result<Operand, QueryError> {
    let most = arguments.scalar(1)?;
    each(arguments.vector(0)?, |step, value| smaller(most[step], value))
}

fn clamp_min(arguments: Arguments<'_>) -> Result<Operand, QueryError> {
    let least = arguments.scalar(1)?;
    each(arguments.vector(0)?, |step, value| larger(least[step], value))
}

/// Rounds to the nearest multiple; what lies halfway goes up.
fn round(arguments: Arguments<'_>) -> Result<Operand, QueryError> {
    let nearest = if arguments.len() > 1 { Some(arguments.scalar(1)?) } else { None };
    each(arguments.vector(0)?, |step, value| {
        // Dividing by the inverse loses less than multiplying: 0.1 has no exact form, 10 has.
        let inverse = 1.0 / nearest.as_ref().map_or(1.0, |nearest| nearest[step]);
        (value * inverse + 0.5).floor() / inverse
    })
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
