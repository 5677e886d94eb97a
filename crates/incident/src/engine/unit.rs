//! Owns one unit: replayed, recovered, refused, asked about or run, with its intent before and its outcome after.

use std::collections::BTreeMap;
use std::path::PathBuf;

use runbook::{Effect, Fence, Unit};

use super::permit::{Permit, Turn};
use super::ready::Ready;
use super::recover::Recovered;
use super::walk::Walk;
use super::{Engine, EngineError};
use crate::fold::{Ended, Incident};
use crate::record::{ApprovalEnd, Record, UnitEnd, UnitRef, Withheld};
use crate::world::World;

/// How a unit ended, for the fence.
pub(super) enum UnitEnding {
    /// As expected.
    Fine,
    /// It was not run.
    Skipped(String),
    /// Not as expected.
    Unexpected(String),
    /// A person said no, or has to find out what it did.
    Rejected(String),
}

/// Where a unit stands by the journal.
enum Standing {
    Over(UnitEnding),
    /// To be run for this time; the values came with a yes that it has already.
    Attempt(u32, Option<BTreeMap<String, String>>),
}

impl<W: World> Engine<W> {
    pub(super) async fn unit(
        &self,
        walk: &Walk<'_>,
        step: &runbook::Step,
        fence: &Fence,
        unit: &Unit,
        doubt: Option<&str>,
    ) -> Result<UnitEnding, EngineError> {
        let named = UnitRef { run: walk.run, unit: unit.id.clone() };
        loop {
            let (attempt, given) = match self.standing(walk, fence, unit, &named).await? {
                Standing::Over(ending) => return Ok(ending),
                Standing::Attempt(attempt, given) => (attempt, given),
            };
            // Another attempt is a new beginning: whoever leads by now may not want it.
            if attempt > 1
                && let Some(reason) = self.lead_for(walk, unit.effect == Effect::Observe).await?
            {
                self.give_up(walk, &named).await?;
                return Ok(UnitEnding::Rejected(reason));
            }
            let mut ready = match self.make_ready(walk, fence, unit, named.clone()).await? {
                Ok(ready) => ready,
                Err(reason) => {
                    self.give_up(walk, &named).await?;
                    return Ok(UnitEnding::Unexpected(reason));
                }
            };
            let permit = match given {
                Some(values) => {
                    let refused = self.take_yes(walk, &mut ready, values).await?;
                    refused.map_or(Permit::Yes(None), Permit::No)
                }
                None => self.permitted(walk, step, &mut ready, doubt).await?,
            };
            match permit {
                Permit::Yes(turn) => self.perform(walk, &ready, attempt, turn).await?,
                Permit::No(ending) => {
                    self.give_up(walk, &named).await?;
                    return Ok(ending);
                }
            }
        }
    }

    /// Where a unit stands by the journal: over, or to be run, and for which time.
    async fn standing(
        &self,
        walk: &Walk<'_>,
        fence: &Fence,
        unit: &Unit,
        named: &UnitRef,
    ) -> Result<Standing, EngineError> {
        let view = self.inner.ledger.with(walk.id, |incident| incident.unit(named).cloned()).await?;
        let Some(view) = view else { return Ok(Standing::Attempt(1, None)) };
        if let Some(reason) = view.skipped {
            self.give_up(walk, named).await?;
            return Ok(Standing::Over(UnitEnding::Skipped(reason)));
        }
        let Some(intent) = view.intent else { return Ok(Standing::Attempt(1, None)) };
        let ended = match view.outcome {
            Some(ended) => ended,
            None => match self.recover_unit(walk, fence, unit, named, &intent).await? {
                Recovered::Ended(ended) => ended,
                Recovered::Again => return Ok(Standing::Attempt(intent.attempt + 1, None)),
                Recovered::Approved(values) => {
                    return Ok(Standing::Attempt(intent.attempt + 1, Some(values)));
                }
            },
        };
        let ending = ending(unit, &ended);
        // An author who writes `retry` has said that trying again is fine; the policy is asked all the same.
        let tries =
            if fence.last_mutating() == Some(unit) { 1 + fence.attributes.retry.unwrap_or(0) } else { 1 };
        if matches!(ending, UnitEnding::Unexpected(_)) && intent.attempt < tries {
            return Ok(Standing::Attempt(intent.attempt + 1, None));
        }
        Ok(Standing::Over(ending))
    }

    pub(super) async fn skip(
        &self,
        walk: &Walk<'_>,
        ready: &Ready<'_>,
        reason: String,
        doubt: Option<&str>,
    ) -> Result<UnitEnding, EngineError> {
        let withheld = self.withheld(walk, ready, doubt).await?;
        self.note_skip(walk, &ready.named, ready.unit, &reason, withheld).await?;
        Ok(UnitEnding::Skipped(reason))
    }

