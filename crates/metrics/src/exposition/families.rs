//! Owns what a page declares about its families, and what follows for the kind of a series.

use std::collections::HashMap;

use crate::hash::{Given, hash};

/// Families whose kind is remembered while a page is read; a page with more loses only the kinds of the rest.
const FAMILIES_MAX: usize = 50_000;

/// How the values of a series may move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Starts at zero and only grows: counters, and the parts of histograms and summaries that count.
    Counter,
    /// Anything else, or not known.
    Other,
}

/// The families that a page has declared so far.
#[derive(Debug, Default)]
pub(crate) struct Families {
    /// By the hash of the name: a page that makes two of its own names collide confuses only itself.
    by_name: HashMap<u64, Family, Given>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    Counter,
    Distribution,
    Other,
}

// === impl Families ===

impl Families {
    /// Reads what follows the `#` of a comment: `TYPE name kind`, or something that does not matter here.
    pub(super) fn declare(&mut self, comment: &str) {
        let mut words = comment.split_ascii_whitespace();
        let (Some("TYPE"), Some(name), Some(kind)) = (words.next(), words.next(), words.next()) else {
            return;
        };
        let family = match kind {
            "counter" => Family::Counter,
            "histogram" | "summary" => Family::Distribution,
            _ => Family::Other,
        };
        if self.by_name.len() < FAMILIES_MAX {
            self.by_name.insert(hash(0, name.trim_matches('"').as_bytes()), family);
        }
    }

    fn get(&self, name: &str) -> Option<Family> {
        self.by_name.get(&hash(0, name.as_bytes())).copied()
    }

    /// Tells the kind of a series from its name and the families declared so far. `_total` without any declaration
    /// is a counter by convention.
    pub(crate) fn kind(&self, name: &str) -> Kind {
        let is_counter = if let Some(family) = self.get(name) {
            family == Family::Counter
        } else if let Some(stem) = name.strip_suffix("_total") {
            matches!(self.get(stem), Some(Family::Counter) | None)
        } else {
            ["_bucket", "_count", "_sum"]
                .iter()
                .filter_map(|suffix| name.strip_suffix(suffix))
                .any(|stem| self.get(stem) == Some(Family::Distribution))
        };
        if is_counter { Kind::Counter } else { Kind::Other }
    }
}
