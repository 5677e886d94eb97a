//! Owns what is wrong in a rule file or a file of tests: where, what, and what to do about it.

use std::fmt;

use serde::Serialize;

/// A message quotes what is in the file, and that may be of any length.
const MESSAGE_CHARACTERS_MAX: usize = 600;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RuleLevel {
    /// The file cannot be used.
    Error,
    /// It can, but hardly does what its author meant.
    Warning,
}

/// Something wrong in a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RuleProblem {
    /// The line, counted from 1.
    pub line: usize,
    /// The column in characters, counted from 1.
    pub column: usize,
    /// How bad it is.
    pub level: RuleLevel,
    /// What is wrong.
    pub message: String,
    /// What to do about it, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
}

// === impl RuleProblem ===

impl RuleProblem {
    pub(crate) fn error((line, column): (usize, usize), mut message: String) -> Self {
        if let Some((end, _)) = message.char_indices().nth(MESSAGE_CHARACTERS_MAX) {
            message.truncate(end);
            message.push('…');
        }
        Self { line, column, level: RuleLevel::Error, message, help: None }
    }

    pub(crate) fn warning((line, column): (usize, usize), message: String) -> Self {
        Self { level: RuleLevel::Warning, ..Self::error((line, column), message) }
    }

    pub(crate) fn help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }

    /// Puts words before the message that say what it is about.
    pub(crate) fn about(self, what: &str) -> Self {
        Self { message: format!("{what}: {}", self.message), ..self }
    }

    /// Tells whether the file cannot be used.
    pub fn is_error(&self) -> bool {
        self.level == RuleLevel::Error
    }
}

impl fmt::Display for RuleProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let level = match self.level {
            RuleLevel::Error => "error",
            RuleLevel::Warning => "warning",
        };
        write!(f, "{}:{}: {level}: {}", self.line, self.column, self.message)?;
        match &self.help {
            Some(help) => write!(f, "; {help}"),
            None => Ok(()),
        }
    }
}