    /// Writes down that a unit is not run. Where a question about it is open, it is one no more.
    pub(super) async fn note_skip(
        &self,
        walk: &Walk<'_>,
        named: &UnitRef,
        unit: &Unit,
        reason: &str,
        withheld: Option<Withheld>,
    ) -> Result<(), EngineError> {
        let (statement, reason) = (unit.source.clone(), reason.to_owned());
        let is_asked = |incident: &Incident| incident.unit(named).is_some_and(|view| view.asked.is_some());
        if self.inner.ledger.with(walk.id, is_asked).await? {
            let (end, reason) = (ApprovalEnd::Void, reason.clone());
            self.record(walk.id, Record::ApprovalEnded { unit: named.clone(), end, by: None, reason })
                .await?;
        }
        self.record(walk.id, Record::UnitSkipped { unit: named.clone(), statement, reason, withheld }).await
    }

    /// The folder of an attempt.
    pub(super) fn folder(&self, walk: &Walk<'_>, unit: &UnitRef, attempt: u32) -> PathBuf {
        let name = format!("{}-{}-{attempt}", unit.run, unit.unit);
        self.inner.settings.runs.join(walk.id.as_str()).join(name)
    }

    /// Intent, run, outcome. Where the outcome is not known, none is written: it is found out next.
    async fn perform(
        &self,
        walk: &Walk<'_>,
        ready: &Ready<'_>,
        attempt: u32,
        turn: Option<Turn<'_>>,
    ) -> Result<(), EngineError> {
        let folder = self.folder(walk, &ready.named, attempt);
        let key = format!("{}/{}/{}/{attempt}", walk.id, ready.named.run, ready.named.unit);
        let intent = self.shell_intent(walk, ready, &folder, &key, attempt);
        let record = Record::Intent {
            unit: ready.named.clone(),
            attempt,
            statement: ready.unit.source.clone(),
            effect: ready.unit.effect.name().to_owned(),
            key,
            folder: folder.to_string_lossy().into_owned(),
            values: ready.values.clone(),
        };
        self.keep_undo(walk, ready).await?;
        self.record(walk.id, record).await?;
        drop(turn);
        if attempt > 1 {
            self.end_due_jobs(walk.id).await?;
        }
        let end = match private_folder(folder.parent()) {
            Err(error) => UnitEnd::NotStarted { reason: format!("no folder for it: {error}") },
            Ok(()) => match self.inner.world.run(&folder, &intent).await {
                Ok(runner::Recovery::Finished(outcome)) => {
                    self.note_outcome(walk, &ready.named, ready.unit, attempt, &folder, &outcome).await?;
                    return Ok(());
                }
                Ok(runner::Recovery::NeverStarted) => {
                    UnitEnd::NotStarted { reason: "its runner did not start".to_owned() }
                }
                Ok(_) if ready.unit.effect == Effect::Observe => UnitEnd::Interrupted {},
                Ok(runner::Recovery::Running(_) | runner::Recovery::Interrupted) => return Ok(()),
                Err(error) => match self.inner.world.recover(&folder).await? {
                    runner::Recovery::NeverStarted => {
                        UnitEnd::NotStarted { reason: crate::error_chain(&error) }
                    }
                    _ => return Ok(()),
                },
            },
        };
        self.note_end(walk, &ready.named, attempt, end).await?;
        Ok(())
    }
}

/// Makes the folder of an incident, which holds what units print: for the owner's eyes only.
pub(super) fn private_folder(path: Option<&std::path::Path>) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    path.map_or(Ok(()), |path| std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path))
}

/// What an outcome means for the fence: the meaning in the record is empty where all is well.
pub(super) fn ending(unit: &Unit, ended: &Ended) -> UnitEnding {
    let unknown = "Paramedic died while it ran, and what it did is not known";
    match &ended.end {
        UnitEnd::Exited { code: 0 } | UnitEnd::DoneByEvidence { .. } => UnitEnding::Fine,
        UnitEnd::Exited { code } if ended.meaning.is_empty() => {
            UnitEnding::Unexpected(format!("exited with code {code}"))
        }
        UnitEnd::Exited { .. } => UnitEnding::Fine,
        UnitEnd::Signaled { signal } => UnitEnding::Unexpected(format!("ended by signal {signal}")),
        UnitEnd::TimedOut {} => UnitEnding::Unexpected("ran out of time".to_owned()),
        UnitEnd::NotStarted { reason } => UnitEnding::Unexpected(format!("not started: {reason}")),
        UnitEnd::Interrupted {} if unit.effect == Effect::Observe => {
            UnitEnding::Unexpected(unknown.to_owned())
        }
        // Another run of the procedure would do it again, without knowing.
        UnitEnd::Interrupted {} => UnitEnding::Rejected(format!("{}: {unknown}", unit.id)),
    }
}
