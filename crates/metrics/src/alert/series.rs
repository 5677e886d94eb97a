//! Owns the series that rules make: samples of what is there, an end for what is not there any more.

use std::collections::{BTreeMap, BTreeSet};

use super::EvaluationError;
use crate::labels::Labels;
use crate::store::{AppendError, Store, stale};

/// The series that a rule has made at its last evaluation.
#[derive(Debug, Default)]
pub(super) struct Made(BTreeSet<Labels>);

// === impl Made ===

impl Made {
    /// Takes over series that an earlier run has made.
    pub(super) fn inherit(&mut self, series: impl IntoIterator<Item = Labels>) {
        self.0.extend(series);
    }

    /// Writes the samples of one evaluation, and ends the series that are not among them. Returns the first thing that
    /// could not be kept.
    ///
    /// A moment that is not newer is passed over: an evaluation at once comes between two others, and clocks are set.
    pub(super) fn keep(
        &mut self,
        store: &mut Store,
        rule: &str,
        samples: BTreeMap<Labels, f64>,
        at_ms: i64,
    ) -> Option<EvaluationError> {
        let mut first = None;
        let mut append = |labels: &Labels, value: f64| match store.append(labels, at_ms, value) {
            Ok(()) | Err(AppendError::NotNewer { .. }) => {}
            Err(source) => {
                first.get_or_insert(EvaluationError::NotKept { rule: rule.to_owned(), source });
            }
        };
        for labels in self.0.iter().filter(|labels| !samples.contains_key(*labels)) {
            append(labels, stale());
        }
        for (labels, value) in &samples {
            append(labels, *value);
        }
        self.0 = samples.into_keys().collect();
        first
    }
}
