//! Owns what can be taken back of what was done in an incident: changes of which the value before is kept, and statements
//! whose author says how.

use ::incident::change::Change;
use ::incident::{Takeback, plain};
use maud::{Markup, html};

use super::IncidentPage;
use crate::part::Part;

/// Of a change so many characters are shown: the journal has all of it.
const DIFF_CHARS_MAX: usize = 2_000;

pub(super) fn undo(page: &IncidentPage<'_>) -> Part {
    let all = page.incident.takebacks();
    let element = html! {
        section #undo aria-label="What can be taken back" {
            @if !all.is_empty() {
                h2 { "What can be taken back" }
                ul.plain { @for one in &all { li id={ "undo-" (one.name().replace('.', "-")) } { (item(page, one)) } } }
            }
        }
    };
    Part::new("undo", element)
}

fn item(page: &IncidentPage<'_>, one: &Takeback<'_>) -> Markup {
    match one {
        Takeback::Change(made) => html! {
            strong { (made.change.what.to_string()) } " " code { (plain(&made.change.target)) } ", by " (plain(made.by))
            pre tabindex="0" { (diff(made.change)) }
            @if let Some(why) = made.change.what.stays() {
                p.soft { "It is not taken back here: " (why) "." }
            } @else { (form(page, &one.name())) }
        },
        Takeback::Unit { unit, statement } => html! {
            "What " strong { (unit.unit) } " has done, by"
            pre tabindex="0" { code { (plain(statement)) } }
            (form(page, &one.name()))
        },
    }
}

/// Text of others, with its lines.
fn diff(change: &Change) -> String {
    let short: String = change.diff.trim_end().chars().take(DIFF_CHARS_MAX).collect();
    short.lines().map(plain).collect::<Vec<_>>().join("\n")
}

fn form(page: &IncidentPage<'_>, what: &str) -> Markup {
    html! {
        @if page.may.answer {
            details id={ "undo-" (what.replace('.', "-")) "-more" } {
                summary { "Take back " (what) }
                form.act method="post" action=(page.path("undo")) {
                    input type="hidden" name="csrf" value=(page.may.csrf);
                    input type="hidden" name="what" value=(what);
                    p.soft { "It is run now, by your word, and the journal has it." }
                    button.main { "Take it back" }
                }
            }
        } @else { p.soft { "An approver takes it back." } }
    }
}
