//! Owns reading the arguments of a command against its entry in the table: sub-commands, options, operands.

use super::Effect;
use super::assess::Judge;
use super::reading::{Given, Reading, is_for_all};
use super::table::{Opt, Style, Takes};
use super::trust::Trust;
use super::word::Position;
use crate::bash::{Operation, Part, Word};
use crate::shell::is_name;

impl<'t> Judge<'t> {
    /// Judges a command that the table knows, by its arguments.
    pub(super) fn by_table(&mut self, name: &str, arguments: &[Word]) {
        let table = self.table;
        let Some(entry) = table.get(name) else { return };
        let mut reading = Reading::new(name, entry);
        let mut rest = arguments;
        while let Some((word, after)) = rest.split_first() {
            rest = after;
            if !self.argument(&mut reading, word, &mut rest) {
                return;
            }
            let entry = reading.entry;
            if entry.wraps.is_some_and(|n_operands| reading.n_operands > n_operands) {
                if reading.is_dry() {
                    return self.looks(&reading.path);
                }
                reading.settle();
                return self.wrapped(&reading.path, word, rest, reading.effect, &reading.reason);
            }
        }
        if reading.entry.prints && prints(arguments) {
            reading.dry.get_or_insert_with(|| "-".to_owned());
        }
        reading.settle();
        if reading.entry.wraps.is_some() && reading.effect == Effect::Observe && !reading.is_dry() {
            return self.wraps_nothing(&reading.path);
        }
        if reading.entry.sends && !reading.is_dry() && !self.is_fed_harmlessly(arguments) {
            return self.unknown(format!("`{}` sends what it is fed", reading.path));
        }
        if reading.effect == Effect::Observe {
            self.looks(&reading.path);
        } else {
            let reason = match reading.reason.as_str() {
                "" => "does more than look",
                reason => reason,
            };
            self.raise(reading.effect, format!("`{}` {reason}", reading.path));
        }
    }

    /// One word; returns whether the reading goes on.
    fn argument(&mut self, reading: &mut Reading<'t>, word: &Word, rest: &mut &[Word]) -> bool {
        let (text, expansions) = word.literal_prefix();
        let is_computed = !expansions.is_empty();
        let entry = reading.entry;
        let position = if reading.only_operands { Position::Closed } else { Position::Open };
        if reading.ceiling() > reading.floor() && !self.prints_numbers(&reading.path, word) {
            self.guard(&reading.path, word, position);
        }
        reading.opens(word);
        let is_number = text.strip_prefix('-').is_some_and(|text| text.bytes().all(|b| b.is_ascii_digit()));
        if reading.only_operands || !text.starts_with('-') || text == "-" {
            return self.operand(reading, word, &text, is_computed);
        }
        if text == "--" && !is_computed {
            if let Some(option) = reading.option("--") {
                self.apply(reading, option, "--", &Given::Nothing);
            }
            reading.only_operands = true;
            return true;
        }
        if entry.number && is_number && reading.option(&text).is_none() {
            return true;
        }
        if text.starts_with("--") || entry.style != Style::Letters {
            self.long_option(reading, &text, is_computed, rest);
        } else {
            self.cluster(reading, &text, is_computed, rest);
        }
        true
    }

