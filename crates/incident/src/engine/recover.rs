//! Owns what becomes of a unit that an earlier life of the engine intended and never finished.

use runbook::{Effect, Fence, Unit};

use super::ask::{Answer, Question};
use super::walk::Walk;
use super::{Engine, EngineError};
use crate::fold::{Ended, Intended};
use crate::policy;
use crate::record::{UnitEnd, UnitRef};
use crate::world::World;

impl<W: World> Engine<W> {
    /// Outcome present: replayed. Runner alive: waited for. Neither: the author's `verify` decides, then
    /// `idempotent`, then a person. `None` means: run it once more.
    pub(super) async fn recover_unit(
        &self,
        walk: &Walk<'_>,
        fence: &Fence,
        unit: &Unit,
        named: &UnitRef,
        intent: &Intended,
    ) -> Result<Option<Ended>, EngineError> {
        let folder = std::path::PathBuf::from(&intent.folder);
        tracing::info!(incident = %walk.id, unit = unit.id, "finding out what became of a unit");
        match self.inner.world.recover(&folder).await {
            Ok(runner::Recovery::Finished(outcome)) => {
                self.note_outcome(walk, named, unit, intent.attempt, &folder, &outcome).await.map(Some)
            }
            Ok(runner::Recovery::NeverStarted) => Ok(None),
            Ok(runner::Recovery::Running(_) | runner::Recovery::Interrupted) => {
                self.after_interruption(walk, fence, unit, named, intent).await
            }
            Err(error) => {
                let reason = crate::error_chain(&error);
                self.note_end(walk, named, intent.attempt, UnitEnd::NotStarted { reason }).await.map(Some)
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
    ) -> Result<Option<Ended>, EngineError> {
        if unit.effect == Effect::Observe {
            return Ok(None);
        }
        if let Some(condition) = &fence.attributes.verify
            && self.holds(walk, condition).await?.is_none()
        {
            let end = UnitEnd::DoneByEvidence { condition: condition.clone() };
            return self.note_end(walk, named, intent.attempt, end).await.map(Some);
        }
        if fence.attributes.idempotent {
            return Ok(None);
        }
        let question = Question {
            unit: named,
            statement: &unit.source,
            effect: policy::name(unit.effect),
            reason: "Paramedic died while it ran, and what it did is not known: may it be run once more?",
            missing: Vec::new(),
            values: &std::collections::BTreeMap::new(),
            state: None,
        };
        match self.ask(walk, &question).await? {
            Answer::Yes { .. } => Ok(None),
            Answer::No(_) | Answer::Over(_) => {
                self.note_end(walk, named, intent.attempt, UnitEnd::Interrupted {}).await.map(Some)
            }
        }
    }
}
