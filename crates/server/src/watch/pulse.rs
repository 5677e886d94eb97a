//! Owns the gaps in the life of `serve`: a process that was stopped, or a clock that was set, knows nothing of the
//! meantime, and must look again before it believes a sample.

use std::collections::{BTreeMap, BTreeSet};

/// The time between two beats, in milliseconds.
pub(super) const BEAT_MS: i64 = 500;

/// Beats this much further apart than they should be are a gap, in milliseconds: a busy machine delays them too.
const GAP_MS: i64 = 1_500;

/// Who has looked at what since the last gap.
#[derive(Debug)]
pub(super) struct Pulse {
    /// The loops that look, by name, with the time between two looks in milliseconds.
    lookers: BTreeMap<String, i64>,
    /// Those that have not looked since the last gap.
    blind: BTreeSet<String>,
    last_beat_ms: i64,
    gaps: u64,
}

// === impl Pulse ===

impl Pulse {
    /// Nothing has been missed yet.
    pub(super) fn new(lookers: BTreeMap<String, i64>, now_ms: i64) -> Self {
        Self { lookers, blind: BTreeSet::new(), last_beat_ms: now_ms, gaps: 0 }
    }

    /// What is known is from before our time: everybody has to look.
    pub(super) fn look_anew(&mut self) {
        self.blind.extend(self.lookers.keys().cloned());
    }

    /// One more looks, every so many milliseconds.
    pub(super) fn add(&mut self, looker: String, interval_ms: i64) {
        self.lookers.insert(looker, interval_ms);
    }

    /// Takes note that the process lives at `now_ms`; returns how many milliseconds it has missed, where it has.
    /// Asked by everything that believes a sample, and not only at each beat: after a stop nobody knows who wakes
    /// first.
    pub(super) fn beat(&mut self, now_ms: i64) -> Option<i64> {
        let since_ms = now_ms - self.last_beat_ms;
        self.last_beat_ms = now_ms;
        if (-GAP_MS..=BEAT_MS + GAP_MS).contains(&since_ms) {
            return None;
        }
        self.gaps += 1;
        // Whoever would have looked meanwhile has to do so now.
        let missed = self.lookers.iter().filter(|(_, interval_ms)| **interval_ms <= since_ms.abs());
        self.blind.extend(missed.map(|(looker, _)| looker.clone()));
        Some(since_ms)
    }

    /// How many gaps there were: a look in which that changes is none.
    pub(super) fn gaps(&self) -> u64 {
        self.gaps
    }

    /// A loop has looked, and there was no gap since `gaps` were counted.
    pub(super) fn looked(&mut self, looker: &str, gaps: u64) {
        if gaps == self.gaps {
            self.blind.remove(looker);
        }
    }

    /// Whether everybody who missed a look in a gap has looked since.
    pub(super) fn sees(&self) -> bool {
        self.blind.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pulse() -> Pulse {
        Pulse::new([("a", 250), ("b", 250), ("slow", 7_200_000)].map(|(a, b)| (a.to_owned(), b)).into(), 0)
    }

    #[test]
    fn what_is_from_before_is_believed_after_a_look_of_everybody() {
        let mut pulse = pulse();
        pulse.look_anew();
        for looker in ["a", "b", "slow"] {
            assert!(!pulse.sees());
            pulse.looked(looker, pulse.gaps());
        }
        assert!(pulse.sees());
    }

    #[test]
    fn after_a_gap_whoever_missed_a_look_has_to_look() {
        for jump_ms in [2_001, 3_600_000, -1_501] {
            let mut pulse = pulse();
            assert!(pulse.beat(500).is_none() && pulse.beat(2_500).is_none() && pulse.sees());
            let before = pulse.gaps();
            assert_eq!(pulse.beat(2_500 + jump_ms), Some(jump_ms));
            assert!(!pulse.sees());
            // The look was begun before the gap.
            pulse.looked("a", before);
            pulse.looked("b", pulse.gaps());
            assert!(!pulse.sees());
            pulse.looked("a", pulse.gaps());
            assert!(pulse.sees());
        }
    }
}
