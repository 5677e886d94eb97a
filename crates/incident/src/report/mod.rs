//! Owns the report: Markdown, made of the records of an incident and of nothing else, gaps said as gaps.

mod line;
mod trouble;

use std::fmt::Write as _;

use chrono::DateTime;

use crate::fold::{Incident, StepView};
use crate::record::{Record, UnitEnd};
use crate::state::State;

pub use line::{describe, duration};

/// Renders the report of an incident as Markdown. `now_ms` (milliseconds since the Unix epoch) is the time at
/// which it is rendered; it appears only where the incident is still open.
pub fn render(incident: &Incident, now_ms: i64) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = write_report(&mut out, incident, now_ms);
    out
}

fn write_report(out: &mut String, incident: &Incident, now_ms: i64) -> std::fmt::Result {
    writeln!(out, "# Incident {}: {}\n", incident.id, incident.title)?;
    write_facts(out, incident, now_ms)?;
    writeln!(out, "\n## Summary\n\n{}", summary(incident))?;
    write_clocks(out, incident)?;
    trouble::write_servers(out, incident)?;
    write_timeline(out, incident)?;
    write_cause(out, incident)?;
    write_steps(out, incident)?;
    write_evidence(out, incident)?;
    write_open_ends(out, incident)
}

fn write_facts(out: &mut String, incident: &Incident, now_ms: i64) -> std::fmt::Result {
    let alert = incident.alarm.alert.as_ref();
    let resolved = match (incident.resolved_ms, incident.state) {
        (Some(at_ms), _) => time(at_ms),
        (None, State::Closed) => "no: closed without a verified recovery".to_owned(),
        (None, _) => format!("not by {}", time(now_ms)),
    };
    let rows = [
        ("State", incident.state.to_string()),
        (
            "Server",
            if incident.server.is_empty() {
                "not named by the alert".to_owned()
            } else {
                incident.server.clone()
            },
        ),
        (
            "Alert",
            alert.map_or_else(|| "none".to_owned(), |alert| format!("{} ({})", alert.name, alert.severity)),
        ),
        ("Opened", time(incident.opened_ms)),
        ("Resolved", resolved),
        ("Runbook", format!("{} (SHA-256 {})", incident.runbook.name, &incident.runbook.sha256)),
    ];
    writeln!(out, "| | |\n|---|---|")?;
    for (name, value) in rows {
        writeln!(out, "| {name} | {} |", cell(&value))?;
    }
    Ok(())
}

/// One paragraph: what happened, what was done, how it stands.
fn summary(incident: &Incident) -> String {
    let mut sentences = vec![sentence(&incident.alarm.summary)];
    let restarts = incident.restarts();
    sentences.push(match restarts {
        0 => "It was not restarted.".to_owned(),
        1 => "It was restarted once.".to_owned(),
        n => format!("It was restarted {n} times."),
    });
    let verified = incident.timeline.iter().rev().find_map(|(_, record)| match record {
        Record::Verified { probes, period_ms, .. } => Some(format!(
            "Recovery was verified: {probes} good answers in a row over {}, by one process.",
            duration(*period_ms)
        )),
        Record::NotVerified { reason } => {
            Some(format!("Recovery was not verified: {}.", reason.trim_end_matches('.')))
        }
        _ => None,
    });
    sentences.extend(verified);
    sentences.extend(trouble::kin(incident));
    if let Some(reason) = &incident.person_needed {
        sentences.push(format!("A person is needed: {}.", reason.trim_end_matches('.')));
    }
    if incident.state == State::Resolved {
        let took = incident.resolved_ms.unwrap_or(incident.opened_ms) - incident.opened_ms;
        sentences.push(format!("The incident was resolved {} after it was opened.", span(took)));
    }
    sentences.join(" ")
}

