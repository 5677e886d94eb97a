//! Owns counting by key within a window of time, in bounded memory.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};

const WINDOW_MS: i64 = 60_000;
/// Keys that are remembered; where there are more, the oldest are forgotten.
const KEYS_MAX: usize = 4096;

/// What was counted lately: since when, and how often.
pub(super) struct Windows<Key> {
    counts: Mutex<HashMap<Key, (i64, u32)>>,
}

// === impl Windows ===

impl<Key> Default for Windows<Key> {
    fn default() -> Self {
        Self { counts: Mutex::default() }
    }
}

impl<Key: Hash + Eq + Clone> Windows<Key> {
    /// For how many seconds a key has to wait that was counted `max` times, where it has to.
    pub(super) fn wait(&self, key: &Key, max: u32, now_ms: i64) -> Option<u64> {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let (since_ms, count) = *counts.get(key)?;
        let left_ms = since_ms + WINDOW_MS - now_ms;
        (count >= max && left_ms > 0).then(|| u64::try_from(left_ms).unwrap_or(0).div_ceil(1000))
    }

    /// Counts one more.
    pub(super) fn count(&self, key: Key, now_ms: i64) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.len() >= KEYS_MAX && !counts.contains_key(&key) {
            counts.retain(|_, (since_ms, _)| *since_ms + WINDOW_MS > now_ms);
            if counts.len() >= KEYS_MAX {
                let oldest = counts.iter().min_by_key(|(_, (since_ms, _))| *since_ms);
                let oldest = oldest.map(|(key, _)| key.clone());
                oldest.map(|oldest| counts.remove(&oldest));
            }
        }
        let entry = counts.entry(key).or_insert((now_ms, 0));
        if entry.0 + WINDOW_MS <= now_ms {
            *entry = (now_ms, 0);
        }
        entry.1 = entry.1.saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_bounded() {
        let windows = Windows::default();
        for number in 0..20_000_i64 {
            windows.count(number, number);
        }
        assert!(windows.counts.lock().unwrap().len() <= KEYS_MAX);
        assert!(windows.wait(&19_999, 1, 19_999).is_some(), "the newest are those that stay");
    }
}
