//! Owns what is asked of whoever looks: the exact statement, what it does and to what, until when, and the forms for a yes
//! and a no. Both are to the question that was read.

use ::incident::{Asked, UnitRef, UnitView, plain};
use maud::{Markup, html};

use super::IncidentPage;
use crate::moment::{moment, since};
use crate::part::Part;

/// The effect under which a task for a person stands in the records.
const MANUAL: &str = "manual";

pub(super) fn asked(page: &IncidentPage<'_>) -> Part {
    let element = html! {
        div #asked role="region" aria-label="What is asked of you" aria-live="polite" {
            @for (unit, view, asked) in page.incident.open_questions() {
                (question(page, unit, view, asked))
            }
        }
    };
    Part::new("asked", element)
}

fn question(page: &IncidentPage<'_>, unit: &UnitRef, view: &UnitView, asked: &Asked) -> Markup {
    let name = unit.unit.replace('.', "-");
    let manual = asked.effect == MANUAL;
    html! {
        section.question id=(format!("q-{name}")) aria-labelledby=(format!("qt-{name}")) {
            h2 id=(format!("qt-{name}")) {
                @if manual { "This is for you to do" } @else { "Waits for your yes or no" }
                " · " a href=(format!("#u-{name}")) { (unit.unit) }
                @if let Some(title) = title(page, unit) { " " (plain(title)) }
            }
            pre tabindex="0" { code { (plain(view.statement.trim())) } }
            dl.facts {
                div { dt { "Effect" } dd { span.effect.(asked.effect) { (plain(&asked.effect)) } } }
                div { dt { "Acts on" } dd { (plain(&page.incident.server)) } }
                div { dt { "Asked because" } dd { (plain(&asked.reason)) } }
                div { dt { "Expires" } dd { (since(asked.expires_ms)) " (" (moment(asked.expires_ms)) " UTC)" } }
                @if asked.people > 1 {
                    div { dt { "People" } dd {
                        (asked.people) " have to say yes"
                        @if let Some((first, values)) = &asked.first {
                            "; " (plain(first)) " has"
                            @for (name, value) in values { ", " code { (plain(name)) "=" (plain(value)) } }
                        }
                    } }
                }
                div { dt { "Question" } dd { code { (asked.mark()) } } }
            }
            @if let Some(objection) = objection(page, unit) { p.warn { (plain(objection)) } }
            @if page.may.answer { (forms(page, unit, asked, &name)) } @else { p.soft { "An approver answers this." } }
        }
    }
}

fn forms(page: &IncidentPage<'_>, unit: &UnitRef, asked: &Asked, name: &str) -> Markup {
    let manual = asked.effect == MANUAL;
    let hidden = html! {
        input type="hidden" name="csrf" value=(page.may.csrf);
        input type="hidden" name="unit" value=(unit.unit);
        input type="hidden" name="question" value=(asked.mark());
    };
    html! {
        div.answers {
            // Another question has other forms: a finger on its way does not meet a button that has become another one.
            form id=(format!("approve-{}", asked.mark())) method="post" action=(page.path("approve")) {
                (hidden)
                @for missing in &asked.missing {
                    label { (plain(missing)) " " input name=(format!("value.{missing}")) required autocomplete="off"; }
                }
                button.main id=(format!("yes-{name}")) { @if manual { "Yes, it is done" } @else { "Approve: run it" } }
            }
            form id=(format!("reject-{}", asked.mark())) method="post" action=(page.path("reject")) {
                (hidden)
                label { "Why not " input name="reason" required autocomplete="off"; }
                button id=(format!("no-{name}")) { "Reject" }
            }
        }
    }
}

/// The title of the step that a unit is in.
fn title<'a>(page: &IncidentPage<'a>, unit: &UnitRef) -> Option<&'a str> {
    let number: u32 = unit.unit.split('.').next()?.parse().ok()?;
    let steps = page.incident.steps.iter().rev();
    steps.map(|view| &view.step).find(|step| step.number == number).map(|step| step.title.as_str())
}

/// What the rules have against a statement.
fn objection<'a>(page: &IncidentPage<'a>, unit: &UnitRef) -> Option<&'a str> {
    Some(page.book?.objection(&page.incident.procedure, &unit.unit)?.reason.as_str())
}
