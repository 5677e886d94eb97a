//! Owns RB011: commands that never end by themselves.

use crate::Level;
use crate::lint::Rule;
use crate::lint::document::Document;
use crate::lint::report::Report;

pub(super) static RULE: Rule = Rule {
    code: "RB011",
    name: "never-ends",
    level: Level::Error,
    why: "A step that shows something until somebody presses a key is never over when nobody is there.",
    bad: "watch -n 30 uptime",
    good: "uptime",
    blocks: true,
    check,
};

fn check(document: &Document<'_>, report: &mut Report<'_>) {
    for scope in &document.scopes {
        let watched = scope.fence.attributes.until.is_some();
        for one in &scope.invocations {
            let endless = match one.name.as_ref() {
                "watch" | "yes" | "htop" | "iotop" | "atop" => true,
                "tail" => one.option('f', "follow") || one.option('F', ""),
                "journalctl" => one.option('f', "follow"),
                "dmesg" => one.option('w', "follow"),
                "top" => !one.option('b', "batch"),
                "ping" => !one.option('c', "count") && !one.option('w', ""),
                "vmstat" | "iostat" | "mpstat" | "pidstat" | "sar" => {
                    one.shapes().filter(|text| text.parse::<u32>().is_ok()).count() == 1
                }
                "tcpdump" => !one.option('c', "") && !one.option('r', ""),
                "jstat" => {
                    one.shapes().filter(|text| !text.starts_with('-')).count() == 2
                        && one.shapes().last().is_some_and(|text| text.ends_with('s') && text.len() < 6)
                }
                "docker" | "kubectl" => one.has(&["logs"]) && one.option('f', "follow"),
                "paramedic" => {
                    one.option('\0', "continuous") || one.option('f', "follow") || one.option('\0', "watch")
                }
                "python3" => one.option('\0', "continuous") && !one.around.background,
                _ => one.around.endless && one.name == "sleep",
            };
            let bounded = || {
                one.is_wrapped_by("timeout")
                    || one.stage_names().skip(one.stage + 1).any(|name| name == "head")
            };
            if endless && !watched && !bounded() && !report.allows(&one.name) {
                report.statement(
                    scope,
                    &one.span,
                    format!("`{}` does not end by itself here", one.name),
                    "say how often or how long, or make it a watch with `until` and `every`",
                );
            }
        }
    }
}
