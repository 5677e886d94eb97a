//! Owns what becomes of a unit that an earlier life of the engine intended and never finished.

use std::collections::BTreeMap;
use std::path::Path;

use runbook::{Effect, Fence, Unit};

use super::ask::Answer;
use super::unit::private_folder;
use super::walk::Walk;
use super::{Engine, EngineError};
use crate::fold::{Ended, Incident, Intended};
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
        // The engine may have died before it made that of the incident, and nobody settles anything in a folder that is nowhere.
        private_folder(folder.parent()).map_err(|source| {
            let path = folder.parent().unwrap_or(&folder).to_owned();
            runner::Error::File { action: "create", path, source }
        })?;
        let recovery = self.inner.world.recover(&folder).await?;
        // What was approved once more and never began: what the attempt before it did is as little known as ever.
        let is_unknown = recovery == runner::Recovery::NeverStarted
            && self.is_unknown(walk, fence, unit, named, intent).await?;
        let end = match recovery {
            runner::Recovery::Finished(outcome) => {
                return self
                    .note_outcome(walk, named, unit, intent.attempt, &folder, &outcome)
                    .await
                    .map(Recovered::Ended);
            }
            runner::Recovery::NeverStarted if !is_unknown => {
                UnitEnd::NotStarted { reason: "Paramedic died before it began".to_owned() }
            }
            _ => {
                if let Some(known) = self.after_interruption(walk, fence, unit, named, intent).await? {
                    return Ok(known);
                }
                UnitEnd::Interrupted {}
            }
        };
        match self.lead_for(walk, unit.effect == Effect::Observe).await? {
            None => Ok(Recovered::Again),
            // Nobody does it again, so this is how it ended.
            Some(_) => self.note_end(walk, named, intent.attempt, end).await.map(Recovered::Ended),
        }
    }

    /// The last attempt is not made once more. Where it was cut short, that is how it ended.
    pub(super) async fn give_up(&self, walk: &Walk<'_>, named: &UnitRef) -> Result<(), EngineError> {
        let last = |incident: &Incident| {
            let view = incident.unit(named).filter(|view| view.outcome.is_none());
            view.and_then(|view| view.intent.clone())
        };
        let Some(intent) = self.inner.ledger.with(walk.id, last).await? else { return Ok(()) };
        let folder = std::path::PathBuf::from(&intent.folder);
        if self.inner.world.recover(&folder).await? == runner::Recovery::Interrupted {
            self.note_end(walk, named, intent.attempt, UnitEnd::Interrupted {}).await?;
        }
        Ok(())
    }

    /// Whether what an earlier attempt did is not known, and matters.
    async fn is_unknown(
        &self,
        walk: &Walk<'_>,
        fence: &Fence,
        unit: &Unit,
        named: &UnitRef,
        intent: &Intended,
    ) -> Result<bool, EngineError> {
        if unit.effect == Effect::Observe || fence.attributes.idempotent {
            return Ok(false);
        }
        for attempt in 1..intent.attempt {
            let earlier = self.inner.world.recover(&self.folder(walk, named, attempt)).await?;
            if earlier == runner::Recovery::Interrupted {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Neither outcome nor runner: `None` is to be run once more.
    async fn after_interruption(
        &self,
        walk: &Walk<'_>,
        fence: &Fence,
        unit: &Unit,
        named: &UnitRef,
        intent: &Intended,
    ) -> Result<Option<Recovered>, EngineError> {
        if unit.effect == Effect::Observe {
            return Ok(None);
        }
        // What it wrote down before it was cut short may have been made.
        self.note_changes(walk.id, named, unit, Path::new(&intent.folder)).await?;
        if let Some(condition) = &fence.attributes.verify
            && self.holds(walk, condition).await?.is_none()
        {
            let end = UnitEnd::DoneByEvidence { condition: condition.clone() };
            return self
                .note_end(walk, named, intent.attempt, end)
                .await
                .map(|ended| Some(Recovered::Ended(ended)));
        }
        if fence.attributes.idempotent && intent.attempt < ATTEMPTS_MAX {
            return Ok(None);
        }
        let Ok(ready) = self.make_ready(walk, fence, unit, named.clone()).await? else {
            return self
                .note_end(walk, named, intent.attempt, UnitEnd::Interrupted {})
                .await
                .map(|ended| Some(Recovered::Ended(ended)));
        };
        match self.ask(walk, &ready.question(ONCE_MORE, Some(intent.attempt))).await? {
            Answer::Yes { values, .. } => Ok(Some(Recovered::Approved(values))),
            Answer::No(_) | Answer::Over(_) => self
                .note_end(walk, named, intent.attempt, UnitEnd::Interrupted {})
                .await
                .map(|ended| Some(Recovered::Ended(ended))),
        }
    }
}
