//! Owns answers of another engine in the place of our own: a rule is evaluated as ever, and what it finds is what that engine
//! has found.

use std::sync::{Mutex, PoisonError};

use super::{Element, QueryError, Value};

/// The last answer of another engine to one query.
#[derive(Debug)]
pub struct Elsewhere {
    last: Mutex<Result<Found, String>>,
    /// How long an answer is good for, in milliseconds.
    good_for_ms: i64,
}

#[derive(Debug, Clone)]
struct Found {
    at_ms: i64,
    elements: Vec<Element>,
}

// === impl Elsewhere ===

impl Elsewhere {
    /// Returns that nothing was answered yet.
    pub fn new(good_for_ms: i64) -> Self {
        Self { last: Mutex::new(Err("it was not asked yet".to_owned())), good_for_ms }
    }

    /// Keeps what was found at a moment, or why nothing is known.
    pub fn set(&self, at_ms: i64, found: Result<Vec<Element>, String>) {
        let found = found.map(|elements| Found { at_ms, elements });
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = found;
    }

    /// Returns what is known at a moment. That nothing is known is an error, and not an empty answer: nothing is concluded
    /// from it.
    pub(super) fn at(&self, at_ms: i64) -> Result<Value, QueryError> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        match &*last {
            Err(reason) => Err(QueryError::Elsewhere { reason: reason.clone() }),
            Ok(found) if at_ms.saturating_sub(found.at_ms) > self.good_for_ms => {
                let reason = format!("its last answer is {} s old", (at_ms - found.at_ms) / 1_000);
                Err(QueryError::Elsewhere { reason })
            }
            Ok(found) => Ok(Value::Vector(found.elements.clone())),
        }
    }
}
