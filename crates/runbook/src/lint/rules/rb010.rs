//! Owns RB010: commands that may wait for ever.

use crate::Level;
use crate::lint::Rule;
use crate::lint::document::Document;
use crate::lint::report::Report;

pub(super) static RULE: Rule = Rule {
    code: "RB010",
    name: "no-time-limit",
    level: Level::Warning,
    why: "Against a server that hangs, a command without a time limit hangs as well, and the step with it.",
    bad: "curl -f \"http://localhost:8001/health\"",
    good: "curl -f --max-time 5 \"http://localhost:8001/health\"",
    blocks: false,
    check,
};

fn check(document: &Document<'_>, report: &mut Report<'_>) {
    for scope in &document.scopes {
        let limited = scope.fence.attributes.timeout.is_some();
        for one in &scope.invocations {
            let waits = match one.name.as_ref() {
                "curl" => !one.option('m', "max-time"),
                "wget" => !one.option('T', "timeout"),
                "psql" | "pg_dump" | "mysql" | "redis-cli" => true,
                "pg_isready" => false,
                "ssh" | "scp" => !one.shapes().any(|text| text.contains("ConnectTimeout")),
                "nc" => !one.option('w', ""),
                "nslookup" | "dig" | "host" | "apt" | "apt-get" => true,
                // A network mount whose server is gone never answers.
                "df" => !one.option('l', "local"),
                "lsof" => !one.option('n', ""),
                "ls" | "du" | "find" => false,
                _ => false,
            };
            if waits && !limited && !one.is_wrapped_by("timeout") && !report.allows(&one.name) {
                report.statement(
                    scope,
                    &one.span,
                    format!("`{}` may wait for ever", one.name),
                    "give the fence a `timeout`, or the command a limit of its own",
                );
            }
        }
    }
}
