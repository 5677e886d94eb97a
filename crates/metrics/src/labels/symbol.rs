//! Owns the single label: name and value in one piece of memory that all series which have it share.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::sync::{Arc, LazyLock};

use super::Labels;
use crate::hash::Given;

/// Keys of this process: who writes labels cannot know which ones collide.
static KEYS: LazyLock<RandomState> = LazyLock::new(RandomState::new);

/// A label, by reference.
#[derive(Clone)]
pub(super) struct Symbol(Arc<Text>);

struct Text {
    hash: u64,
    /// Where the value begins.
    split: u32,
    text: Box<str>,
}

/// The labels of a store, each held once.
#[derive(Default)]
pub(crate) struct Symbols {
    /// By hash. Of two labels with one hash the first is shared, and the other is simply not.
    known: HashMap<u64, Symbol, Given>,
}

// === impl Symbol ===

impl Symbol {
    pub(super) fn new(name: &str, value: &str) -> Self {
        Self::hashed(KEYS.hash_one((name, value)), name, value)
    }

    fn hashed(hash: u64, name: &str, value: &str) -> Self {
        let text = [name, value].concat().into_boxed_str();
        // A longer name than that cannot be held in memory beside anything else; it would lose its end.
        let split = u32::try_from(name.len()).unwrap_or(0);
        Self(Arc::new(Text { hash, split, text }))
    }

    pub(super) fn name(&self) -> &str {
        &self.0.text[..self.0.split as usize]
    }

    pub(super) fn value(&self) -> &str {
        &self.0.text[self.0.split as usize..]
    }
}

impl PartialEq for Symbol {
    fn eq(&self, other: &Self) -> bool {
        let (one, two) = (&*self.0, &*other.0);
        std::ptr::eq(one, two) || (one.hash == two.hash && one.split == two.split && one.text == two.text)
    }
}

impl Eq for Symbol {}

impl Ord for Symbol {
    fn cmp(&self, other: &Self) -> Ordering {
        if Arc::ptr_eq(&self.0, &other.0) {
            return Ordering::Equal;
        }
        self.name().cmp(other.name()).then_with(|| self.value().cmp(other.value()))
    }
}

impl PartialOrd for Symbol {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Hash for Symbol {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.0.hash);
    }
}

// === impl Symbols ===

impl Symbols {
    /// Returns the same labels, sharing what is known of them.
    pub(crate) fn intern(&mut self, labels: &Labels) -> Labels {
        let shared = labels.0.iter().map(|label| {
            let known = self.known.entry(label.0.hash).or_insert_with(|| label.clone());
            if known == label { known.clone() } else { label.clone() }
        });
        Labels(shared.collect())
    }

    /// Returns the labels of a target and further ones, of which the target's hold. What is known is shared and not made
    /// anew.
    pub(crate) fn labels<'l>(
        &self,
        further: impl Iterator<Item = (&'l str, &'l str)>,
        target: &Labels,
    ) -> Labels {
        let further = further.map(|(name, value)| {
            let hash = KEYS.hash_one((name, value));
            let known = self.known.get(&hash).filter(|known| known.name() == name && known.value() == value);
            known.cloned().unwrap_or_else(|| Symbol::hashed(hash, name, value))
        });
        Labels::of(further.chain(target.0.iter().cloned()).collect())
    }

    /// Lets go of the labels that nobody else holds.
    pub(crate) fn prune(&mut self) {
        self.known.retain(|_, symbol| Arc::strong_count(&symbol.0) > 1);
        self.known.shrink_to(self.known.len() * 2);
    }
}

impl std::fmt::Debug for Symbols {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} symbols", self.known.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_labels_are_held_once() {
        let mut symbols = Symbols::default();
        let one = symbols.intern(&Labels::from_iter([("a", "1"), ("b", "2")]));
        let two = symbols.intern(&Labels::from_iter([("a", "1"), ("b", "3")]));
        assert!(Arc::ptr_eq(&one.0[0].0, &two.0[0].0));
        assert_eq!(symbols.known.len(), 3);
        drop(two);
        symbols.prune();
        assert_eq!(symbols.known.len(), 2);
        drop(one);
        symbols.prune();
        assert_eq!(symbols.known.len(), 0);
    }

    #[test]
    fn names_and_values_do_not_run_together() {
        let one = Labels::from_iter([("a", "bc")]);
        let other = Labels::from_iter([("ab", "c")]);
        assert_ne!(one, other);
        assert_ne!(KEYS.hash_one(&one), KEYS.hash_one(&other));
        assert!(one < other);
    }
}
