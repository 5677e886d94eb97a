//! Owns RB012: jobs that are left to themselves.

use crate::Level;
use crate::lint::Rule;
use crate::lint::document::Document;
use crate::lint::report::Report;

pub(super) static RULE: Rule = Rule {
    code: "RB012",
    name: "orphan-background-job",
    level: Level::Warning,
    why: "A job in the background is ended with the procedure at the latest, and nobody looks at what it prints before; typed by hand, it outlives the incident.",
    bad: "sleep 600 &",
    good: "paramedic check \"$SERVER_NAME\" --type readiness",
    blocks: true,
    check,
};

fn check(document: &Document<'_>, report: &mut Report<'_>) {
    for scope in &document.scopes {
        let mut seen = None;
        for one in &scope.invocations {
            if one.around.background && !one.around.substitution && seen != Some(one.item.clone()) {
                seen = Some(one.item.clone());
                report.statement(
                    scope,
                    &one.item,
                    "this job goes on when its statement is over",
                    "make it a watch: a fence with `until` and `every`",
                );
            }
        }
    }
}
