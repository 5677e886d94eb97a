//! Owns what the records say was changed with the value before kept, what can be taken back, and what was.

use super::Incident;
use crate::change::Change;
use crate::record::{Record, UnitEnd, UnitRef};

/// What the unit of an undo is called: this, and then what it takes back.
const PREFIX: &str = "undo-";

/// A change that a command of the product made in an incident.
#[derive(Debug, Clone, Copy)]
pub struct Made<'a> {
    /// When, in milliseconds since the Unix epoch.
    pub at_ms: i64,
    /// Its number in the incident, from 1; `incident undo` calls it `c1`.
    pub number: u32,
    /// The unit that made it, where a person did not.
    pub unit: Option<&'a UnitRef>,
    /// Who made it.
    pub by: &'a str,
    /// What was changed.
    pub change: &'a Change,
}

/// Something that can be taken back.
#[derive(Debug, Clone)]
pub enum Takeback<'a> {
    /// A change of which the value before is kept.
    Change(Made<'a>),
    /// A unit whose author says how.
    Unit {
        /// The unit.
        unit: &'a UnitRef,
        /// What takes it back.
        statement: &'a str,
    },
}

// === impl Incident ===

impl Incident {
    /// The changes that commands of the product made, in order.
    pub fn changes(&self) -> impl Iterator<Item = Made<'_>> {
        self.timeline.iter().filter_map(|(at_ms, record)| match record {
            Record::Changed { number, unit, by, change } => {
                Some(Made { at_ms: *at_ms, number: *number, unit: unit.as_ref(), by, change })
            }
            _ => None,
        })
    }

    /// What can be taken back and was not, in no order of time: changes first, then units.
    pub fn takebacks(&self) -> Vec<Takeback<'_>> {
        let is_open = |undo: &UnitRef| self.undone(undo).is_none();
        let changes = self
            .changes()
            .filter(|made| made.change.undoes.is_none() && is_open(&undo_of_change(made.number)))
            .map(Takeback::Change);
        let units = self.units.iter().filter_map(|(unit, view)| {
            let statement = view.undo.as_deref()?;
            let ended = view.outcome.as_ref()?;
            let ran = !matches!(ended.end, UnitEnd::NotStarted { .. });
            (ran && is_open(&undo_of_unit(unit))).then_some(Takeback::Unit { unit, statement })
        });
        changes.chain(units).collect()
    }

    /// When and by whom something was taken back, by the unit that did so.
    pub(crate) fn undone(&self, undo: &UnitRef) -> Option<(i64, &str)> {
        let view = self.unit(undo)?;
        let ended = view.outcome.as_ref().filter(|ended| ended.end == UnitEnd::Exited { code: 0 })?;
        let by = view.approved.as_ref().map_or("a person", |approved| approved.by.as_str());
        Some((ended.finished_ms.unwrap_or_default(), by))
    }
}

// === impl Takeback ===

impl Takeback<'_> {
    /// What `incident undo` is told.
    pub fn name(&self) -> String {
        match self {
            Self::Change(made) => format!("c{}", made.number),
            Self::Unit { unit, .. } => unit.unit.clone(),
        }
    }
}

/// The unit that takes a change back.
pub(crate) fn undo_of_change(number: u32) -> UnitRef {
    UnitRef { run: 0, unit: format!("{PREFIX}c{number}") }
}

/// The unit that takes another one back.
pub(crate) fn undo_of_unit(unit: &UnitRef) -> UnitRef {
    UnitRef { run: unit.run, unit: format!("{PREFIX}{}", unit.unit) }
}

/// Whether a unit takes something back: that is a person's own word, and no step of the procedure.
pub(crate) fn is_undo(unit: &UnitRef) -> bool {
    unit.unit.starts_with(PREFIX)
}
