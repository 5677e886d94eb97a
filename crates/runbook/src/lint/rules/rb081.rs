//! Owns RB081: conclusions that are put among the evidence they were drawn from.

use crate::Level;
use crate::bash::{Operator, Part, Target, Word};
use crate::lint::Rule;
use crate::lint::document::Document;
use crate::lint::report::Report;

pub(super) static RULE: Rule = Rule {
    code: "RB081",
    name: "derived-evidence",
    level: Level::Warning,
    why: "What was worked out from evidence is no evidence: among the originals nobody can tell later what was found and what was made.",
    bad: "D=/srv/i\ngrep -c Failed \"$D/system.log\" > \"$D/failed.txt\"",
    good: "D=/srv/i\ngrep -c Failed \"$D/system.log\"",
    blocks: false,
    check,
};

fn check(document: &Document<'_>, report: &mut Report<'_>) {
    for scope in &document.scopes {
        for one in &scope.invocations {
            let written =
                one.redirects.iter().find_map(|redirect| match (&redirect.operator, &redirect.target) {
                    (Operator::Write | Operator::Append, Target::Word(word)) => folder(word),
                    _ => None,
                });
            let Some(written) = written else { continue };
            if one.arguments.iter().any(|word| folder(word) == Some(written)) {
                report.statement(
                    scope,
                    &one.span,
                    format!("what is derived lands in ${written}, beside its source"),
                    "print it, or write it to a folder of the analysis",
                );
            }
        }
    }
}

/// The variable of `$FOLDER/file`.
fn folder(word: &Word) -> Option<&str> {
    match word.parts.as_slice() {
        [Part::Variable { variable, .. }, Part::Literal { text, .. }, ..] if text.starts_with('/') => {
            Some(&variable.name)
        }
        _ => None,
    }
}
