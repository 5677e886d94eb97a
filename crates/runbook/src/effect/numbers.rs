//! Owns substitutions that print nothing but numbers, and so never an option: `$(pgrep NAME)`, `$(pidof NAME)`.

use super::assess::Judge;
use super::word::Position;
use crate::bash::{Kind, Part, Word};

impl Judge<'_> {
    /// Whether a word is the output of such a command, as long as its own arguments are what they seem.
    pub(super) fn prints_numbers(&mut self, command: &str, word: &Word) -> bool {
        let [Part::Substitution { items, .. }] = word.parts.as_slice() else { return false };
        let [item] = items.as_slice() else { return false };
        let [stage] = item.first.stages.as_slice() else { return false };
        let Kind::Simple { assignments, words } = &stage.kind else { return false };
        let Some((name, arguments)) = words.split_first() else { return false };
        // Not `-l`, `-a` and `-d`, with which names and other texts are printed.
        let flags = match name.plain() {
            Some("pgrep") => "fxonPuUGtscirw",
            Some("pidof") => "sxc",
            _ => return false,
        };
        let is_option = |text: &str| text.starts_with('-');
        let is_known = |text: &str| text[1..].chars().all(|letter| flags.contains(letter));
        let prefixes: Vec<_> = arguments.iter().map(|word| word.literal_prefix().0).collect();
        if !item.rest.is_empty() || !assignments.is_empty() || !stage.redirects.is_empty() {
            return false;
        }
        if prefixes.iter().any(|text| is_option(text) && !is_known(text)) {
            return false;
        }
        arguments.iter().for_each(|word| self.guard(command, word, Position::Open));
        true
    }
}
