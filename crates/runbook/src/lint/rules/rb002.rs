//! Owns RB002: values that cross from one step to another.

use crate::Level;
use crate::lint::Rule;
use crate::lint::document::Document;
use crate::lint::report::Report;
use std::collections::BTreeMap;

pub(super) static RULE: Rule = Rule {
    code: "RB002",
    name: "value-across-fences",
    level: Level::Info,
    why: "Between two steps lie minutes, a restart of the responder, or another person: a value that only the shell remembers may be gone, and whoever starts in the middle never had it.",
    bad: "X=$(date +%s)\n```\n\n2. **Next**\n\n   Look.\n\n   ```bash {timeout=5s}\necho \"$X\"",
    good: "X=$(date +%s)\necho \"$X\"",
    blocks: false,
    check,
};

fn check(document: &Document<'_>, report: &mut Report<'_>) {
    for procedure in &document.runbook.procedures {
        let mut set_in: BTreeMap<&str, u32> = BTreeMap::new();
        for step in procedure.steps() {
            for unit in step.units() {
                for name in unit.needs.iter().map(String::as_str) {
                    if let Some(other) = set_in.get(name).filter(|other| **other != step.number) {
                        let bytes = document.find(unit.line, name).unwrap_or(document.line(unit.line));
                        report.text(
                            &bytes,
                            format!("${name} was set in step {other}, and step {} needs it", step.number),
                            "compute it again in this step, or make both one step",
                        );
                    }
                }
                set_in.extend(unit.sets.iter().map(|name| (name.as_str(), step.number)));
            }
        }
    }
}
