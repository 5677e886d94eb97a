//! Owns waiting for something to become true: with a deadline, and only while it is not.

use std::thread;
use std::time::{Duration, Instant};

/// Asks until `condition` gives something; the deadline is only reached when the test fails.
#[track_caller]
pub(crate) fn eventually<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(Instant::now() < deadline, "{what}: not within 20 s");
        thread::sleep(Duration::from_millis(5));
    }
}
