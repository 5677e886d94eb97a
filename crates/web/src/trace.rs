//! Owns the page of one trace: its waterfall, each span below the one that it was done for, with a bar that shows when.

use std::sync::Arc;

use incident::plain;
use maud::{Markup, html};
use traces::{Row, Span, Status};

use crate::chart::Unit;
use crate::moment::moment;
use crate::part::Part;

/// More rows nobody reads; how many more there are is said.
const ROWS_MAX: usize = 500;

/// Spans are moved to the right so often, and no further.
const INDENT_MAX: usize = 16;

/// The columns of a bar.
const COLUMNS: u64 = 1_000;

/// The longest value of an attribute that is shown, in characters.
const VALUE_CHARS_MAX: usize = 500;

/// The page of a trace. Texts in it come from whoever sent the spans.
pub fn trace(id: &str, spans: &[Arc<Span>]) -> Vec<Part> {
    let start_ns = spans.iter().map(|span| span.start_ns).min().unwrap_or(0);
    let end_ns = spans.iter().map(|span| span.end_ns).max().unwrap_or(start_ns);
    let rows = traces::rows(spans);
    let shown = &rows[..rows.len().min(ROWS_MAX)];
    let seconds = |ns: u64| Unit::Seconds.show(ns as f64 / 1e9);
    let page = html! {
        section #trace aria-labelledby="title" {
            h1 #title { "Trace " code { (id) } }
            p {
                (rows.len()) " spans in " (seconds(end_ns - start_ns)) ", from "
                (moment(i64::try_from(start_ns / 1_000_000).unwrap_or(i64::MAX))) " UTC"
            }
            div.wide tabindex="0" role="region" aria-label="Waterfall" { table.waterfall {
                thead { tr { th scope="col" { "Span" } th scope="col" { "Took" } th scope="col" { "When" } } }
                tbody { @for row in shown { (line(row, start_ns, (end_ns - start_ns).max(1))) } }
            } }
            @if rows.len() > shown.len() { p.soft { "and " (rows.len() - shown.len()) " more" } }
        }
    };
    vec![Part::new("trace", page)]
}

fn line(row: &Row<'_>, start_ns: u64, whole_ns: u64) -> Markup {
    let span = row.span;
    let at = |ns: u64| (u128::from(ns - start_ns) * u128::from(COLUMNS) / u128::from(whole_ns)) as u64;
    let from = at(span.start_ns).min(COLUMNS - 4);
    // What took no time is seen all the same.
    let width = at(span.end_ns).saturating_sub(from).max(4);
    let indent = "\u{2003}".repeat(row.depth.min(INDENT_MAX));
    html! {
        tr {
            td {
                (indent) @if row.is_orphan { "… " }
                span.soft { (plain(span.service())) " " } (plain(&span.name))
                @if let Status::Error(why) = &span.status { " " span.bad { "failed" @if !why.is_empty() { ": " (plain(why)) } } }
                @if !span.attributes.is_empty() {
                    details {
                        summary { "more" }
                        dl.facts { @for (name, value) in &span.attributes { div {
                            dt { (plain(name)) } dd { (shortened(&value.to_string())) }
                        } } }
                    }
                }
            }
            td { (Unit::Seconds.show(span.took().as_secs_f64())) }
            td {
                svg viewBox="0 0 1000 12" preserveAspectRatio="none" {
                    rect class=[span.is_error().then_some("bad")] x=(from) width=(width) height="12" {}
                }
            }
        }
    }
}

fn shortened(value: &str) -> String {
    let short: String = value.chars().take(VALUE_CHARS_MAX).collect();
    let end = if short.len() < value.len() { " …" } else { "" };
    plain(&short) + end
}
