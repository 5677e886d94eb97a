//! Owns one entry of the table: how it is written, and how it answers.

use serde::Deserialize;

use super::effect;
use super::option::{Opt, Takes, stands_for};
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
    attached: Option<String>,
    long: Option<String>,
    observe: Option<String>,
    change: Option<String>,
    disrupt: Option<String>,
    destroy: Option<String>,
    unknown: Option<String>,
    dry: Option<String>,
    first: Option<bool>,
    sets: Option<String>,
    other: Option<String>,
    operands: Option<String>,
    free: Option<usize>,
    harmless: Option<String>,
    minds: Option<String>,
    assigns: Option<String>,
    number: Option<bool>,
    word: Option<bool>,
    devices: Option<bool>,
    refuse: Option<String>,
    prints: Option<bool>,
    pub(super) shows: Option<String>,
    sends: Option<bool>,
    style: Option<String>,
    pub(super) like: Option<String>,
    reader: Option<String>,
    wraps: Option<usize>,
}

/// What a command does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::effect) struct Entry {
    pub(in crate::effect) effect: Effect,
    /// What it does, where that is more than looking.
    pub(in crate::effect) reason: String,
    options: Vec<Opt>,
    /// What its listed options can make of it at worst.
    pub(in crate::effect) options_ceiling: Effect,
    /// What options do that are not listed.
    pub(in crate::effect) other: Effect,
    /// What operands do, behind the first `free` ones.
    pub(in crate::effect) operands: Effect,
    pub(in crate::effect) free: usize,
    /// Operands that do nothing, wherever they stand; `*` at the end of one stands for anything.
    harmless: Vec<String>,
    /// Variables that decide what it runs or does; `*` at the end of one stands for anything.
    minds: Vec<String>,
    pub(in crate::effect) assigns: Effect,
    /// Options end at the first operand.
    pub(in crate::effect) first: bool,
    pub(in crate::effect) number: bool,
    pub(in crate::effect) word: bool,
    pub(in crate::effect) devices: bool,
    /// Characters with which an operand says more than a name: a `;` may begin another command.
    pub(in crate::effect) refuse: String,
    /// With `-` as its last operand it writes to standard output.
    pub(in crate::effect) prints: bool,
    /// What it is fed goes to somebody who may do what it says.
    pub(in crate::effect) sends: bool,
    pub(in crate::effect) style: Style,
    pub(in crate::effect) reader: Option<Language>,
    pub(in crate::effect) wraps: Option<usize>,
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
            options_ceiling: Effect::Observe,
            other: Effect::Unknown,
            operands: Effect::Observe,
            free: 0,
            harmless: Vec::new(),
            minds: Vec::new(),
            assigns: Effect::Observe,
            first: false,
            number: false,
            word: false,
            devices: false,
            refuse: String::new(),
            prints: false,
            sends: false,
            style: Style::Letters,
            reader: None,
            wraps: None,
        }
    }

    pub(super) fn new(raw: Raw, base: Option<Self>) -> Result<Self, String> {
        let mut entry = base.unwrap_or_else(Self::group);
        match raw.style.as_deref() {
            None => {}
            Some("letters") => entry.style = Style::Letters,
            Some("long") => entry.style = Style::Long,
            Some("both") => entry.style = Style::Both,
            Some(other) => return Err(format!("`{other}` is no style")),
        }
        entry.add_options(&raw)?;
        entry.options_ceiling = entry.options.iter().map(Opt::ceiling).max().unwrap_or_default();
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
        for (field, said) in [
            (&mut entry.first, raw.first),
            (&mut entry.number, raw.number),
            (&mut entry.word, raw.word),
            (&mut entry.devices, raw.devices),
            (&mut entry.prints, raw.prints),
            (&mut entry.sends, raw.sends),
        ] {
            *field = said.unwrap_or(*field);
        }
        entry.free = raw.free.unwrap_or(entry.free);
        if let Some(minds) = raw.minds {
            entry.minds = minds.split_whitespace().map(str::to_owned).collect();
        }
        if let Some(harmless) = raw.harmless {
            entry.harmless = harmless.split_whitespace().map(str::to_owned).collect();
        }
        entry.refuse = raw.refuse.unwrap_or(entry.refuse);
        entry.wraps = raw.wraps.or(entry.wraps);
        if let Some(reader) = raw.reader {
            let language = Language::from_name(&reader);
            entry.reader = Some(language.ok_or_else(|| format!("`{reader}` is no reader"))?);
        }
        Ok(entry)
    }

    fn add_options(&mut self, raw: &Raw) -> Result<(), String> {
        for (letters, takes) in
            [(&raw.flags, Takes::Nothing), (&raw.values, Takes::Next), (&raw.attached, Takes::Attached)]
        {
            for letter in letters.iter().flat_map(|letters| letters.chars()) {
                self.set(Opt { takes, ..Opt::plain(format!("-{letter}")) });
            }
        }
        let dashes = if self.style == Style::Letters { "--" } else { "-" };
        for name in raw.long.iter().flat_map(|names| names.split_whitespace()) {
            if name.starts_with('-') {
                return Err(format!("`{name}` is no long option; it is written without its dashes"));
            }
            self.set(Opt::read(&format!("{dashes}{name}"))?);
        }
        for (options, effect) in [
            (&raw.observe, Effect::Observe),
            (&raw.change, Effect::Change),
            (&raw.disrupt, Effect::Disrupt),
            (&raw.destroy, Effect::Destroy),
            (&raw.unknown, Effect::Unknown),
        ] {
            self.add(options, |option| Opt { effect, ..option })?;
        }
        self.add(&raw.dry, |option| Opt { dry: true, ..option })?;
        self.add(&raw.sets, |option| Opt { sets: true, ..option })
    }

    /// Options with their dashes.
    fn add(&mut self, options: &Option<String>, make: impl Fn(Opt) -> Opt) -> Result<(), String> {
        for name in options.iter().flat_map(|names| names.split_whitespace()) {
            if !name.starts_with('-') {
                return Err(format!("`{name}` is no option; it is written with its dashes"));
            }
            self.set(make(Opt::read(name)?));
        }
        Ok(())
    }

    fn set(&mut self, option: Opt) {
        self.options.retain(|known| known.name != option.name);
        self.options.push(option);
    }

    /// Whether an operand does nothing.
    pub(in crate::effect) fn is_harmless(&self, operand: &str) -> bool {
        self.harmless.iter().any(|known| stands_for(known, operand))
    }

    /// Whether a variable decides what it does.
    pub(in crate::effect) fn minds(&self, variable: &str) -> bool {
        self.minds.iter().any(|known| stands_for(known, variable))
    }

    /// Whether it minds any.
    pub(in crate::effect) fn minds_some(&self) -> bool {
        !self.minds.is_empty()
    }

    /// What arguments can make of the command at worst.
    pub(in crate::effect) fn ceiling(&self) -> Effect {
        if self.reader.is_some() || self.sends {
            return Effect::Unknown;
        }
        self.options_ceiling.max(self.effect).max(self.other).max(self.operands).max(self.assigns)
    }

    /// Finds an option with its dashes, written out.
    pub(in crate::effect) fn option(&self, name: &str) -> Option<&Opt> {
        self.options.iter().find(|option| option.name == name)
    }

    /// Finds the options that do more than look and that an abbreviated long one may mean; the worst of them counts.
    /// What could only be harmless may as well be another option, which nobody listed.
    pub(in crate::effect) fn abbreviated(&self, start: &str) -> Option<&Opt> {
        let meant = self.options.iter().filter(|option| option.name.starts_with(start));
        meant.filter(|option| option.effect > Effect::Observe).max_by_key(|option| option.effect)
    }
}
