//! Owns lists of traces: the slowest and the last, each with the way to its waterfall.

use incident::plain;
use maud::{Markup, html};
use traces::Summary;

use crate::chart::Unit;
use crate::moment::moment;
use crate::part::Part;

/// A trace in a list.
pub type TraceLine = Summary;

/// The traces of a server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Traces {
    /// Those that took longest, the slowest first.
    pub slowest: Vec<TraceLine>,
    /// The last ones, the newest first.
    pub last: Vec<TraceLine>,
}

// === impl Traces ===

impl Traces {
    pub(super) fn part(&self, id: &str, title: &str) -> Part {
        Part::new(
            id,
            html! {
                section id=(id) aria-labelledby={ (id) "-title" } {
                    h2 id={ (id) "-title" } { (title) }
                    @if self.last.is_empty() {
                        p.soft { "Its guard has sent no traces, or they are too old to be kept." }
                    } @else {
                        h3 { "The slowest" }
                        (table(&self.slowest, "The slowest"))
                        h3 { "The last" }
                        (table(&self.last, "The last"))
                    }
                }
            },
        )
    }
}

fn table(lines: &[TraceLine], label: &str) -> Markup {
    html! {
        div.wide tabindex="0" role="region" aria-label=(label) { table {
            thead { tr {
                th scope="col" { "Began" } th scope="col" { "What" } th scope="col" { "Took" }
                th scope="col" { "Spans" } th scope="col" { "Errors" }
            } }
            tbody { @for line in lines { tr {
                td { (moment(i64::try_from(line.start_ns / 1_000_000).unwrap_or(i64::MAX))) }
                td { a href={ "/traces/" (line.trace) } { (plain(&line.name)) } }
                td { (Unit::Seconds.show(line.span_took.as_secs_f64())) }
                td { (line.n_spans) }
                td { @if line.n_errors > 0 { span.bad { (line.n_errors) " " (plain(&line.error)) } } }
            } } }
        } }
    }
}
