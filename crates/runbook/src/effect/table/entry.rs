//! Owns one entry of the table: how it is written, and how it answers.

use serde::Deserialize;

use super::effect;
use crate::effect::Effect;
use crate::effect::language::Language;

/// An entry as it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Raw {
    effect: Option<String>,
    reason: Option<String>,
    flags: Option<String>,
    values: Option<String>,
    long: Option<String>,
    observe: Option<String>,
    change: Option<String>,
    disrupt: Option<String>,
    destroy: Option<String>,
    unknown: Option<String>,
    dry: Option<String>,
    other: Option<String>,
    operands: Option<String>,
    assigns: Option<String>,
    number: Option<bool>,
    word: Option<bool>,
    devices: Option<bool>,
    style: Option<String>,
    pub(super) like: Option<String>,
    reader: Option<String>,
    wraps: Option<usize>,
}

/// What a command does.
#[derive(Debug, Clone)]
pub(in crate::effect) struct Entry {
    pub(in crate::effect) effect: Effect,
    /// What it does, where that is more than looking.
    pub(in crate::effect) reason: String,
    options: Vec<Opt>,
    /// What options do that are not listed.
    pub(in crate::effect) other: Effect,
    pub(in crate::effect) operands: Effect,
    pub(in crate::effect) assigns: Effect,
    pub(in crate::effect) number: bool,
    pub(in crate::effect) word: bool,
    pub(in crate::effect) devices: bool,
    pub(in crate::effect) style: Style,
    pub(in crate::effect) like: Option<String>,
    pub(in crate::effect) reader: Option<Language>,
    pub(in crate::effect) wraps: Option<usize>,
    pub(in crate::effect) has_subcommands: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Opt {
    /// With its dashes.
    name: String,
    flag: Flag,
}

/// What one dash means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::effect) enum Style {
    /// Letters, which may stand together: `-ab`.
    Letters,
    /// A long option: `-connect`.
    Long,
    /// A long option where one is listed, else letters.
    Both,
}

/// What an option does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::effect) struct Flag {
    pub(in crate::effect) effect: Effect,
    pub(in crate::effect) takes_value: bool,
    /// Nothing is done with it.
    pub(in crate::effect) dry: bool,
}

// === impl Entry ===

impl Entry {
    /// A command that only looks, whatever its options.
    pub(super) fn looks() -> Self {
        Self { other: Effect::Observe, ..Self::group() }
    }

    /// A command that is only known by its sub-commands.
    pub(super) fn group() -> Self {
        Self {
            effect: Effect::Observe,
            reason: String::new(),
            options: Vec::new(),
            other: Effect::Unknown,
            operands: Effect::Observe,
            assigns: Effect::Observe,
            number: false,
            word: false,
            devices: false,
            style: Style::Letters,
            like: None,
            reader: None,
            wraps: None,
            has_subcommands: false,
        }
    }

    pub(super) fn new(raw: Raw, base: Option<Self>) -> Result<Self, String> {
        let mut entry = base.unwrap_or_else(Self::group);
        entry.like = raw.like;
        match raw.style.as_deref() {
            None => {}
            Some("long") => entry.style = Style::Long,
            Some("both") => entry.style = Style::Both,
            Some(other) => return Err(format!("`{other}` is no style")),
        }
        entry.add_options(&raw.flags, &raw.values, &raw.long)?;
        let observe = Flag { effect: Effect::Observe, takes_value: false, dry: false };
        for (options, effect) in [
            (&raw.observe, Effect::Observe),
            (&raw.change, Effect::Change),
            (&raw.disrupt, Effect::Disrupt),
            (&raw.destroy, Effect::Destroy),
            (&raw.unknown, Effect::Unknown),
        ] {
            entry.add(options, Flag { effect, ..observe })?;
        }
        entry.add(&raw.dry, Flag { dry: true, ..observe })?;
        for (field, name) in [
            (&mut entry.effect, raw.effect),
            (&mut entry.other, raw.other),
            (&mut entry.operands, raw.operands),
            (&mut entry.assigns, raw.assigns),
        ] {
            if let Some(name) = name {
                *field = effect(&name)?;
            }
        }
        if let Some(reason) = raw.reason {
            entry.reason = reason;
        }
        entry.number = raw.number.unwrap_or(entry.number);
        entry.word = raw.word.unwrap_or(entry.word);
        entry.devices = raw.devices.unwrap_or(entry.devices);
        entry.wraps = raw.wraps.or(entry.wraps);
        if let Some(reader) = raw.reader {
            let language = Language::from_name(&reader);
            entry.reader = Some(language.ok_or_else(|| format!("`{reader}` is no reader"))?);
        }
        Ok(entry)
    }

    fn add_options(
        &mut self,
        flags: &Option<String>,
        values: &Option<String>,
        long: &Option<String>,
    ) -> Result<(), String> {
        let observe = Flag { effect: Effect::Observe, takes_value: false, dry: false };
        for (letters, takes_value) in [(flags, false), (values, true)] {
            for letter in letters.iter().flat_map(|letters| letters.chars()) {
                self.set(format!("-{letter}"), Flag { takes_value, ..observe });
            }
        }
        for name in long.iter().flat_map(|names| names.split_whitespace()) {
            if name.starts_with('-') {
                return Err(format!("`{name}` is no long option; it is written without its dashes"));
            }
            let (name, takes_value) = name.strip_suffix('=').map_or((name, false), |name| (name, true));
            let dashes = if self.style == Style::Letters { "--" } else { "-" };
            self.set(format!("{dashes}{name}"), Flag { takes_value, ..observe });
        }
        Ok(())
    }

    /// Options with their dashes; `=` behind those that take a value.
    fn add(&mut self, options: &Option<String>, flag: Flag) -> Result<(), String> {
        for name in options.iter().flat_map(|names| names.split_whitespace()) {
            if !name.starts_with('-') {
                return Err(format!("`{name}` is no option; it is written with its dashes"));
            }
            let (name, takes_value) = name.strip_suffix('=').map_or((name, false), |name| (name, true));
            self.set(name.to_owned(), Flag { takes_value, ..flag });
        }
        Ok(())
    }

    fn set(&mut self, name: String, flag: Flag) {
        self.options.retain(|option| option.name != name);
        self.options.push(Opt { name, flag });
    }

    /// What arguments can make of the command at worst.
    pub(in crate::effect) fn ceiling(&self) -> Effect {
        if self.reader.is_some() {
            return Effect::Unknown;
        }
        self.options_ceiling().max(self.effect).max(self.other).max(self.operands).max(self.assigns)
    }

    /// What its listed options can make of it at worst.
    pub(in crate::effect) fn options_ceiling(&self) -> Effect {
        self.options.iter().map(|option| option.flag.effect).max().unwrap_or_default()
    }

    /// Finds an option with its dashes, written out.
    pub(in crate::effect) fn option(&self, name: &str) -> Option<Flag> {
        self.options.iter().find(|option| option.name == name).map(|option| option.flag)
    }

    /// Finds the options that an abbreviated long one may mean; the worst of them counts.
    pub(in crate::effect) fn abbreviated(&self, start: &str) -> Option<Flag> {
        let meant = self.options.iter().filter(|option| option.name.starts_with(start));
        meant.map(|option| option.flag).max_by_key(|flag| flag.effect)
    }
}
