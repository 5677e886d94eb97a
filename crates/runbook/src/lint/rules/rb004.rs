//! Owns RB004: targets that are found by a part of their name.

use crate::Level;
use crate::bash::{Command, Kind, Node, Visit, Word, walk};
use crate::lint::Rule;
use crate::lint::document::Document;
use crate::lint::document::Scope;
use crate::lint::report::Report;

pub(super) static RULE: Rule = Rule {
    code: "RB004",
    name: "substring-target",
    level: Level::Warning,
    why: "`mem` is in `mem-2`, 80 is in 8080, and `ps | grep x` finds itself: a target has to be named exactly.",
    bad: "ps aux | grep mcp-server-mem",
    good: "paramedic server status \"$SERVER_NAME\"",
    blocks: true,
    check,
};

fn check(document: &Document<'_>, report: &mut Report<'_>) {
    for scope in &document.scopes {
        for one in &scope.invocations {
            let before = || one.stage.checked_sub(1).and_then(|stage| one.stage_names().nth(stage));
            let listed = before().filter(|name| one.name == "grep" && LISTS.contains(&name.as_ref()));
            if let Some(of) = listed.filter(|_| !one.option('v', "invert-match")) {
                report.statement(
                    scope,
                    &one.span,
                    format!("`grep` finds a part of what `{of}` lists, and maybe itself"),
                    HINT,
                );
            } else if matches!(one.name.as_ref(), "pgrep" | "pkill" | "killall")
                && !one.option('x', "exact")
                && !one.option('F', "pidfile")
            {
                report.statement(
                    scope,
                    &one.span,
                    format!("`{}` matches a part of the name, of any process", one.name),
                    HINT,
                );
            }
        }
        if scope.fence.source.contains("[[") {
            tests(scope, report);
        }
    }
}

/// Commands that list things of which one is meant.
const LISTS: [&str; 7] = ["ps", "netstat", "ss", "mount", "lsof", "systemctl", "top"];
const HINT: &str = "name the unit, the pid or the port exactly: `paramedic server status`, `systemctl show -p MainPID`, `ss 'sport = :PORT'`";

/// `[[ "$X" == *"part"* ]]`
fn tests(scope: &Scope<'_>, report: &mut Report<'_>) {
    walk(scope.script, &scope.script.items, |node, visit| {
        let Node::Command(Command { kind: Kind::Test(words), span, .. }) = node else { return };
        let is_part = |word: &Word| {
            let text = word.shape();
            text.starts_with('*') && text.ends_with('*') && text.len() > 2
        };
        if visit == Visit::Enter && words.iter().any(is_part) {
            report.statement(
                scope,
                span,
                "a part of a name decides: `rapid-cache` is no `api`",
                "compare the whole value, or use `case` with exact patterns",
            );
        }
    });
}
