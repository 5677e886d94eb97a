//! Owns annotations: what an evaluation has to say beside its result, and where in the query.

use std::collections::BTreeSet;
use std::fmt;

use super::Position;

/// One query has no more to say than this; a vector of a million odd elements would say it a million times.
const ANNOTATIONS_MAX: usize = 100;

/// How serious an annotation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum AnnotationKind {
    /// The result may not be what was meant.
    Warning,
    /// Something was assumed, or set right.
    Info,
}

/// Something that an evaluation has to say beside its result.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Annotation {
    /// How serious it is.
    pub kind: AnnotationKind,
    /// The expression that it is about.
    pub position: Position,
    /// What it says.
    pub text: String,
}

/// All that one evaluation has to say, each thing once.
#[derive(Debug, Default)]
pub(super) struct Annotations(BTreeSet<Annotation>);

// === impl Annotation ===

impl fmt::Display for Annotation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            AnnotationKind::Warning => "warning",
            AnnotationKind::Info => "info",
        };
        write!(f, "PromQL {kind}: {} ({})", self.text, self.position)
    }
}

// === impl Annotations ===

impl Annotations {
    pub(super) fn add(&mut self, annotation: Annotation) {
        if self.0.len() < ANNOTATIONS_MAX {
            self.0.insert(annotation);
        }
    }

    /// Returns them, warnings first.
    pub(super) fn into_list(self) -> Vec<Annotation> {
        self.0.into_iter().collect()
    }
}
