//! Owns turns by key: who has the turn of a key keeps others off that key, and off nothing else.

use std::hash::{DefaultHasher, Hash, Hasher};

use tokio::sync::{Mutex, MutexGuard};

/// How many keys can be held at the same time without waiting for another's, at best.
const SLOTS: usize = 256;

/// The turns. Two keys may share one: then they wait for each other, and that is all.
pub(crate) struct Turns {
    slots: Box<[Mutex<()>]>,
}

/// A key, of whatever kind.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Key(u64);

// === impl Key ===

impl Key {
    pub(crate) fn of(what: &impl Hash) -> Self {
        // The same in every process: a simulation takes the same turns each time.
        let mut hasher = DefaultHasher::new();
        what.hash(&mut hasher);
        Self(hasher.finish())
    }
}

// === impl Turns ===

impl Default for Turns {
    fn default() -> Self {
        Self { slots: (0..SLOTS).map(|_| Mutex::default()).collect() }
    }
}

impl Turns {
    /// Waits for the turns of all keys. Whoever asks first gets them first.
    pub(crate) async fn take(&self, keys: &[Key]) -> Vec<MutexGuard<'_, ()>> {
        let mut slots: Vec<usize> = keys.iter().map(|Key(key)| *key as usize % SLOTS).collect();
        // Always in the same order: two who want the same two never wait for each other.
        slots.sort_unstable();
        slots.dedup();
        let mut turns = Vec::with_capacity(slots.len());
        for slot in slots {
            turns.push(self.slots[slot].lock().await);
        }
        turns
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn a_key_is_held_by_one_and_holds_up_no_other() {
        let turns = Turns::default();
        let key = |name: &str| Key::of(&name);
        let free = |keys: Vec<Key>| {
            let turns = &turns;
            // Nothing else runs: what is free is free at once.
            async move { tokio::time::timeout(Duration::ZERO, turns.take(&keys)).await.is_ok() }
        };
        let held = turns.take(&[key("a"), key("a"), key("b")]).await;
        assert!(!free(vec![key("a")]).await);
        assert!(!free(vec![key("c"), key("b")]).await);
        assert!(free(vec![key("c")]).await);
        drop(held);
        assert!(free(vec![key("b"), key("a")]).await);
    }

    #[tokio::test]
    async fn whoever_wants_the_same_keys_in_another_order_comes_to_its_turn() {
        let turns = std::sync::Arc::new(Turns::default());
        let tasks: Vec<_> = (0..100_u32)
            .map(|number| {
                let turns = std::sync::Arc::clone(&turns);
                tokio::spawn(async move {
                    let (one, other) = (Key::of(&(number % 3)), Key::of(&(number % 5)));
                    let _held = turns.take(&[one, other]).await;
                    tokio::task::yield_now().await;
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
    }
}
