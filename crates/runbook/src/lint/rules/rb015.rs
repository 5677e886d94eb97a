//! Owns RB015: commands that show their output page by page.

use crate::Level;
use crate::lint::document::Document;
use crate::lint::report::Report;
use crate::lint::{Edit, Rule};

pub(super) static RULE: Rule = Rule {
    code: "RB015",
    name: "pager",
    level: Level::Info,
    why: "At a prompt the output stops at the first page until a key is pressed, and whoever copies a block of lines feeds the rest of it to the pager.",
    bad: "systemctl status \"mcp-server-$SERVER_NAME\"",
    good: "systemctl status --no-pager \"mcp-server-$SERVER_NAME\"",
    blocks: false,
    check,
};

fn check(document: &Document<'_>, report: &mut Report<'_>) {
    for scope in &document.scopes {
        for one in &scope.invocations {
            let pages = match one.name.as_ref() {
                "journalctl" => !one.option('f', "follow"),
                "systemctl" => {
                    one.has(&["status", "list-units", "list-timers", "list-jobs", "list-unit-files", "cat"])
                }
                "loginctl" | "machinectl" | "systemd-analyze" => true,
                _ => false,
            };
            let is_shown =
                one.stage + 1 == one.stages.len() && one.redirects.is_empty() && !one.around.substitution;
            if pages && is_shown && !one.option('\0', "no-pager") && !one.option('q', "quiet") {
                // The name ends where the first argument begins, behind one blank.
                let at = one.arguments.first().map_or(one.span.end, |word| word.span.start);
                let edits = match one.arguments.is_empty() {
                    true => vec![Edit { bytes: at..at, text: " --no-pager".to_owned() }],
                    false => vec![Edit { bytes: at..at, text: "--no-pager ".to_owned() }],
                };
                report.mendable(
                    scope,
                    &one.span,
                    format!("`{}` opens a pager at a prompt", one.name),
                    "add `--no-pager`",
                    edits,
                );
            }
        }
    }
}
