//! Owns the runbook coming alive: its text as it was when the incident began, with what has come of each step beside its line.

use ::incident::{Book, PhaseTime, StepReport, plain};
use maud::{Markup, html};
use runbook::{Fence, Procedure, Step};

use super::{IncidentPage, step, unit};
use crate::markdown::{Beside, Block, Kind, markdown};
use crate::moment::since;
use crate::part::Part;

/// The part of the runbook.
pub(super) fn procedure(page: &IncidentPage<'_>) -> Part {
    let book = page.book.and_then(|book| Some((book, book.procedure(&page.incident.procedure)?)));
    let element = html! {
        section #procedure aria-labelledby="procedure-title" {
            h2 #procedure-title { "Runbook" }
            @match book {
                Some((book, procedure)) => { (alive(page, book, procedure)) }
                None => { (without(page)) }
            }
        }
    };
    Part::new("procedure", element)
}

fn alive(page: &IncidentPage<'_>, book: &Book, procedure: &Procedure) -> Markup {
    let text = String::from_utf8_lossy(&book.bytes);
    let run = page.incident.run;
    html! {
        p.soft {
            "As it was when the incident began: " (plain(&page.incident.runbook.name))
            " · " code { (book.runbook.sha256.get(..12).unwrap_or_default()) }
            @if run > 1 { " · followed for the " (run) ". time" }
        }
        div.runbook { (markdown(&section(&text, procedure.line), &mut Lines { page, procedure })) }
    }
}

/// Where the document cannot be read back: what is known without it.
fn without(page: &IncidentPage<'_>) -> Markup {
    html! {
        p.warn { "The runbook cannot be read back: these are its steps as they were carried out." }
        ol { @for one in of_run(page) { li { (plain(&one.title)) " " (step::state(one.state)) " " (plain(&one.reason)) } } }
    }
}

/// The section that begins at a line, up to the next of its level or above; its lines have the numbers that they have in
/// the document.
fn section(text: &str, line: usize) -> String {
    let mut fence: Option<char> = None;
    let mut section = "\n".repeat(line.saturating_sub(1));
    for (idx, line) in text.lines().skip(line.saturating_sub(1)).enumerate() {
        let ends = ["# ", "## "].iter().any(|mark| line.starts_with(mark));
        if ends && idx > 0 && fence.is_none() {
            break;
        }
        let mark = ["```", "~~~"].iter().find(|mark| line.trim_start().starts_with(**mark));
        if let Some(mark) = mark.and_then(|mark| mark.chars().next()) {
            fence = match fence {
                None => Some(mark),
                Some(open) => (open != mark).then_some(open),
            };
        }
        section.push_str(line);
        section.push('\n');
    }
    section
}

/// The steps of this run, as far as they have begun.
pub(super) fn of_run<'a>(page: &IncidentPage<'a>) -> impl Iterator<Item = &'a StepReport> {
    let run = page.incident.run;
    page.report.steps.iter().filter(move |step| step.run == run)
}

/// What stands beside the lines of steps, fences and phases.
struct Lines<'a> {
    page: &'a IncidentPage<'a>,
    procedure: &'a Procedure,
}

// === impl Lines ===

impl Beside for Lines<'_> {
    fn before(&mut self, block: &Block) -> Markup {
        let is_it = |step: &&Step| block.kind == Kind::Item && step.line == block.lines.start;
        let step = self.procedure.steps().find(is_it);
        step.map(|step| step::beside(self.page, step)).unwrap_or_default()
    }

    fn instead(&mut self, code: &Block) -> Option<Markup> {
        let is_it = |fence: &&Fence| fence.line == code.lines.start && !fence.units.is_empty();
        let fence = self.procedure.steps().flat_map(|step| &step.fences).find(is_it)?;
        Some(unit::list(self.page, fence))
    }

    fn after(&mut self, block: &Block) -> Markup {
        if block.kind != Kind::Heading {
            return Markup::default();
        }
        // A phase has no line of its own: its heading is the last one before its first step.
        let first = |phase: &&runbook::Phase| {
            let begins = phase.steps.first().map_or(0, |step| step.line);
            let others = self.procedure.phases.iter().filter_map(|one| Some(one.steps.first()?.line));
            begins > block.lines.start
                && others.filter(|line| *line > block.lines.start).all(|line| line >= begins)
        };
        let Some(phase) = self.procedure.phases.iter().find(first) else { return Markup::default() };
        let run = self.page.incident.run.max(1);
        let time = self.page.report.phases.iter().find(|time| time.run == run && time.title == phase.title);
        // The title of the procedure and its alert stand above the first phase as well.
        let is_its = self.headings(block).is_some_and(|text| text.contains(&phase.title));
        time.filter(|_| is_its).map(time_of).unwrap_or_default()
    }
}

impl Lines<'_> {
    /// The text of a heading.
    fn headings(&self, block: &Block) -> Option<&str> {
        let text = std::str::from_utf8(&self.page.book?.bytes).ok()?;
        text.lines().nth(block.lines.start.checked_sub(1)?)
    }
}

/// How long a phase took against its window.
fn time_of(time: &PhaseTime) -> Markup {
    let over = time.over_ms.is_some_and(|over_ms| over_ms > 0);
    html! {
        p.time .soft[!over] .bad[over] {
            @match (time.started_ms, time.ended_ms) {
                // What grows by itself is counted where it is read.
                (Some(started_ms), None) => { "goes on since " (since(started_ms)) @if over { ", and is over its window" } }
                _ => { (time.words) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_ends_at_the_next_of_its_level_and_not_in_a_fence() {
        let text = "# T\n## A\na\n```\n## no\n~~~\n```\n### B\nb\n## C\nc\n";
        assert_eq!(section(text, 2), "\n## A\na\n```\n## no\n~~~\n```\n### B\nb\n");
        assert_eq!(section(text, 10), format!("{}## C\nc\n", "\n".repeat(9)));
        assert_eq!(section("", 1), "");
    }
}
