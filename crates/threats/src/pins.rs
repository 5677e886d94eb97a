//! Owns which tools of a server were approved, and what has become of them: changed, renamed, new, gone.

use std::collections::BTreeMap;

use checksum::Digest;
use serde::{Deserialize, Serialize};

use crate::definition::Definition;

/// The tools that an operator has approved, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Pins(BTreeMap<String, Digest>);

/// What a tool is beside the ones that were approved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// It has the name of an approved one, and is another.
    Changed(String),
    /// It is an approved one under another name.
    Renamed {
        /// The approved name.
        from: String,
        /// The new one.
        to: String,
    },
    /// Nobody has approved it.
    New(String),
    /// It was approved, and is not there.
    Gone(String),
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
}

// === impl Change ===

impl Change {
    /// The tool that may not be trusted for it; none where there is none any more.
    pub fn tool(&self) -> Option<&str> {
        match self {
            Self::Changed(name) | Self::Renamed { to: name, .. } | Self::New(name) => Some(name),
            Self::Gone(_) => None,
        }
    }
}

impl std::fmt::Display for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Changed(name) => write!(f, "tool `{name}` is another than the one that was approved"),
            Self::Renamed { from, to } => {
                write!(f, "tool `{to}` is the approved `{from}` under another name")
            }
            Self::New(name) => write!(f, "tool `{name}` was approved by nobody"),
            Self::Gone(name) => write!(f, "tool `{name}`, which was approved, is gone"),
        }
    }
}

/// What has become of the approved tools, now that a server lists these.
pub fn changes(pins: &Pins, now: &[Definition]) -> Vec<Change> {
    let is_listed = |name: &str| now.iter().any(|one| one.name == name);
    let gone: Vec<&String> = pins.0.keys().filter(|name| !is_listed(name)).collect();
    let mut renamed = Vec::new();
    let mut found = Vec::new();
    for one in now {
        match pins.0.get(&one.name) {
            Some(sha256) if *sha256 == one.sha256 => {}
            Some(_) => found.push(Change::Changed(one.name.clone())),
            None => match gone.iter().find(|name| pins.0[**name] == one.sha256) {
                Some(from) => {
                    renamed.push(*from);
                    found.push(Change::Renamed { from: (*from).clone(), to: one.name.clone() });
                }
                None => found.push(Change::New(one.name.clone())),
            },
        }
    }
    found.extend(
        gone.into_iter().filter(|name| !renamed.contains(name)).map(|name| Change::Gone(name.clone())),
    );
    found
}
