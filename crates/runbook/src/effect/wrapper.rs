//! Owns commands that run another command: `sudo`, `timeout`, `xargs`, `docker exec` and their like are seen through.

use super::Effect;
use super::assess::Judge;
use super::trust::Trust;
use crate::bash::{Operation, Part, Word};

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
        // The builtins of this shell are not what another process runs.
        self.invoke(&name, rest);
    }

    /// A wrapper with nothing behind it.
    pub(super) fn wraps_nothing(&mut self, wrapper: &str) {
        match wrapper {
            "env" | "nice" | "command" | "time" | "perf stat" => self.looks(wrapper),
            _ => self.unknown(format!("what `{wrapper}` runs is not there")),
        }
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
        // What is fed to that shell goes through to the commands in the text, where nobody sees it.
        if self.is_fed && super::language::may_send(&text) {
            return self.unknown(format!("what is fed to `{wrapper}` is sent"));
        }
        if wrapper == "bash" && only_connects(&text) {
            return self.looks("bash");
        }
        self.text(&text);
    }
}

/// `</dev/tcp/HOST/PORT`: bash opens a connection and closes it, with nothing sent.
fn only_connects(text: &str) -> bool {
    let text = text.trim();
    let text = text.strip_prefix("exec 3").or_else(|| text.strip_prefix(": ")).unwrap_or(text);
    let target = text.strip_prefix('<').map(str::trim_start).and_then(|text| text.strip_prefix("/dev/tcp/"));
    let is_plain = |text: &str| {
        !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-:".contains(&b))
    };
    target
        .and_then(|target| target.split_once('/'))
        .is_some_and(|(host, port)| is_plain(host) && is_plain(port))
}

/// What stands for a value in a text for another shell; where a value would be calculated with, nobody knows it.
pub(super) const STAND_IN: &str = "value_of_a_variable";