    fn operand(&mut self, reading: &mut Reading<'t>, word: &Word, text: &str, is_computed: bool) -> bool {
        let entry = reading.entry;
        if entry.wraps.is_some()
            && text.contains('=')
            && reading.n_operands == 0
            && matches!(reading.path.as_str(), "env" | "sudo" | "doas")
        {
            let (name, value) = text.split_once('=').unwrap_or((text, ""));
            if decides(name, value, is_computed) {
                self.unknown(format!("it sets `{name}` for a command"));
            }
            return true;
        }
        if entry.has_subcommands && reading.n_operands == 0 {
            if is_computed {
                self.unknown(format!("the sub-command of `{}` is computed", reading.path));
                return false;
            }
            let path = format!("{} {text}", reading.path);
            let Some(entry) = self.table.subcommand(&path) else {
                self.unknown(format!("`{path}` is not known"));
                return false;
            };
            // A sub-command has to know it, unless it stands for the version.
            reading.dry = reading
                .dry
                .take()
                .filter(|name| is_for_all(name) || entry.option(name).is_some_and(|option| option.dry));
            reading.descend(path, entry);
            return true;
        }
        if !is_computed && entry.is_harmless(text) {
            return true;
        }
        reading.n_operands += 1;
        let said = || match entry.reason.as_str() {
            "" => "sets what it is given".to_owned(),
            reason => reason.to_owned(),
        };
        if reading.n_operands > entry.free && entry.operands > reading.operands.0 {
            reading.operands = (entry.operands, said());
        }
        let shape = word.shape();
        if entry.assigns > reading.operands.0 && shape.contains('=') {
            reading.operands = (entry.assigns, said());
        }
        let refused: String = reading.entries().map(|entry| entry.refuse.as_str()).collect();
        if !refused.is_empty() && shape.contains(|c: char| refused.contains(c) || c == '\n') {
            self.unknown(format!("an operand says more than a name to `{}`", reading.path));
        }
        if is_computed && (!refused.is_empty() || entry.assigns > reading.floor()) {
            if refused.contains(',') {
                return self.unknown_operand(&reading.path);
            }
            self.only_names(&reading.path, word);
        }
        true
    }

    /// What is computed may hold neither a `=` nor a `;`.
    fn only_names(&mut self, path: &str, word: &Word) {
        for part in &word.parts {
            match part {
                Part::Literal { .. } | Part::Arithmetic { .. } => {}
                Part::Variable { variable, .. }
                    if is_name(&variable.name) && variable.operation == Operation::Value =>
                {
                    self.trust(&variable.name, Trust::Name);
                }
                _ => _ = self.unknown_operand(path),
            }
        }
    }

    fn unknown_operand(&mut self, path: &str) -> bool {
        self.unknown(format!("an operand of `{path}` is computed"));
        true
    }

