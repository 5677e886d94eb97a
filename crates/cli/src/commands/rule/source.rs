//! Owns the reading of what rules come from: rule files, and the alerts of runbooks.

use std::path::Path;

use metrics::{RuleGroup, RuleLevel, RuleProblem, parse_rules_with};
use runbook::lint::{Config as LintConfig, lint_parsed, traps};
use server::config::{self, Place};
use server::runbook_rules;

use crate::commands::text;
use crate::fail::Failure;

/// The rule of the linter about queries that do not fire when they should.
const QUERY_TRAP: &str = "RB060";

/// Reads rules; says what is wrong with them, in the order of the file.
pub(super) fn read(file: &Path) -> Result<(Vec<RuleGroup>, Vec<RuleProblem>), Failure> {
    let bytes = text::read(file, "the rules")?;
    let name = file.display().to_string();
    if file.extension().is_some_and(|extension| extension == "md") {
        return Ok(of_runbook(&name, &bytes));
    }
    let text = match std::str::from_utf8(&bytes) {
        Ok(text) => text,
        Err(error) => {
            let line = bytes[..error.valid_up_to()].iter().filter(|byte| **byte == b'\n').count() + 1;
            let message = "the file is not UTF-8".to_owned();
            let problem = RuleProblem { line, column: 1, level: RuleLevel::Error, message, help: None };
            return Ok((Vec::new(), vec![problem]));
        }
    };
    Ok(parse_rules_with(&name, text, &traps))
}

/// The alerts of a runbook, as `serve` evaluates them where the configuration changes nothing.
fn of_runbook(name: &str, bytes: &[u8]) -> (Vec<RuleGroup>, Vec<RuleProblem>) {
    let (runbook, diagnostics) = runbook::parse(name, bytes);
    let mut problems = Vec::new();
    let mut tell = |line, level, message: String, help: String| {
        problems.push(RuleProblem { line, column: 1, level, message, help: Some(help) });
    };
    for procedure in &runbook.procedures {
        let Some(alert) = &procedure.alert else { continue };
        match alert.query.as_deref().map(metrics::Query::parse) {
            None => tell(
                procedure.line,
                RuleLevel::Warning,
                format!("the alert `{}` has no query", alert.name),
                "add `**Alert Query**: …` with a query in backticks".to_owned(),
            ),
            Some(Err(error)) => tell(
                procedure.line,
                RuleLevel::Error,
                format!("the query of the alert `{}` never fires: {error}", alert.name),
                "mend the query".to_owned(),
            ),
            Some(Ok(_)) => {}
        }
    }
    let findings = lint_parsed(bytes, &runbook, &diagnostics, &LintConfig::default(), None);
    problems.extend(findings.into_iter().filter(|finding| finding.code == QUERY_TRAP).map(|finding| {
        let (line, column, message) = (finding.line, finding.column, finding.message);
        let help = Some(finding.hint.into_owned());
        RuleProblem { line, column, level: RuleLevel::Warning, message, help }
    }));
    problems.sort_by_key(|problem| (problem.line, problem.column));
    let config = config::empty(&Place::current());
    (vec![runbook_rules(&runbook, &config)], problems)
}
