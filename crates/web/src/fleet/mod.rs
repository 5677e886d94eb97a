//! Owns the page of the fleet: what is asked of people, what fires, and every server with the worst first.

mod order;
mod row;
#[cfg(test)]
mod tests;

use maud::{Markup, html};

use crate::chart::Stretch;
use crate::moment::moment;
use crate::part::Part;

pub use order::{Ordering, Query};
pub use row::{Health, Measure, Server};

/// How many servers one page shows: with them it stays under 100 kB.
pub const SERVERS_PER_PAGE: usize = 100;

/// How many questions and alerts are listed; how many more there are is said.
const LISTED_MAX: usize = 20;

/// What is known of the fleet.
#[derive(Debug, Clone, Default)]
pub struct Fleet {
    /// What waits for a person, the oldest first.
    pub asked: Vec<Asked>,
    /// The alerts that fire, the oldest first.
    pub alerts: Vec<Firing>,
    /// All servers, in any order.
    pub servers: Vec<Server>,
    /// The time that sparklines show.
    pub stretch: Stretch,
    /// Two samples that are farther apart than this, in milliseconds, have a gap between them.
    pub gap_ms: i64,
}

/// An incident that waits for a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The incident.
    pub incident: String,
    /// Its server; empty where it is about none.
    pub server: String,
    /// The title of its procedure.
    pub title: String,
    /// What it waits for, in words.
    pub what: String,
}

/// An alert that fires.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Firing {
    /// Its name.
    pub name: String,
    /// The server that it names; empty where it names none.
    pub server: String,
    /// How bad it is, by its own words.
    pub severity: String,
    /// Since when, in milliseconds since the Unix epoch.
    pub since_ms: i64,
    /// Why it is quiet, where it is.
    pub quiet: Option<String>,
}

// === impl Fleet ===

impl Fleet {
    /// The pieces of the page that change by themselves.
    pub fn parts(&self, query: &Query) -> Vec<Part> {
        let shown = order::shown(&self.servers, query);
        let rows = shown.page.iter().map(|server| server.row(self.stretch, self.gap_ms));
        [self.asked(), self.firing(), self.counts(shown.found)].into_iter().chain(rows).collect()
    }

    /// The body of the page.
    pub fn body(&self, query: &Query) -> Markup {
        let shown = order::shown(&self.servers, query);
        html! {
            h1 { "Fleet" }
            (self.asked())
            (self.firing())
            (self.counts(shown.found))
            form.find #find method="get" role="search" data-live="true" {
                label for="q" { "Find " }
                input #q type="search" name="q" value=(query.text) placeholder="server, reason or incident";
                @if query.ordering != Ordering::Worst {
                    input type="hidden" name="sort" value=(query.ordering.word());
                }
                " " button { "Find" }
                @if !query.text.is_empty() { " " a href=(query.without_text().link()) { "All servers" } }
            }
            @if shown.page.is_empty() {
                p.soft { "There is no server that this is about." }
            } @else {
                div.wide tabindex="0" role="region" aria-label="Servers" { table.fleet.sparks {
                    thead { tr { @for (ordering, title) in order::COLUMNS { (query.column(ordering, title)) } } }
                    tbody { @for server in &shown.page { (server.row(self.stretch, self.gap_ms)) } }
                } }
                (query.pages(shown.found))
            }
        }
    }

    fn asked(&self) -> Part {
        let shown = &self.asked[..self.asked.len().min(LISTED_MAX)];
        Part::new(
            "asked",
            html! {
                section #asked aria-label="What is asked of you" {
                    @if !shown.is_empty() {
                        h2 { "What is asked of you" }
                        ul.asked { @for one in shown { li {
                            a href={ "/incidents/" (one.incident) } { (one.title) }
                            @if !one.server.is_empty() { " of " strong { (one.server) } }
                            ": " (one.what)
                        } } }
                        (more(self.asked.len(), shown.len(), "/incidents"))
                    }
                }
            },
        )
    }

    fn firing(&self) -> Part {
        let shown = &self.alerts[..self.alerts.len().min(LISTED_MAX)];
        Part::new(
            "alerts",
            html! {
                section #alerts aria-label="Alerts that fire" {
                    @if !shown.is_empty() {
                        h2 { "Alerts that fire" }
                        ul.asked { @for alert in shown { li {
                            strong class=(if alert.severity == "critical" { "bad" } else { "warn" }) { (alert.name) }
                            @if !alert.server.is_empty() {
                                " of " a href={ "/servers/" (alert.server) } { (alert.server) }
                            }
                            " (" (alert.severity) ") since " (moment(alert.since_ms))
                            @if let Some(quiet) = &alert.quiet { span.soft { ", " (quiet) } }
                        } } }
                        (more(self.alerts.len(), shown.len(), "/incidents"))
                    }
                }
            },
        )
    }

    /// How many servers there are, by how they are.
    fn counts(&self, found: usize) -> Part {
        let of = |health| self.servers.iter().filter(|server| server.health == health).count();
        let all = self.servers.len();
        let counts = [
            (of(Health::Unhealthy), "bad", "unhealthy"),
            (of(Health::Degraded), "warn", "degraded"),
            (of(Health::Unknown), "soft", "unknown"),
            (of(Health::Healthy), "good", "healthy"),
        ];
        Part::new(
            "counts",
            html! {
                p #counts {
                    (all) @if all == 1 { " server" } @else { " servers" }
                    @for (count, class, word) in counts.into_iter().filter(|(count, ..)| *count > 0) {
                        ", " span class=(class) { (count) " " (word) }
                    }
                    @if found < all { "; " (found) " found" }
                }
            },
        )
    }
}

fn more(all: usize, shown: usize, path: &str) -> Markup {
    html! { @if all > shown { p { a href=(path) { "and " (all - shown) " more" } } } }
}
