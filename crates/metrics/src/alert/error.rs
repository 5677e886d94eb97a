//! Owns why a rule could not be evaluated.

use crate::labels::Labels;
use crate::promql::QueryError;
use crate::store::AppendError;

/// Why a rule could not be evaluated. Its alerts stay as they are until it can.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum EvaluationError {
    /// The query failed.
    #[error("query of rule `{rule}` failed")]
    Query {
        /// The rule.
        rule: String,
        /// What went wrong.
        source: QueryError,
    },
    /// The query yields no alerts but text or ranges.
    #[error("query of rule `{rule}` yields no vector")]
    NotVector {
        /// The rule.
        rule: String,
    },
    /// Two elements of the result would be the same alert, or the same series.
    #[error("rule `{rule}` yields two elements with the labels `{labels}`")]
    Duplicate {
        /// The rule.
        rule: String,
        /// The labels.
        labels: Labels,
    },
    /// The rule has more alerts than anybody can read, or than its group allows.
    #[error("rule `{rule}` yields more than {limit} {what}")]
    TooMany {
        /// The rule.
        rule: String,
        /// The limit.
        limit: usize,
        /// What is counted.
        what: &'static str,
    },
    /// A series that the rule makes could not be kept.
    #[error("a series of rule `{rule}` could not be kept")]
    NotKept {
        /// The rule.
        rule: String,
        /// What went wrong.
        source: AppendError,
    },
}

// === impl EvaluationError ===

impl EvaluationError {
    /// Returns the name of the rule.
    pub fn rule(&self) -> &str {
        match self {
            Self::Query { rule, .. }
            | Self::NotVector { rule }
            | Self::Duplicate { rule, .. }
            | Self::TooMany { rule, .. }
            | Self::NotKept { rule, .. } => rule,
        }
    }
}
