//! Owns reading the arguments of a command against its entry in the table: sub-commands, options, operands.

use super::Effect;
use super::assess::Judge;
use super::table::{Entry, Flag, Style};
use super::trust::names_device;
use super::word::Position;
use crate::bash::Word;

/// Where the reading of arguments is.
struct Reading<'e> {
    /// The command with its sub-commands.
    path: String,
    /// The entries of the command and of its sub-commands.
    chain: Vec<&'e Entry>,
    n_operands: usize,
    only_operands: bool,
    /// An option says that nothing is to be done.
    dry: bool,
    /// An option that nobody listed: with one, nobody knows whether nothing is done.
    unlisted: Option<String>,
    /// What the command does by itself.
    base: Effect,
    /// What its arguments make of it.
    effect: Effect,
    reason: String,
}

impl<'e> Reading<'e> {
    fn entry(&self) -> &'e Entry {
        self.chain[self.chain.len() - 1]
    }

    /// What the arguments can make of it at worst.
    fn ceiling(&self) -> Effect {
        let entry = self.entry();
        if entry.has_subcommands || entry.wraps.is_some() {
            return Effect::Unknown;
        }
        let above = self.chain.iter().map(|entry| entry.options_ceiling());
        above.max().unwrap_or_default().max(entry.ceiling())
    }

    /// Adds what the command does by itself.
    fn settle(&mut self) {
        let entry = self.entry();
        let base = self.base;
        self.raise(base, || entry.reason.clone());
    }

    /// What it does at least.
    fn floor(&self) -> Effect {
        self.effect.max(self.base)
    }

    fn raise(&mut self, effect: Effect, reason: impl FnOnce() -> String) {
        if effect > self.effect {
            self.effect = effect;
            self.reason = reason();
        }
    }

    fn option(&self, name: &str) -> Option<Flag> {
        self.chain.iter().rev().find_map(|entry| entry.option(name))
    }

    fn long(&self, name: &str) -> Option<Flag> {
        let abbreviated = |entry: &&'e Entry| entry.abbreviated(name).filter(|_| name.len() > 2);
        self.option(name).or_else(|| self.chain.iter().rev().find_map(abbreviated))
    }
}

