//! Owns the table of commands: what each does, with which sub-commands and options, as data that a user's file can extend.
//!
//! A table is TOML. Its keys are names of commands, with sub-commands behind a blank:
//!
//! ```toml
//! # Whatever their options: these only look.
//! looks = ["cat", "ls"]
//!
//! [sort]
//! flags = "bdfn"              # letters that take no value; -bn too
//! values = "kt"               # letters that take one
//! long = "reverse key="       # long options; with = where they take a value
//! destroy = "-o= --output="   # options that do more than the command itself
//! other = "unknown"           # what options that are not listed do: observe, or unknown (the default)
//!
//! [systemctl]
//! [ "systemctl restart" ]
//! effect = "disrupt"
//! reason = "restarts units"
//! ```
//!
//! The value of an option can be held to some: `-l=error|selftest`; `--color?` takes one only behind a `=`, and
//! `attached` holds letters of that kind. That an option takes a value has to be true: else the one behind it is hidden.
//!
//! Further keys: `operands` (the effect of any operand behind the first `free` ones and other than the `harmless`
//! ones), `assigns` (the effect of an operand with `=`), `refuse` (characters with which an operand says more than a
//! name), `dry` (options with which the command and its operands do nothing, as long as every other option is listed),
//! `prints` (with `-` as its last operand it writes to standard output), `minds` (variables that decide what it runs or
//! does), `sends` (what it is fed may be obeyed elsewhere), `sets` (options that set a variable for the command
//! behind), `number` (`-5` is an option), `word` (it prints one plain word), `devices` (it may be given disks), `style`
//! (`long`: options are long with one dash, `both`: letters as well, `letters`), `shows` (sub-commands that only look),
//! `like` (another entry), `reader` (arguments are a language of their own), `wraps` (a command follows, behind that
//! many operands). A `*` in the name of a sub-command stands for anything.

mod entry;
mod option;

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, LazyLock};

use super::Effect;
pub(super) use entry::{Entry, Style};
pub(super) use option::{Opt, Takes};

/// What commands do.
#[derive(Debug, Clone, Default)]
pub struct Table {
    /// By name, sub-commands behind a blank.
    entries: BTreeMap<String, Arc<Entry>>,
    /// Those names of sub-commands that hold a `*`.
    patterns: Vec<String>,
}

/// Why a table is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TableError {
    /// The text is not TOML, or a value has the wrong type.
    #[error("it is no table of commands: {0}")]
    Syntax(String),
    /// A command says something that has no meaning.
    #[error("command `{command}`: {problem}")]
    Command {
        /// Which one.
        command: String,
        /// What is wrong with it.
        problem: String,
    },
}

/// The tables that ship, each an area.
const BUILTIN: [&str; 16] = [
    include_str!("commands/cloud.toml"),
    include_str!("commands/containers.toml"),
    include_str!("commands/databases.toml"),
    include_str!("commands/files.toml"),
    include_str!("commands/kubernetes.toml"),
    include_str!("commands/network.toml"),
    include_str!("commands/packages.toml"),
    include_str!("commands/processes.toml"),
    include_str!("commands/product.toml"),
    include_str!("commands/queues.toml"),
    include_str!("commands/security.toml"),
    include_str!("commands/servers.toml"),
    include_str!("commands/shell.toml"),
    include_str!("commands/storage.toml"),
    include_str!("commands/system.toml"),
    include_str!("commands/versions.toml"),
];

// === impl Table ===

