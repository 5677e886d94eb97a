//! Owns the list of incidents: those that are open first, and of each what is asked.

use incident::{Control, Incident, IncidentId, State, plain};
use maud::{Markup, html};

use crate::moment::{ago, moment};
use crate::part::Part;

/// An incident in the list.
#[derive(Debug, Clone)]
pub struct IncidentRow {
    /// Its name.
    pub id: IncidentId,
    /// Where it stands.
    pub state: State,
    /// The server that it is about.
    pub server: String,
    /// How many other servers it is about.
    pub others: usize,
    /// The title of its procedure.
    pub title: String,
    /// What was wrong.
    pub summary: String,
    /// When it was opened, in milliseconds since the Unix epoch.
    pub opened_ms: i64,
    /// Units that wait for a word.
    pub waiting: usize,
    /// Why a person is needed, where one is.
    pub person_needed: Option<String>,
    /// Who leads it.
    pub control: Control,
}

// === impl IncidentRow ===

impl IncidentRow {
    /// The row of an incident.
    pub fn of(incident: &Incident) -> Self {
        Self {
            id: incident.id.clone(),
            state: incident.state,
            server: incident.server.clone(),
            others: incident.members().count(),
            title: incident.title.clone(),
            summary: incident.alarm.summary.clone(),
            opened_ms: incident.opened_ms,
            waiting: incident.open_questions().count(),
            person_needed: incident.person_needed.clone(),
            control: incident.control,
        }
    }

    /// Whether it is open.
    pub fn is_open(&self) -> bool {
        self.state.is_open()
    }

    /// What is asked of people, in few words.
    fn asked(&self) -> Option<String> {
        if !self.is_open() {
            return None;
        }
        match (self.waiting, &self.person_needed, self.control) {
            (0, Some(why), _) => Some(format!("a person is needed: {}", plain(why))),
            (0, None, Control::Held) => Some("held by a person".to_owned()),
            (0, None, Control::Aborted) => Some("ended by a person".to_owned()),
            (0, None, Control::Machine) => None,
            (1, ..) => Some("waits for your yes or no".to_owned()),
            (n, ..) => Some(format!("{n} questions wait for you")),
        }
    }
}

/// The list of incidents: those that are open, and the others below.
pub fn incidents(rows: &[IncidentRow]) -> Vec<Part> {
    let (open, over): (Vec<_>, Vec<_>) = rows.iter().partition(|row| row.is_open());
    let open = html! {
        section #open aria-labelledby="open-title" {
            h1 #open-title {
                @match open.len() { 0 => "No incident is open", 1 => "1 incident is open", n => { (n) " incidents are open" } }
            }
            @if open.is_empty() {
                p.soft { "When a server is down or an alert fires, the incident stands here within a second." }
            } @else {
                ul.cards { @for row in &open { (card(row)) } }
            }
        }
    };
    let over = html! {
        section #over aria-labelledby="over-title" {
            h2 #over-title { "Over" }
            @if over.is_empty() {
                p.soft { "None yet." }
            } @else {
                div.wide.over tabindex="0" role="region" aria-label="Table of incidents that are over" { (table(&over)) }
            }
        }
    };
    vec![Part::new("open", open), Part::new("over", over)]
}

fn card(row: &IncidentRow) -> Markup {
    let asked = row.asked();
    html! {
        li id=(format!("i-{}", row.id)) .asks[asked.is_some()] {
            a href=(format!("/incidents/{}", row.id)) {
                strong { (place(row)) } " · " (plain(&row.title))
            }
            (state(row.state))
            p { (plain(&row.summary)) }
            @if let Some(asked) = asked { p.warn { strong { (asked) } } }
            p.soft { (row.id) " · opened " (ago(row.opened_ms)) }
        }
    }
}

fn table(rows: &[&IncidentRow]) -> Markup {
    html! {
        table {
            thead { tr { th scope="col" { "Incident" } th scope="col" { "Server" } th scope="col" { "What was wrong" } th scope="col" { "State" } th scope="col" { "Opened" } } }
            tbody {
                @for row in rows {
                    tr {
                        td { a href=(format!("/incidents/{}", row.id)) { (row.id) } }
                        td { (place(row)) }
                        td { (plain(&row.summary)) }
                        td { (state(row.state)) }
                        td { (moment(row.opened_ms)) }
                    }
                }
            }
        }
    }
}

fn place(row: &IncidentRow) -> String {
    let server = if row.server.is_empty() { "no server".to_owned() } else { plain(&row.server) };
    if row.others == 0 { server } else { format!("{server} and {} more", row.others) }
}

/// Where an incident stands, as a word that is seen at a glance.
pub(crate) fn state(state: State) -> Markup {
    let tone = match state {
        State::Triggered => "bad",
        State::Acknowledged => "warn",
        State::Mitigated | State::Resolved => "good",
        State::Closed => "soft",
    };
    html! { " " span.state.(tone) { (state) } }
}
