//! Owns the grouping of label sets by some of their labels: each is hashed once, whatever the number of steps.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hash, Hasher};

use super::syntax::Grouping;
use crate::labels::{Labels, METRIC_NAME};

/// Which labels count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Projection {
    Only(Vec<String>),
    /// All but these, and but the metric's name.
    AllBut(Vec<String>),
    /// All but one.
    AllButOne(&'static str),
}

/// Numbers label sets so that those which agree in the labels that count have the same number.
pub(super) struct Index {
    projection: Projection,
    state: RandomState,
    /// By hash; those with the same hash are a chain.
    heads: HashMap<u64, u32, BuildIdentity>,
    groups: Vec<Group>,
    /// The number given last. Series come in the order of their labels, so that the next one mostly belongs to the same
    /// group or to the one after it, and need not be hashed.
    last: usize,
}

struct Group {
    /// The first label set with this number.
    first: Labels,
    next: Option<u32>,
}

/// The keys of the map are hashes already.
#[derive(Clone, Copy, Default)]
struct BuildIdentity;

struct Identity(u64);

// === impl Projection ===

impl Projection {
    /// Returns the labels by which elements are put together.
    pub(super) fn of(grouping: &Grouping) -> Self {
        match grouping {
            Grouping::By(names) => Self::Only(names.clone()),
            Grouping::Without(names) => Self::AllBut(names.clone()),
        }
    }

    fn keeps(&self, name: &str) -> bool {
        match self {
            Self::Only(names) => names.iter().any(|known| known == name),
            Self::AllBut(names) => name != METRIC_NAME && !names.iter().any(|known| known == name),
            Self::AllButOne(other) => name != *other,
        }
    }

    /// Returns the labels that count.
    pub(super) fn apply(&self, labels: &Labels) -> Labels {
        match self {
            Self::Only(names) if names.is_empty() => Labels::empty(),
            _ => labels.filtered(|name| self.keeps(name)),
        }
    }
}

// === impl Index ===

impl Index {
    pub(super) fn new(projection: Projection) -> Self {
        Self { projection, state: RandomState::new(), heads: HashMap::default(), groups: Vec::new(), last: 0 }
    }

    /// Returns the number of a label set, a new one if no other agrees with it.
    pub(super) fn number(&mut self, labels: &Labels) -> usize {
        for guess in [self.last, self.last + 1] {
            if self.groups.get(guess).is_some_and(|group| self.agree(&group.first, labels)) {
                self.last = guess;
                return guess;
            }
        }
        let hash = self.hash(labels);
        self.last = match self.search(hash, labels) {
            Some(number) => number,
            None => {
                let number = self.groups.len();
                // There are fewer label sets than 2^32: each takes more than one byte.
                let next = self.heads.insert(hash, number as u32);
                self.groups.push(Group { first: labels.clone(), next });
                number
            }
        };
        self.last
    }

    /// Returns the number of a label set if another one that agrees with it has one.
    pub(super) fn find(&self, labels: &Labels) -> Option<usize> {
        self.search(self.hash(labels), labels)
    }

    pub(super) fn len(&self) -> usize {
        self.groups.len()
    }

    fn hash(&self, labels: &Labels) -> u64 {
        if let Projection::Only(names) = &self.projection
            && names.is_empty()
        {
            return 0;
        }
        let mut hasher = self.state.build_hasher();
        for (name, value) in labels.iter().filter(|(name, _)| self.projection.keeps(name)) {
            name.hash(&mut hasher);
            value.hash(&mut hasher);
        }
        hasher.finish()
    }

    fn search(&self, hash: u64, labels: &Labels) -> Option<usize> {
        let mut next = self.heads.get(&hash).copied();
        while let Some(number) = next {
            let group = &self.groups[number as usize];
            if self.agree(&group.first, labels) {
                return Some(number as usize);
            }
            next = group.next;
        }
        None
    }

    /// Tells whether two label sets have the labels that count in common.
    fn agree(&self, left: &Labels, right: &Labels) -> bool {
        let counts = |(name, _): &(&str, &str)| self.projection.keeps(name);
        left.iter().filter(counts).eq(right.iter().filter(counts))
    }
}

// === impl Identity ===

impl BuildHasher for BuildIdentity {
    type Hasher = Identity;

    fn build_hasher(&self) -> Identity {
        Identity(0)
    }
}

impl Hasher for Identity {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {}

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}
