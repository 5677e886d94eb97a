//! Owns what is written down of changes: those of the product's own commands, with the value before, and how a unit is
//! taken back.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use runbook::Unit;

use super::ready::Ready;
use super::walk::Walk;
use super::{Engine, EngineError};
use crate::change::Change;
use crate::fold::Incident;
use crate::id::IncidentId;
use crate::record::{Record, UnitRef};
use crate::world::World;

/// The file in the folder of a unit to which our commands write what they change, a JSON object a line.
pub(super) const CHANGES_FILE: &str = "changes";

/// How much of that file is read, in bytes.
const CHANGES_BYTES_MAX: u64 = 1024 * 1024;

/// How many changes one unit makes at most.
const CHANGES_MAX: usize = 20;

impl<W: World> Engine<W> {
    /// Writes down what a unit changed, before its outcome: whoever dies in between reads the file once more.
    pub(super) async fn note_changes(
        &self,
        id: &IncidentId,
        named: &UnitRef,
        unit: &Unit,
        folder: &Path,
    ) -> Result<(), EngineError> {
        // Whoever could write a change could have something of their own put in its place: only our own commands do.
        if !is_ours(unit) {
            return Ok(());
        }
        let mut bytes = Vec::new();
        let Ok(file) = File::open(folder.join(CHANGES_FILE)) else { return Ok(()) };
        if file.take(CHANGES_BYTES_MAX).read_to_end(&mut bytes).is_err() {
            return Ok(());
        }
        let text = String::from_utf8_lossy(&bytes);
        for change in text.lines().filter_map(Change::parse).take(CHANGES_MAX) {
            let is_known = |incident: &Incident| {
                incident.changes().any(|made| made.unit == Some(named) && *made.change == change)
            };
            if self.inner.ledger.with(id, is_known).await? {
                continue;
            }
            let by = format!("the runbook (unit {})", named.unit);
            self.record_change(id, Some(named.clone()), by, change).await?;
        }
        Ok(())
    }

    /// Writes down a change that a person made, in the newest open incident of the server, where it is one of a server and
    /// there is one.
    ///
    /// # Errors
    /// Where the journal refuses.
    pub async fn note_change(
        &self,
        server: Option<&str>,
        by: &str,
        change: Change,
    ) -> Result<(), EngineError> {
        let open = self
            .inner
            .ledger
            .with_all(|all| {
                all.filter(|incident| Some(incident.server.as_str()) == server && incident.state.is_open())
                    .max_by_key(|incident| incident.opened_ms)
                    .map(|incident| incident.id.clone())
            })
            .await;
        match open {
            Some(id) => self.record_change(&id, None, by.to_owned(), change).await,
            None => {
                let record = Record::Changed { number: 0, unit: None, by: by.to_owned(), change };
                self.inner.ledger.write_loose(self.inner.world.now_ms(), &record).await
            }
        }
    }

    async fn record_change(
        &self,
        id: &IncidentId,
        unit: Option<UnitRef>,
        by: String,
        change: Change,
    ) -> Result<(), EngineError> {
        let count = self.inner.ledger.with(id, |incident| incident.changes().count()).await?;
        let number = u32::try_from(count + 1).unwrap_or(u32::MAX);
        self.record(id, Record::Changed { number, unit, by, change }).await
    }

    /// Writes down how a unit is taken back, before it is run: afterwards somebody may have been killed.
    pub(super) async fn keep_undo(&self, walk: &Walk<'_>, ready: &Ready<'_>) -> Result<(), EngineError> {
        let Some(statement) = &ready.fence.attributes.undo else { return Ok(()) };
        if ready.fence.last_mutating() != Some(ready.unit) {
            return Ok(());
        }
        let is_kept =
            |incident: &Incident| incident.unit(&ready.named).is_some_and(|view| view.undo.is_some());
        if self.inner.ledger.with(walk.id, is_kept).await? {
            return Ok(());
        }
        self.record(walk.id, Record::UndoKept { unit: ready.named.clone(), statement: statement.clone() })
            .await
    }
}

/// Whether a unit is one command of ours, and nothing else.
pub(super) fn is_ours(unit: &Unit) -> bool {
    unit.program.as_deref().and_then(|program| program.split(' ').next()) == Some("paramedic")
}
