//! Owns what redirections do: most write a file, and bash opens connections for some names below `/dev`.

use super::Effect;
use super::assess::Judge;
use super::trust::{Trust, names_device};
use crate::bash::{Operation, Operator, Part, Redirect, Target, Word};

impl Judge<'_> {
    pub(super) fn redirect(&mut self, redirect: &Redirect) {
        if redirect.descriptor.starts_with('{') {
            return self.unknown("it opens a file that stays open");
        }
        let word = match &redirect.target {
            Target::Word(word) => word,
            Target::HereDocument(idx) => {
                let script = self.script;
                self.is_fed = true;
                return self.word(&script.here_documents[*idx].body);
            }
        };
        self.word(word);
        match redirect.operator {
            Operator::HereDocument | Operator::HereString => self.is_fed = true,
            Operator::Read => {
                self.is_fed |= word.plain() != Some("/dev/null");
                self.read_from(word);
            }
            Operator::Copy => self.copy(word),
            Operator::Write | Operator::WriteBoth => self.write_to(word, Effect::Destroy, "overwrites"),
            // What a statement found is no change of anything.
            Operator::Append if is_findings(word) => {}
            Operator::Append | Operator::AppendBoth => self.write_to(word, Effect::Change, "appends to"),
            Operator::ReadWrite => self.write_to(word, Effect::Change, "opens for writing"),
        }
    }

    fn read_from(&mut self, word: &Word) {
        if matches!(word.parts.as_slice(), [Part::Process { .. }]) {
            return;
        }
        let (prefix, rest) = word.literal_prefix();
        if names_device(&word.shape()) || (word.is_pattern() && !prefix.starts_with("/var")) {
            return self.unknown("it reads from a device or a pattern");
        }
        if prefix.is_empty() {
            match rest {
                [Part::Variable { variable, .. }, ..] if crate::shell::is_name(&variable.name) => {
                    self.trust(&variable.name, Trust::File);
                }
                _ => self.unknown("it reads from a computed file"),
            }
        }
    }

    /// `2>&1`, `>&-`; anything else names a file.
    fn copy(&mut self, word: &Word) {
        let is_descriptor = |text: &str| {
            let digits = text.strip_suffix('-').unwrap_or(text);
            digits.bytes().all(|b| b.is_ascii_digit())
        };
        if !word.literal().is_some_and(|text| is_descriptor(&text)) {
            self.write_to(word, Effect::Destroy, "overwrites");
        }
    }

    fn write_to(&mut self, word: &Word, effect: Effect, verb: &str) {
        let shape = word.shape();
        match shape.as_ref() {
            "/dev/null" | "/dev/stdout" | "/dev/stderr" | "/dev/tty" | "/dev/fd/1" | "/dev/fd/2"
            | "/proc/self/fd/1" | "/proc/self/fd/2" => {}
            _ if matches!(word.parts.as_slice(), [Part::Process { .. }]) => {}
            path if path.starts_with("/dev/tcp/") || path.starts_with("/dev/udp/") => {
                self.unknown(format!("it opens a connection (`{}`)", path.replace('\0', "…")));
            }
            path if path.starts_with("/proc/") || path.starts_with("/sys/") || names_device(path) => {
                let effect = if names_device(path) { Effect::Destroy } else { Effect::Disrupt };
                self.raise(effect, format!("writes to `{}`", path.replace('\0', "…")));
            }
            path => self.raise(effect, format!("{verb} `{}`", path.replace('\0', "…"))),
        }
    }
}

/// `$PARAMEDIC_FINDINGS`, the file for findings, whose name nobody can set.
fn is_findings(word: &Word) -> bool {
    matches!(word.parts.as_slice(), [Part::Variable { variable, .. }]
        if variable.name == "PARAMEDIC_FINDINGS"
            && variable.operation == Operation::Value
            && variable.subscript.is_none())
}
