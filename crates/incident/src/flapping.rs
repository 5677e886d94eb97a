//! Owns flapping: what comes back soon is the same incident again, and what comes back too often is for a person.

use std::time::Duration;

/// How long an incident is remembered as the one that may come back, and how often is too often.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flapping {
    /// What comes back within this time after its incident was resolved opens it again.
    pub reopen_within: Duration,
    /// Opened again so often within `period`, an incident is flapping.
    pub reopens: u32,
    /// The time over which that is counted.
    pub period: Duration,
    /// After so long without coming back it is no longer flapping.
    pub quiet: Duration,
}

// === impl Flapping ===

impl Flapping {
    /// Whatever comes back is a new incident.
    pub const NEVER: Self = Self {
        reopen_within: Duration::ZERO,
        reopens: u32::MAX,
        period: Duration::ZERO,
        quiet: Duration::ZERO,
    };

    /// Whether what ended at `ended_ms` is the same trouble as what comes now (milliseconds since the Unix epoch).
    pub fn is_back(&self, ended_ms: i64, now_ms: i64) -> bool {
        now_ms.saturating_sub(ended_ms) < millis(self.reopen_within)
    }

    /// How often an incident was opened again within the period, where that is too often.
    pub fn too_often(&self, reopened_ms: &[i64], now_ms: i64) -> Option<u32> {
        let within = |at_ms: &&i64| now_ms.saturating_sub(**at_ms) < millis(self.period);
        let reopens = u32::try_from(reopened_ms.iter().filter(within).count()).unwrap_or(u32::MAX);
        (reopens >= self.reopens).then_some(reopens)
    }

    /// Whether what came back last at `last_ms` has been quiet for long enough.
    pub fn is_quiet(&self, last_ms: i64, now_ms: i64) -> bool {
        now_ms.saturating_sub(last_ms) >= millis(self.quiet)
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Flapping = Flapping {
        reopen_within: Duration::from_millis(10),
        reopens: 2,
        period: Duration::from_millis(100),
        quiet: Duration::from_millis(50),
    };

    #[test]
    fn what_comes_back_in_time_is_the_same() {
        assert_eq!([0, 9, 10].map(|now_ms| LIMITS.is_back(0, now_ms)), [true, true, false]);
        // A clock that was set back makes no other trouble of it.
        assert!(LIMITS.is_back(5, 0));
        assert!(!Flapping::NEVER.is_back(0, 0));
    }

    #[test]
    fn how_often_is_too_often() {
        assert_eq!(LIMITS.too_often(&[0], 0), None);
        assert_eq!(LIMITS.too_often(&[0, 99], 99), Some(2));
        assert_eq!(LIMITS.too_often(&[0, 100], 100), None);
        assert_eq!(LIMITS.too_often(&[0, 40, 80], 90), Some(3));
        assert_eq!(Flapping::NEVER.too_often(&[0, 0], 0), None);
        assert_eq!([49, 50].map(|now_ms| LIMITS.is_quiet(0, now_ms)), [false, true]);
    }
}
