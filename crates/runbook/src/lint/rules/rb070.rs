//! Owns RB070: secrets and files that others can read or put there.

use crate::Level;
use crate::bash::{Operator, Target};
use crate::lint::Rule;
use crate::lint::document::Document;
use crate::lint::report::Report;

pub(super) static RULE: Rule = Rule {
    code: "RB070",
    name: "exposed",
    level: Level::Warning,
    why: "A fixed name in /tmp can be somebody else's link, a dump holds every secret of the process, and evidence that all may read is a leak.",
    bad: "cat > /tmp/monitor.sh <<< \"x\"",
    good: "paramedic evidence collect \"$SERVER_NAME\"",
    blocks: true,
    check,
};

fn check(document: &Document<'_>, report: &mut Report<'_>) {
    for scope in &document.scopes {
        for one in &scope.invocations {
            let target =
                one.redirects.iter().find_map(|redirect| match (&redirect.operator, &redirect.target) {
                    (Operator::Write | Operator::Append, Target::Word(word)) => Some(word.shape()),
                    _ => None,
                });
            let names = |text: &str| {
                text.contains("/tmp/") && (text.contains("file=/tmp/") || text.contains("> /tmp/"))
            };
            if target.is_some_and(|path| path.starts_with("/tmp/")) || one.shapes().any(names) {
                report.statement(
                    scope,
                    &one.span,
                    "a name in /tmp that others can foresee",
                    "`mktemp`, or a folder of the incident",
                );
            }
            if one.name == "mkdir" && !one.option('m', "mode") {
                report.statement(
                    scope,
                    &one.span,
                    "everybody may read what is put here",
                    "`mkdir -m 0700`, or `paramedic evidence collect`",
                );
            }
            if one.name == "cp"
                && !one.option('p', "preserve")
                && !one.option('a', "archive")
                && !one.option('r', "")
            {
                report.statement(
                    scope,
                    &one.span,
                    "the copy loses times and owner",
                    "`cp -p`, or `paramedic evidence collect`",
                );
            }
            if one.name == "psql" && one.shapes().any(|text| text.to_lowercase().contains("select query")) {
                report.statement(
                    scope,
                    &one.span,
                    "texts of queries hold data of people",
                    "count them, or leave the text out",
                );
            }
            if one.name == "curl"
                && one.shapes().any(|text| text.contains("/admin/"))
                && !one.option('H', "header")
            {
                report.statement(
                    scope,
                    &one.span,
                    "a switch that everybody may throw",
                    "`paramedic server readonly|writes|clear-cache`",
                );
            }
            if one.name == "cut" && scope.source(&one.item).contains("ENDPOINT") {
                report.statement(
                    scope,
                    &one.span,
                    "an address may hold a password, which now goes into the log",
                    "`paramedic check --type dependency`",
                );
            }
        }
    }
}
