//! Owns RB020: checks whose answer is lost.

use crate::bash::AndOr;
use crate::lint::Rule;
use crate::lint::document::{Document, Scope};
use crate::lint::report::Report;
use crate::{Effect, Level};

pub(super) static RULE: Rule = Rule {
    code: "RB020",
    name: "ignored-result",
    level: Level::Warning,
    why: "A check that ends in `|| echo` or that takes an error page for an answer always succeeds, and what follows goes on as if all were well.",
    bad: "curl --max-time 5 \"http://localhost:8001/health\" || echo bad",
    good: "curl -f --max-time 5 \"http://localhost:8001/health\"",
    blocks: true,
    check,
};

fn check(document: &Document<'_>, report: &mut Report<'_>) {
    for scope in &document.scopes {
        for one in &scope.invocations {
            let is_check =
                CHECKS.contains(&one.name.as_ref()) || (one.name == "systemctl" && one.has(&["is-active"]));
            let swallowed = || {
                let name = one.next_behind(AndOr::Or);
                name.is_some_and(|name| matches!(name.as_ref(), "echo" | "true" | ":" | "printf"))
            };
            let chained = || one.next_behind(AndOr::And).is_some_and(|name| name == "echo");
            if is_check
                && !one.around.condition
                && !one.around.substitution
                && (swallowed() || (chained() && scope.source(&one.item).contains("||")))
            {
                report.statement(
                    scope,
                    &one.item,
                    format!("whatever `{}` answers, this succeeds", one.name),
                    "let the check itself be the statement",
                );
            }
            if one.name == "curl"
                && !one.option('f', "fail")
                && !one.option('\0', "fail-with-body")
                && !one.shapes().any(|text| text.contains("%{http_code}"))
            {
                report.statement(scope, &one.span, "`curl` takes an error page for success", "add `-f`");
            }
            let verifies = match one.name.as_ref() {
                "tar" => one.option('t', "list"),
                "gzip" | "zstd" | "xz" => one.option('t', "test"),
                "md5sum" | "sha1sum" | "sha256sum" => one.option('c', "check"),
                "paramedic" => one.has(&["verify"]) || (one.has(&["integrity"]) && one.has(&["check"])),
                _ => false,
            };
            if verifies && !one.around.condition && one.next.is_none() && acts_later(scope, one.span.end) {
                report.statement(
                    scope,
                    &one.span,
                    "what follows is done whatever this check found",
                    "let what follows depend on it",
                );
            }
            if one.name == "cd" && one.next.is_none() && !one.around.condition {
                report.statement(
                    scope,
                    &one.span,
                    "if this folder is not there, what follows runs in another",
                    "name the folder in the commands themselves",
                );
            }
        }
    }
}

/// Whether a statement further down in the fence does something that a bad answer should have stopped.
fn acts_later(scope: &Scope<'_>, offset: usize) -> bool {
    let line = scope.unit(offset).map_or(usize::MAX, |unit| unit.line);
    scope
        .fence
        .units
        .iter()
        .any(|unit| unit.line > line && matches!(unit.effect, Effect::Disrupt | Effect::Destroy))
}

const CHECKS: [&str; 10] =
    ["curl", "pg_isready", "psql", "ping", "nc", "md5sum", "sha256sum", "tar", "gzip", "paramedic"];