impl<'t> Judge<'t> {
    /// Judges a command that the table knows, by its arguments.
    pub(super) fn by_table(&mut self, name: &str, arguments: &[Word]) {
        let table = self.table;
        let Some(entry) = table.get(name) else { return };
        let mut reading = Reading {
            path: name.to_owned(),
            chain: vec![entry],
            n_operands: 0,
            only_operands: false,
            dry: false,
            unlisted: None,
            base: entry.effect,
            effect: Effect::Observe,
            reason: String::new(),
        };
        let mut rest = arguments;
        while let Some((word, after)) = rest.split_first() {
            rest = after;
            let before = rest.len();
            if !self.argument(&mut reading, word, &mut rest) {
                return;
            }
            if let (Some(n_operands), true) = (reading.entry().wraps, rest.len() == before)
                && reading.n_operands > n_operands
            {
                if reading.dry {
                    return self.does_nothing(&reading);
                }
                reading.settle();
                return self.wrapped(&reading.path, word, rest, reading.effect, &reading.reason);
            }
        }
        if reading.dry && reading.effect < Effect::Unknown {
            return self.does_nothing(&reading);
        }
        reading.settle();
        if reading.entry().wraps.is_some() && reading.effect == Effect::Observe {
            return self.wraps_nothing(&reading.path);
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

    /// What is told to do nothing looks, unless something was said as well that may be told otherwise.
    fn does_nothing(&mut self, reading: &Reading<'t>) {
        match &reading.unlisted {
            Some(name) if reading.entry().other > Effect::Observe => {
                self.unknown(format!("`{}` is not known to do nothing with `{name}`", reading.path));
            }
            _ => self.looks(&reading.path),
        }
    }

    /// One word; returns whether the reading goes on.
    fn argument(&mut self, reading: &mut Reading<'t>, word: &Word, rest: &mut &[Word]) -> bool {
        let (text, expansions) = word.literal_prefix();
        let is_computed = !expansions.is_empty();
        let entry = reading.entry();
        let position = if reading.only_operands { Position::Closed } else { Position::Open };
        if reading.ceiling() > reading.floor() {
            self.guard(&reading.path, word, position);
        }
        if !entry.devices && names_device(&word.shape()) {
            let path = reading.path.clone();
            reading.raise(Effect::Unknown, || format!("opens a device (`{path}`)"));
        }
        let is_number = text.strip_prefix('-').is_some_and(|text| text.bytes().all(|b| b.is_ascii_digit()));
        if reading.only_operands || !text.starts_with('-') || text == "-" {
            return self.operand(reading, &text, is_computed);
        }
        if text == "--" && !is_computed {
            reading.only_operands = true;
            return true;
        }
        if entry.number && is_number && reading.option(&text).is_none() {
            return true;
        }
        let takes_next = if text.starts_with("--") || entry.style != Style::Letters {
            self.long_option(reading, &text, is_computed)
        } else {
            self.cluster(reading, &text, is_computed)
        };
        if takes_next && let Some((value, after)) = rest.split_first() {
            if reading.ceiling() > reading.floor() {
                self.guard(&reading.path, value, Position::Closed);
            }
            *rest = after;
        }
        true
    }

    fn operand(&mut self, reading: &mut Reading<'t>, text: &str, is_computed: bool) -> bool {
        let entry = reading.entry();
        if entry.wraps.is_some()
            && text.contains('=')
            && reading.n_operands == 0
            && matches!(reading.path.as_str(), "env" | "sudo" | "doas")
        {
            let name = text.split('=').next().unwrap_or_default();
            if crate::shell::is_reserved_variable(name) && !name.starts_with("LC_") && name != "LANG"
                || crate::shell::is_program_setting(name)
            {
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
            let Some(entry) = self.table.get(&path) else {
                self.unknown(format!("`{path}` is not known"));
                return false;
            };
            reading.path = path;
            reading.chain.push(entry);
            reading.base = entry.effect;
            return true;
        }
        reading.n_operands += 1;
        let said =
            if entry.reason.is_empty() { "sets what it is given".to_owned() } else { entry.reason.clone() };
        reading.raise(entry.operands, || said.clone());
        if text.contains('=') {
            reading.raise(entry.assigns, || said);
        }
        true
    }

    /// `--name`, `--name=value`; returns whether the next word is its value.
    fn long_option(&mut self, reading: &mut Reading<'t>, text: &str, is_computed: bool) -> bool {
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (text, None),
        };
        if is_computed && value.is_none() {
            self.refuse(reading, text);
            return false;
        }
        match reading.long(name) {
            Some(flag) => {
                self.apply(reading, flag, name);
                flag.takes_value && value.is_none()
            }
            None if matches!(name, "--help" | "--version" | "-help" | "-version") => {
                reading.dry |= reading.base < Effect::Unknown || reading.n_operands == 0;
                false
            }
            None if reading.entry().style == Style::Both && !name.starts_with("--") => {
                self.cluster(reading, text, is_computed)
            }
            None => {
                self.unlisted(reading, name);
                false
            }
        }
    }

    /// `-abc`, where a letter that takes a value takes the rest of the word.
    fn cluster(&mut self, reading: &mut Reading<'t>, text: &str, is_computed: bool) -> bool {
        if let Some(flag) = reading.option(text).filter(|_| text.len() > 2) {
            self.apply(reading, flag, text);
            return flag.takes_value && !is_computed;
        }
        let letters = &text[1..];
        for (at, letter) in letters.char_indices() {
            let name = format!("-{letter}");
            match reading.option(&name) {
                Some(flag) => {
                    self.apply(reading, flag, &name);
                    if flag.takes_value {
                        return at + letter.len_utf8() == letters.len() && !is_computed;
                    }
                }
                None => self.unlisted(reading, &name),
            }
        }
        if is_computed {
            self.refuse(reading, text);
        }
        false
    }

    fn apply(&mut self, reading: &mut Reading<'t>, flag: Flag, name: &str) {
        // Behind the name of a script, options are those of the script.
        reading.dry |= flag.dry && (reading.base < Effect::Unknown || reading.n_operands == 0);
        let does = match flag.effect {
            Effect::Destroy => "deletes or overwrites",
            Effect::Disrupt => "interrupts something",
            Effect::Change => "changes something",
            Effect::Observe | Effect::Unknown => "does nobody knows what",
        };
        reading.raise(flag.effect, || format!("with `{name}` {does}"));
    }

    fn unlisted(&mut self, reading: &mut Reading<'t>, name: &str) {
        let other = reading.entry().other;
        reading.unlisted.get_or_insert_with(|| name.to_owned());
        if other <= reading.base {
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
