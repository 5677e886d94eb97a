//! Owns linting a runbook: rules about what it means, each in a file of its own, and what becomes of their findings.

mod allow;
mod config;
mod document;
mod fix;
mod invocation;
mod objection;
mod report;
mod rules;
mod sarif;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::ops::Range;

use serde::Serialize;

use crate::Level;
use crate::Runbook;
use crate::diagnostic::{Diagnostic, Lines};
pub use config::{Config, ConfigError};
use document::Document;
pub use fix::apply;
pub use objection::{Objection, Objections};
use report::Report;
pub use rules::{RULES, traps};
pub use sarif::sarif;

/// One rule.
#[derive(Debug)]
pub struct Rule {
    /// Its code, such as `RB020`.
    pub code: &'static str,
    /// Its name, such as `ignored-result`.
    pub name: &'static str,
    /// How bad a finding is, where the configuration does not say otherwise.
    pub level: Level,
    /// Why it is worth a finding.
    pub why: &'static str,
    /// What it finds: the statements of a fence, or a whole document.
    pub bad: &'static str,
    /// The same, done well.
    pub good: &'static str,
    /// Whether a finding is a reason not to run the statement without a person.
    pub blocks: bool,
    check: fn(&Document<'_>, &mut Report<'_>),
}

// === impl Rule ===

impl Rule {
    /// What becomes of a statement in which it finds something, in words for people.
    pub fn consequence(&self) -> &'static str {
        match (objection::is_lethal(self.code), self.blocks) {
            (true, _) => "a statement in which it is found is not run",
            (false, true) => "where it is found, nothing is changed without a person",
            (false, false) => "it keeps nothing from being run",
        }
    }
}

/// What a rule has to say about a place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Line, from 1.
    pub line: usize,
    /// Column, in characters from 1.
    pub column: usize,
    /// Line of the end, from 1.
    pub end_line: usize,
    /// Column behind the end.
    pub end_column: usize,
    /// How bad it is.
    pub level: Level,
    /// The code of the rule.
    pub code: &'static str,
    /// The name of the rule.
    pub name: &'static str,
    /// What is the matter: a lowercase fragment.
    pub message: String,
    /// What to do instead.
    pub hint: Cow<'static, str>,
    /// The procedure that it is in.
    pub procedure: Option<String>,
    /// The number of the step that it is in.
    pub step: Option<u32>,
    /// The unit that it is in.
    pub unit: Option<String>,
    /// What mends it for certain; empty where a person has to.
    pub fix: Vec<Edit>,
    /// Whether it is a reason not to run the statement without a person.
    pub blocks_auto_run: bool,
}

/// A change of the text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Edit {
    /// The bytes that are replaced.
    pub bytes: Range<usize>,
    /// What comes in their place.
    pub text: String,
}

/// Finds the rule of a code.
pub fn rule(code: &str) -> Option<&'static Rule> {
    RULES.iter().copied().find(|rule| rule.code.eq_ignore_ascii_case(code))
}

/// Lints a document; never fails. Findings stand in the order of the text.
///
/// `today` is `YYYY-MM-DD`, for what is overdue; without it nothing is.
pub fn lint(name: &str, bytes: &[u8], config: &Config, today: Option<&str>) -> Vec<Finding> {
    let (runbook, diagnostics) = crate::parse(name, bytes);
    lint_parsed(bytes, &runbook, &diagnostics, config, today)
}

/// The same for a document that was parsed already: `runbook` and `diagnostics` are what [`crate::parse`] made of it.
pub fn lint_parsed(
    bytes: &[u8],
    runbook: &Runbook,
    diagnostics: &[Diagnostic],
    config: &Config,
    today: Option<&str>,
) -> Vec<Finding> {
    let text = crate::markdown::lossy(bytes);
    let lines = Lines::new(&text);
    let document = Document::new(&text, &lines, runbook, diagnostics, config, today);
    let mut findings = Vec::new();
    for rule in RULES {
        let level = config.level(rule);
        if let Some(level) = level {
            let mut report = Report::new(rule, level, &document, &mut findings);
            (rule.check)(&document, &mut report);
        }
    }
    let mut findings = allow::silence(&document, findings);
    // Findings are large: their places are sorted, and each is moved once.
    findings.sort_by_cached_key(|one| (one.line, one.column, one.code));
    findings
        .dedup_by(|a, b| (a.line, a.column, a.code, &a.message) == (b.line, b.column, b.code, &b.message));
    findings
}
