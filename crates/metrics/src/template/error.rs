//! Owns what can be wrong with a template, and where in its text.

use std::fmt;

/// Why a template cannot be read or expanded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplateError {
    /// The line and the column in characters, both counted from 1, where the trouble is in one place.
    pub position: Option<(usize, usize)>,
    /// What is wrong.
    pub message: String,
}

/// An error that knows only the byte offset yet.
#[derive(Debug, Clone)]
pub(super) struct Fault {
    pub(super) offset: usize,
    pub(super) message: String,
}

// === impl TemplateError ===

impl TemplateError {
    /// An error of the template as a whole.
    pub(super) fn whole(message: String) -> Self {
        Self { position: None, message }
    }

    pub(super) fn of(text: &str, fault: Fault) -> Self {
        let before = text.get(..fault.offset).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line = before.matches('\n').count() + 1;
        let column = before[line_start..].chars().count() + 1;
        Self { position: Some((line, column)), message: fault.message }
    }
}

impl fmt::Display for TemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.position {
            Some((line, column)) => write!(f, "{line}:{column}: {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

impl std::error::Error for TemplateError {}

// === impl Fault ===

impl Fault {
    pub(super) fn new(offset: usize, message: impl Into<String>) -> Self {
        Self { offset, message: message.into() }
    }
}
