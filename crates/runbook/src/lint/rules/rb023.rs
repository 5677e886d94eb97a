//! Owns RB023: fences that do several kinds of things to the world.

use crate::lint::Rule;
use crate::lint::document::Document;
use crate::lint::report::Report;
use crate::{Effect, Level};

pub(super) static RULE: Rule = Rule {
    code: "RB023",
    name: "mixed-fence",
    level: Level::Info,
    why: "`verify`, `retry` and `undo` belong to one statement of a fence; who approves a deletion should not have to think about the restart below it.",
    bad: "paramedic evidence collect \"$SERVER_NAME\"\ntouch /srv/mark\nparamedic server restart \"$SERVER_NAME\"",
    good: "paramedic server restart \"$SERVER_NAME\"",
    blocks: false,
    check,
};

fn check(document: &Document<'_>, report: &mut Report<'_>) {
    for scope in &document.scopes {
        let mut first: Option<Effect> = None;
        for unit in &scope.fence.units {
            if !matches!(unit.effect, Effect::Change | Effect::Disrupt | Effect::Destroy) {
                continue;
            }
            match first {
                None => first = Some(unit.effect),
                Some(before) if before != unit.effect => {
                    let Some(span) = scope.span_of(unit) else { break };
                    report.statement(
                        scope,
                        &span,
                        format!(
                            "a statement that is `{}` in the fence of one that is `{before}`",
                            unit.effect
                        ),
                        "give each a fence of its own",
                    );
                    break;
                }
                Some(_) => {}
            }
        }
    }
}
