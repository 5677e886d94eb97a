//! Owns RB042: measurements that say something else than they seem to.

use std::cell::LazyCell;

use crate::Level;
use crate::lint::Rule;
use crate::lint::document::Document;
use crate::lint::invocation::Invocation;
use crate::lint::report::Report;

pub(super) static RULE: Rule = Rule {
    code: "RB042",
    name: "misleading-measure",
    level: Level::Info,
    why: "The first sample of many tools is an average since boot, a list of listeners holds no connections, and a part of a log is no pattern.",
    bad: "ss -tuln | grep 8080",
    good: "paramedic diagnose \"$SERVER_NAME\"",
    blocks: false,
    check,
};

fn check(document: &Document<'_>, report: &mut Report<'_>) {
    for scope in &document.scopes {
        for one in &scope.invocations {
            let counts_inodes = one.name == "df"
                && scope.invocations.iter().any(|other| other.name == "df" && other.option('i', "inodes"));
            if let Some((what, hint)) = misleads(one).filter(|_| !counts_inodes) {
                report.statement(scope, &one.span, what, hint);
            }
        }
    }
}

const DIAGNOSE: &str = "`paramedic diagnose` takes two samples, and knows the whole tree of processes";

fn misleads(one: &Invocation<'_>) -> Option<(&'static str, &'static str)> {
    let text = LazyCell::new(|| one.shapes().collect::<Vec<_>>().join(" "));
    match one.name.as_ref() {
        "top" if one.option('b', "batch") && (text.contains("n1") || text.contains("n 1")) => {
            Some(("the first sample of `top` is an average since boot", DIAGNOSE))
        }
        "ps" if text.contains("--sort=-%cpu") => {
            Some(("`ps` shows the average over the life of a process", DIAGNOSE))
        }
        "ps" if text.contains("--sort=-%mem") => {
            Some(("memory that is shared counts once for each process", DIAGNOSE))
        }
        "ps" if text.contains("aux") && !text.contains("ww") && !one.redirects.is_empty() => {
            Some(("piped, the command lines are cut off", "`ps auxww`"))
        }
        "iostat" | "vmstat" => Some(("the first sample is an average since boot", DIAGNOSE)),
        "ss" | "netstat"
            if one.option('l', "listening")
                && (!one.redirects.is_empty() || one.stage_names().any(|name| name == "grep")) =>
        {
            Some(("this lists who listens, not who is connected", "`ss -tnp state established`"))
        }
        "netstat" if one.option('a', "all") => {
            Some(("only part of the sockets of one namespace", "`ss -tunap`"))
        }
        "tail" | "head"
            if one.stage > 0
                && one.stage_names().any(|name| name == "grep")
                && one.stage_names().next().is_some_and(|name| matches!(&*name, "tail" | "grep")) =>
        {
            Some(("the last lines of the last lines are no pattern", "`paramedic logs --analyze`"))
        }
        "tail" if text.contains("/var/log/") => Some((
            "the last lines may be from before, or in a file that was rotated away",
            "`paramedic logs --since`",
        )),
        "journalctl" if one.option('n', "lines") && !one.option('\0', "since") => {
            Some(("the last lines may be from before", "`--since`, with a time in UTC"))
        }
        "journalctl" if one.option('\0', "since") && !one.option('\0', "utc") && !text.contains("UTC") => {
            Some((
                "the time is that of the machine's zone, and only this file of the journal",
                "`paramedic logs --since`",
            ))
        }
        "dmesg" => Some((
            "the ring may have wrapped, needs privileges, and does not know limits of containers",
            DIAGNOSE,
        )),
        "curl" if one.option('I', "head") => Some((
            "many services answer HEAD with 405 though they are well",
            "`paramedic check --type dependency`",
        )),
        "free" => Some(("used memory is no pressure", DIAGNOSE)),
        "cat" if text.contains("/smaps") => Some((
            "unsummed, and in pages of many kinds",
            "`/proc/PID/smaps_rollup`, or `paramedic diagnose`",
        )),
        "pmap" => Some(("without its children, and shared pages count fully", DIAGNOSE)),
        "fsck" => Some((
            "on a mounted file system it reports errors that are none, and for XFS it does nothing",
            "check a snapshot, by the type of the file system",
        )),
        "md5sum" | "sha1sum" => {
            Some(("this digest can be forged", "`sha256sum`, or `paramedic integrity check`"))
        }
        name => of_storage(name, &text, one),
    }
}

/// What lists and dumps do not say.
fn of_storage(
    name: &str,
    text: &LazyCell<String, impl FnOnce() -> String>,
    one: &Invocation<'_>,
) -> Option<(&'static str, &'static str)> {
    match name {
        "ls" if text.contains("/backup") => {
            Some(("that a file is there says nothing about what is in it", "`paramedic backup verify`"))
        }
        "ls" if one.option('l', "") => Some(("what root may see, the user of the service may not", DIAGNOSE)),
        "df" => Some(("without inodes, of which there may be none left", "`df -i` as well")),
        "du" if !one.redirects.is_empty() || one.stage_names().last().is_some_and(|name| name == "sort") => {
            Some(("sizes say nothing about what has left the machine", DIAGNOSE))
        }
        "pg_isready" => Some((
            "it proves that the database accepts, not that it works",
            "`paramedic check --type dependency`",
        )),
        "systemctl" if one.has(&["is-active"]) && !one.around.condition => Some((
            "between two restarts of a crash loop this is true as well",
            "`paramedic check --type readiness`, or `verify=\"ready\"`",
        )),
        "find" if text.contains("-exec file") => {
            Some(("`file` calls damaged data `data`", "`paramedic integrity check`"))
        }
        "psql" | "su" if text.contains("\\dt") => Some((
            "the names of tables say nothing about their rows",
            "`paramedic integrity check`, or read every row",
        )),
        "ping" => Some(("many networks drop these packets", "`paramedic check --type dependency`")),
        "pg_dump" | "su" if text.contains("--schema-only") => {
            Some(("without rows it can not see damaged rows", "`pg_amcheck`, or a full dump to nowhere"))
        }
        _ => None,
    }
}