    /// `--name`, `--name=value`
    fn long_option(&mut self, reading: &mut Reading<'t>, text: &str, is_computed: bool, rest: &mut &[Word]) {
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (text, None),
        };
        if is_computed && value.is_none() {
            return self.refuse(reading, text);
        }
        match reading.long(name) {
            Some(option) => {
                let given = match value {
                    Some(value) if is_computed => Given::Computed(value.to_owned()),
                    Some(value) => Given::Text(value.to_owned()),
                    None if option.takes == Takes::Next => self.next_value(reading, rest),
                    None => Given::Nothing,
                };
                self.apply(reading, option, name, &given);
            }
            // Of a sub-command, `--version` may take a value.
            None if value.is_none()
                && (matches!(name, "--help" | "-help")
                    || (matches!(name, "--version" | "-version") && reading.is_on_top())) =>
            {
                if reading.may_be_dry() {
                    reading.dry = Some(name.to_owned());
                }
            }
            None if reading.entry.style == Style::Both && !name.starts_with("--") => {
                self.cluster(reading, text, is_computed, rest);
            }
            None => self.unlisted(reading, name),
        }
    }

    /// `-abc`, where a letter that takes a value takes the rest of the word.
    fn cluster(&mut self, reading: &mut Reading<'t>, text: &str, is_computed: bool, rest: &mut &[Word]) {
        if let Some(option) = reading.option(text).filter(|_| text.len() > 2 && !is_computed) {
            let given =
                if option.takes == Takes::Next { self.next_value(reading, rest) } else { Given::Nothing };
            return self.apply(reading, option, text, &given);
        }
        let letters = &text[1..];
        let mut name = String::with_capacity(8);
        name.push('-');
        for (at, letter) in letters.char_indices() {
            name.truncate(1);
            name.push(letter);
            let Some(option) = reading.option(&name) else {
                self.unlisted(reading, &name);
                continue;
            };
            let attached = &letters[at + letter.len_utf8()..];
            let given = match option.takes {
                Takes::Nothing => Given::Nothing,
                _ if is_computed => Given::Computed(attached.to_owned()),
                Takes::Next if attached.is_empty() => self.next_value(reading, rest),
                _ if attached.is_empty() => Given::Nothing,
                _ => Given::Text(attached.strip_prefix('=').unwrap_or(attached).to_owned()),
            };
            self.apply(reading, option, &name, &given);
            if option.takes != Takes::Nothing {
                return;
            }
        }
        if is_computed {
            self.refuse(reading, text);
        }
    }

    /// The value of an option that is a word of its own.
    fn next_value(&mut self, reading: &mut Reading<'t>, rest: &mut &[Word]) -> Given {
        let Some((word, after)) = rest.split_first() else { return Given::Nothing };
        *rest = after;
        if reading.ceiling() > reading.floor() {
            self.guard(&reading.path, word, Position::Closed);
        }
        reading.opens(word);
        match word.literal() {
            Some(text) => Given::Text(text.into_owned()),
            None => Given::Computed(word.literal_prefix().0.into_owned()),
        }
    }

    fn apply(&mut self, reading: &mut Reading<'t>, option: &Opt, name: &str, given: &Given) {
        let is_meant = match given {
            Given::Nothing => option.takes == Takes::Attached || option.means(None),
            Given::Text(text) if option.takes == Takes::Nothing => !option.dry && option.means(Some(text)),
            Given::Text(text) => option.means(Some(text)),
            Given::Computed(_) => option.means(None) && !(option.dry && option.takes == Takes::Nothing),
        };
        if !is_meant {
            reading.doubted = true;
            let effect = option.effect.max(reading.entry.other);
            let effect = if effect == Effect::Observe { Effect::Unknown } else { effect };
            return reading
                .raise(effect, || format!("is not known to look only with that value of `{name}`"));
        }
        if option.sets {
            let (Given::Text(text) | Given::Computed(text)) = given else { return };
            let (variable, value) = text.split_once('=').unwrap_or((text, ""));
            let is_computed = matches!(given, Given::Computed(_));
            if decides(variable, value, is_computed) || (is_computed && !text.contains('=')) {
                self.unknown(format!("it sets `{variable}` for a command"));
            }
        }
        // Behind the name of a script, options are those of the script.
        let is_own = reading.is_on_top() || is_for_all(name);
        if (option.dry && is_own || reading.entry.option(name).is_some_and(|own| own.dry))
            && reading.may_be_dry()
        {
            reading.dry = Some(option.name.clone());
        }
        let does = match option.effect {
            Effect::Destroy => "deletes or overwrites",
            Effect::Disrupt => "interrupts something",
            Effect::Change => "changes something",
            Effect::Observe | Effect::Unknown => "does nobody knows what",
        };
        reading.raise(option.effect, || format!("with `{name}` {does}"));
    }

    fn unlisted(&mut self, reading: &mut Reading<'t>, name: &str) {
        let other = reading.entry.other;
        reading.doubted |= other > Effect::Observe;
        // What a command does by itself is no matter once a sub-command follows.
        if other <= reading.base && !reading.entry.has_subcommands {
            return;
        }
        reading.raise(other, || format!("is not known to look only with `{name}`"));
    }

    fn refuse(&mut self, reading: &Reading<'t>, text: &str) {
        if reading.ceiling() > reading.floor() {
            self.unknown(format!("an option of `{}` is computed (`{text}…`)", reading.path));
        }
    }
}

/// Whether the last word is a `-`, and no other is: there it would be standard input.
fn prints(arguments: &[Word]) -> bool {
    let is_dash = |word: &&Word| word.literal().as_deref() == Some("-");
    arguments.last().is_some_and(|word| is_dash(&word)) && arguments.iter().filter(is_dash).count() == 1
}

/// Whether a variable that is set for a command decides what it does; what texts look like does not.
fn decides(name: &str, value: &str, is_computed: bool) -> bool {
    if name == "LANG" || name.starts_with("LC_") {
        return is_computed || value.contains(['/', '%']);
    }
    crate::shell::is_reserved_variable(name) || crate::shell::is_program_setting(name)
}
