//! Owns waiting for something to become true: with a deadline, and only while it is not.

use std::thread;
use std::time::{Duration, Instant};

/// Only reached where a test fails: no machine is so busy.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// The least time between two looks.
const PAUSE: Duration = Duration::from_millis(5);

/// A look that takes long is taken less often: whoever waits leaves the processors to what he waits for.
const PAUSE_FACTOR: u32 = 4;
const PAUSE_MAX: Duration = Duration::from_millis(200);

/// Asks until `condition` gives something.
#[track_caller]
pub(crate) fn eventually<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + DEADLINE;
    loop {
        let began = Instant::now();
        if let Some(value) = condition() {
            return value;
        }
        assert!(Instant::now() < deadline, "{what}: not within {DEADLINE:?}");
        let looked = began.elapsed();
        pause();
        thread::sleep((looked * PAUSE_FACTOR).min(PAUSE_MAX));
    }
}

/// Waits a moment, for loops that have a bound of their own.
pub(crate) fn pause() {
    thread::sleep(PAUSE);
}
