//! Owns the view that rules have of a document: fences with their trees, and where in the document they stand.

use std::collections::BTreeSet;
use std::ops::Range;

use super::config::Config;
use super::invocation::{Invocation, invocations};
use crate::bash::Script;
use crate::diagnostic::{Diagnostic, Lines};
use crate::procedure::{Phase, Procedure, Runbook};
use crate::shell::is_name;
use crate::step::{Fence, Language, Step, Unit};

/// A document as rules see it.
pub(crate) struct Document<'a> {
    pub(crate) text: &'a str,
    pub(crate) lines: &'a Lines<'a>,
    pub(crate) runbook: &'a Runbook,
    pub(crate) diagnostics: &'a [Diagnostic],
    pub(crate) config: &'a Config,
    pub(crate) today: Option<&'a str>,
    /// Names that a line of the document tells its reader to set: `export NAME=…`.
    pub(crate) exported: BTreeSet<&'a str>,
    /// Names that are asked for where they are missing: `${NAME:?…}`.
    pub(crate) required: BTreeSet<&'a str>,
    pub(crate) scopes: Vec<Scope<'a>>,
}

/// A fence that is run, with all that is around it.
pub(crate) struct Scope<'a> {
    pub(crate) procedure: &'a Procedure,
    pub(crate) phase: &'a Phase,
    pub(crate) step: &'a Step,
    pub(crate) fence: &'a Fence,
    /// Empty where the fence can not be read.
    pub(crate) script: &'a Script,
    /// Its commands, those behind wrappers and in substitutions too.
    pub(crate) invocations: Vec<Invocation<'a>>,
    /// Where each line of its source begins in the document, in bytes.
    starts: Vec<usize>,
    /// Where each line begins in the source.
    offsets: Vec<usize>,
}

// === impl Document ===

impl<'a> Document<'a> {
    pub(super) fn new(
        text: &'a str,
        lines: &'a Lines<'a>,
        runbook: &'a Runbook,
        diagnostics: &'a [Diagnostic],
        config: &'a Config,
        today: Option<&'a str>,
    ) -> Self {
        let mut scopes = Vec::new();
        for procedure in &runbook.procedures {
            for phase in &procedure.phases {
                for step in &phase.steps {
                    let fences =
                        step.fences.iter().filter(|fence| !matches!(fence.language, Language::Other(_)));
                    scopes.extend(fences.map(|fence| Scope::new(text, lines, procedure, phase, step, fence)));
                }
            }
        }
        let (exported, required) = (exported(text).collect(), required(text).collect());
        Self { text, lines, runbook, diagnostics, config, today, exported, required, scopes }
    }

    /// Returns the bytes of a line of the document, without its end.
    pub(crate) fn line(&self, line: usize) -> Range<usize> {
        let start = self.lines.start(line);
        let next = self.lines.start(line + 1);
        let ends = self.text[start..next].ends_with('\n');
        start..next - usize::from(ends)
    }

    /// Finds the first line from `line` on, within the `within` lines behind it, that holds `needle`.
    pub(crate) fn find(&self, line: usize, needle: &str) -> Option<Range<usize>> {
        let start = self.lines.start(line);
        find(&self.text[start..], needle).map(|at| start + at..start + at + needle.len())
    }

    /// The text from a byte on, to the next section.
    pub(crate) fn section(&self, start: usize) -> &'a str {
        let rest = &self.text[start..];
        &rest[..find(rest, "\n## ").unwrap_or(rest.len())]
    }

    /// The fences of a procedure.
    pub(crate) fn scopes_of(&self, procedure: &Procedure) -> impl Iterator<Item = &Scope<'a>> {
        self.scopes.iter().filter(move |scope| scope.procedure.line == procedure.line)
    }
}

/// Finds a text in a long one: what the standard library has goes byte by byte.
fn find(text: &str, needle: &str) -> Option<usize> {
    memchr::memmem::find(text.as_bytes(), needle.as_bytes())
}

fn exported(text: &str) -> impl Iterator<Item = &str> {
    const EXPORT: &str = "export ";
    memchr::memmem::find_iter(text.as_bytes(), EXPORT).filter_map(|at| {
        let before = text[..at].rsplit('\n').next().unwrap_or_default().trim_start();
        let rest = text[at + EXPORT.len()..].lines().next().unwrap_or_default();
        let name = rest.split('=').next().unwrap_or_default();
        (before.trim_start_matches("$ ").is_empty() && is_name(name)).then_some(name)
    })
}

fn required(text: &str) -> impl Iterator<Item = &str> {
    memchr::memmem::find_iter(text.as_bytes(), ":?").filter_map(|at| {
        let (_, name) = text[..at].rsplit_once("${")?;
        is_name(name).then_some(name)
    })
}

// === impl Scope ===

impl<'a> Scope<'a> {
    fn new(
        text: &str,
        lines: &Lines<'_>,
        procedure: &'a Procedure,
        phase: &'a Phase,
        step: &'a Step,
        fence: &'a Fence,
    ) -> Self {
        let script = &*fence.script;
        let invocations = invocations(script);
        let n_lines = memchr::memchr_iter(b'\n', fence.source.as_bytes()).count() + 1;
        let (mut starts, mut offsets) = (Vec::with_capacity(n_lines), Vec::with_capacity(n_lines));
        let mut offset = 0;
        for (idx, line) in fence.source.split('\n').enumerate() {
            let number = fence.line + 1 + idx;
            let start = lines.start(number);
            let whole = &text[start..lines.start(number + 1)];
            let whole = whole.strip_suffix('\n').unwrap_or(whole).trim_end_matches('\r');
            let indent = if whole.ends_with(line) { whole.len() - line.len() } else { 0 };
            starts.push(start + indent);
            offsets.push(offset);
            offset += line.len() + 1;
        }
        Self { procedure, phase, step, fence, script, invocations, starts, offsets }
    }

    /// Returns the bytes of the document for bytes of the fence.
    pub(crate) fn place(&self, span: &Range<usize>) -> Range<usize> {
        self.byte(span.start)..self.byte(span.end).max(self.byte(span.start))
    }

    fn byte(&self, offset: usize) -> usize {
        let idx = self.offsets.partition_point(|start| *start <= offset).saturating_sub(1);
        self.starts[idx] + (offset - self.offsets[idx])
    }

    pub(crate) fn source(&self, span: &Range<usize>) -> &'a str {
        self.fence.source.get(span.clone()).unwrap_or_default()
    }

    /// Returns the bytes of the fence that a unit of it stands in.
    pub(crate) fn span_of(&self, unit: &Unit) -> Option<Range<usize>> {
        let from = *self.offsets.get(unit.line.checked_sub(self.fence.line + 1)?)?;
        let at = from + self.fence.source.get(from..)?.find(&unit.source)?;
        Some(at..at + unit.source.len())
    }

    /// Returns the unit that a byte of the fence belongs to.
    pub(crate) fn unit(&self, offset: usize) -> Option<&'a Unit> {
        let line =
            self.fence.line + 1 + self.offsets.partition_point(|start| *start <= offset).saturating_sub(1);
        self.fence.units.iter().rev().find(|unit| unit.line <= line)
    }
}
