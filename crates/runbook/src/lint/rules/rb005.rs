//! Owns RB005: names that `pgrep` never finds.

use crate::Level;
use crate::lint::Rule;
use crate::lint::document::Document;
use crate::lint::report::Report;

pub(super) static RULE: Rule = Rule {
    code: "RB005",
    name: "pgrep-name-too-long",
    level: Level::Warning,
    why: "Without `-f` the kernel's name of a process counts, and that is cut off after 15 characters: a longer pattern finds nothing, and an empty pid goes into the next command.",
    bad: "PID=$(pgrep mcp-server-filesystem)",
    good: "PID=$(systemctl show -p MainPID --value \"mcp-server-$SERVER_NAME\")",
    blocks: true,
    check,
};

fn check(document: &Document<'_>, report: &mut Report<'_>) {
    for scope in &document.scopes {
        for one in &scope.invocations {
            if matches!(one.name.as_ref(), "pgrep" | "pkill" | "pidof")
                && !one.option('f', "full")
                && one.name != "pidof"
            {
                let pattern = one.operand().unwrap_or_default();
                let n_chars = pattern.chars().filter(|c| *c != '\0').count();
                if n_chars > 15 || (pattern.contains('\0') && n_chars >= 8) {
                    report.statement(
                        scope,
                        &one.span,
                        format!("`{}` compares 15 characters at most, and this name may be longer", one.name),
                        "ask the owner of the process for its pid",
                    );
                }
            }
        }
    }
}
