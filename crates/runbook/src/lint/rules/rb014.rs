//! Owns RB014: waits of a fixed length.

use crate::Level;
use crate::lint::Rule;
use crate::lint::document::Document;
use crate::lint::report::Report;

pub(super) static RULE: Rule = Rule {
    code: "RB014",
    name: "fixed-sleep",
    level: Level::Warning,
    why: "A fixed wait is too short on a bad day and too long on all others.",
    bad: "paramedic server restart \"$SERVER_NAME\"\nsleep 30",
    good: "paramedic server restart \"$SERVER_NAME\"",
    blocks: false,
    check,
};

fn check(document: &Document<'_>, report: &mut Report<'_>) {
    for scope in &document.scopes {
        if scope.fence.attributes.until.is_some() {
            continue;
        }
        for one in scope.invocations.iter().filter(|one| one.name == "sleep" && !one.around.condition) {
            report.statement(
                scope,
                &one.span,
                "a wait of a fixed length",
                "say what is waited for: `verify=\"ready\"`, or a watch with `until` and `every`",
            );
        }
    }
}
