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
    /// The other servers that it is about.
    pub others: Vec<String>,
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
            others: incident.members().map(str::to_owned).collect(),
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

    /// Whether its name, its servers, its title, what was wrong or where it stands has this text, in any case.
    pub fn has(&self, text: &str) -> bool {
        let (text, state) = (text.trim().to_lowercase(), self.state.to_string());
        let words = [self.id.as_str(), &self.server, &self.title, &self.summary, &state];
        words
            .into_iter()
            .chain(self.others.iter().map(String::as_str))
            .any(|one| one.to_lowercase().contains(&text))
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

/// The list of incidents: those that are open, and the others below. `text` is what they were looked for with.
pub fn incidents(rows: &[IncidentRow], text: &str) -> Vec<Part> {
    let (open, over): (Vec<_>, Vec<_>) = rows.iter().partition(|row| row.is_open());
    vec![part_of_open(&open, text), find(text), part_of_over(&over)]
}

fn part_of_open(open: &[&IncidentRow], text: &str) -> Part {
    let found = if text.is_empty() { String::new() } else { format!(" with “{}”", plain(text)) };
    let content = html! {
        section #open aria-labelledby="open-title" {
            h1 #open-title {
                @match open.len() { 0 => "No incident is open", 1 => "1 incident is open", n => { (n) " incidents are open" } }
                (found)
            }
            @if !open.is_empty() {
                ul.cards { @for row in open { (card(row)) } }
            } @else if text.is_empty() {
                p.soft { "When a server is down or an alert fires, the incident stands here within a second." }
            }
        }
    };
    Part::new("open", content)
}

fn find(text: &str) -> Part {
    let content = html! {
        form.find #find method="get" role="search" data-live="true" {
            label for="q" { "Find " }
            input #q type="search" name="q" value=(text) placeholder="server, what was wrong, or state";
            " " button { "Find" }
            @if !text.is_empty() { " " a href="/incidents" { "All incidents" } }
        }
    };
    Part::new("find", content)
}

fn part_of_over(over: &[&IncidentRow]) -> Part {
    let content = html! {
        section #over aria-labelledby="over-title" {
            h2 #over-title { "Over" }
            @if over.is_empty() {
                p.soft { "None." }
            } @else {
                div.wide.over tabindex="0" role="region" aria-label="Table of incidents that are over" { (table(over)) }
            }
        }
    };
    Part::new("over", content)
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
    if row.others.is_empty() { server } else { format!("{server} and {} more", row.others.len()) }
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

#[cfg(test)]
mod tests {
    use incident::{Control, IncidentId, State};

    use super::{IncidentRow, incidents};

    fn row(id: (i64, u16), state: State, server: &str, others: &[&str]) -> IncidentRow {
        IncidentRow {
            id: IncidentId::new(id.0, id.1),
            state,
            server: server.to_owned(),
            others: others.iter().map(|one| (*one).to_owned()).collect(),
            title: "Server Down".to_owned(),
            summary: "connection refused".to_owned(),
            opened_ms: 0,
            waiting: 0,
            person_needed: None,
            control: Control::Machine,
        }
    }

    #[track_caller]
    fn check(text: &str, expect: bool) {
        let row = row((0, 0xabcd), State::Acknowledged, "notes", &["Store"]);
        assert_eq!(row.has(text), expect, "{text}");
    }

    #[test]
    fn incidents_are_found_by_what_people_know_of_them() {
        for text in ["", "NOTES", " store ", "refused", "server down", "abcd", "acknowledged"] {
            check(text, true);
        }
        for text in ["other", "closed", "<b>"] {
            check(text, false);
        }
    }

    #[test]
    fn what_was_looked_for_is_text() {
        let shown = crate::all(&incidents(&[], "<script>")).into_string();
        assert!(shown.contains("No incident is open with “&lt;script&gt;”"), "{shown}");
        assert!(!shown.contains("<script>") && shown.contains("value=\"&lt;script&gt;\""), "{shown}");
    }
}
