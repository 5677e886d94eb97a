//! Owns RB050: places that somebody meant to fill in.

use crate::Level;
use crate::lint::Rule;
use crate::lint::document::Document;
use crate::lint::report::Report;

pub(super) static RULE: Rule = Rule {
    code: "RB050",
    name: "placeholder",
    level: Level::Warning,
    why: "A step that holds a comment and nothing else succeeds without anything being done, and nobody is called at a placeholder.",
    bad: "uptime\n```\n\n   [To be filled based on analysis]\n\n   ```bash {timeout=5s}\nuptime",
    good: "uptime",
    blocks: true,
    check,
};

fn check(document: &Document<'_>, report: &mut Report<'_>) {
    for (pattern, what) in [
        ("[To be ", "this was to be filled in"),
        ("[PagerDuty/", "nobody is called at a placeholder"),
        ("[List all", "this was to be filled in"),
        ("@company.com", "nobody is called at a placeholder"),
        ("@example.com", "nobody is called at a placeholder"),
        ("normal_processes", "this name stands for something"),
        ("TODO", "this was to be filled in"),
    ] {
        for at in memchr::memmem::find_iter(document.text.as_bytes(), pattern) {
            report.text(&(at..at + pattern.len()), what, "fill it in, or make it a task for a person");
        }
    }
    for scope in &document.scopes {
        if scope.fence.units.is_empty() {
            let line = document.line(scope.fence.line);
            report.text(
                &line,
                "nothing in this fence is done",
                "write what a person should do as text, without a fence",
            );
        }
        for comment in &scope.script.comments {
            let text = scope.source(comment).trim_start_matches('#').trim();
            let manual = text.starts_with('(') || text.starts_with("Update JVM settings");
            let disabled = ["iptables ", "gcore ", "tcpdump ", "md5sum "]
                .iter()
                .any(|command| text.starts_with(command));
            if manual || disabled {
                report.statement(
                    scope,
                    comment,
                    "a comment does nothing",
                    "write it as text for a person, or as a statement",
                );
            }
        }
    }
}
