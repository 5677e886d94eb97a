//! Owns RB032: changes that wipe out what the machine knows.

use crate::Level;
use crate::lint::Rule;
use crate::lint::document::Document;
use crate::lint::report::Report;

pub(super) static RULE: Rule = Rule {
    code: "RB032",
    name: "change-before-evidence",
    level: Level::Warning,
    why: "A restart ends the process that could tell why; a cleaning deletes the traces. First what is known has to be kept.",
    bad: "systemctl restart \"mcp-server-$SERVER_NAME\"",
    good: "paramedic server restart \"$SERVER_NAME\"",
    blocks: true,
    check,
};

fn check(document: &Document<'_>, report: &mut Report<'_>) {
    for procedure in &document.runbook.procedures {
        let mut kept = false;
        for scope in document.scopes_of(procedure) {
            for one in &scope.invocations {
                kept |= one.name == "paramedic" && one.shapes().take(2).eq(["evidence", "collect"]);
                let ends = match one.name.as_ref() {
                    "systemctl" | "service" | "docker" => one.has(&["restart", "stop", "kill", "start"]),
                    "kill" | "pkill" | "killall" | "reboot" => !one.has(&["-0", "-l"]),
                    "find" => one.has(&["-delete"]),
                    _ => false,
                };
                if ends && !kept {
                    report.statement(scope, &one.span, format!("`{}` ends what could still be asked", one.name), "`paramedic server restart|stop` keeps the evidence first; or begin with `paramedic evidence collect`");
                }
            }
        }
    }
}
