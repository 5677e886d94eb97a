//! Owns RB022: failures inside `if` and loops, which nothing notices.

use crate::Level;
use crate::bash::{Command, Item, Kind, Word};
use crate::lint::Rule;
use crate::lint::document::{Document, Scope};
use crate::lint::report::Report;

pub(super) static RULE: Rule = Rule {
    code: "RB022",
    name: "goes-on-in-block",
    level: Level::Warning,
    why: "A procedure stops at a statement that fails, but an `if` or a loop is one statement: in it the shell goes on with the next line as if all were well.",
    bad: "if [ -d /srv ]; then\n  mount /srv\n  uptime\nfi",
    good: "if [ -d /srv ]; then\n  mount /srv && uptime\nfi",
    blocks: true,
    check,
};

fn check(document: &Document<'_>, report: &mut Report<'_>) {
    for scope in &document.scopes {
        if !scope.fence.source.contains("set -e") {
            blocks(scope, &scope.script.items, Where::Top, report);
        }
    }
}

/// Whether something in the same block comes after it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Where {
    Top,
    Last,
    Followed,
}

fn blocks(scope: &Scope<'_>, items: &[Item], around: Where, report: &mut Report<'_>) {
    for (idx, item) in items.iter().enumerate() {
        let place = match around {
            Where::Top => Where::Last,
            _ if idx + 1 < items.len() => Where::Followed,
            around => around,
        };
        let top = around == Where::Top;
        for command in item.pipelines().flat_map(|pipeline| &pipeline.stages) {
            let alone = item.rest.is_empty() && item.first.stages.len() == 1;
            if !top && alone && place == Where::Followed && matters(command) {
                let message = "if this fails, the rest of the block is run all the same";
                report.statement(
                    scope,
                    &command.span,
                    message,
                    "join them with `&&`, or make it a step of its own",
                );
            }
            inside(scope, command, place, report);
        }
    }
}

fn inside(scope: &Scope<'_>, command: &Command, place: Where, report: &mut Report<'_>) {
    match &command.kind {
        Kind::If { branches, otherwise } => {
            branches.iter().for_each(|branch| blocks(scope, &branch.body, place, report));
            blocks(scope, otherwise, place, report);
        }
        Kind::Loop { body, .. } | Kind::For { body, .. } | Kind::ArithmeticFor { body, .. } => {
            blocks(scope, body, Where::Followed, report);
        }
        Kind::Group(items) | Kind::Subshell(items) => blocks(scope, items, place, report),
        Kind::Case { arms, .. } => arms.iter().for_each(|arm| blocks(scope, &arm.body, place, report)),
        _ => {}
    }
}

/// Whether what comes after it rests on it. A `cd` is RB020's.
fn matters(command: &Command) -> bool {
    let Kind::Simple { words, .. } = &command.kind else { return false };
    match words.first().map(Word::shape).as_deref() {
        Some("mount" | "umount" | "tar" | "rsync" | "pg_restore" | "pg_dump" | "mv") => true,
        Some("systemctl" | "service") => {
            words.iter().any(|word| matches!(&*word.shape(), "start" | "stop" | "restart"))
        }
        _ => false,
    }
}