impl Table {
    /// Returns the table that ships.
    pub fn builtin() -> &'static Self {
        static TABLE: LazyLock<Table> = LazyLock::new(|| {
            let mut table = Table::default();
            for text in BUILTIN {
                table.read(text).expect("the tables that ship are read by a test");
            }
            table.finish();
            table
        });
        &TABLE
    }

    /// Returns this table with what a user's file adds or says otherwise.
    ///
    /// # Errors
    ///
    /// Returns what in the text is not understood, by line or by command.
    pub fn extended(&self, text: &str) -> Result<Self, TableError> {
        let mut table = self.clone();
        table.read(text)?;
        table.finish();
        Ok(table)
    }

    fn read(&mut self, text: &str) -> Result<(), TableError> {
        let table: toml::Table = text.parse().map_err(|error| syntax(&error))?;
        let mut waiting: Vec<(String, entry::Raw)> = Vec::new();
        for (name, value) in table {
            if name == "looks" {
                let names: Vec<String> = value.try_into().map_err(|error| syntax(&error))?;
                self.entries.extend(names.into_iter().map(|name| (name, Arc::new(Entry::looks()))));
                continue;
            }
            let raw: entry::Raw =
                value.try_into().map_err(|error: toml::de::Error| wrong(&name, error.message()))?;
            for shown in raw.shows.iter().flat_map(|names| names.split_whitespace()) {
                self.entries.insert(format!("{name} {shown}"), Arc::new(Entry::group()));
            }
            waiting.push((name, raw));
        }
        let own: HashSet<String> = waiting.iter().map(|(name, _)| name.clone()).collect();
        let mut done: HashSet<String> = HashSet::new();
        // What is like another command comes after that one.
        while !waiting.is_empty() {
            let is_ready = |raw: &entry::Raw| match &raw.like {
                Some(like) => done.contains(like) || (!own.contains(like) && self.entries.contains_key(like)),
                None => true,
            };
            let (ready, later): (Vec<_>, Vec<_>) = waiting.into_iter().partition(|(_, raw)| is_ready(raw));
            if let (true, Some((name, raw))) = (ready.is_empty(), later.first()) {
                let like = raw.like.as_deref().unwrap_or_default();
                return Err(wrong(name, &format!("it is to be like `{like}`, which is not known")));
            }
            for (name, raw) in ready {
                let base = raw.like.as_ref().and_then(|like| self.entries.get(like));
                let base = base.map(|entry| Entry::clone(entry));
                let entry = Entry::new(raw, base).map_err(|problem| wrong(&name, &problem))?;
                self.entries.insert(name.clone(), Arc::new(entry));
                done.insert(name);
            }
            waiting = later;
        }
        Ok(())
    }

    /// Draws the conclusions from all that was read.
    fn finish(&mut self) {
        self.follow_likeness();
        self.mark_groups();
        self.patterns = self.entries.keys().filter(|name| name.contains('*')).cloned().collect();
        self.patterns.sort();
    }

    /// What has sub-commands knows it; some commands are known by those only.
    fn mark_groups(&mut self) {
        let names: Vec<String> = self.entries.keys().filter(|name| name.contains(' ')).cloned().collect();
        for name in names {
            let mut rest = name.as_str();
            while let Some((parent, _)) = rest.rsplit_once(' ') {
                let entry = self.entries.entry(parent.to_owned()).or_insert_with(|| Arc::new(Entry::group()));
                Arc::make_mut(entry).has_subcommands = true;
                rest = parent;
            }
        }
    }

    /// What is like a command with sub-commands has the same ones.
    fn follow_likeness(&mut self) {
        let likes: Vec<(String, String)> = self
            .entries
            .iter()
            .filter_map(|(name, entry)| entry.like.clone().map(|like| (name.clone(), like)))
            .collect();
        for (name, like) in likes {
            let prefix = format!("{like} ");
            let below = self.entries.range(prefix.clone()..).take_while(|(key, _)| key.starts_with(&prefix));
            let children: Vec<(String, Arc<Entry>)> = below
                .map(|(key, entry)| (format!("{name} {}", &key[prefix.len()..]), entry.clone()))
                .collect();
            for (key, entry) in children {
                self.entries.entry(key).or_insert(entry);
            }
        }
    }

    pub(super) fn get(&self, name: &str) -> Option<&Entry> {
        self.entries.get(name).map(Arc::as_ref)
    }

    /// Finds a sub-command; where none of that name is listed, the name of one may hold a `*`.
    pub(super) fn subcommand(&self, path: &str) -> Option<&Entry> {
        let matches = |pattern: &str| {
            let mut words = path.split(' ');
            let is_match = pattern.split(' ').all(|known| {
                let word = words.next().unwrap_or_default();
                known.strip_suffix('*').map_or(known == word, |start| word.starts_with(start))
            });
            is_match && words.next().is_none()
        };
        let by_pattern = || self.patterns.iter().find(|pattern| matches(pattern));
        self.get(path).or_else(|| by_pattern().and_then(|pattern| self.get(pattern)))
    }

    /// Whether a command of this name has sub-commands.
    pub(crate) fn is_group(&self, name: &str) -> bool {
        self.entries.get(name).is_some_and(|entry| entry.has_subcommands)
    }

    /// Whether a command of this name is known.
    pub fn knows(&self, name: &str) -> bool {
        self.entries.contains_key(name)
    }
}

