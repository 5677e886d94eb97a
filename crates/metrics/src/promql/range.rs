//! Owns range queries: one evaluation per step, joined by labels.

use std::collections::BTreeMap;

use promql_parser::parser::Expr;

use super::eval::Evaluator;
use super::{QueryError, Series, Value};
use crate::labels::Labels;
use crate::store::Store;

/// The limit of Prometheus' API; no plot has more points than that.
const STEPS_MAX: usize = 11_000;

/// The moments at which a range query is evaluated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Steps {
    /// The first moment.
    pub start_ms: i64,
    /// No moment is later than this one.
    pub end_ms: i64,
    /// The time between two moments; less than 1 counts as 1.
    pub step_ms: i64,
}

// === impl Steps ===

impl Steps {
    /// Returns the moments, first to last.
    pub fn moments(&self) -> impl Iterator<Item = i64> + use<> {
        let (step_ms, end_ms) = (self.step_ms.max(1), self.end_ms);
        std::iter::successors(Some(self.start_ms), move |at_ms| at_ms.checked_add(step_ms))
            .take_while(move |at_ms| *at_ms <= end_ms)
    }
}

pub(super) fn evaluate(store: &Store, expr: &Expr, steps: Steps) -> Result<Vec<Series>, QueryError> {
    let evaluator = Evaluator::new(store, steps);
    let mut all: BTreeMap<Labels, Vec<(i64, f64)>> = BTreeMap::new();
    for (index, at_ms) in steps.moments().enumerate() {
        if index >= STEPS_MAX {
            return Err(QueryError::TooMuch { limit: STEPS_MAX, unit: "steps" });
        }
        match evaluator.value(expr, at_ms)? {
            Value::Scalar(value) => all.entry(Labels::empty()).or_default().push((at_ms, value)),
            Value::Vector(elements) => {
                for element in elements {
                    all.entry(element.labels).or_default().push((at_ms, element.value));
                }
            }
            Value::Matrix(_) => {
                return Err(QueryError::Type { expected: "scalar or instant vector", got: "range vector" });
            }
            Value::Text(_) => {
                return Err(QueryError::Type { expected: "scalar or instant vector", got: "string" });
            }
        }
    }
    Ok(all.into_iter().map(|(labels, samples)| Series { labels, samples }).collect())
}
