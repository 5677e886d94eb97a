//! Owns steps, their fences and the units in them: what a person reads, and what the engine runs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Serialize, Serializer};

use crate::attributes::Attributes;
use crate::bash::Script;
use crate::effect::{Effect, Trust};

/// A numbered step of a procedure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Step {
    /// Its number; unique in the procedure and growing, across phases.
    pub number: u32,
    /// Its bold title.
    pub title: String,
    /// The prose, as plain text; fences are left out.
    pub instruction: String,
    /// Its fences in order, those that are only shown included.
    pub fences: Vec<Fence>,
    /// Line in the document, from 1.
    pub line: usize,
}

/// A fenced block of a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fence {
    /// What it is written in; only `bash` and `sh` are run.
    pub language: Language,
    /// What stands in braces behind the language.
    pub attributes: Attributes,
    /// The text as a reader sees it, without the indentation of the list.
    pub source: String,
    /// Line of the opening fence in the document, from 1.
    pub line: usize,
    /// Its statements; none in a fence that is only shown or holds only comments.
    pub units: Vec<Unit>,
    /// Its tree; empty where it is not run or could not be read.
    #[serde(skip)]
    pub(crate) script: Arc<Script>,
}

/// The language of a fence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Language {
    /// Run by bash.
    Bash,
    /// Run by sh, as one unit.
    Sh,
    /// Shown, not run; empty where the fence names none.
    Other(String),
}

/// One top-level shell statement: what intent, approval, exit code and crash state belong to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unit {
    /// `STEP.NUMBER`, unique in the procedure, for instance `6.1`.
    pub id: String,
    /// The statement, verbatim.
    pub source: String,
    /// The comment lines that stand above or behind it, without `#`; for display.
    pub comment: Option<String>,
    /// Line of its beginning in the document, from 1.
    pub line: usize,
    /// What it does to the world.
    pub effect: Effect,
    /// Why it is taken to have that effect.
    pub reason: String,
    /// The effect holds as long as the values of these variables are harmless: [`Trust::accepts`] tells.
    pub trusts: BTreeMap<String, Trust>,
    /// Whose exit code it has, for [`exits::meaning`](crate::exits::meaning); `None` where several programs could
    /// have ended it.
    pub program: Option<String>,
    /// Whether it starts a job in the background (`&`), which runs on when the statement has ended.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub background: bool,
    /// Variables whose values it may look at: an approval is bound to them.
    pub reads: BTreeSet<String>,
    /// Variables that it may leave with another value.
    pub sets: BTreeSet<String>,
    /// Variables that it reads before it sets them, and without a default.
    pub needs: BTreeSet<String>,
}

// === impl Step ===

impl Step {
    /// Whether there is nothing to run: it waits for a person's word and note.
    pub fn is_manual(&self) -> bool {
        self.fences.iter().all(|fence| fence.units.is_empty())
    }

    /// Returns its units in order.
    pub fn units(&self) -> impl Iterator<Item = &Unit> {
        self.fences.iter().flat_map(|fence| &fence.units)
    }

    /// Returns the mildest effect that covers all its units; `None` for a manual task.
    pub fn effect(&self) -> Option<Effect> {
        self.units().map(|unit| unit.effect).max()
    }
}

// === impl Fence ===

impl Fence {
    /// Returns the last unit that does more than look: `verify`, `retry` and `undo` belong to it.
    pub fn last_mutating(&self) -> Option<&Unit> {
        self.units.iter().rev().find(|unit| unit.effect > Effect::Observe)
    }
}

// === impl Language ===

impl Language {
    pub(crate) fn from_name(name: &str) -> Self {
        match name {
            "bash" => Self::Bash,
            "sh" => Self::Sh,
            other => Self::Other(other.to_owned()),
        }
    }

    /// Returns the word that stands behind the fence.
    pub fn name(&self) -> &str {
        match self {
            Self::Bash => "bash",
            Self::Sh => "sh",
            Self::Other(name) => name,
        }
    }
}

impl Serialize for Language {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}
