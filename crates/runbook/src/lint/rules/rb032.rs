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
                let words: Vec<&str> = one.shapes().take(2).collect();
                let is = |first: &str, second: &str| {
                    words.first().is_some_and(|word| *word == first)
                        && words.get(1).is_some_and(|word| *word == second)
                };
                kept |= one.name == "paramedic" && is("evidence", "collect");
                let ends = match one.name.as_str() {
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
