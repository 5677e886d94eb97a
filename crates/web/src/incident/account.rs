//! Owns the account of an incident: what the findings point to, what happened when, what is kept, and its report.

use ::incident::plain;
use maud::{Markup, html};

use super::{Bundle, IncidentPage};
use crate::moment::{clock, moment};
use crate::part::{Part, size};

/// So many of the last moments stand in the page: the report has all.
const MOMENTS_MAX: usize = 150;

/// What the findings point to, and why.
pub(super) fn cause(page: &IncidentPage<'_>) -> Part {
    let element = html! {
        section #cause aria-labelledby="cause-title" {
            h2 #cause-title { "Cause" }
            @match &page.report.cause {
                None => { p.soft { "Nothing was found yet." } }
                Some(cause) => {
                    p {
                        @match &cause.name { Some(name) => { strong { (plain(name)) } } None => { "None stands out." } }
                    }
                    ul { @for why in &cause.why { li { (plain(why)) } } }
                    details #findings {
                        summary { (cause.findings.len()) " findings" }
                        ul { @for finding in &cause.findings { li { (plain(finding)) } } }
                    }
                }
            }
        }
    };
    Part::new("cause", element)
}

/// What happened, the last first.
pub(super) fn timeline(page: &IncidentPage<'_>) -> Part {
    let moments = &page.report.timeline;
    let before = moments.len().saturating_sub(MOMENTS_MAX);
    let element = html! {
        section #timeline aria-labelledby="timeline-title" {
            h2 #timeline-title { "Timeline" }
            p.soft { "UTC, the last first" @if before > 0 { "; " (before) " more are in the report" } }
            ol.moments {
                @for (idx, moment) in moments.iter().enumerate().skip(before).rev() {
                    li id=(format!("m-{idx}")) { (clock(moment.at_ms)) " " (plain(&moment.what)) }
                }
            }
        }
    };
    Part::new("timeline", element)
}

/// What was kept of the machine and the server.
pub(super) fn evidence(page: &IncidentPage<'_>) -> Part {
    let kept = &page.report.evidence;
    let element = html! {
        section #evidence aria-labelledby="evidence-title" {
            h2 #evidence-title { "Evidence" }
            @if !page.bundles.is_empty() {
                h3 { "Sealed" }
                ul.plain { @for one in page.bundles { (bundle(page, one)) } }
                h3 { "Kept with the journal" }
            }
            @if kept.is_empty() {
                p.soft { "None is kept yet: it is, before anything is changed." }
            } @else {
                p.soft { "Each is checked against its sum whenever it is opened." }
                ul {
                    @for one in kept {
                        li {
                            @match &one.sha256 {
                                Some(sha256) => { a href=(page.path(&format!("kept/{sha256}"))) { (plain(&one.what)) } ", " (size(one.bytes)) }
                                None => { (plain(&one.what)) }
                            }
                            " · " (plain(&one.summary))
                            @if let Some(problem) = &one.problem { " " span.bad { (plain(problem)) } }
                        }
                    }
                }
            }
        }
    };
    Part::new("evidence", element)
}

/// A bundle, when it was checked last, by whom, and what came of it.
fn bundle(page: &IncidentPage<'_>, one: &Bundle) -> Markup {
    html! {
        li id={ "bundle-" (one.name) } {
            strong { (plain(&one.name)) } ", " (size(one.bytes)) ": "
            @match &one.checked {
                None => span.warn { "never checked" },
                Some(checked) => {
                    @if checked.problems.is_empty() { span.good { "as it was sealed" } } @else { span.bad { "NOT as it was sealed" } }
                    " at " (moment(checked.at_ms)) " UTC, by " (plain(&checked.by))
                    @for problem in &checked.problems { br; span.bad { (plain(problem)) } }
                },
            }
            @if page.may.lead {
                form method="post" action=(page.path("check-evidence")) {
                    input type="hidden" name="csrf" value=(page.may.csrf);
                    input type="hidden" name="bundle" value=(one.name);
                    button aria-label={ "Check the seal of " (plain(&one.name)) } { "Check the seal" }
                }
            }
        }
    }
}

/// Says that something is done.
fn done(page: &IncidentPage<'_>, number: u32) -> Markup {
    html! {
        details id={ "follow-up-" (number) "-more" } {
            summary { "Done" }
            form method="post" action=(page.path("follow-up-done")) {
                input type="hidden" name="csrf" value=(page.may.csrf);
                input type="hidden" name="number" value=(number);
                label { "What was done " input name="text" required autocomplete="off"; }
                button.main { "It is done" }
            }
        }
    }
}

/// Where its report is, and what it lacks.
pub(super) fn report(page: &IncidentPage<'_>) -> Part {
    let report = page.report;
    let element = html! {
        section #report aria-labelledby="report-title" {
            h2 #report-title { "Report" }
            p {
                a href=(page.path("report.html")) { "as a page" } " · " a href=(page.path("report.md")) { "as Markdown" }
            }
            @if let Some(duties) = &report.duties {
                ul {
                    @for duty in duties {
                        li { @if duty.met { span.good { "met" } } @else { span.warn { "open" } } " " (plain(&duty.text)) " " span.soft { (plain(&duty.why)) } }
                    }
                }
            }
            @if !report.follow_ups.is_empty() {
                h3 { "To do when it is over" }
                ul #follow-ups {
                    @for one in &report.follow_ups {
                        li id={ "follow-up-" (one.number) } {
                            @if one.done_ms.is_some() { span.good { "done" } } @else { span.warn { "open" } }
                            " " (plain(&one.text))
                            @if one.done_ms.is_none() && page.may.lead { (done(page, one.number)) }
                        }
                    }
                }
            }
        }
    };
    Part::new("report", element)
}
