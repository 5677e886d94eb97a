//! Owns comments that silence a rule: `<!-- lint: allow RB041 why -->` in the text, `# lint: allow RB012 why` in a fence.

use super::document::Document;
use super::rules::UNUSED_ALLOW;
use super::{Finding, Rule};

struct Allow<'t> {
    code: &'t str,
    offset: usize,
    line: usize,
    /// The lines that it is about.
    from: usize,
    to: usize,
    used: bool,
}

/// Takes out what is allowed, and says which allowances hit nothing.
pub(super) fn silence(document: &Document<'_>, findings: Vec<Finding>) -> Vec<Finding> {
    let mut allowances = allowances(document);
    let mut kept: Vec<Finding> = findings
        .into_iter()
        .filter(|finding| {
            let hit = allowances.iter_mut().find(|allow| {
                allow.code.eq_ignore_ascii_case(finding.code)
                    && (allow.from..=allow.to).contains(&finding.line)
            });
            match hit {
                Some(allow) => {
                    allow.used = true;
                    false
                }
                None => true,
            }
        })
        .collect();
    let rule: &'static Rule = &UNUSED_ALLOW;
    if let Some(level) = document.config.level(rule) {
        let mut report = super::Report::new(rule, level, document, &mut kept);
        for allow in allowances.iter().filter(|allow| !allow.used) {
            let bytes = allow.offset..allow.offset + allow.code.len();
            report.text(&bytes, format!("nothing of {} is found here", allow.code), "remove the comment");
        }
    }
    kept
}

/// A comment in the text is about everything up to the next step or heading; one in a fence about its own line, or
/// about the next one where it stands alone.
fn allowances<'t>(document: &Document<'t>) -> Vec<Allow<'t>> {
    const MARK: &str = "lint: allow ";
    let mut found = Vec::new();
    for at in memchr::memmem::find_iter(document.text.as_bytes(), MARK) {
        let line = document.lines.line(at);
        let whole = &document.text[document.line(line)];
        let rest = &document.text[at + MARK.len()..];
        let code = rest.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default();
        let is_html = whole.trim_start().starts_with("<!--");
        let (from, to) = if is_html {
            (line, end_of_block(document, line))
        } else if whole.trim_start().starts_with('#') {
            (line, end_of_statement(document, line))
        } else if whole.contains('#') {
            (line, line)
        } else {
            continue;
        };
        found.push(Allow { code, offset: at + MARK.len(), line, from, to, used: false });
    }
    found.retain(|allow| allow.line > 0);
    found
}

fn end_of_block(document: &Document<'_>, line: usize) -> usize {
    let steps =
        document.runbook.procedures.iter().flat_map(|procedure| procedure.steps()).map(|step| step.line);
    let mut starts: Vec<usize> = steps.filter(|start| *start > line).collect();
    starts.sort_unstable();
    let last = document.lines.line(document.text.len());
    // The step right behind the comment is the one that it is about.
    starts.get(1).map_or(last, |next| next - 1)
}

fn end_of_statement(document: &Document<'_>, line: usize) -> usize {
    let units = document.runbook.procedures.iter().flat_map(|procedure| procedure.units());
    let unit = units.filter(|unit| unit.line > line).min_by_key(|unit| unit.line);
    unit.map_or(line + 1, |unit| unit.line + unit.source.matches('\n').count())
}
