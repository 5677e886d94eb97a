//! Owns RB014: waits of a fixed length.

use crate::Level;
use crate::budget::sampling;
use crate::lint::Rule;
use crate::lint::document::Document;
use crate::lint::report::Report;

pub(super) static RULE: Rule = Rule {
    code: "RB014",
    name: "fixed-sleep",
    level: Level::Warning,
    why: "A fixed wait is too short on a bad day and too long on all others.",
    bad: "paramedic server restart \"$SERVER_NAME\"\nsleep 30",
    good: "paramedic server restart \"$SERVER_NAME\"",
    blocks: false,
    check,
};

fn check(document: &Document<'_>, report: &mut Report<'_>) {
    for scope in &document.scopes {
        if scope.fence.attributes.until.is_some() {
            continue;
        }
        for one in scope.invocations.iter().filter(|one| !one.around.condition) {
            let message = match (one.name.as_ref(), sampling(&one.name, one.arguments)) {
                ("sleep", seconds) if seconds >= SAMPLING_S || seconds == 0 => {
                    "a wait of a fixed length".to_owned()
                }
                (_, seconds) if seconds >= SAMPLING_S => {
                    format!("this samples for {seconds} s, and all else waits")
                }
                _ => continue,
            };
            let hint = "say what is waited for: `verify=\"ready\"`, or a watch with `until` and `every`";
            report.statement(scope, &one.span, message, hint);
        }
    }
}

/// A pause between two samples belongs to a look; what is longer is a wait.
const SAMPLING_S: u64 = 10;
