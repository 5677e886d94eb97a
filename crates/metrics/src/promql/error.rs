//! Owns what can be wrong with a query, and where in its text.

use std::fmt;

use crate::labels::Labels;

/// A place in the text of a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// Bytes before it.
    pub offset: usize,
    /// Its line, counted from 1.
    pub line: usize,
    /// Its column in characters, counted from 1.
    pub column: usize,
}

/// Why a query cannot be read or evaluated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum QueryError {
    /// The text is not PromQL.
    #[error("query is not valid at {position} near `{near}`: {reason}")]
    Syntax {
        /// Where.
        position: Position,
        /// The text at that place.
        near: String,
        /// What is wrong there.
        reason: String,
    },
    /// Valid PromQL that is not implemented: it needs native histograms, or is experimental.
    #[error("`{name}` at {position} is not supported: {reason}")]
    Unsupported {
        /// The function, operator or keyword.
        name: String,
        /// Where it stands.
        position: Position,
        /// What it would need.
        reason: &'static str,
    },
    /// The query is longer or deeper than any sensible one.
    #[error("query has more than {limit} {unit}")]
    TooLarge {
        /// The limit.
        limit: usize,
        /// What is counted.
        unit: &'static str,
    },
    /// Another engine answers the query, and has no answer.
    #[error("the backend has no answer: {reason}")]
    Elsewhere {
        /// Why.
        reason: String,
    },
    /// Evaluation would need more than it may.
    #[error("evaluation needs more than {limit} {unit}")]
    TooMuch {
        /// The limit.
        limit: usize,
        /// What is counted.
        unit: &'static str,
    },
    /// Evaluation took longer than it may.
    #[error("evaluation took longer than it may")]
    Late,
    /// Two elements of a result would have the same labels.
    #[error("vector cannot contain metrics with the same labelset `{labels}` at {position}")]
    Duplicate {
        /// The labels.
        labels: Labels,
        /// The expression that yields them.
        position: Position,
    },
    /// A value came up that cannot be used where it stands, or two sides do not match one another.
    #[error("{reason} at {position}")]
    Invalid {
        /// What cannot be used, or does not match.
        reason: String,
        /// The expression at fault.
        position: Position,
    },
    /// A range query needs a number at each step.
    #[error("a range query needs a scalar or instant vector, got {got}")]
    NoSteps {
        /// What the query yields.
        got: &'static str,
    },
}

// === impl Position ===

impl Position {
    /// Returns the position of a byte offset in a text.
    pub(super) fn of(text: &str, offset: usize) -> Self {
        let before = text.get(..offset).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line = before.matches('\n').count() + 1;
        Self { offset, line, column: before[line_start..].chars().count() + 1 }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

// === impl QueryError ===

impl QueryError {
    /// Returns where in the text of the query the trouble is, if it is in one place.
    pub fn position(&self) -> Option<Position> {
        match self {
            Self::Syntax { position, .. }
            | Self::Unsupported { position, .. }
            | Self::Duplicate { position, .. }
            | Self::Invalid { position, .. } => Some(*position),
            Self::TooLarge { .. }
            | Self::TooMuch { .. }
            | Self::Late
            | Self::Elsewhere { .. }
            | Self::NoSteps { .. } => None,
        }
    }
}
