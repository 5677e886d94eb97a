//! Owns RB043: commands of the product that it does not have.

use crate::Level;
use crate::effect::Table;
use crate::lint::Rule;
use crate::lint::document::Document;
use crate::lint::report::Report;

pub(super) static RULE: Rule = Rule {
    code: "RB043",
    name: "no-such-command",
    level: Level::Error,
    why: "A step that calls a command which was never there fails at the worst moment, and looks right until then.",
    bad: "paramedic server reboot \"$SERVER_NAME\"",
    good: "paramedic server restart \"$SERVER_NAME\"",
    blocks: true,
    check,
};

fn check(document: &Document<'_>, report: &mut Report<'_>) {
    for scope in &document.scopes {
        for one in scope.invocations.iter().filter(|one| one.name == "paramedic") {
            let mut path = "paramedic".to_owned();
            for word in one.shapes().filter(|text| !text.starts_with('-')) {
                if !Table::builtin().is_group(&path) {
                    break;
                }
                path = format!("{path} {word}");
                if !Table::builtin().knows(&path) && !word.contains('\0') {
                    report.statement(
                        scope,
                        &one.span,
                        format!("there is no `{path}`"),
                        "`paramedic help` lists the commands",
                    );
                    break;
                }
            }
        }
    }
}
