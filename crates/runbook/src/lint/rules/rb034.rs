//! Owns RB034: commands about all servers in the incident of one.

use crate::Level;
use crate::lint::Rule;
use crate::lint::document::Document;
use crate::lint::report::Report;

pub(super) static RULE: Rule = Rule {
    code: "RB034",
    name: "whole-fleet",
    level: Level::Warning,
    why: "An incident is about one server; a command without its name looks at all of them, or acts on all of them.",
    bad: "paramedic check --type readiness",
    good: "paramedic check \"$SERVER_NAME\" --type readiness",
    blocks: true,
    check,
};

fn check(document: &Document<'_>, report: &mut Report<'_>) {
    for scope in &document.scopes {
        for one in &scope.invocations {
            let is_script = one.name == "python3"
                && one.shapes().any(|text| text.contains("/mcp_") || text.contains("/data_integrity"));
            let unnamed_script = is_script && !one.option('\0', "server");
            let unnamed = one.name == "paramedic"
                && matches!(one.operand(), Some("check" | "diagnose" | "metrics"))
                && !one.shapes().any(|text| text.contains('\0'));
            if unnamed_script || unnamed {
                report.statement(
                    scope,
                    &one.span,
                    "this is about every server",
                    "name the server: \"$SERVER_NAME\"",
                );
            }
            if is_script && one.option('\0', "demo") {
                report.statement(
                    scope,
                    &one.span,
                    "a demonstration has no place in an incident",
                    "remove it",
                );
            }
        }
    }
}
