//! Owns one server in the page of the fleet: its state at a glance.

use maud::{Markup, html};

use crate::chart::{Stretch, Unit, spark};
use crate::moment::moment;
use crate::part::Part;

/// How a server is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Health {
    /// It answers, and so does what it needs.
    Healthy,
    /// It answers, and something that it can do without does not.
    Degraded,
    /// It does not.
    Unhealthy,
    /// Nobody has asked yet.
    #[default]
    Unknown,
}

/// One measure of a server over time.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Measure {
    /// Its last value.
    pub last: Option<f64>,
    /// Its samples.
    pub samples: Vec<(i64, f64)>,
}

/// One server.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Server {
    /// Its name: letters, digits, `-`, `_` and `.`.
    pub name: String,
    /// How it is.
    pub health: Health,
    /// Where it is in its life, in a word.
    pub phase: String,
    /// Why it is so, in words.
    pub reason: String,
    /// The incidents that are open about it.
    pub incidents: Vec<String>,
    /// Whether an alert about it fires.
    pub fires: bool,
    /// Seconds that most requests take.
    pub latency: Measure,
    /// Errors in a second.
    pub errors: Measure,
    /// Bytes of memory.
    pub memory: Measure,
    /// When its process was started the last time by anybody who tells, in milliseconds since the Unix epoch.
    pub restarted_ms: Option<i64>,
}

// === impl Health ===

impl Health {
    /// In a word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Degraded => "degraded",
            Self::Unhealthy => "unhealthy",
            Self::Unknown => "unknown",
        }
    }

    /// The class of its colour.
    pub fn class(self) -> &'static str {
        match self {
            Self::Healthy => "good",
            Self::Degraded => "warn",
            Self::Unhealthy => "bad",
            Self::Unknown => "soft",
        }
    }

    /// The word in its colour; the colour alone would say nothing to many.
    pub fn badge(self) -> Markup {
        html! { span class={ "state " (self.class()) } { (self.word()) } }
    }
}

// === impl Server ===

impl Server {
    /// The row of the server.
    pub(super) fn row(&self, stretch: Stretch, gap_ms: i64) -> Part {
        let id = format!("server-{}", self.name);
        let row = html! {
            tr id=(id) {
                th scope="row" { a href={ "/servers/" (self.name) } { (self.name) } }
                td { (self.health.badge()) @if self.phase != "ready" { " " (self.phase) } }
                td {
                    @for incident in &self.incidents { a href={ "/incidents/" (incident) } { (incident) } " " }
                    @if self.health != Health::Healthy { (self.reason) }
                }
                (cell(&self.latency, Unit::Seconds, stretch, gap_ms))
                (cell(&self.errors, Unit::PerSecond, stretch, gap_ms))
                (cell(&self.memory, Unit::Bytes, stretch, gap_ms))
                td { @if let Some(at_ms) = self.restarted_ms { (moment(at_ms)) } }
            }
        };
        Part::new(id, row)
    }
}

fn cell(measure: &Measure, unit: Unit, stretch: Stretch, gap_ms: i64) -> Markup {
    html! {
        td {
            @if let Some(last) = measure.last { (unit.show(last)) }
            (spark(&measure.samples, stretch, gap_ms))
        }
    }
}
