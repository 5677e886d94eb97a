//! Owns one evaluation of a recording rule: its query, and the series that its result becomes.

use std::collections::BTreeMap;

use super::EvaluationError;
use super::evaluation::vector;
use crate::labels::Labels;
use crate::rule::RecordingRule;
use crate::store::Store;

/// Evaluates a rule; returns the samples of its series.
pub(super) fn evaluate(
    rule: &RecordingRule,
    store: &Store,
    at_ms: i64,
    limit: usize,
) -> Result<BTreeMap<Labels, f64>, EvaluationError> {
    let name = || rule.name.clone();
    let elements = vector(&rule.query, store, at_ms, &rule.name)?;
    if limit > 0 && elements.len() > limit {
        return Err(EvaluationError::TooMany { rule: name(), limit, what: "series" });
    }
    let mut samples = BTreeMap::new();
    for element in elements {
        let labels = rule.series_labels(&element.labels);
        if samples.insert(labels.clone(), element.value).is_some() {
            return Err(EvaluationError::Duplicate { rule: name(), labels });
        }
    }
    Ok(samples)
}
