//! Owns RB030: statements that delete or overwrite what others need.

use crate::Level;
use crate::lint::Rule;
use crate::lint::document::Document;
use crate::lint::invocation::Invocation;
use crate::lint::report::Report;

pub(super) static RULE: Rule = Rule {
    code: "RB030",
    name: "destructive",
    level: Level::Error,
    why: "What is deleted at 3 a.m. is missed at 9: files of others, evidence, a table of jobs, a unit file.",
    bad: "find /tmp -type f -atime +1 -delete",
    good: "paramedic check \"$SERVER_NAME\" --type readiness",
    blocks: true,
    check,
};

fn check(document: &Document<'_>, report: &mut Report<'_>) {
    for scope in &document.scopes {
        for one in &scope.invocations {
            if let Some(what) = destroys(one) {
                report.statement(
                    scope,
                    &one.span,
                    what,
                    "leave it to a native command with a list, a backup and an undo, or to a person",
                );
            }
        }
    }
}

fn destroys(one: &Invocation<'_>) -> Option<&'static str> {
    Some(match one.name.as_ref() {
        "find" if one.has(&["-delete"]) => "it deletes files by age, whoever they belong to",
        "rm" if one.option('r', "recursive") || one.option('f', "force") => "it deletes without asking",
        "crontab" if !one.option('l', "") => "it replaces the whole table of jobs",
        "apt" | "apt-get" | "dnf" | "yum"
            if one.has(&["upgrade", "dist-upgrade", "full-upgrade", "update"])
                && !(one.name.starts_with("apt") && one.has(&["update"])) =>
        {
            "it replaces all packages, restarts services, and with them evidence"
        }
        "sed" if one.option('i', "in-place") => "it edits a file in place, and nothing can take that back",
        "tar" if one.option('x', "extract") => {
            "it unpacks over what is there: new files stay, half an archive leaves half a restore"
        }
        "cp" if one.option('r', "recursive") => {
            "it copies without owners and modes, and doubles what the disk holds"
        }
        "dd" if one.shapes().any(|text| text.starts_with("of=/dev")) => "it overwrites a device",
        "mkfs" | "wipefs" | "shred" | "truncate" => "it deletes",
        "journalctl" if one.shapes().any(|text| text.starts_with("--vacuum")) => "it deletes the journal",
        "iptables" if one.option('F', "flush") => "it opens the firewall",
        "chown" | "chmod" if one.option('R', "recursive") => "it changes owners or modes of a whole tree",
        _ => return None,
    })
}
