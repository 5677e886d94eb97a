//! Owns how often something is tried: what may pass by itself is tried again, more and more slowly, and not for ever.

use std::time::Duration;

/// How often one contact is tried.
const ATTEMPTS_MAX: u32 = 6;

/// The wait after the first attempt; it doubles.
const WAIT_FIRST: Duration = Duration::from_millis(500);

/// The longest wait that somebody may ask for.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// What came of one attempt.
pub(super) type Attempt = Result<(), Failed>;

/// Why an attempt failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failed {
    pub(super) problem: String,
    pub(super) again: Again,
}

/// Whether another attempt has any sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Again {
    /// It has none.
    Never,
    /// It may pass by itself.
    Later,
    /// The same, and not before this.
    After(Duration),
}

/// The waits between the attempts.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    failed: u32,
}

// === impl Failed ===

impl Failed {
    pub(super) fn never(problem: impl Into<String>) -> Self {
        Self { problem: problem.into(), again: Again::Never }
    }

    pub(super) fn later(problem: impl Into<String>) -> Self {
        Self { problem: problem.into(), again: Again::Later }
    }
}

// === impl Backoff ===

impl Backoff {
    /// How many attempts were made, the one that is on included.
    pub(super) fn attempts(&self) -> u32 {
        self.failed + 1
    }

    /// How long to wait after an attempt that failed; none where it is the last.
    pub(super) fn next(&mut self, again: Again) -> Option<Duration> {
        let asked = match again {
            Again::Never => return None,
            Again::Later => Duration::ZERO,
            Again::After(asked) => asked,
        };
        if self.attempts() >= ATTEMPTS_MAX {
            return None;
        }
        let own = WAIT_FIRST * 2_u32.pow(self.failed);
        self.failed += 1;
        Some(own.max(asked).min(WAIT_MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_and_more_slowly_and_not_for_ever() {
        let mut backoff = Backoff::default();
        let waits: Vec<_> = std::iter::from_fn(|| backoff.next(Again::Later)).collect();
        assert_eq!(waits, [500, 1_000, 2_000, 4_000, 8_000].map(Duration::from_millis));
        assert_eq!(backoff.attempts(), ATTEMPTS_MAX);
    }

    #[test]
    fn what_is_asked_for_is_granted_within_limits() {
        let mut backoff = Backoff::default();
        assert_eq!(backoff.next(Again::After(Duration::from_secs(3))), Some(Duration::from_secs(3)));
        assert_eq!(backoff.next(Again::After(Duration::from_secs(3_600))), Some(WAIT_MAX));
        assert_eq!(backoff.next(Again::Never), None);
    }
}
