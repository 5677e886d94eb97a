//! Owns the head of an incident's page: which server, how it stands, who leads it, and how long each thing took.

use ::incident::{Control, plain};
use maud::{Markup, html};

use super::IncidentPage;
use crate::incidents::state;
use crate::moment::{moment, since};
use crate::part::Part;

pub(super) fn head(page: &IncidentPage<'_>) -> Part {
    let (incident, report) = (page.incident, page.report);
    let server = if incident.server.is_empty() { "no server".to_owned() } else { plain(&incident.server) };
    let element = html! {
        section #head aria-labelledby="title" {
            h1 #title { (server) ": " (plain(&incident.title)) (state(incident.state)) }
            @if let Some(why) = incident.person_needed.as_ref().filter(|_| incident.state.is_open()) {
                p.alert { "A person is needed: " (plain(why)) }
            }
            p { (plain(&report.summary)) }
            @if let Some(leads) = leads(page) { p.warn { strong { (leads) } } }
            dl.facts {
                (fact("Incident", &html! { (incident.id) }))
                (fact("Opened", &html! { (moment(incident.opened_ms)) " UTC" }))
                @if incident.state.is_open() {
                    (fact("Lasts", &since(incident.opened_ms)))
                }
                @for clock in report.clocks.iter().filter(|clock| clock.name != "detected") {
                    @let by = clock.by.as_ref().map(|by| format!(" by {}", plain(by))).unwrap_or_default();
                    @if let Some(after_ms) = clock.after_ms.and_then(|ms| u64::try_from(ms).ok()) {
                        (fact(&capital(&clock.name), &html! { "after " (::incident::duration(after_ms)) (by) }))
                    }
                }
                @if let Some(alert) = &report.alert {
                    (fact("Alert", &html! { (plain(&alert.name)) " (" (plain(&alert.severity)) ")" }))
                }
                @let others: Vec<_> = incident.members().map(plain).collect();
                @if !others.is_empty() { (fact("Also about", &html! { (others.join(", ")) })) }
                @if let Some(into) = &incident.merged_into {
                    (fact("Merged into", &html! { a href=(format!("/incidents/{into}")) { (into) } }))
                }
            }
        }
    };
    Part::new("head", element)
}

fn fact(name: &str, value: &Markup) -> Markup {
    html! { div { dt { (name) } dd { (value) } } }
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// Who leads it, where that is not the machine.
fn leads(page: &IncidentPage<'_>) -> Option<String> {
    let (by, why) = page.incident.taken.as_ref()?;
    let (by, why) = (plain(by), plain(why));
    match page.incident.control {
        Control::Machine => None,
        Control::Held => {
            Some(format!("{by} has taken over: {why}. Nothing is changed until it is handed back."))
        }
        Control::Aborted => Some(format!("{by} has ended the machine's part: {why}.")),
    }
}
