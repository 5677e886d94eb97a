//! Owns RB041: programs and files that may not be there.

use crate::Level;
use crate::lint::Rule;
use crate::lint::document::Document;
use crate::lint::report::Report;

pub(super) static RULE: Rule = Rule {
    code: "RB041",
    name: "missing-tool",
    level: Level::Info,
    why: "At the prompt of a server there is what its image has: a step that needs more ends with `command not found`.",
    bad: "python3 /monitoring/check.py",
    good: "paramedic check \"$SERVER_NAME\" --type readiness",
    blocks: false,
    check,
};

/// Tools that are not on every system; whoever asks for one first knows that.
const OPTIONAL: [&str; 24] = [
    "iostat",
    "sar",
    "mpstat",
    "pidstat",
    "netstat",
    "ifconfig",
    "nslookup",
    "dig",
    "host",
    "jstack",
    "jmap",
    "jcmd",
    "jstat",
    "lsof",
    "psql",
    "pg_isready",
    "pg_dump",
    "gcore",
    "gdb",
    "strace",
    "tcpdump",
    "iptables",
    "file",
    "fsck",
];

fn check(document: &Document<'_>, report: &mut Report<'_>) {
    for scope in &document.scopes {
        for one in &scope.invocations {
            let asked = || scope.fence.source.contains(&format!("command -v {}", one.name));
            let script = one.shapes().find(|text| {
                (text.starts_with("/monitoring/") || text.starts_with('@')) && !text.contains('\0')
            });
            let script = script.map(|text| text.trim_start_matches('@').to_owned()).or_else(|| {
                one.shapes()
                    .find(|text| text.contains(' ') && text.contains("/monitoring/"))
                    .map(|_| "/monitoring/…".to_owned())
            });
            if let Some(script) = script.filter(|script| !report.allows(script)) {
                report.statement(
                    scope,
                    &one.span,
                    format!("`{script}` comes with nothing"),
                    "use the product's own command",
                );
            } else if OPTIONAL.contains(&one.name.as_ref()) && !report.allows(&one.name) && !asked() {
                report.statement(
                    scope,
                    &one.span,
                    format!("`{}` is not on every system", one.name),
                    "use the product's own command, or what every system has",
                );
            } else if one.name == "python3" && one.shapes().any(|text| text.contains("import requests")) {
                report.statement(
                    scope,
                    &one.span,
                    "the module `requests` is not part of Python",
                    "`paramedic metrics`",
                );
            } else if one.name == "python3"
                && one.shapes().any(|text| text.lines().any(|line| line.trim() == "pass"))
            {
                report.statement(
                    scope,
                    &one.span,
                    "this program does nothing",
                    "say what a person should do",
                );
            }
        }
    }
}
