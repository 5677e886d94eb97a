//! Owns the values that queries yield, and those that their parts hand to one another.

use std::collections::HashSet;

use super::QueryError;
use crate::labels::{Labels, METRIC_NAME};

/// The result of a query at one moment.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// One number.
    Scalar(f64),
    /// A number for each of some series; no label set occurs twice.
    Vector(Vec<Element>),
    /// The samples of each of some series: what a range selector selects.
    Matrix(Vec<Series>),
    /// A text.
    Text(String),
}

/// One series of a vector and its value.
#[derive(Debug, Clone, PartialEq)]
pub struct Element {
    /// What tells it from the others.
    pub labels: Labels,
    /// Its value.
    pub value: f64,
}

/// One series and its samples in the order of time.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// What tells it from the others.
    pub labels: Labels,
    /// Milliseconds since the Unix epoch, and the value.
    pub samples: Vec<(i64, f64)>,
}

/// An element on its way through an evaluation.
///
/// As in Prometheus 3, a function that loses the metric's name only marks it, and the name goes at the very end:
/// until then `label_replace` and `by (__name__)` can still see it.
#[derive(Debug, Clone)]
pub(super) struct Point {
    pub(super) labels: Labels,
    pub(super) value: f64,
    pub(super) drop_name: bool,
}

/// What a part of a query evaluates to.
#[derive(Debug, Clone)]
pub(super) enum Operand {
    Scalar(f64),
    Vector(Vec<Point>),
    Text(String),
}

/// The samples of one series in a stretch of time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Window<'w> {
    pub(super) labels: &'w Labels,
    pub(super) drop_name: bool,
    /// The stretch begins after this moment…
    pub(super) start_ms: i64,
    /// … and reaches up to this one.
    pub(super) end_ms: i64,
    /// In the order of time; never empty, without stale markers.
    pub(super) samples: &'w [(i64, f64)],
}

// === impl Point ===

impl Point {
    /// An element whose metric name is lost.
    pub(super) fn nameless(labels: Labels, value: f64) -> Self {
        Self { labels, value, drop_name: true }
    }

    pub(super) fn final_labels(&self) -> Labels {
        if self.drop_name { self.labels.without(METRIC_NAME) } else { self.labels.clone() }
    }
}

// === impl Operand ===

impl Operand {
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Scalar(_) => "scalar",
            Self::Vector(_) => "instant vector",
            Self::Text(_) => "string",
        }
    }

    /// Drops the names that are to be dropped; fails if that makes two elements the same.
    pub(super) fn finish(self) -> Result<Value, QueryError> {
        match self {
            Self::Scalar(value) => Ok(Value::Scalar(value)),
            Self::Text(text) => Ok(Value::Text(text)),
            Self::Vector(points) => {
                let elements: Vec<Element> = points
                    .iter()
                    .map(|point| Element { labels: point.final_labels(), value: point.value })
                    .collect();
                check_unique(elements.iter().map(|element| &element.labels))?;
                Ok(Value::Vector(elements))
            }
        }
    }
}

// === impl Window ===

impl Window<'_> {
    pub(super) fn values(&self) -> impl Iterator<Item = f64> + '_ {
        self.samples.iter().map(|(_, value)| *value)
    }

    pub(super) fn first(&self) -> Option<(i64, f64)> {
        self.samples.first().copied()
    }

    pub(super) fn last(&self) -> Option<(i64, f64)> {
        self.samples.last().copied()
    }

    /// Returns the pairs of neighbours.
    pub(super) fn steps(&self) -> impl Iterator<Item = (f64, f64)> + '_ {
        self.samples.windows(2).map(|pair| (pair[0].1, pair[1].1))
    }
}

/// Fails if a label set occurs twice.
pub(super) fn check_unique<'l>(all: impl Iterator<Item = &'l Labels>) -> Result<(), QueryError> {
    let mut seen = HashSet::new();
    for labels in all {
        if !seen.insert(labels) {
            return Err(QueryError::Duplicate { labels: labels.clone() });
        }
    }
    Ok(())
}

/// Returns a number as Prometheus writes it into labels and texts: without an exponent, infinities with their sign.
pub fn shown(value: f64) -> String {
    if value.is_infinite() {
        return if value > 0.0 { "+Inf".to_owned() } else { "-Inf".to_owned() };
    }
    value.to_string()
}
