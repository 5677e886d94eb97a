//! Owns commands that run another command: `sudo`, `timeout`, `xargs`, `docker exec` and their like are seen through.

use super::Effect;
use super::assess::Judge;
use super::trust::Trust;
use crate::bash::{Operation, Part, Quoting, Word};

impl Judge<'_> {
    /// Judges the command that begins with `first` behind a wrapper; `effect` is what the wrapper itself does.
    pub(super) fn wrapped(
        &mut self,
        wrapper: &str,
        first: &Word,
        rest: &[Word],
        effect: Effect,
        reason: &str,
    ) {
        if effect > Effect::Observe {
            self.raise(effect, format!("`{wrapper}` {reason}"));
        }
        if wrapper == "watch" {
            return self.watched(first, rest);
        }
        let Some(name) = first.literal().filter(|_| !first.is_pattern() && !first.has_braces()) else {
            return self.unknown(format!("the command behind `{wrapper}` is computed"));
        };
        if name.starts_with('~') {
            return self.unknown(format!("`{name}` may be any program"));
        }
        match wrapper {
            "xargs" => self.fed_with_operands(&name, rest),
            // The builtins of this shell are not what another process runs.
            _ => self.invoke(&name, rest),
        }
    }

    /// A wrapper with nothing behind it.
    pub(super) fn wraps_nothing(&mut self, wrapper: &str) {
        match wrapper {
            "env" | "xargs" | "nice" | "command" | "time" => self.looks(wrapper),
            _ => self.unknown(format!("what `{wrapper}` runs is not there")),
        }
    }

    /// `xargs`: operands come from a text that nobody has seen, and any of them may look like an option.
    fn fed_with_operands(&mut self, name: &str, rest: &[Word]) {
        let reads_text =
            self.table.get(name).is_some_and(|entry| entry.reader.is_some() || entry.wraps.is_some());
        if reads_text && !matches!(name, "echo" | "printf" | "test") {
            return self.unknown(format!("`{name}` behind `xargs` may be given anything"));
        }
        let unseen = Part::Substitution { items: Vec::new(), quoting: Quoting::Unquoted };
        let mut words = rest.to_vec();
        words.push(Word { parts: vec![unseen], span: 0..0 });
        self.invoke(name, &words);
    }

    /// `watch`: its words, joined, are a text for `sh`.
    fn watched(&mut self, first: &Word, rest: &[Word]) {
        let words: Vec<Word> = std::iter::once(first).chain(rest).cloned().collect();
        self.text_of("watch", &words);
    }

    /// Judges words that, joined, are a text for another shell. Bash puts values in before that shell reads the text,
    /// so they have to be plain names, for which a name stands in.
    pub(super) fn text_of(&mut self, wrapper: &str, words: &[Word]) {
        let mut text = String::new();
        for word in words {
            if !text.is_empty() {
                text.push(' ');
            }
            for part in &word.parts {
                match part {
                    Part::Literal { text: piece, .. } => text.push_str(piece),
                    Part::Variable { variable, .. }
                        if variable.operation == Operation::Value
                            && variable.subscript.is_none()
                            && crate::shell::is_name(&variable.name) =>
                    {
                        self.known.literals.remove(&variable.name);
                        self.trust(&variable.name, Trust::Name);
                        text.push_str(STAND_IN);
                    }
                    _ => return self.unknown(format!("the text for `{wrapper}` is computed")),
                }
            }
        }
        self.text(&text);
    }
}

/// What stands for a value in a text for another shell; where a value would be calculated with, nobody knows it.
pub(super) const STAND_IN: &str = "value_of_a_variable";
