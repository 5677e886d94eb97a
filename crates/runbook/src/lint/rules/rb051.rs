//! Owns RB051: parts that a procedure lacks.

use std::time::Duration;

use crate::Level;
use crate::lint::Rule;
use crate::lint::document::{Document, Scope};
use crate::lint::report::Report;
use crate::procedure::Procedure;

pub(super) static RULE: Rule = Rule {
    code: "RB051",
    name: "incomplete-procedure",
    level: Level::Warning,
    why: "A procedure without an alert is never opened, one without an end of its phase never escalates, and one without a contact calls nobody.",
    bad: "# X\n\n## P\n\n### Alert: A\n\n1. **One**\n\n   Look.\n",
    good: "uptime",
    blocks: false,
    check,
};

fn check(document: &Document<'_>, report: &mut Report<'_>) {
    for procedure in &document.runbook.procedures {
        let line = document.line(procedure.line);
        let Some(alert) = &procedure.alert else { continue };
        let at = document
            .find(procedure.line, "### Alert")
            .map_or(line.clone(), |bytes| document.line(document.lines.line(bytes.start)));
        if alert.name.contains(char::is_whitespace) {
            report.text(
                &at,
                format!("`{}` is no name that an alert can have", alert.name),
                "write it as one word",
            );
        }
        if !document.section(at.start).contains("Query**") {
            report.text(&at, format!("no query fires `{}`", alert.name), "add `**Alert Query**`");
        }
        if alert.response_time.is_none() {
            report.text(
                &at,
                "no response time: nothing says when it is late",
                "add `**Response Time**: < 5 minutes`",
            );
        }
        let section = document.section(line.start);
        if !section.contains("### Escalation") {
            report.text(&line, "nothing says when to call for more people", "add `### Escalation Criteria`");
        }
        if !section.contains("### Documentation") {
            report.text(
                &line,
                "nothing says what has to be written down",
                "add `### Documentation Requirements`",
            );
        }
        for phase in &procedure.phases {
            if phase.window.is_none() {
                let bytes = document.find(procedure.line, &phase.title).unwrap_or(line.clone());
                report.text(
                    &bytes,
                    format!("phase `{}` has no time", phase.title),
                    "add its window: `(0-5 minutes)`",
                );
            }
        }
        if let Some(limit) =
            alert.response_time.filter(|limit| is_answered_too_late(document, procedure, *limit))
        {
            report.text(
                &at,
                format!(
                    "a response is due after {} s, and no statement of the first phase is one",
                    limit.as_secs()
                ),
                "begin with `paramedic incident ack \"$INCIDENT_ID\"`",
            );
        }
    }
    twins(document, report);
    overdue(document, report);
    if document.runbook.front.owner.is_none() && !document.runbook.procedures.is_empty() {
        report.text(&(0..0), "nobody owns this document", "add `owner`, `review` and `contacts` in front");
    }
}

/// Whether the first phase may last longer than the response time, and nothing in it takes the alert up.
fn is_answered_too_late(document: &Document<'_>, procedure: &Procedure, limit: Duration) -> bool {
    let Some(first) = procedure.phases.first() else { return false };
    let may_last = first.window.as_ref().and_then(|window| window.end_s);
    let acknowledges = |scope: &&Scope<'_>| {
        std::ptr::eq(scope.phase, first)
            && scope.invocations.iter().any(|one| one.name == "paramedic" && one.has(&["ack"]))
    };
    may_last.is_some_and(|end| limit.as_secs() < end)
        && document.scopes_of(procedure).find(acknowledges).is_none()
}

/// Two procedures for one alert.
fn twins(document: &Document<'_>, report: &mut Report<'_>) {
    let mut names: Vec<&str> = Vec::new();
    for procedure in &document.runbook.procedures {
        let Some(alert) = &procedure.alert else { continue };
        if names.contains(&alert.name.as_str()) {
            report.text(
                &document.line(procedure.line),
                format!("two procedures answer `{}`", alert.name),
                "give each alert one procedure",
            );
        }
        names.push(&alert.name);
    }
}

/// The day of the next review is over.
fn overdue(document: &Document<'_>, report: &mut Report<'_>) {
    let front = &document.runbook.front;
    let (Some(today), Some(reviewed), Some(period)) = (document.today, &front.reviewed, &front.review) else {
        return;
    };
    let period = crate::parse_duration(period).map(|period| period.as_secs() / 86_400);
    let (Some(today), Some(reviewed), Some(period)) = (day(today), day(reviewed), period) else { return };
    if today > reviewed + period {
        let bytes = document.find(1, "reviewed:").unwrap_or(0..0);
        report.text(
            &bytes,
            "the review of this document is overdue",
            "read it once more, and write the date",
        );
    }
}

/// Days since the beginning of the year 0, of a date `YYYY-MM-DD`; good to a day or two, which is good enough for a review.
fn day(date: &str) -> Option<u64> {
    let mut parts = date.splitn(3, '-').map(|part| part.parse::<u64>().ok());
    let (year, month, day) = (parts.next()??, parts.next()??, parts.next()??);
    Some(year * 365 + year / 4 + month * 30 + month / 2 + day)
}
