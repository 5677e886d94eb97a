//! Owns moments in pages: in UTC, because logs and reports are. Where how long ago something was is what counts, the script
//! counts it; without it, or between two looks, the moment itself stands there, and is not wrong a minute later.

use chrono::DateTime;
use maud::{Markup, html};

/// A moment, in milliseconds since the Unix epoch, to the second.
pub fn moment(at_ms: i64) -> Markup {
    html! { time datetime=(exact(at_ms)) { (format(at_ms, "%Y-%m-%d %H:%M:%S")) } }
}

/// The time of the day of a moment, to the second.
pub fn clock(at_ms: i64) -> Markup {
    html! { time datetime=(exact(at_ms)) { (format(at_ms, "%H:%M:%S")) } }
}

/// How long something lasts since then, or how long it is until then.
pub fn since(at_ms: i64) -> Markup {
    html! { time datetime=(exact(at_ms)) data-since=(at_ms) { (format(at_ms, "%H:%M:%S UTC")) } }
}

/// How long ago something was.
pub fn ago(at_ms: i64) -> Markup {
    html! { time datetime=(exact(at_ms)) data-since=(at_ms) data-ago="1" { (format(at_ms, "%H:%M:%S UTC")) } }
}

fn exact(at_ms: i64) -> String {
    format(at_ms, "%Y-%m-%dT%H:%M:%SZ")
}

fn format(at_ms: i64, form: &str) -> String {
    DateTime::from_timestamp_millis(at_ms).unwrap_or_default().format(form).to_string()
}
