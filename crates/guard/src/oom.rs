//! Owns whether the kernel ended a child for want of memory: what the child's control group counts, before and after.
//!
//! The kernel kills with SIGKILL, as anybody may; only the count of the group says who did it. A group that others share
//! proves nothing about a child, so there nothing is said.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use host::{CgroupPlace, Roots};
use process::control::OutOfMemory;
use process::{Ending, ProcessId};

/// The kernel counts first and kills then; who has died is noticed within milliseconds. What was counted before that is
/// about another process.
const SETTLED: Duration = Duration::from_secs(2);
const SIGKILL: i32 = 9;
/// How a shell ends whose last command was killed by SIGKILL.
const KILLED_BELOW: i32 = 128 + SIGKILL;

/// The memory of a child's control group.
pub(crate) struct Accounts {
    place: CgroupPlace,
    /// How many were killed, at the last two looks.
    counts: Mutex<VecDeque<(Instant, u64)>>,
}

// === impl Accounts ===

impl Accounts {
    /// None where nobody counts. Blocks for a moment, as everything here.
    pub(crate) fn of(child: ProcessId) -> Option<Self> {
        let place = CgroupPlace::of(&Roots::default(), child.pid)?;
        let accounts = Self { place, counts: Mutex::default() };
        accounts.look(Instant::now());
        Some(accounts)
    }

    /// Takes down the count, so that what has happened so far is not taken for the end of the child.
    pub(crate) fn look(&self, now: Instant) {
        let Some(kills) = self.place.memory().oom_kills else { return };
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        while counts.len() > 1 {
            counts.pop_front();
        }
        counts.push_back((now, kills));
    }

    /// What the kernel did, where the child ended as one does that it kills.
    pub(crate) fn end(&self, ending: Ending, now: Instant) -> Option<OutOfMemory> {
        if !matches!(ending, Ending::Signaled(SIGKILL) | Ending::Exited(KILLED_BELOW)) || !self.is_alone() {
            return None;
        }
        let memory = self.place.memory();
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        of_counts(&counts, memory.oom_kills?, now)
            .map(|kills| OutOfMemory { limit_bytes: memory.limit_bytes, kills })
    }

    /// Whether nobody else is in the group: those that are left in it are this guard and what it has started.
    fn is_alone(&self) -> bool {
        let guard = ProcessId::current().pid;
        let mut ours = vec![guard];
        ours.extend(process::descendants(Path::new("/proc"), guard).iter().map(|one| one.pid));
        self.place.processes().is_some_and(|all| all.iter().all(|pid| ours.contains(pid)))
    }
}

/// How many were killed just now.
fn of_counts(counts: &VecDeque<(Instant, u64)>, kills: u64, now: Instant) -> Option<u64> {
    let settled = |(at, _): &&(Instant, u64)| now.saturating_duration_since(*at) >= SETTLED;
    // A child that was there for a moment only has no older count than that of its start.
    let (_, before) = counts.iter().rev().find(settled).or_else(|| counts.front())?;
    kills.checked_sub(*before).filter(|new| *new > 0)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::of_counts;

    #[test]
    fn only_what_was_counted_since_is_about_the_end() {
        let began = Instant::now();
        let at = |ms| began + Duration::from_millis(ms);
        let check = |counts: &[(u64, u64)], kills, now, expect| {
            let counts = counts.iter().map(|(ms, count)| (at(*ms), *count)).collect();
            assert_eq!(of_counts(&counts, kills, at(now)), expect, "{counts:?}");
        };
        check(&[(0, 0)], 1, 100, Some(1));
        check(&[(0, 3)], 3, 100, None);
        check(&[(0, 0), (9_000, 1)], 1, 20_000, None);
        check(&[(0, 0), (9_000, 1)], 1, 9_100, Some(1));
        check(&[(0, 0), (9_000, 1)], 2, 20_000, Some(1));
        check(&[(0, 2)], 1, 100, None);
        check(&[], 1, 100, None);
    }
}
