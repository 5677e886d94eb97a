//! Owns the page of one server: how it is, what it needs, how it did over time, what it said, and what can be done about it.

mod controls;
mod head;
mod logs;
#[cfg(test)]
mod tests;
mod traces;

use maud::{Markup, html};

use crate::chart::Chart;
use crate::fleet::{Firing, Health};
use crate::moment::moment;
use crate::part::Part;

pub use controls::{Block, Controls, Pace};
pub use logs::{LEVELS, LogLine, Logs};
pub use traces::{TraceLine, Traces};

/// How far back charts go: the word in the address, what it is called, and its length in milliseconds.
pub const WINDOWS: [(&str, &str, i64); 4] = [
    ("1h", "1 hour", 3_600_000),
    ("6h", "6 hours", 21_600_000),
    ("24h", "24 hours", 86_400_000),
    ("7d", "7 days", 604_800_000),
];

/// What of a server somebody wants to see.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServerQuery {
    /// The index of the window in [`WINDOWS`].
    pub window: usize,
    /// The least level of log lines, by its name; empty for all.
    pub level: String,
    /// What stands in log lines; empty for all.
    pub text: String,
}

/// What is known of a server.
#[derive(Debug, Clone, Default)]
pub struct ServerPage {
    /// Its name: letters, digits, `-`, `_` and `.`.
    pub name: String,
    /// How it is.
    pub health: Health,
    /// Where it is in its life, in a word.
    pub phase: String,
    /// Why it is so.
    pub reason: String,
    /// What else is known: a name and a value each.
    pub facts: Vec<(&'static str, String)>,
    /// How its process ended the last time.
    pub exit: Option<LastExit>,
    /// What it needs.
    pub dependencies: Vec<Dependency>,
    /// The alerts about it that fire.
    pub alerts: Vec<Firing>,
    /// The incidents about it, the newest first.
    pub incidents: Vec<Happened>,
    /// How it did over time.
    pub charts: Vec<Chart>,
    /// What its guard lets through; none where there is no guard that could be asked.
    pub controls: Option<Controls>,
    /// Whether it can be started, stopped and restarted here.
    pub takes_orders: bool,
    /// What it said.
    pub logs: Logs,
    /// What it did.
    pub traces: Traces,
    /// The word that forms bring back, where whoever looks may do something about it.
    pub csrf: Option<String>,
}

/// The last end of a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastExit {
    /// How it ended.
    pub reason: String,
    /// When, in milliseconds since the Unix epoch.
    pub at_ms: i64,
    /// Its last words.
    pub stderr: Vec<String>,
}

/// Something that a server needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dependency {
    /// Its name.
    pub name: String,
    /// How it is.
    pub health: Health,
    /// Whether the server cannot work without it.
    pub critical: bool,
    /// Why it is so.
    pub reason: String,
}

/// An incident about a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Happened {
    /// Its name.
    pub id: String,
    /// Where it stands, in a word.
    pub state: String,
    /// Whether it is open.
    pub is_open: bool,
    /// The title of its procedure.
    pub title: String,
    /// When it was opened, in milliseconds since the Unix epoch.
    pub opened_ms: i64,
}

// === impl ServerQuery ===

impl ServerQuery {
    /// The window of a word; the first where nobody knows it.
    pub fn window_of(word: &str) -> usize {
        WINDOWS.iter().position(|(known, ..)| *known == word).unwrap_or(0)
    }

    /// The query of an address for this, with another window.
    fn with_window(&self, window: usize) -> String {
        let mut fields = vec![format!("window={}", WINDOWS[window].0)];
        for (name, value) in [("level", &self.level), ("q", &self.text)] {
            if !value.is_empty() {
                fields.push(format!("{name}={}", crate::address::encoded(value)));
            }
        }
        fields.join("&")
    }
}

// === impl ServerPage ===

impl ServerPage {
    /// The page, for whoever wants to see this of it.
    pub fn parts(&self, query: &ServerQuery) -> Vec<Part> {
        vec![
            self.head(),
            self.exit_part(),
            self.needs(),
            self.happened(),
            self.charts(query),
            self.switches(),
            self.logs.part(&self.name, query),
            self.traces.part("traces", "Traces"),
        ]
    }

    /// The path of something about the server.
    fn path(&self, what: &str) -> String {
        format!("/servers/{}/{what}", self.name)
    }

    fn charts(&self, query: &ServerQuery) -> Part {
        Part::new(
            "charts",
            html! {
                section #charts aria-labelledby="charts-title" {
                    h2 #charts-title { "Over time" }
                    nav.ways aria-label="How far back" {
                        @for (number, (_, name, _)) in WINDOWS.iter().enumerate() {
                            a href={ "?" (query.with_window(number)) "#charts" }
                                aria-current=[(number == query.window).then_some("true")] { (name) }
                            " "
                        }
                        span.soft { "Times are in UTC." }
                    }
                    div.charts { @for chart in &self.charts { (chart.figure()) } }
                }
            },
        )
    }

    fn needs(&self) -> Part {
        Part::new(
            "needs",
            html! {
                section #needs aria-label="What it needs" {
                    @if !self.dependencies.is_empty() {
                        h2 { "What it needs" }
                        ul.plain { @for one in &self.dependencies { li {
                            (one.health.badge()) " " strong { (one.name) }
                            @if !one.critical { span.soft { " (it can work without)" } }
                            @if !one.reason.is_empty() { ": " (incident::plain(&one.reason)) }
                        } } }
                    }
                }
            },
        )
    }

    fn happened(&self) -> Part {
        Part::new(
            "incidents",
            html! {
                section #incidents aria-labelledby="incidents-title" {
                    h2 #incidents-title { "Incidents" }
                    @if self.incidents.is_empty() { p.soft { "None." } }
                    ul.plain { @for one in &self.incidents { li {
                        (moment(one.opened_ms)) " "
                        a href={ "/incidents/" (one.id) } { (incident::plain(&one.title)) }
                        " " span class={ "state " (if one.is_open { "bad" } else { "soft" }) } { (one.state) }
                    } } }
                }
            },
        )
    }
}

/// A form that does one thing to a server.
fn form(csrf: &str, action: &str, fields: &Markup, button: &str) -> Markup {
    html! {
        form.act method="post" action=(action) {
            input type="hidden" name="csrf" value=(csrf);
            (fields)
            button { (button) }
        }
    }
}
