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
//! `first` (such an option counts only before the first operand),
//! `prints` (with `-` as its last operand it writes to standard output), `minds` (variables that decide what it runs or
//! does), `sends` (what it is fed may be obeyed elsewhere), `sets` (options that set a variable for the command
//! behind), `number` (`-5` is an option), `word` (it prints one plain word), `devices` (it may be given disks), `style`
//! (`long`: options are long with one dash, `both`: letters as well, `letters`), `shows` (sub-commands that only look),
//! `like` (another entry), `reader` (arguments are a language of their own), `wraps` (a command follows, behind that
//! many operands). A `*` in the name of a sub-command stands for anything.

mod entry;
mod option;
mod row;
mod shipped;

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use super::Effect;
pub(super) use entry::{Entry, Style};
pub(super) use option::{Opt, Takes};
pub(super) use row::Row;

/// What commands do.
#[derive(Debug, Clone, Default)]
pub struct Table {
    /// By name, sub-commands behind a blank.
    rows: HashMap<Cow<'static, str>, Row>,
    /// Those names of sub-commands that hold a `*`.
    patterns: Vec<Cow<'static, str>>,
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

/// About as many rows as ship, so that the map need not grow.
const N_ROWS: usize = 4096;

// === impl Table ===

impl Table {
    /// Returns the table that ships.
    pub fn builtin() -> &'static Self {
        static TABLE: LazyLock<Table> = LazyLock::new(|| {
            let mut table = Table::default();
            table.rows.reserve(N_ROWS);
            shipped::TABLES.into_iter().for_each(|text| table.ship(text));
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

    /// Takes the rows of a table that ships; each is read when it is asked for.
    fn ship(&mut self, text: &'static str) {
        let (looks, group) = (Row::new(Entry::looks(), None), Row::new(Entry::group(), None));
        self.rows.extend(shipped::looks(text).map(|name| (Cow::Borrowed(name), looks.clone())));
        let shown = shipped::sections(text).flat_map(|section| {
            let shown = section.value("shows").unwrap_or_default().split_whitespace();
            shown.map(move |shown| Cow::Owned(format!("{} {shown}", section.name)))
        });
        self.rows.extend(shown.map(|name| (name, group.clone())));
        let sections = shipped::sections(text);
        self.rows.extend(
            sections.map(|section| {
                (Cow::Borrowed(section.name), Row::shipped(section.text, section.value("like")))
            }),
        );
    }

    fn read(&mut self, text: &str) -> Result<(), TableError> {
        let table: toml::Table = text.parse().map_err(|error| syntax(&error))?;
        let mut waiting: Vec<(String, entry::Raw)> = Vec::new();
        for (name, value) in table {
            if name == "looks" {
                let names: Vec<String> = value.try_into().map_err(|error| syntax(&error))?;
                let row = |name| (Cow::Owned(name), Row::new(Entry::looks(), None));
                self.rows.extend(names.into_iter().map(row));
                continue;
            }
            let raw: entry::Raw =
                value.try_into().map_err(|error: toml::de::Error| wrong(&name, error.message()))?;
            for shown in raw.shows.iter().flat_map(|names| names.split_whitespace()) {
                self.rows.insert(Cow::Owned(format!("{name} {shown}")), Row::new(Entry::group(), None));
            }
            waiting.push((name, raw));
        }
        let own: HashSet<String> = waiting.iter().map(|(name, _)| name.clone()).collect();
        let mut done: HashSet<String> = HashSet::new();
        // What is like another command comes after that one.
        while !waiting.is_empty() {
            let is_ready = |raw: &entry::Raw| match &raw.like {
                Some(like) => {
                    done.contains(like) || (!own.contains(like) && self.rows.contains_key(like.as_str()))
                }
                None => true,
            };
            let (ready, later): (Vec<_>, Vec<_>) = waiting.into_iter().partition(|(_, raw)| is_ready(raw));
            if let (true, Some((name, raw))) = (ready.is_empty(), later.first()) {
                let like = raw.like.as_deref().unwrap_or_default();
                return Err(wrong(name, &format!("it is to be like `{like}`, which is not known")));
            }
            for (name, raw) in ready {
                let like = raw.like.clone();
                let base = like.as_deref().and_then(|like| self.get(like)).map(|row| Entry::clone(row));
                let entry = Entry::new(raw, base).map_err(|problem| wrong(&name, &problem))?;
                self.rows.insert(Cow::Owned(name.clone()), Row::new(entry, like));
                done.insert(name);
            }
            waiting = later;
        }
        Ok(())
    }

    /// Draws the conclusions from all that was read.
    fn finish(&mut self) {
        let mut groups: HashMap<String, Vec<String>> = HashMap::new();
        self.rows.keys().for_each(|name| note_below(&mut groups, name));
        self.follow_likeness(&mut groups);
        for name in groups.into_keys() {
            // Some commands are known by their sub-commands only.
            let row = self.rows.entry(Cow::Owned(name)).or_insert_with(|| Row::new(Entry::group(), None));
            row.has_subcommands = true;
        }
        self.patterns = self.rows.keys().filter(|name| name.contains('*')).cloned().collect();
        self.patterns.sort();
    }

    /// What is like a command with sub-commands has the same ones.
    fn follow_likeness(&mut self, groups: &mut HashMap<String, Vec<String>>) {
        let likes = self.rows.iter().filter_map(|(name, row)| Some((name.clone(), row.like()?.to_owned())));
        let mut likes: Vec<_> = likes.collect();
        likes.sort();
        for (name, like) in likes {
            for below in groups.get(&like).cloned().unwrap_or_default() {
                let own = format!("{name}{}", &below[like.len()..]);
                if !self.rows.contains_key(own.as_str()) {
                    let row = self.rows[below.as_str()].clone();
                    note_below(groups, &own);
                    self.rows.insert(Cow::Owned(own), row);
                }
            }
        }
    }

    pub(super) fn get(&self, name: &str) -> Option<&Row> {
        self.rows.get(name)
    }

    /// Finds a sub-command; where none of that name is listed, the name of one may hold a `*`.
    pub(super) fn subcommand(&self, path: &str) -> Option<&Row> {
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
        self.rows.get(name).is_some_and(|row| row.has_subcommands)
    }

    /// Whether a command of this name is known.
    pub fn knows(&self, name: &str) -> bool {
        self.rows.contains_key(name)
    }
}

/// Writes a name down at each command that it is a sub-command of, however deep below.
fn note_below(groups: &mut HashMap<String, Vec<String>>, name: &str) {
    for (end, _) in name.match_indices(' ') {
        match groups.get_mut(&name[..end]) {
            Some(below) => below.push(name.to_owned()),
            None => _ = groups.insert(name[..end].to_owned(), vec![name.to_owned()]),
        }
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
    use super::shipped::TABLES;
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn what_ships_is_understood() {
        for text in TABLES {
            Table::default().read(text).unwrap_or_else(|error| panic!("{error}"));
        }
        assert!(Table::builtin().rows.len() > 300, "{}", Table::builtin().rows.len());
    }

    /// What is found in them at a glance is what TOML finds, and each entry is the same, read late or at once.
    #[test]
    fn what_ships_is_written_plainly() {
        let mut whole = Table::default();
        for text in TABLES {
            whole.read(text).unwrap_or_else(|error| panic!("{error}"));
        }
        whole.finish();
        let sorted = |table: &Table| {
            let rows = table.rows.iter().map(|(name, row)| (name.to_string(), row.clone()));
            rows.collect::<BTreeMap<String, Row>>()
        };
        let (whole, late) = (sorted(&whole), sorted(Table::builtin()));
        assert!(whole.keys().eq(late.keys()));
        for (name, row) in whole {
            let other = &late[&name];
            assert_eq!(
                (&*row, row.like(), row.has_subcommands),
                (&**other, other.like(), other.has_subcommands),
                "`{name}`"
            );
        }
    }

    /// A command that stands in two files would silently be what the later one says.
    #[test]
    fn each_command_stands_in_one_file() {
        let mut places: BTreeMap<String, usize> = BTreeMap::new();
        for (idx, text) in TABLES.iter().enumerate() {
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
