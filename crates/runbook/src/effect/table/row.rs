//! Owns one row of the table: an entry that is read when somebody asks for it, because hardly any command needs many.

use std::borrow::Cow;
use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use super::Table;
use super::entry::{Entry, Raw};

/// A row of the table. Derefs to its entry.
#[derive(Debug, Clone)]
pub(in crate::effect) struct Row {
    entry: Arc<Lazy>,
    pub(in crate::effect) has_subcommands: bool,
}

#[derive(Debug)]
struct Lazy {
    /// The keys of an entry that ships; empty where the entry is there from the beginning.
    text: &'static str,
    like: Option<Cow<'static, str>>,
    entry: OnceLock<Box<Entry>>,
}

// === impl Row ===

impl Row {
    pub(super) fn new(entry: Entry, like: Option<String>) -> Self {
        let like = like.map(Cow::Owned);
        Self::from(Lazy { text: "", like, entry: OnceLock::from(Box::new(entry)) })
    }

    /// An entry of a table that ships, which may be like another one that ships.
    pub(super) fn shipped(text: &'static str, like: Option<&'static str>) -> Self {
        Self::from(Lazy { text, like: like.map(Cow::Borrowed), entry: OnceLock::new() })
    }

    fn from(lazy: Lazy) -> Self {
        Self { entry: Arc::new(lazy), has_subcommands: false }
    }

    /// The name of the command that it is like.
    pub(super) fn like(&self) -> Option<&str> {
        self.entry.like.as_deref()
    }
}

impl Deref for Row {
    type Target = Entry;

    fn deref(&self) -> &Entry {
        self.entry.entry.get_or_init(|| Box::new(self.entry.read()))
    }
}

impl Lazy {
    fn read(&self) -> Entry {
        let raw: Raw = toml::from_str(self.text).expect("the tables that ship are read by a test");
        let base = self.like.as_deref().and_then(|like| Table::builtin().get(like));
        Entry::new(raw, base.map(|row| Entry::clone(row))).expect("the tables that ship are read by a test")
    }
}
