//! Owns the one look at the clock of the helper: a timeout of the kernel is a length, and what is sent is a moment.

use std::time::{SystemTime, UNIX_EPOCH};

/// Now, in milliseconds since 1970.
#[expect(clippy::disallowed_methods, reason = "this is the shell")]
pub(crate) fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
