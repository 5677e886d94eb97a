//! Owns what a person can say to an incident: notice taken, a note, over to a person and back, more people, the end.

use ::incident::{Control, State};
use maud::{Markup, html};

use super::IncidentPage;
use crate::part::Part;

pub(super) fn actions(page: &IncidentPage<'_>) -> Part {
    let incident = page.incident;
    let element = html! {
        div #actions role="group" aria-label="What you can do" {
            @if page.may.lead {
                // The machine may have taken notice already; that somebody has is worth another line.
                @if matches!(incident.state, State::Triggered | State::Acknowledged) {
                    (button(page, "acknowledge", "Acknowledge"))
                }
                (with_text(page, "note", "Note", &html! {
                    label { "What only you know " textarea name="text" rows="3" required {} }
                }))
                (with_text(page, "follow-up", "To do later", &html! {
                    label { "What has to be done when it is over " input name="text" required autocomplete="off"; }
                }))
                @if incident.state.is_open() {
                    @match incident.control {
                        Control::Machine => { (with_text(page, "hold", "Take over", &reason("Why you take over"))) }
                        Control::Held | Control::Aborted => { (button(page, "resume", "Hand back")) }
                    }
                    @if incident.control != Control::Aborted {
                        (with_text(page, "abort", "Abort", &reason("Why the machine's part ends here; what runs is ended")))
                    }
                    (with_text(page, "escalate", "Call others", &html! {
                        label { "Whom " input name="to" list="contacts" required autocomplete="off"; }
                        datalist id="contacts" { @for name in page.contacts { option value=(name) {} } }
                        (reason("Why"))
                    }))
                    (button(page, "resolve", "It is over"))
                    (with_text(page, "close", "Close", &reason("Why it is closed although it is not over")))
                } @else if incident.state == State::Resolved {
                    (with_text(page, "close", "Close", &reason("What was learned, or that nothing is left to do")))
                }
            }
        }
    };
    Part::new("actions", element)
}

fn button(page: &IncidentPage<'_>, act: &str, name: &str) -> Markup {
    html! {
        form method="post" action=(page.path(act)) {
            input type="hidden" name="csrf" value=(page.may.csrf);
            button id=(act) { (name) }
        }
    }
}

fn with_text(page: &IncidentPage<'_>, act: &str, name: &str, fields: &Markup) -> Markup {
    html! {
        details id=(format!("{act}-more")) {
            summary id=(act) { (name) }
            form method="post" action=(page.path(act)) {
                input type="hidden" name="csrf" value=(page.may.csrf);
                (fields)
                button.main { (name) }
            }
        }
    }
}

fn reason(name: &str) -> Markup {
    html! { label { (name) " " input name="reason" required autocomplete="off"; } }
}