fn wrong(command: &str, problem: &str) -> TableError {
    TableError::Command { command: command.to_owned(), problem: problem.to_owned() }
}

fn syntax(error: &toml::de::Error) -> TableError {
    TableError::Syntax(error.to_string().trim().replace('\n', " "))
}

/// Reads the name of an effect.
fn effect(name: &str) -> Result<Effect, String> {
    Effect::from_name(name).ok_or_else(|| format!("`{name}` is no effect"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ships_is_understood() {
        for text in BUILTIN {
            Table::default().read(text).unwrap_or_else(|error| panic!("{error}"));
        }
        assert!(Table::builtin().entries.len() > 300, "{}", Table::builtin().entries.len());
    }

    /// A command that stands in two files would silently be what the later one says.
    #[test]
    fn each_command_stands_in_one_file() {
        let mut places: BTreeMap<String, usize> = BTreeMap::new();
        for (idx, text) in BUILTIN.iter().enumerate() {
            let table: toml::Table = text.parse().expect("a test reads it");
            let looks = table.get("looks").and_then(|looks| looks.as_array()).into_iter().flatten();
            let looks = looks.filter_map(|name| name.as_str());
            let names = table.keys().map(String::as_str).filter(|name| *name != "looks").chain(looks);
            for name in names.filter_map(|name| name.split(' ').next()) {
                let place = places.entry(name.to_owned()).or_insert(idx);
                assert_eq!(*place, idx, "`{name}`");
            }
        }
    }

    #[test]
    fn a_users_file_adds_and_overrides() {
        let table = Table::builtin().extended("looks = [\"mytool\"]\n[rm]\neffect = \"change\"\n");
        let table = table.expect("it is a table");
        assert!(table.knows("mytool") && table.knows("ls"));
        assert_eq!(table.get("rm").map(|entry| entry.effect), Some(Effect::Change));
    }

    #[test]
    fn a_bad_file_says_what_is_wrong() {
        let check = |text: &str, expect: &str| {
            let said = Table::default().read(text).expect_err(text).to_string();
            assert!(said.contains(expect), "{said}");
        };
        check("[x", "line 1");
        check("looks = 5", "invalid type");
        check("[x]\neffect = \"gentle\"", "command `x`: `gentle` is no effect");
        check("[x]\nflgas = \"a\"", "command `x`: unknown field `flgas`");
        check("[x]\nlike = \"y\"", "command `x`: it is to be like `y`");
        check("[x]\nreader = \"klingon\"", "command `x`: `klingon` is no reader");
        check("[x]\nlong = \"-v\"", "command `x`: `-v` is no long option");
        check("[x]\ndry = \"v\"", "command `x`: `v` is no option");
        check("[x]\ndry = \"-=x\"", "command `x`: `-=x` is no option");
    }
}
