//! Owns what a server said: the last lines of its log, by level and by text.

use incident::plain;
use maud::{Markup, html};

use super::{ServerQuery, WINDOWS};
use crate::moment::moment;
use crate::part::Part;

/// The levels that can be asked for, the least serious first.
pub const LEVELS: [&str; 6] = ["trace", "debug", "info", "warning", "error", "critical"];

/// The longest line that is shown whole, in characters.
const LINE_CHARS_MAX: usize = 2_000;

/// The last lines of a log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Logs {
    /// The lines, the oldest first; secrets are hidden already.
    pub lines: Vec<LogLine>,
    /// What was in the way, or is left out.
    pub notes: Vec<String>,
}

/// One line of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// When, in milliseconds since the Unix epoch.
    pub at_ms: Option<i64>,
    /// How serious it is; empty where it does not say.
    pub level: String,
    /// What it says.
    pub text: String,
}

// === impl Logs ===

impl Logs {
    pub(super) fn part(&self, server: &str, query: &ServerQuery) -> Part {
        Part::new(
            "logs",
            html! {
                section #logs aria-labelledby="logs-title" {
                    h2 #logs-title { "What it said" }
                    form.act method="get" action={ "/servers/" (server) "#logs" } role="search" {
                        input type="hidden" name="window" value=(WINDOWS[query.window].0);
                        label { "At least " select name="level" {
                            option value="" { "everything" }
                            @for level in LEVELS { option selected[query.level == level] { (level) } }
                        } }
                        label { "With " input type="search" name="q" value=(query.text) placeholder="words"; }
                        button { "Show" }
                    }
                    @for note in &self.notes { p.soft { (plain(note)) } }
                    @if self.lines.is_empty() {
                        p.soft { "No lines." }
                    } @else {
                        div.log tabindex="0" role="region" aria-label="Log" {
                            @for line in &self.lines { (line.shown()) }
                        }
                    }
                }
            },
        )
    }
}

// === impl LogLine ===

impl LogLine {
    fn shown(&self) -> Markup {
        let class = match self.level.as_str() {
            "error" | "critical" => "bad",
            "warning" => "warn",
            _ => "",
        };
        let text: String = self.text.chars().take(LINE_CHARS_MAX).collect();
        let cut = text.len() < self.text.len();
        html! {
            p class=(class) {
                @if let Some(at_ms) = self.at_ms { (moment(at_ms)) " " }
                @if !self.level.is_empty() { span.level { (self.level) } " " }
                (plain(&text)) @if cut { " …" }
            }
        }
    }
}
