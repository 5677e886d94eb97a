//! Owns one option in an entry of the table: whether it takes a value, which ones are meant, and what it does.

use crate::effect::Effect;

/// An option, and what it does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::effect) struct Opt {
    /// With its dashes.
    pub(in crate::effect) name: String,
    pub(in crate::effect) effect: Effect,
    pub(in crate::effect) takes: Takes,
    /// Nothing is done with it.
    pub(in crate::effect) dry: bool,
    /// Its value sets a variable for the command that follows.
    pub(in crate::effect) sets: bool,
    /// The values that are meant, where not all are; `*` at the end of one stands for anything.
    pub(super) values: Vec<String>,
}

/// Where the value of an option stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::effect) enum Takes {
    /// It has none.
    Nothing,
    /// In the same word, or nowhere: `-b`, `-b1`, `--color=never`.
    Attached,
    /// In the same word, else it is the next one.
    Next,
}

// === impl Opt ===

impl Opt {
    /// An option that looks and takes no value.
    pub(super) fn plain(name: String) -> Self {
        Self {
            name,
            effect: Effect::Observe,
            takes: Takes::Nothing,
            dry: false,
            sets: false,
            values: Vec::new(),
        }
    }

    /// Reads `--name`, `--name=` (it takes a value), `--name?` (only an attached one), `--name=a|b`, `--name?a|b`.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        let end = text.find(['=', '?']).unwrap_or(text.len());
        let (name, rest) = text.split_at(end);
        let takes = match rest.chars().next() {
            None => Takes::Nothing,
            Some('?') => Takes::Attached,
            Some(_) => Takes::Next,
        };
        let values: Vec<String> = rest
            .get(1..)
            .unwrap_or_default()
            .split('|')
            .filter(|one| !one.is_empty())
            .map(str::to_owned)
            .collect();
        if name.trim_matches('-').is_empty() && text != "--" {
            return Err(format!("`{text}` is no option"));
        }
        Ok(Self { takes, values, ..Self::plain(name.to_owned()) })
    }

    /// Whether a value is one of those that are meant; `None` where it is computed.
    pub(in crate::effect) fn means(&self, value: Option<&str>) -> bool {
        self.values.is_empty()
            || value.is_some_and(|value| self.values.iter().any(|known| stands_for(known, value)))
    }

    /// What it can do at worst.
    pub(in crate::effect) fn ceiling(&self) -> Effect {
        if self.values.is_empty() && !self.sets { self.effect } else { Effect::Unknown }
    }
}

/// Whether a value is the one that is known; `*` at the end of that one stands for the rest of a path.
pub(super) fn stands_for(known: &str, value: &str) -> bool {
    match known.strip_suffix('*') {
        Some(start) => value.starts_with(start) && !value.contains(".."),
        None => known == value,
    }
}
