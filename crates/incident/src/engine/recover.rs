//! Owns what becomes of a unit that an earlier life of the engine intended and never finished.

use std::collections::BTreeMap;
use std::path::Path;

use runbook::{Effect, Fence, Unit};

use super::ask::Answer;
use super::walk::Walk;
use super::{Engine, EngineError};
use crate::fold::{Ended, Intended};
use crate::record::{UnitEnd, UnitRef};
use crate::world::World;

/// What became of a unit that was intended before.
pub(super) enum Recovered {
    /// It has an outcome, which is written down.
    Ended(Ended),
    /// It is to be run once more, if policy allows it.
    Again,
    /// It is to be run once more: a person has said so, with these values.
    Approved(BTreeMap<String, String>),
}

/// How often an idempotent unit is begun before a person is asked: one that ends its runner each time would go on.
const ATTEMPTS_MAX: u32 = 3;

/// What a person is asked.
const ONCE_MORE: &str = "Paramedic died while it ran, and what it did is not known: may it be run once more?";

impl<W: World> Engine<W> {
    /// Outcome present: replayed. Runner alive: waited for. Neither: the author's `verify` decides, then
    /// `idempotent`, then a person.
    pub(super) async fn recover_unit(
        &self,
        walk: &Walk<'_>,
        fence: &Fence,
        unit: &Unit,
        named: &UnitRef,
        intent: &Intended,
    ) -> Result<Recovered, EngineError> {
        let folder = std::path::PathBuf::from(&intent.folder);
        tracing::info!(incident = %walk.id, unit = unit.id, "finding out what became of a unit");
        match self.inner.world.recover(&folder).await? {
            runner::Recovery::Finished(outcome) => self
                .note_outcome(walk, named, unit, intent.attempt, &folder, &outcome)
                .await
                .map(Recovered::Ended),
            runner::Recovery::NeverStarted => Ok(Recovered::Again),
            runner::Recovery::Running(_) | runner::Recovery::Interrupted => {
                self.after_interruption(walk, fence, unit, named, intent).await
            }
        }
    }

    async fn after_interruption(
        &self,
        walk: &Walk<'_>,
        fence: &Fence,
        unit: &Unit,
        named: &UnitRef,
        intent: &Intended,
    ) -> Result<Recovered, EngineError> {
        if unit.effect == Effect::Observe {
            return Ok(Recovered::Again);
        }
        // What it wrote down before it was cut short may have been made.
        self.note_changes(walk.id, named, unit, Path::new(&intent.folder)).await?;
        if let Some(condition) = &fence.attributes.verify
            && self.holds(walk, condition).await?.is_none()
        {
            let end = UnitEnd::DoneByEvidence { condition: condition.clone() };
            return self.note_end(walk, named, intent.attempt, end).await.map(Recovered::Ended);
        }
        if fence.attributes.idempotent && intent.attempt < ATTEMPTS_MAX {
            return Ok(Recovered::Again);
        }
        let Ok(ready) = self.make_ready(walk, fence, unit, named.clone()).await? else {
            return self
                .note_end(walk, named, intent.attempt, UnitEnd::Interrupted {})
                .await
                .map(Recovered::Ended);
        };
        match self.ask(walk, &ready.question(ONCE_MORE, Some(intent.attempt))).await? {
            Answer::Yes { values, .. } => Ok(Recovered::Approved(values)),
            Answer::No(_) | Answer::Over(_) => self
                .note_end(walk, named, intent.attempt, UnitEnd::Interrupted {})
                .await
                .map(Recovered::Ended),
        }
    }
}
