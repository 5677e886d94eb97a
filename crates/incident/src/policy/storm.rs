//! Owns the storm brake: many servers in trouble at once have one cause, and that is not in any of them.

use std::collections::HashMap;
use std::time::Duration;

/// How many servers in trouble at once are too many to change anything by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Storm {
    /// So many.
    pub servers: u32,
    /// "At once": the first and the last of them at most this far apart.
    pub window: Duration,
}

// === impl Storm ===

impl Storm {
    /// Any number of servers is fine.
    pub const NEVER: Self = Self { servers: u32::MAX, window: Duration::ZERO };

    /// How many servers at most got into trouble within one window, given who did and when (milliseconds since the
    /// Unix epoch). It is the troubles that have to be close to one another, not to this moment: a storm is not over
    /// because nobody has done anything about it.
    pub fn count<'a>(&self, troubles: impl IntoIterator<Item = (&'a str, i64)>) -> u32 {
        let window_ms = i64::try_from(self.window.as_millis()).unwrap_or(i64::MAX);
        let mut troubles: Vec<_> = troubles.into_iter().collect();
        troubles.sort_unstable_by_key(|(_, at_ms)| *at_ms);
        let mut within: HashMap<&str, u32> = HashMap::new();
        let (mut first, mut most) = (0, 0);
        for (server, at_ms) in &troubles {
            *within.entry(server).or_default() += 1;
            while at_ms.saturating_sub(troubles[first].1) > window_ms {
                let gone = troubles[first].0;
                if let Some(times) = within.get_mut(gone) {
                    *times -= 1;
                    if *times == 0 {
                        within.remove(gone);
                    }
                }
                first += 1;
            }
            most = most.max(within.len());
        }
        u32::try_from(most).unwrap_or(u32::MAX)
    }

    /// Whether so many are too many.
    pub fn brakes(&self, servers: u32) -> bool {
        servers >= self.servers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(troubles: &[(&str, i64)], expect: u32) {
        let storm = Storm { servers: 3, window: Duration::from_millis(10) };
        assert_eq!(storm.count(troubles.iter().copied()), expect);
    }

    #[test]
    fn servers_within_a_window_are_counted_once_each() {
        check(&[], 0);
        check(&[("a", 5)], 1);
        check(&[("a", 0), ("b", 5), ("c", 10)], 3);
        check(&[("a", 0), ("b", 5), ("c", 11)], 2);
        check(&[("c", 11), ("a", 0), ("b", 5)], 2);
        check(&[("a", 0), ("a", 1), ("a", 2)], 1);
        check(&[("a", 0), ("b", 5), ("a", 9), ("c", 14)], 3);
        check(&[("a", 0), ("b", 100), ("c", 101), ("d", 102), ("e", 300)], 3);
        check(&[("a", i64::MIN), ("b", i64::MAX)], 1);
    }

    #[test]
    fn so_many_are_too_many() {
        let storm = Storm { servers: 3, window: Duration::from_secs(1) };
        assert_eq!([2, 3, 4].map(|servers| storm.brakes(servers)), [false, true, true]);
        assert!(!Storm::NEVER.brakes(1_000_000));
    }
}
