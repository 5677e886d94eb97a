//! Owns RB036: restarts of what others depend on.

use crate::Level;
use crate::lint::Rule;
use crate::lint::document::Document;
use crate::lint::report::Report;

pub(super) static RULE: Rule = Rule {
    code: "RB036",
    name: "shared-service",
    level: Level::Error,
    why: "A database serves more than the server that complains: its restart is an incident of its own.",
    bad: "systemctl restart postgresql",
    good: "paramedic check \"$SERVER_NAME\" --type dependency",
    blocks: true,
    check,
};

fn check(document: &Document<'_>, report: &mut Report<'_>) {
    for scope in &document.scopes {
        for one in &scope.invocations {
            const SHARED: [&str; 12] = [
                "postgresql",
                "postgres",
                "mysql",
                "mariadb",
                "redis",
                "redis-server",
                "nginx",
                "docker",
                "containerd",
                "rabbitmq-server",
                "mongod",
                "network",
            ];
            let acts = matches!(one.name.as_ref(), "systemctl" | "service")
                && one.has(&["restart", "stop", "start", "reload"]);
            if acts && one.shapes().any(|text| SHARED.contains(&text.trim_end_matches(".service"))) {
                report.statement(
                    scope,
                    &one.span,
                    "others depend on this service as well",
                    "find out who, and let its owner decide",
                );
            }
        }
    }
}
