//! Owns the functions that work on labels: rewriting, joining, and sorting by them.

use std::cmp::Ordering;

use super::signature::VECTOR_AND_TEXTS;
use super::{Arguments, Function, Signature, whole};
use crate::labels::METRIC_NAME;
use crate::promql::QueryError;
use crate::promql::syntax::Type::{Text, Vector};
use crate::promql::syntax::anchored;
use crate::promql::value::{Key, Operand, Source};

pub(super) fn find(name: &str) -> Option<Signature> {
    Some(match name {
        "label_join" => {
            Signature::new("label_join", &[Vector, Text, Text, Text], Function::Whole(label_join))
                .optional(1)
                .repeated(None)
        }
        "label_replace" => {
            Signature::new("label_replace", &[Vector, Text, Text, Text, Text], Function::Whole(label_replace))
        }
        "sort_by_label" => {
            let ascending = |arguments: Arguments<'_>| sorted(arguments, |order| order);
            Signature::new("sort_by_label", VECTOR_AND_TEXTS, Function::Whole(ascending))
                .optional(1)
                .repeated(None)
        }
        "sort_by_label_desc" => {
            let descending = |arguments: Arguments<'_>| sorted(arguments, Ordering::reverse);
            Signature::new("sort_by_label_desc", VECTOR_AND_TEXTS, Function::Whole(descending))
                .optional(1)
                .repeated(None)
        }
        _ => return None,
    })
}

fn label_replace(arguments: Arguments<'_>) -> Result<Operand, QueryError> {
    let (replacement, source, pattern) = (arguments.text(2)?, arguments.text(3)?, arguments.text(4)?);
    let regex = anchored(&pattern).map_err(|_| {
        arguments.invalid(format!("invalid regular expression in label_replace(): {pattern}"))
    })?;
    let target = target(arguments)?;
    let mut vector = arguments.vector(0)?;
    for key in &mut vector.keys {
        let mut value = String::new();
        let Some(captures) = regex.captures(key.labels.get(&source).unwrap_or_default()) else { continue };
        captures.expand(&replacement, &mut value);
        relabel(key, &target, &value);
    }
    arguments.evaluator.merged(arguments.call, vector).map(Operand::Vector)
}

fn label_join(arguments: Arguments<'_>) -> Result<Operand, QueryError> {
    let (target, separator) = (target(arguments)?, arguments.text(2)?);
    let sources: Vec<String> =
        (3..arguments.len()).map(|index| arguments.text(index)).collect::<Result<_, _>>()?;
    if sources.iter().any(String::is_empty) {
        return Err(arguments.invalid("invalid source label name in label_join(): "));
    }
    let mut vector = arguments.vector(0)?;
    for key in &mut vector.keys {
        let parts: Vec<&str> =
            sources.iter().map(|source| key.labels.get(source).unwrap_or_default()).collect();
        let value = parts.join(&separator);
        relabel(key, &target, &value);
    }
    arguments.evaluator.merged(arguments.call, vector).map(Operand::Vector)
}

fn target(arguments: Arguments<'_>) -> Result<String, QueryError> {
    let target = arguments.text(1)?;
    if target.is_empty() {
        let function = arguments.function.name;
        return Err(arguments.invalid(format!("invalid destination label name in {function}(): ")));
    }
    Ok(target)
}

/// Sets a label; a metric name that is set by hand stays.
fn relabel(key: &mut Key, target: &str, value: &str) {
    key.labels = key.labels.with(target, value);
    key.source = Source::NONE;
    if target == METRIC_NAME {
        key.drop_name = false;
    }
}

/// Sorts by the given labels in turn, and then by all labels.
fn sorted(arguments: Arguments<'_>, direct: fn(Ordering) -> Ordering) -> Result<Operand, QueryError> {
    let names: Vec<String> =
        (1..arguments.len()).map(|index| arguments.text(index)).collect::<Result<_, _>>()?;
    whole::sorted_by(arguments, |vector, left, right| {
        let (left, right) = (&vector.keys[left].labels, &vector.keys[right].labels);
        let by_name = names
            .iter()
            .map(|name| natural(left.get(name).unwrap_or_default(), right.get(name).unwrap_or_default()));
        let order = by_name.fold(Ordering::Equal, Ordering::then);
        direct(order.then_with(|| left.cmp(right)))
    })
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
