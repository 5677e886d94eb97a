//! Owns RB013: phases whose statements take longer than the phase.

use crate::Level;
use crate::lint::Rule;
use crate::lint::document::Document;
use crate::lint::report::Report;

pub(super) static RULE: Rule = Rule {
    code: "RB013",
    name: "phase-budget",
    level: Level::Warning,
    why: "A phase of ten minutes that waits for an hour is no phase of ten minutes, and the escalation comes too late.",
    bad: "sleep 3600",
    good: "uptime",
    blocks: false,
    check,
};

fn check(document: &Document<'_>, report: &mut Report<'_>) {
    for procedure in &document.runbook.procedures {
        for phase in &procedure.phases {
            let Some(window) = &phase.window else { continue };
            let Some(length) = window.end_s.map(|end| end.saturating_sub(window.start_s)) else {
                continue;
            };
            let scopes = document.scopes_of(procedure).filter(|scope| std::ptr::eq(scope.phase, phase));
            let seconds: u64 = scopes.map(|scope| scope.fence.least_duration().as_secs()).sum();
            if seconds > length {
                let line = phase.steps.first().map_or(procedure.line, |step| step.line);
                let heading = document.text[..document.lines.start(line)].rfind(&phase.title).unwrap_or(0);
                report.text(
                    &(heading..heading + phase.title.len()),
                    format!("its statements take {seconds} s or more, and the phase has {length} s"),
                    "move what watches into a phase of its own, or give it `until`",
                );
            }
        }
    }
}
