//! Owns how far the reading of a command's arguments has come, and what it has found.

use super::Effect;
use super::device::names_disk;
use super::table::{Opt, Row};
use super::trust::names_device;
use crate::bash::Word;

/// Where the reading of arguments is.
pub(super) struct Reading<'e> {
    /// The command with its sub-commands.
    pub(super) path: String,
    /// The entry of the command, or of the sub-command at hand.
    pub(super) entry: &'e Row,
    /// Those above that one, the command first.
    above: Vec<&'e Row>,
    pub(super) n_operands: usize,
    pub(super) only_operands: bool,
    /// An option says that nothing is to be done: which one.
    pub(super) dry: Option<String>,
    /// There is an option that nobody listed: with one, nobody knows whether nothing is done.
    pub(super) doubted: bool,
    /// What the command does by itself.
    pub(super) base: Effect,
    /// What its operands make of it.
    pub(super) operands: (Effect, String),
    /// What its options make of it.
    pub(super) effect: Effect,
    pub(super) reason: String,
}

/// What stands as the value of an option.
pub(super) enum Given {
    Nothing,
    Text(String),
    /// With the text in front of the first expansion.
    Computed(String),
}

impl<'e> Reading<'e> {
    pub(super) fn new(name: &str, entry: &'e Row) -> Self {
        Self {
            path: name.to_owned(),
            entry,
            above: Vec::new(),
            n_operands: 0,
            only_operands: false,
            dry: None,
            doubted: false,
            base: entry.effect,
            operands: (Effect::Observe, String::new()),
            effect: Effect::Observe,
            reason: String::new(),
        }
    }

    /// Goes on to a sub-command.
    pub(super) fn descend(&mut self, path: String, entry: &'e Row) {
        self.path = path;
        self.base = entry.effect;
        self.above.push(std::mem::replace(&mut self.entry, entry));
    }

    /// Whether no sub-command was named so far.
    pub(super) fn is_on_top(&self) -> bool {
        self.above.is_empty()
    }

    /// The entries that know options and operands, the nearest first.
    pub(super) fn entries(&self) -> impl Iterator<Item = &'e Row> {
        std::iter::once(self.entry).chain(self.above.iter().rev().copied())
    }

    /// What the arguments can make of it at worst.
    pub(super) fn ceiling(&self) -> Effect {
        let entry = self.entry;
        if entry.has_subcommands || entry.wraps.is_some() {
            return Effect::Unknown;
        }
        let above = self.above.iter().map(|entry| entry.options_ceiling);
        above.max().unwrap_or_default().max(entry.ceiling())
    }

    /// Adds what the command does by itself and with its operands, if it is to do anything.
    pub(super) fn settle(&mut self) {
        let entry = self.entry;
        if self.is_dry() {
            return;
        }
        let (operands, said) = std::mem::take(&mut self.operands);
        self.raise(operands, || said);
        let base = self.base;
        self.raise(base, || entry.reason.clone());
    }

    /// Whether an option that stands here can say that nothing is to be done.
    pub(super) fn may_be_dry(&self) -> bool {
        self.n_operands == 0 || (self.base < Effect::Unknown && !self.entry.first)
    }

    /// Whether nothing is done, as far as is known.
    pub(super) fn is_dry(&self) -> bool {
        self.dry.is_some() && !self.doubted
    }

    /// What it does at least.
    pub(super) fn floor(&self) -> Effect {
        if self.dry.is_some() { self.effect } else { self.effect.max(self.base).max(self.operands.0) }
    }

    pub(super) fn raise(&mut self, effect: Effect, reason: impl FnOnce() -> String) {
        if effect > self.effect {
            self.effect = effect;
            self.reason = reason();
        }
    }

    pub(super) fn option(&self, name: &str) -> Option<&'e Opt> {
        self.entries().find_map(|entry| entry.option(name))
    }

    pub(super) fn long(&self, name: &str) -> Option<&'e Opt> {
        let abbreviated = |entry: &'e Row| entry.abbreviated(name).filter(|_| name.len() > 2);
        self.option(name).or_else(|| self.entries().find_map(abbreviated))
    }

    /// Opening some devices does something, as does reading from others.
    pub(super) fn opens(&mut self, word: &Word) {
        let shape = word.shape();
        if names_device(&shape) && !(self.entry.devices && names_disk(&shape)) {
            let path = self.path.clone();
            self.raise(Effect::Unknown, || format!("opens a device (`{path}`)"));
        }
    }
}

/// Options that stand for the version or for help, whatever follows.
pub(super) fn is_for_all(name: &str) -> bool {
    matches!(name, "-V" | "-v" | "--version" | "--help" | "-help")
}
