//! Owns RB033: tools that stop or kill a process of another kind.

use crate::Level;
use crate::lint::Rule;
use crate::lint::document::Document;
use crate::lint::report::Report;

pub(super) static RULE: Rule = Rule {
    code: "RB033",
    name: "attach-to-unknown-runtime",
    level: Level::Error,
    why: "The attach tools of the JVM send a signal that ends any process that is no JVM, and debuggers stop the process they look at.",
    bad: "jmap -histo \"$PID\"",
    good: "paramedic diagnose \"$SERVER_NAME\"",
    blocks: true,
    check,
};

fn check(document: &Document<'_>, report: &mut Report<'_>) {
    for scope in &document.scopes {
        for one in &scope.invocations {
            if matches!(
                one.name.as_ref(),
                "jstack" | "jmap" | "jcmd" | "jinfo" | "gdb" | "gcore" | "strace" | "ltrace"
            ) && !one.has(&["-l", "-h", "--version"])
            {
                report.statement(
                    scope,
                    &one.span,
                    format!("`{}` ends or stops a process that is not what it expects", one.name),
                    "`paramedic diagnose` knows the runtime before it looks",
                );
            }
        }
    }
}
