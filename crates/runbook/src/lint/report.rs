//! Owns turning what a rule says into findings with places.

use std::borrow::Cow;
use std::ops::Range;

use super::document::{Document, Scope};
use super::{Edit, Finding, Rule};
use crate::Level;
use crate::diagnostic::Diagnostic;

/// Whoever has more has a document that nobody can mend line by line, and a hostile one could have millions.
const FINDINGS_MAX: usize = 5000;

/// Where a rule says what it found.
pub(crate) struct Report<'f> {
    rule: &'static Rule,
    level: Level,
    places: &'f dyn Places,
    findings: &'f mut Vec<Finding>,
}

/// Turns bytes into lines and columns.
trait Places {
    fn place(&self, offset: usize) -> (usize, usize);
    fn allows(&self, code: &str, name: &str) -> bool;
}

impl Places for Document<'_> {
    fn place(&self, offset: usize) -> (usize, usize) {
        self.lines.place(offset)
    }

    fn allows(&self, code: &str, name: &str) -> bool {
        self.config.allows(code, name)
    }
}

impl<'f> Report<'f> {
    pub(super) fn new(
        rule: &'static Rule,
        level: Level,
        document: &'f Document<'_>,
        findings: &'f mut Vec<Finding>,
    ) -> Self {
        Self { rule, level, places: document, findings }
    }

    /// Something in a fence.
    pub(crate) fn statement(
        &mut self,
        scope: &Scope<'_>,
        span: &Range<usize>,
        message: impl Into<String>,
        hint: impl Into<Cow<'static, str>>,
    ) {
        self.mendable(scope, span, message, hint, Vec::new());
    }

    /// The same, with edits of the fence that mend it.
    pub(crate) fn mendable(
        &mut self,
        scope: &Scope<'_>,
        span: &Range<usize>,
        message: impl Into<String>,
        hint: impl Into<Cow<'static, str>>,
        edits: Vec<Edit>,
    ) {
        let edits = edits.into_iter().map(|edit| Edit { bytes: scope.place(&edit.bytes), text: edit.text });
        let mut finding = self.finding(&scope.place(span), message.into(), hint.into());
        finding.procedure = Some(scope.procedure.id.clone());
        finding.step = Some(scope.step.number);
        finding.unit = scope.unit(span.start).map(|unit| unit.id.clone());
        finding.fix = edits.collect();
        self.push(finding);
    }

    /// Something in the text.
    pub(crate) fn text(
        &mut self,
        bytes: &Range<usize>,
        message: impl Into<String>,
        hint: impl Into<Cow<'static, str>>,
    ) {
        let finding = self.finding(bytes, message.into(), hint.into());
        self.push(finding);
    }

    /// What the parser said, at its level where that is the milder one.
    pub(crate) fn diagnostic(&mut self, diagnostic: &Diagnostic, line: &Range<usize>) {
        let mut finding =
            self.finding(line, diagnostic.message.clone(), "write it as the dialect has it".into());
        (finding.line, finding.column) = (diagnostic.line, diagnostic.column);
        finding.level = match self.level == self.rule.level {
            true => diagnostic.level,
            false => self.level,
        };
        finding.blocks_auto_run = diagnostic.level == Level::Error;
        self.push(finding);
    }

    /// Whether the configuration accepts a name for this rule.
    pub(crate) fn allows(&self, name: &str) -> bool {
        self.places.allows(self.rule.code, name)
    }

    fn push(&mut self, finding: Finding) {
        if self.findings.len() < FINDINGS_MAX {
            self.findings.push(finding);
        }
    }

    fn finding(&self, bytes: &Range<usize>, message: String, hint: Cow<'static, str>) -> Finding {
        let (line, column) = self.places.place(bytes.start);
        let (end_line, end_column) = self.places.place(bytes.end);
        Finding {
            line,
            column,
            end_line,
            end_column,
            level: self.level,
            code: self.rule.code,
            name: self.rule.name,
            message,
            hint,
            procedure: None,
            step: None,
            unit: None,
            fix: Vec::new(),
            blocks_auto_run: self.rule.blocks,
        }
    }
}
