//! Owns moments in pages: in UTC, because logs and reports are, and never "a minute ago", which is wrong a minute later.

use chrono::DateTime;
use maud::{Markup, html};

/// A moment, in milliseconds since the Unix epoch, to the second.
pub fn moment(at_ms: i64) -> Markup {
    let at = DateTime::from_timestamp_millis(at_ms).unwrap_or_default();
    html! { time datetime=(at.format("%Y-%m-%dT%H:%M:%SZ")) { (at.format("%Y-%m-%d %H:%M:%S")) } }
}
