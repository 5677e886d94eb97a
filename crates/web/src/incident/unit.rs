//! Owns the statements of a fence, each with what has come of it: runs, findings, output, or why it was not run.

use ::incident::{Command, NotRun, Output, Record, UnitRef, plain};
use diagnosis::Finding;
use maud::{Markup, html};
use runbook::{Fence, Unit};

use super::IncidentPage;
use super::procedure::of_run;
use crate::moment::since;
use crate::part::size;

/// So much of an output stands in the page, from its end: the whole of it is one click further.
const OUTPUT_CHARS_MAX: usize = 1_200;

/// The statements of a fence.
pub(super) fn list(page: &IncidentPage<'_>, fence: &Fence) -> Markup {
    html! { ol.units { @for unit in &fence.units { (row(page, unit)) } } }
}

fn row(page: &IncidentPage<'_>, unit: &Unit) -> Markup {
    let name = unit.id.replace('.', "-");
    let ran: Vec<&Command> =
        of_run(page).flat_map(|step| &step.commands).filter(|one| one.unit == unit.id).collect();
    let run = page.incident.run;
    let not_run = page.report.not_run.iter().rev().find(|one| one.run == run && one.unit == unit.id);
    let view = page.incident.unit(&UnitRef { run, unit: unit.id.clone() });
    let effect = unit.effect.to_string();
    html! {
        li id=(format!("u-{name}")) {
            div {
                p.soft {
                    (unit.id) " " span.effect.(effect) title=(plain(&unit.reason)) { (effect) }
                    @if let Some(comment) = &unit.comment { " " (plain(comment)) }
                }
                pre tabindex="0" { code { (plain(unit.source.trim())) } }
            }
            div.come {
                @for command in &ran { (outcome(page, command)) }
                @for finding in findings(page, run, &unit.id) { (found(finding)) }
                @if let Some(one) = not_run.filter(|_| ran.is_empty()) { (withheld(one)) }
                @if let Some(view) = view {
                    @if view.asked.is_some() { p.warn { a href=(format!("#q-{name}")) { "Waits for your word" } } }
                    @if let Some(approved) = &view.approved { p.soft { "Approved by " (plain(&approved.by)) } }
                    @if let Some((_, reason)) = &view.refused { p.warn { (plain(reason)) } }
                    @if let Some(problem) = view.verified.as_ref() {
                        @match problem { None => { p.good { "Verified" } } Some(problem) => { p.bad { "Not verified: " (plain(problem)) } } }
                    }
                    @if let Some((_, reason)) = view.watch.as_ref().and_then(|watch| watch.ended.as_ref()) {
                        p.soft { "Watched: " (plain(reason)) }
                    }
                }
            }
        }
    }
}

fn outcome(page: &IncidentPage<'_>, command: &Command) -> Markup {
    let tone = match (&command.end, command.exit_code) {
        (None, _) => "run",
        (Some(_), Some(0)) => "good",
        // A no is an answer, and no failure.
        (Some(end), _) if end.starts_with("answered") => "warn",
        (Some(_), _) => "bad",
    };
    html! {
        p.(tone) {
            @if command.attempt > 1 { "Attempt " (command.attempt) ": " }
            @match &command.end { Some(end) => (plain(end)), None => { "runs for " (since(command.at_ms)) } }
        }
        @if let Some(background) = &command.background { p.soft { (plain(background)) } }
        @for (name, output) in [("output", &command.stdout), ("error output", &command.stderr)] {
            @if let Some(output) = output.as_ref().filter(|output| output.bytes > 0) { (printed(page, command, name, output)) }
        }
    }
}

fn printed(page: &IncidentPage<'_>, command: &Command, name: &str, output: &Output) -> Markup {
    let text = plain(output.excerpt.trim_end());
    let cut = text.chars().count().saturating_sub(OUTPUT_CHARS_MAX);
    let shown: String = text.chars().skip(cut).collect();
    let id = format!(
        "o-{}-{}-{}",
        command.unit.replace('.', "-"),
        command.attempt,
        name.split(' ').next().unwrap_or(name)
    );
    html! {
        details id=(id) {
            summary { (name) ", " (size(output.bytes)) }
            pre tabindex="0" { code { @if cut > 0 { "… " } (shown) } }
            p { a href=(page.path(&format!("kept/{}", output.sha256))) { "all of it" } }
        }
    }
}

fn findings<'a>(page: &IncidentPage<'a>, run: u32, name: &str) -> Vec<&'a Finding> {
    let of_unit = |record: &'a Record| match record {
        Record::Found { unit: Some(unit), findings } if unit.run == run && unit.unit == name => {
            Some(findings)
        }
        _ => None,
    };
    page.incident.timeline.iter().filter_map(|(_, record)| of_unit(record)).flatten().collect()
}

fn found(finding: &Finding) -> Markup {
    html! { p.found { "Found: " (plain(&finding.to_string())) } }
}

fn withheld(one: &NotRun) -> Markup {
    html! {
        p.soft { "Not run: " (plain(&one.reason)) }
        @if let Some(withheld) = &one.withheld { p.soft { "What would allow it: " (plain(&withheld.allow)) } }
    }
}