fn write_clocks(out: &mut String, incident: &Incident) -> std::fmt::Result {
    let began_ms = began(incident);
    let since = |at_ms: Option<i64>| match at_ms {
        Some(at_ms) => span(at_ms - began_ms),
        None => "not yet".to_owned(),
    };
    writeln!(out, "\n## Clocks\n\nFrom the first sign of trouble, {}.\n", time(began_ms))?;
    writeln!(out, "| clock | time |\n|---|---|")?;
    writeln!(out, "| detected | {} |", since(Some(incident.opened_ms)))?;
    let acknowledged = incident.acknowledged.as_ref();
    let by = acknowledged.map_or_else(String::new, |(_, by)| format!(" by {by}"));
    writeln!(out, "| acknowledged | {}{} |", since(acknowledged.map(|(at_ms, _)| *at_ms)), cell(&by))?;
    writeln!(out, "| mitigated | {} |", since(incident.mitigated_ms))?;
    writeln!(out, "| resolved | {} |", since(incident.resolved_ms))?;
    if let Some(allowed) = incident.response_time_ms {
        writeln!(out, "| response time allowed by the runbook | {} |", duration(allowed))?;
    }
    Ok(())
}

/// When the trouble began, as far as is known: the end of the process, or the first bad sample.
fn began(incident: &Incident) -> i64 {
    let exit = incident.alarm.exit.as_ref().map(|exit| exit.at_ms);
    let alert = incident.alarm.alert.as_ref().map(|alert| alert.started_ms);
    exit.into_iter().chain(alert).min().unwrap_or(incident.opened_ms).min(incident.opened_ms)
}

fn write_timeline(out: &mut String, incident: &Incident) -> std::fmt::Result {
    writeln!(out, "\n## Timeline\n\n| time (UTC) | after | what |\n|---|---|---|")?;
    let began_ms = began(incident);
    if let Some(exit) = &incident.alarm.exit {
        writeln!(
            out,
            "| {} | {} | {} |",
            clock(exit.at_ms),
            span(exit.at_ms - began_ms),
            cell(&exit.reason)
        )?;
    }
    for (at_ms, record) in &incident.timeline {
        let Some(what) = describe(record) else { continue };
        writeln!(out, "| {} | {} | {} |", clock(*at_ms), span(at_ms - began_ms), cell(&what))?;
    }
    Ok(())
}

fn write_steps(out: &mut String, incident: &Incident) -> std::fmt::Result {
    writeln!(out, "\n## Steps")?;
    if incident.steps.is_empty() {
        return writeln!(out, "\nNone was begun.");
    }
    for view in &incident.steps {
        write_step(out, incident, view)?;
    }
    Ok(())
}

fn write_step(out: &mut String, incident: &Incident, view: &StepView) -> std::fmt::Result {
    let run = if view.step.run > 1 { format!(" (run {})", view.step.run) } else { String::new() };
    let took = view.ended_ms.map_or_else(|| "not ended".to_owned(), |end| span(end - view.started_ms));
    writeln!(out, "\n### {}. {}{run}: {}, {took}", view.step.number, view.step.title, view.state)?;
    if !view.reason.is_empty() {
        writeln!(out, "\n{}", sentence(&view.reason))?;
    }
    let prefix = format!("{}.", view.step.number);
    let mine = incident.units.iter().filter(|(unit, _)| {
        unit.run == view.step.run
            && (unit.unit.starts_with(&prefix) || unit.unit == view.step.number.to_string())
    });
    for (unit, unit_view) in mine {
        let outcome = match (&unit_view.outcome, &unit_view.skipped, &unit_view.asked) {
            (Some(ended), ..) => line::outcome(ended),
            (None, Some(reason), _) => format!("not run: {reason}"),
            (None, None, Some(asked)) => format!("waits for approval: {}", asked.reason),
            (None, None, None) => "no outcome is known".to_owned(),
        };
        writeln!(out, "\n- `{}` {}\n", unit.unit, outcome.replace('\n', " "))?;
        write_block(out, "bash", &unit_view.statement)?;
        if let Some(ended) = &unit_view.outcome {
            for (name, output) in [("output", &ended.stdout), ("errors", &ended.stderr)] {
                let Some(output) = output else { continue };
                let cut = if output.truncated { ", cut at its limit" } else { "" };
                writeln!(out, "\n  {name}, {} bytes{cut}, SHA-256 {}:\n", output.bytes, output.sha256)?;
                write_block(out, "text", &output.excerpt)?;
            }
        }
    }
    Ok(())
}

