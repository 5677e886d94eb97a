//! Owns the functions that work on labels: rewriting, joining, and sorting by them.

use std::cmp::Ordering;

use promql_parser::label::{MatchOp, Matcher};
use promql_parser::parser::token::T_EQL_REGEX;

use super::{Arguments, Function};
use crate::labels::METRIC_NAME;
use crate::promql::QueryError;
use crate::promql::value::{Operand, Point, check_unique};

pub(super) fn find(name: &str) -> Option<Function> {
    let compute: fn(Arguments<'_>) -> Result<Operand, QueryError> = match name {
        "label_join" => label_join,
        "label_replace" => label_replace,
        "sort_by_label" => |arguments| sorted(arguments, |order| order),
        "sort_by_label_desc" => |arguments| sorted(arguments, Ordering::reverse),
        _ => return None,
    };
    Some(Function::Whole(compute))
}

fn label_replace(arguments: Arguments<'_>) -> Result<Operand, QueryError> {
    let (target, replacement) = (target(arguments)?, arguments.text(2)?);
    let (source, pattern) = (arguments.text(3)?, arguments.text(4)?);
    // The parser's matcher compiles the expression: anchored, and as lenient with braces as Go's.
    let compiled = Matcher::new_matcher(T_EQL_REGEX, source.clone(), format!("(?s:{pattern})"));
    let MatchOp::Re(regex) = compiled.map_err(QueryError::parameter)?.op else {
        return Err(QueryError::parameter("no regular expression"));
    };
    let mut points = arguments.vector(0)?;
    for point in &mut points {
        let mut value = String::new();
        let Some(captures) = regex.captures(point.labels.get(&source).unwrap_or_default()) else { continue };
        captures.expand(&replacement, &mut value);
        relabel(point, &target, &value);
    }
    unique(points)
}

fn label_join(arguments: Arguments<'_>) -> Result<Operand, QueryError> {
    let (target, separator) = (target(arguments)?, arguments.text(2)?);
    let sources: Vec<String> =
        (3..arguments.len()).map(|index| arguments.text(index)).collect::<Result<_, _>>()?;
    let mut points = arguments.vector(0)?;
    for point in &mut points {
        let parts: Vec<&str> =
            sources.iter().map(|source| point.labels.get(source).unwrap_or_default()).collect();
        let value = parts.join(&separator);
        relabel(point, &target, &value);
    }
    unique(points)
}

fn target(arguments: Arguments<'_>) -> Result<String, QueryError> {
    let target = arguments.text(1)?;
    if target.is_empty() {
        let reason = format!("invalid destination label name in {}(): \"\"", arguments.call.func.name);
        return Err(QueryError::Parameter { reason });
    }
    Ok(target)
}

/// Sets a label; a metric name that is set by hand stays.
fn relabel(point: &mut Point, target: &str, value: &str) {
    point.labels = point.labels.with(target, value);
    if target == METRIC_NAME {
        point.drop_name = false;
    }
}

fn unique(points: Vec<Point>) -> Result<Operand, QueryError> {
    check_unique(points.iter().map(|point| &point.labels))?;
    Ok(Operand::Vector(points))
}

/// Sorts by the given labels in turn, and then by all labels.
fn sorted(arguments: Arguments<'_>, direct: fn(Ordering) -> Ordering) -> Result<Operand, QueryError> {
    let names: Vec<String> =
        (1..arguments.len()).map(|index| arguments.text(index)).collect::<Result<_, _>>()?;
    let mut points = arguments.vector(0)?;
    points.sort_by(|left, right| {
        let by_name = names.iter().map(|name| {
            natural(left.labels.get(name).unwrap_or_default(), right.labels.get(name).unwrap_or_default())
        });
        let order = by_name.fold(Ordering::Equal, Ordering::then);
        direct(order.then_with(|| left.labels.cmp(&right.labels)))
    });
    Ok(Operand::Vector(points))
}

/// Compares texts the way people do: numbers within them by their value.
fn natural(left: &str, right: &str) -> Ordering {
    let (mut left, mut right) = (left, right);
    while !left.is_empty() && !right.is_empty() {
        let (left_part, left_rest) = split_part(left);
        let (right_part, right_rest) = split_part(right);
        let order = match (left_part.parse::<u64>(), right_part.parse::<u64>()) {
            (Ok(left), Ok(right)) => left.cmp(&right),
            _ => left_part.cmp(right_part),
        };
        if order != Ordering::Equal {
            return order;
        }
        (left, right) = (left_rest, right_rest);
    }
    left.len().cmp(&right.len())
}

/// Splits off the longest beginning that is all digits or has none.
fn split_part(text: &str) -> (&str, &str) {
    let digits = text.starts_with(|first: char| first.is_ascii_digit());
    let end = text.find(|c: char| c.is_ascii_digit() != digits).unwrap_or(text.len());
    text.split_at(end)
}
