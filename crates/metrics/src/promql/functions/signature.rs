//! Owns the table of functions: their names, what they take and yield, and which are known but not supported.

use std::fmt;

use super::{Function, date, elementwise, histogram, info, label, over_time, rate, whole};
use crate::promql::syntax::Type;
use crate::promql::syntax::Type::{Range, Scalar, Text, Vector};

/// What a function takes and yields.
#[derive(Clone, Copy)]
pub(in crate::promql) struct Signature {
    pub(in crate::promql) name: &'static str,
    /// The types of its arguments; the last one is that of all further ones.
    arguments: &'static [Type],
    /// It takes at least so many arguments…
    pub(in crate::promql) required: usize,
    /// … and at most so many, if there is a limit.
    pub(in crate::promql) most: Option<usize>,
    pub(in crate::promql) returns: Type,
    /// This argument is no expression but says which series to look at.
    pub(in crate::promql) selects_at: Option<usize>,
    pub(in crate::promql) implementation: Function,
}

/// What is known of a function's name.
pub(in crate::promql) enum Support {
    Known(Signature),
    /// It works on native histograms, which no sample here is.
    Unsupported,
    Unknown,
}

const UNSUPPORTED: [&str; 5] =
    ["histogram_avg", "histogram_count", "histogram_stddev", "histogram_stdvar", "histogram_sum"];

// === impl Signature ===

impl Signature {
    /// Finds a function by its name.
    pub(in crate::promql) fn find(name: &str) -> Support {
        if UNSUPPORTED.contains(&name) {
            return Support::Unsupported;
        }
        let found = elementwise::find(name)
            .or_else(|| over_time::find(name))
            .or_else(|| rate::find(name))
            .or_else(|| date::find(name))
            .or_else(|| histogram::find(name))
            .or_else(|| label::find(name))
            .or_else(|| info::find(name))
            .or_else(|| whole::find(name));
        found.map_or(Support::Unknown, Support::Known)
    }

    /// Returns the type of an argument.
    pub(in crate::promql) fn argument(&self, index: usize) -> Type {
        let last = self.arguments.len().saturating_sub(1);
        self.arguments.get(index.min(last)).copied().unwrap_or(Scalar)
    }

    /// A function that takes these arguments and yields an instant vector.
    pub(super) fn new(name: &'static str, arguments: &'static [Type], implementation: Function) -> Self {
        let required = arguments.len();
        let most = Some(required);
        Self { name, arguments, required, most, returns: Vector, selects_at: None, implementation }
    }

    /// A function of an instant vector.
    pub(super) fn vector(name: &'static str, implementation: Function) -> Self {
        Self::new(name, &[Vector], implementation)
    }

    /// A function of a range vector.
    pub(super) fn range(name: &'static str, implementation: Function) -> Self {
        Self::new(name, &[Range], implementation)
    }

    /// A function of nothing that yields a number.
    pub(super) fn number(name: &'static str, implementation: Function) -> Self {
        Self::new(name, &[], implementation).returning_number()
    }

    pub(super) fn returning_number(self) -> Self {
        Self { returns: Scalar, ..self }
    }

    /// The last arguments may be left out.
    pub(super) fn optional(self, count: usize) -> Self {
        Self { required: self.required.saturating_sub(count), ..self }
    }

    /// There may be more arguments like the last one: up to a number of all, or any number.
    pub(super) fn repeated(self, most: Option<usize>) -> Self {
        Self { most, ..self }
    }

    pub(super) fn selecting_at(self, index: usize) -> Self {
        Self { selects_at: Some(index), ..self }
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Signature").field(&self.name).finish()
    }
}

/// The types of what the functions on labels take.
pub(super) const VECTOR_AND_TEXTS: &[Type] = &[Vector, Text];
