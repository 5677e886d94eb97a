//! Owns which tools of a server were approved, and what another one is beside them: changed, renamed, new.

use std::collections::BTreeMap;
use std::fmt;

use checksum::Digest;
use serde::{Deserialize, Serialize};

use crate::definition::Definition;

/// The tools that an operator has approved: names, and marks of what they are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Pins(BTreeMap<String, Digest>);

/// What a tool is that was not approved as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// It has the name of an approved one, and is another.
    Changed,
    /// It is the approved one of this name under another.
    Renamed(String),
    /// Nobody has approved it.
    New,
}

// === impl Pins ===

impl Pins {
    /// Approves these.
    pub fn of<'a>(definitions: impl IntoIterator<Item = &'a Definition>) -> Self {
        Self(definitions.into_iter().map(|one| (one.name.clone(), one.sha256)).collect())
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing was approved.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Their names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// What a tool of this name and mark is, where it was not approved so; none where it was. Without a mark, only its
    /// name is known.
    pub fn judge(&self, name: &str, sha256: Option<Digest>) -> Option<Change> {
        match (self.0.get(name), sha256) {
            (Some(_), None) => None,
            (Some(approved), Some(sha256)) => (*approved != sha256).then_some(Change::Changed),
            (None, None) => Some(Change::New),
            (None, Some(sha256)) => {
                let same = self.0.iter().find(|(_, approved)| **approved == sha256);
                Some(same.map_or(Change::New, |(name, _)| Change::Renamed(name.clone())))
            }
        }
    }
}

// === impl Change ===

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Changed => f.write_str("it is another than the one that was approved"),
            Self::Renamed(from) => write!(f, "it is the approved `{from}` under another name"),
            Self::New => f.write_str("it was approved by nobody"),
        }
    }
}