/// A fenced block inside a list item, with a fence longer than any in the text.
fn write_block(out: &mut String, language: &str, text: &str) -> std::fmt::Result {
    let longest = text.split(|letter| letter != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    writeln!(out, "  {fence}{language}")?;
    for one in text.trim_end().lines() {
        writeln!(out, "  {one}")?;
    }
    writeln!(out, "  {fence}")
}

/// What the findings point to, with each reason; nothing where nothing was found.
fn write_cause(out: &mut String, incident: &Incident) -> std::fmt::Result {
    if incident.findings.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n## Cause\n")?;
    match &incident.cause {
        Some(cause) => writeln!(out, "`{cause}`, by rules over what was found:\n")?,
        None => writeln!(out, "No cause stands out in what was found.\n")?,
    }
    for line in &incident.why {
        writeln!(out, "    {line}")?;
    }
    if incident.why.is_empty() {
        for finding in incident.findings.values() {
            writeln!(out, "- {}", cell(&finding.to_string()))?;
        }
    }
    Ok(())
}

fn write_evidence(out: &mut String, incident: &Incident) -> std::fmt::Result {
    writeln!(out, "\n## Evidence\n")?;
    let mut any = false;
    for captured in incident.evidence() {
        any = true;
        let kept = match (&captured.sha256, &captured.problem) {
            (Some(sha256), None) => format!("{} bytes, SHA-256 {sha256}", captured.bytes),
            (_, Some(problem)) => format!("missing or incomplete: {problem}"),
            (None, None) => "missing".to_owned(),
        };
        writeln!(
            out,
            "- {}: {} ({kept}), taken in {}",
            captured.what,
            captured.summary,
            duration(captured.took_ms)
        )?;
    }
    if any { Ok(()) } else { writeln!(out, "None was kept.") }
}

/// What is not known or not done: said, so that nobody takes silence for success.
fn write_open_ends(out: &mut String, incident: &Incident) -> std::fmt::Result {
    let mut gaps = Vec::new();
    if incident.acknowledged.is_none() {
        gaps.push("Nobody has acknowledged the incident.".to_owned());
    }
    if incident.evidence().next().is_none() {
        gaps.push("No evidence was kept before the first change.".to_owned());
    }
    for (unit, view) in &incident.units {
        match &view.outcome {
            Some(ended) if ended.end == (UnitEnd::Interrupted {}) => {
                gaps.push(format!("What unit {} did is not known: Paramedic died while it ran.", unit.unit));
            }
            None if view.intent.is_some() => gaps.push(format!("Unit {} has no outcome.", unit.unit)),
            _ => {}
        }
        if view.asked.is_some() {
            gaps.push(format!("Unit {} waits for a word.", unit.unit));
        }
    }
    if let Some(reason) = &incident.person_needed {
        gaps.push(format!("A person is needed: {reason}."));
    }
    if incident.state.is_open() {
        gaps.push(format!("The incident is {}.", incident.state));
    }
    if gaps.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n## Open ends\n")?;
    gaps.iter().try_for_each(|gap| writeln!(out, "- {gap}"))
}

fn time(at_ms: i64) -> String {
    DateTime::from_timestamp_millis(at_ms).unwrap_or_default().format("%Y-%m-%d %H:%M:%S%.3f UTC").to_string()
}

fn clock(at_ms: i64) -> String {
    DateTime::from_timestamp_millis(at_ms).unwrap_or_default().format("%H:%M:%S%.3f").to_string()
}

fn span(ms: i64) -> String {
    match u64::try_from(ms) {
        Ok(ms) => duration(ms),
        Err(_) => format!("-{}", duration(ms.unsigned_abs())),
    }
}

/// Text from outside in one cell of a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

/// A sentence with its capital and its full stop.
fn sentence(text: &str) -> String {
    let mut letters = text.trim().trim_end_matches('.').chars();
    let first = letters.next().map(|letter| letter.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", letters.as_str())
}

#[cfg(test)]
mod tests;
