//! Owns RB016: a server that is asked the moment after it was started.

use crate::Level;
use crate::lint::Rule;
use crate::lint::document::Document;
use crate::lint::report::Report;

pub(super) static RULE: Rule = Rule {
    code: "RB016",
    name: "asked-too-early",
    level: Level::Warning,
    why: "`systemctl start` comes back when the process runs, not when it answers: the check after it fails on a good start, or finds the old process.",
    bad: "paramedic evidence collect \"$SERVER_NAME\"\nsystemctl start \"mcp-server-$SERVER_NAME\"\ncurl -f --max-time 5 \"http://localhost:8001/health\"",
    good: "paramedic server start \"$SERVER_NAME\"\nparamedic check \"$SERVER_NAME\" --type readiness",
    blocks: false,
    check,
};

fn check(document: &Document<'_>, report: &mut Report<'_>) {
    for scope in document.scopes.iter().filter(|scope| scope.fence.attributes.verify.is_none()) {
        let mut started = false;
        for one in scope.invocations.iter().filter(|one| !one.around.substitution) {
            match one.name.as_ref() {
                "systemctl" | "service" | "docker" | "podman" if one.has(&["start", "restart"]) => {
                    started = true;
                }
                "sleep" | "wait" | "paramedic" => started = false,
                "curl" | "wget" if one.option('\0', "retry") => started = false,
                "curl" | "wget" | "nc" | "pg_isready" | "psql" | "redis-cli" if one.around.condition => {
                    started = false;
                }
                "curl" | "wget" | "nc" | "pg_isready" | "psql" | "redis-cli" if started => {
                    report.statement(
                        scope,
                        &one.span,
                        "it was started a moment ago and may not be ready",
                        "`paramedic server start|restart` waits; or `verify=\"ready\"` on the fence",
                    );
                    started = false;
                }
                _ => {}
            }
        }
    }
}
