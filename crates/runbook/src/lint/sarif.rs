//! Owns SARIF 2.1.0, the form in which code hosts and editors take findings.

use serde_json::{Value, json};

use super::{Finding, RULES};
use crate::Level;

/// Returns the findings of files as one SARIF log.
pub fn sarif(files: &[(String, Vec<Finding>)]) -> Value {
    let rules: Vec<Value> = RULES
        .iter()
        .map(|rule| {
            json!({
                "id": rule.code,
                "name": rule.name,
                "shortDescription": {"text": rule.name.replace('-', " ")},
                "fullDescription": {"text": rule.why},
                "defaultConfiguration": {"level": level(rule.level)},
            })
        })
        .collect();
    let results: Vec<Value> = files
        .iter()
        .flat_map(|(file, findings)| findings.iter().map(move |finding| result(file, finding)))
        .collect();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {"name": "paramedic runbook lint", "rules": rules}},
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    })
}

fn result(file: &str, finding: &Finding) -> Value {
    json!({
        "ruleId": finding.code,
        "ruleIndex": RULES.iter().position(|rule| rule.code == finding.code),
        "level": level(finding.level),
        "message": {"text": format!("{}. {}", finding.message, finding.hint)},
        "locations": [{"physicalLocation": {
            "artifactLocation": {"uri": file},
            "region": {
                "startLine": finding.line,
                "startColumn": finding.column,
                "endLine": finding.end_line,
                "endColumn": finding.end_column,
            },
        }}],
    })
}

fn level(level: Level) -> &'static str {
    match level {
        Level::Info => "note",
        Level::Warning => "warning",
        Level::Error => "error",
    }
}
