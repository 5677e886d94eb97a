//! Owns RB001: parameters that nobody declares.

use crate::Level;
use crate::lint::Rule;
use crate::lint::document::Document;
use crate::lint::report::Report;

pub(super) static RULE: Rule = Rule {
    code: "RB001",
    name: "undeclared-parameter",
    level: Level::Warning,
    why: "A value that neither the alert nor the configuration nor the document names is empty at the worst moment: a path becomes the root directory, a port the default one.",
    bad: "echo \"$DATA_DEVICE\"",
    good: "echo \"$SERVER_NAME\"",
    blocks: true,
    check,
};

fn check(document: &Document<'_>, report: &mut Report<'_>) {
    for procedure in &document.runbook.procedures {
        for parameter in procedure.parameters() {
            let name = parameter.name.as_str();
            let known =
                KNOWN.contains(&name) || document.config.provides(name) || document.exported.contains(name);
            // Where it is required, whoever starts it is told.
            if known || report.allows(name) || document.required.contains(name) {
                continue;
            }
            let bytes =
                document.find(parameter.first_line, name).unwrap_or(document.line(parameter.first_line));
            report.text(
                &bytes,
                format!("nothing says where ${name} comes from"),
                "name it at the top of the document, as `export NAME=…` in a console box",
            );
        }
    }
}

/// What the product itself provides.
const KNOWN: [&str; 2] = ["INCIDENT_ID", "SERVER_NAME"];
