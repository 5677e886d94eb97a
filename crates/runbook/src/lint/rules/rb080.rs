//! Owns RB080: records of what nobody saw.

use crate::Level;
use crate::bash::{Operator, Target};
use crate::lint::Rule;
use crate::lint::document::Document;
use crate::lint::report::Report;

pub(super) static RULE: Rule = Rule {
    code: "RB080",
    name: "false-record",
    level: Level::Error,
    why: "A report that is written at the end with the time of its writing, or with a state that was typed beforehand, is false.",
    bad: "cat > /srv/report <<EOF\nDetected: $(date)\nEOF",
    good: "paramedic incident report \"$INCIDENT_ID\"",
    blocks: true,
    check,
};

fn check(document: &Document<'_>, report: &mut Report<'_>) {
    for scope in &document.scopes {
        for one in &scope.invocations {
            for redirect in one.redirects {
                let Target::HereDocument(idx) = redirect.target else { continue };
                let here = &scope.script.here_documents[idx];
                let writes = one
                    .redirects
                    .iter()
                    .any(|one| matches!(one.operator, Operator::Write | Operator::Append));
                if writes && here.quoting.is_none() && scope.source(&here.body.span).contains("$(date") {
                    report.statement(
                        scope,
                        &here.body.span,
                        "every time in it is the time of its writing",
                        "`paramedic incident report` knows when what happened",
                    );
                }
            }
            let appends = one.redirects.iter().any(|redirect| redirect.operator == Operator::Append);
            if matches!(one.name.as_ref(), "echo" | "printf")
                && appends
                && one.shapes().any(|text| text.to_lowercase().contains("incident"))
            {
                report.statement(
                    scope,
                    &one.span,
                    "a line in a file is no record of an incident",
                    "`paramedic incident ack`, `paramedic incident note`",
                );
            }
        }
    }
    const DATE: &str = "**: $(date)";
    for at in memchr::memmem::find_iter(document.text.as_bytes(), DATE) {
        if document.text[..at].ends_with("Updated") {
            report.text(&(at..at + DATE.len()), "nothing fills in this date", "write the date");
        }
    }
}
