//! Owns the forms of the runbooks that `serve` uses.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A runbook in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunbookSummary {
    /// The name under which it is asked for.
    pub name: String,
    /// Where it was read.
    pub path: String,
    /// SHA-256 of its bytes, in hexadecimal.
    pub sha256: String,
    /// Its procedures, in order.
    pub procedures: Vec<ProcedureSummary>,
    /// How many errors the linter finds.
    pub errors: usize,
    /// How many warnings.
    pub warnings: usize,
    /// How many notes.
    pub notes: usize,
}

/// A procedure in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ProcedureSummary {
    /// Its title as a slug, unique in the runbook.
    pub id: String,
    /// Its title.
    pub title: String,
    /// The line of its heading, from 1.
    pub line: usize,
    /// The alert that it answers.
    pub alert: Option<String>,
}

/// A runbook whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunbookDetail {
    /// What a list tells of it.
    #[serde(flatten)]
    pub summary: RunbookSummary,
    /// The document, as it is used.
    pub markdown: String,
    /// What the linter has to say, in the order of the lines.
    pub findings: Vec<RunbookFinding>,
}

/// What a rule of the linter has to say about a place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunbookFinding {
    /// Line, from 1.
    pub line: usize,
    /// Column, in characters from 1.
    pub column: usize,
    /// `error`, `warning` or `info`.
    pub level: String,
    /// The code of the rule.
    pub code: String,
    /// What is the matter.
    pub message: String,
    /// What to do instead.
    pub hint: String,
    /// The procedure that it is in.
    pub procedure: Option<String>,
    /// The unit that it is in.
    pub unit: Option<String>,
}

// === impl RunbookFinding ===

impl From<&runbook::lint::Finding> for RunbookFinding {
    fn from(finding: &runbook::lint::Finding) -> Self {
        let level = match finding.level {
            runbook::Level::Error => "error",
            runbook::Level::Warning => "warning",
            runbook::Level::Info => "info",
        };
        Self {
            line: finding.line,
            column: finding.column,
            level: level.to_owned(),
            code: finding.code.to_owned(),
            message: finding.message.clone(),
            hint: finding.hint.clone().into_owned(),
            procedure: finding.procedure.clone(),
            unit: finding.unit.clone(),
        }
    }
}
