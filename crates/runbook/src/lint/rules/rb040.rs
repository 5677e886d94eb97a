//! Owns RB040: interfaces that are gone, or that mean something else.

use crate::Level;
use crate::bash::{Part, Word};
use crate::lint::Rule;
use crate::lint::document::Document;
use crate::lint::invocation::Invocation;
use crate::lint::report::Report;

pub(super) static RULE: Rule = Rule {
    code: "RB040",
    name: "dead-interface",
    level: Level::Error,
    why: "What a new version took away fails, or worse: succeeds and does nothing.",
    bad: "find /etc -newer $(date +%Y%m%d)",
    good: "find /etc -newermt \"1 hour ago\"",
    blocks: true,
    check,
};

fn check(document: &Document<'_>, report: &mut Report<'_>) {
    for scope in &document.scopes {
        for one in &scope.invocations {
            if let Some((what, hint)) = dead(one) {
                report.statement(scope, &one.span, what, hint);
            }
        }
    }
}

fn dead(one: &Invocation<'_>) -> Option<(&'static str, &'static str)> {
    let is_computed = |word: &Word| word.parts.iter().any(|part| matches!(part, Part::Substitution { .. }));
    let after = |option: &str| {
        let position = one.arguments.iter().position(|word| word.plain() == Some(option))?;
        one.arguments.get(position + 1)
    };
    match one.name.as_ref() {
        "curl"
            if one.shapes().any(|text| text.contains("/api/v1/alerts") && text.contains("alertmanager")) =>
        {
            Some((
                "Alertmanager took this interface away in 0.27, and never had an acknowledgement",
                "`paramedic incident ack`",
            ))
        }
        "netstat" | "ifconfig" | "route" | "arp" => {
            Some(("net-tools is not there on new systems", "`ss`, `ip addr`, `ip route`, `ip neigh`"))
        }
        "jcmd" if one.has(&["VM.memory_pools"]) => {
            Some(("there is no such diagnostic command", "`GC.heap_info`, `VM.native_memory`"))
        }
        "find" if after("-newer").is_some_and(is_computed) => Some((
            "`-newer` takes a file, not a time: this finds nothing and says so on standard error only",
            "`-newermt \"1 hour ago\"`",
        )),
        "sysctl" if one.option('p', "load") => Some((
            "it applies every other line of the file too, and systemd no longer reads that file",
            "`sysctl -w NAME=VALUE`",
        )),
        "pkill" | "kill" if one.shapes().any(|text| text.contains("defunct")) => Some((
            "a zombie can not be killed, and this matches whatever has that word in its command line",
            "find its parent",
        )),
        "iptables" if one.option('A', "append") => Some((
            "a rule behind ACCEPT has no effect, and IPv6 is left open",
            "`paramedic security contain`",
        )),
        _ => None,
    }
}
