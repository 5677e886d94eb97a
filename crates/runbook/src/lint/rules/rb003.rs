//! Owns RB003: values that are not quoted.

use crate::Level;
use crate::bash::{Part, Quoting};
use crate::lint::Edit;
use crate::lint::Rule;
use crate::lint::document::Document;
use crate::lint::report::Report;
use crate::shell::is_name;

pub(super) static RULE: Rule = Rule {
    code: "RB003",
    name: "unquoted-value",
    level: Level::Warning,
    why: "Without quotes a value falls apart at blanks, becomes file names at `*`, and vanishes when it is empty, so that the command does something else to something else.",
    bad: "touch ${SERVER_NAME}",
    good: "touch \"${SERVER_NAME}\"",
    blocks: true,
    check,
};

fn check(document: &Document<'_>, report: &mut Report<'_>) {
    for scope in &document.scopes {
        for one in &scope.invocations {
            // Behind these, a setting is not split.
            let declares =
                matches!(one.name.as_ref(), "export" | "declare" | "local" | "readonly" | "typeset");
            for word in one.arguments {
                if declares && word.literal_prefix().0.contains('=') {
                    continue;
                }
                let unquoted = word.parts.iter().find_map(|part| match part {
                    Part::Variable { variable, quoting: Quoting::Unquoted } if is_name(&variable.name) => {
                        Some(&variable.name)
                    }
                    _ => None,
                });
                let Some(name) = unquoted else { continue };
                let source = scope.source(&word.span);
                let simple = !source.contains(['"', '\'', '`', '\\', '*', '?', '[', '~'])
                    && !source.contains("$(")
                    && !source.contains("{1");
                let edits = if simple {
                    vec![Edit { bytes: word.span.clone(), text: format!("\"{source}\"") }]
                } else {
                    Vec::new()
                };
                report.mendable(
                    scope,
                    &word.span,
                    format!("${name} is not quoted"),
                    "put the word in double quotes",
                    edits,
                );
            }
        }
    }
}
