//! Owns the account of an incident: what the findings point to, what happened when, what is kept, and its report.

use ::incident::plain;
use maud::html;

use super::IncidentPage;
use crate::moment::clock;
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
                ul {
                    @for one in &report.follow_ups {
                        li { @if one.done_ms.is_some() { span.good { "done" } " " } (plain(&one.text)) }
                    }
                }
            }
        }
    };
    Part::new("report", element)
}
