//! Owns RB021: pipes that hide how a command ended.

use crate::Level;
use crate::lint::Rule;
use crate::lint::document::Document;
use crate::lint::report::Report;

pub(super) static RULE: Rule = Rule {
    code: "RB021",
    name: "pipe-hides-exit",
    level: Level::Info,
    why: "Of a pipeline only the last command counts: when the one that asks fails, the filter behind it has nothing to complain about.",
    bad: "find /srv -name core | head -n 3",
    good: "find /srv -name core",
    blocks: false,
    check,
};

fn check(document: &Document<'_>, report: &mut Report<'_>) {
    for scope in &document.scopes {
        if scope.fence.source.contains("pipefail") {
            continue;
        }
        for one in &scope.invocations {
            let asks = matches!(
                one.name.as_ref(),
                "curl"
                    | "psql"
                    | "mysql"
                    | "docker"
                    | "kubectl"
                    | "ssh"
                    | "jmap"
                    | "jstack"
                    | "jstat"
                    | "dmesg"
                    | "journalctl"
                    | "find"
                    | "tar"
            );
            if asks && one.stage + 1 < one.stages.len() && !one.around.substitution {
                report.statement(
                    scope,
                    &one.span,
                    format!("the pipe hides whether `{}` failed", one.name),
                    "write `set -o pipefail` before it, or use a command that needs no filter",
                );
            }
        }
    }
}
