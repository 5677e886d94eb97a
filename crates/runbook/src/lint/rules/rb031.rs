//! Owns RB031: changes that add up when they are run again.

use std::borrow::Cow;

use crate::Level;
use crate::bash::{Operator, Target};
use crate::lint::Rule;
use crate::lint::document::Document;
use crate::lint::report::Report;

pub(super) static RULE: Rule = Rule {
    code: "RB031",
    name: "not-repeatable",
    level: Level::Warning,
    why: "A step that is run twice should leave what it leaves when it is run once; an appended line is there twice.",
    bad: "echo 'vm.swappiness=10' >> /etc/sysctl.conf",
    good: "paramedic server readonly \"$SERVER_NAME\"",
    blocks: true,
    check,
};

fn check(document: &Document<'_>, report: &mut Report<'_>) {
    for scope in &document.scopes {
        for one in &scope.invocations {
            let appended =
                one.redirects.iter().find_map(|redirect| match (&redirect.operator, &redirect.target) {
                    (Operator::Append | Operator::AppendBoth, Target::Word(word)) => Some(word.shape()),
                    _ => None,
                });
            let appended = appended.or_else(|| {
                (one.name == "tee" && one.option('a', "append"))
                    .then(|| Cow::Borrowed(one.operand().unwrap_or_default()))
            });
            if let Some(path) = appended.filter(|path| path.starts_with("/etc/") || path.ends_with(".conf")) {
                report.statement(
                    scope,
                    &one.span,
                    format!("each run adds a line to `{}`", path.replace('\0', "…")),
                    "write a drop-in file of its own",
                );
            }
        }
    }
}
