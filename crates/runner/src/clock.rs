//! Owns the clock of the runner: when a unit began and ended.

use std::time::{SystemTime, UNIX_EPOCH};

/// Returns the milliseconds since the Unix epoch.
pub(crate) fn now_ms() -> i64 {
    #[expect(clippy::disallowed_methods, reason = "the runner is a shell: it notes when things happened")]
    let now = SystemTime::now();
    // Before 1970 a machine's clock is not set, and later than i64 holds it is not either.
    now.duration_since(UNIX_EPOCH).ok().and_then(|since| i64::try_from(since.as_millis()).ok()).unwrap_or(0)
}
