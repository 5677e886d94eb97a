//! Owns the one clock of `serve`: everything below it is told the time.

use std::time::{SystemTime, UNIX_EPOCH};

/// Milliseconds since the Unix epoch.
#[expect(clippy::disallowed_methods, reason = "this is the one place where serve reads the clock")]
pub fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
}

/// The date of today, in UTC: `2026-11-27`.
pub(crate) fn today() -> String {
    let now = chrono::DateTime::from_timestamp_millis(now_ms()).unwrap_or_default();
    now.format("%Y-%m-%d").to_string()
}
