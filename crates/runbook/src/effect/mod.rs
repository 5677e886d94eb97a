//! Owns what a shell statement does to the world: one effect with the reason for it, and what its variables must not hold for that to be so.
//!
//! The reading is sound by construction: a command has the effect that the [`Table`] gives it with the options at
//! hand, everything around it (redirections, substitutions, functions, commands behind `sudo` or `xargs`) counts, the
//! worst part decides, and whatever is not known is `unknown`.

mod assess;
mod command;
mod comparison;
mod device;
mod feed;
mod language;
mod numbers;
mod options;
mod reading;
mod redirect;
mod statements;
mod table;
#[cfg(test)]
mod tests;
mod trust;
mod word;
mod wrapper;

use std::collections::BTreeMap;

use serde::Serialize;

pub(crate) use assess::{Known, assess};
pub use statements::{Stated, statements};
pub use table::{Table, TableError};
pub use trust::Trust;

/// What a statement does to the world, mildest first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Effect {
    /// It only looks.
    #[default]
    Observe,
    /// It changes something that can be changed back.
    Change,
    /// It interrupts a service: restart, stop.
    Disrupt,
    /// It deletes, overwrites or restores.
    Destroy,
    /// Nobody can tell; a person has to look.
    Unknown,
}

/// An effect and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Assessment {
    pub(crate) effect: Effect,
    pub(crate) reason: String,
    /// The effect holds as long as these variables hold nothing else.
    pub(crate) trusts: BTreeMap<String, Trust>,
}

// === impl Effect ===

impl Effect {
    const ALL: [Self; 5] = [Self::Observe, Self::Change, Self::Disrupt, Self::Destroy, Self::Unknown];

    /// Returns the word for it in runbooks and policies.
    pub fn name(self) -> &'static str {
        match self {
            Self::Observe => "observe",
            Self::Change => "change",
            Self::Disrupt => "disrupt",
            Self::Destroy => "destroy",
            Self::Unknown => "unknown",
        }
    }

    /// Returns the effect that a word names.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|effect| effect.name() == name)
    }
}

impl std::fmt::Display for Effect {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

// === impl Assessment ===

impl Assessment {
    pub(crate) fn unknown(reason: impl Into<String>) -> Self {
        Self { effect: Effect::Unknown, reason: reason.into(), trusts: BTreeMap::new() }
    }

    /// Raises the effect; a milder one changes nothing.
    pub(crate) fn raise(&mut self, effect: Effect, reason: impl FnOnce() -> String) {
        if effect > self.effect {
            self.effect = effect;
            self.reason = reason();
        }
    }
}
