//! Owns one unit: replayed, recovered, refused, asked about or run, with its intent before and its outcome after.

use std::path::PathBuf;

use runbook::{Fence, Unit};

use super::ask::{Answer, Question};
use super::ready::{Ready, file_digest};
use super::walk::Walk;
use super::{Engine, EngineError};
use crate::fold::{Ended, Incident};
use crate::policy::{self, Approve, Decision, Policy, Request, Trouble};
use crate::record::{Record, UnitEnd, UnitRef};
use crate::world::World;

/// The time over which restarts are counted against the budget.
const BUDGET_WINDOW_MS: i64 = 60 * 60 * 1000;

/// How a unit ended, for the fence.
pub(super) enum UnitEnding {
    /// As expected.
    Fine,
    /// It was not run.
    Skipped(String),
    /// Not as expected.
    Unexpected(String),
    /// A person said no.
    Rejected(String),
}

/// Where a unit stands by the journal.
enum Standing {
    Over(UnitEnding),
    Attempt(u32),
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
            let attempt = match self.standing(walk, fence, unit, &named).await? {
                Standing::Over(ending) => return Ok(ending),
                Standing::Attempt(attempt) => attempt,
            };
            let mut ready = match self.make_ready(walk, fence, unit, named.clone()).await? {
                Ok(ready) => ready,
                Err(reason) => return Ok(UnitEnding::Unexpected(reason)),
            };
            if let Some(ending) = self.permitted(walk, step, &mut ready, doubt).await? {
                return Ok(ending);
            }
            self.perform(walk, &ready, attempt).await?;
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
        let Some(view) = view else { return Ok(Standing::Attempt(1)) };
        if let Some(reason) = view.skipped {
            return Ok(Standing::Over(UnitEnding::Skipped(reason)));
        }
        let Some(intent) = view.intent else { return Ok(Standing::Attempt(1)) };
        let ended = match view.outcome {
            Some(ended) => ended,
            None => match self.recover_unit(walk, fence, unit, named, &intent).await? {
                Some(ended) => ended,
                None => return Ok(Standing::Attempt(intent.attempt + 1)),
            },
        };
        let ending = ending(&ended);
        // An author who writes `retry` has said that trying again is fine; the policy is asked all the same.
        let tries =
            if fence.last_mutating() == Some(unit) { 1 + fence.attributes.retry.unwrap_or(0) } else { 1 };
        if matches!(ending, UnitEnding::Unexpected(_)) && intent.attempt < tries {
            return Ok(Standing::Attempt(intent.attempt + 1));
        }
        Ok(Standing::Over(ending))
    }

    /// Asks policy, and people where policy says so. `None` is a yes.
    async fn permitted(
        &self,
        walk: &Walk<'_>,
        step: &runbook::Step,
        ready: &mut Ready<'_>,
        doubt: Option<&str>,
    ) -> Result<Option<UnitEnding>, EngineError> {
        let request = self.request(walk, ready.unit, ready.fence).await?;
        let decision = self.inner.world.policy(&walk.server).decide(&request);
        let question = match (decision, doubt) {
            (Decision::Skip(reason), _) => return self.skip(walk, ready, reason).await.map(Some),
            (_, _) if !ready.missing.is_empty() => Some(format!("it needs {}", ready.missing.join(", "))),
            (Decision::Ask(reason), _) => Some(reason),
            (Decision::Run, Some(doubt)) => Some(doubt.to_owned()),
            (Decision::Run, None) => None,
        };
        let Some(reason) = question else { return Ok(None) };
        tracing::info!(incident = %walk.id, step = step.number, unit = ready.unit.id, reason, "waiting for a person");
        let question = Question {
            unit: &ready.named,
            statement: &ready.unit.source,
            effect: policy::name(ready.unit.effect),
            reason: &reason,
            missing: ready.missing.clone(),
            values: &ready.values,
            state: ready.state_before.as_deref().and_then(file_digest),
        };
        match self.ask(walk, &question).await? {
            Answer::No(reason) => Ok(Some(UnitEnding::Rejected(format!("{}: {reason}", ready.unit.id)))),
            Answer::Over(reason) => self.skip(walk, ready, reason).await.map(Some),
            Answer::Yes { values, .. } => {
                ready.parameters.extend(values.clone());
                ready.values.extend(values);
                // The world may have changed while the person thought.
                let request = self.request(walk, ready.unit, ready.fence).await?;
                match Policy::refuse(&request) {
                    Some(Decision::Skip(reason)) => self.skip(walk, ready, reason).await.map(Some),
                    _ => Ok(None),
                }
            }
        }
    }

    async fn request<'a>(
        &self,
        walk: &Walk<'_>,
        unit: &'a Unit,
        fence: &Fence,
    ) -> Result<Request<'a>, EngineError> {
        let now_ms = self.inner.world.now_ms();
        let resolved =
            self.inner.ledger.with(walk.id, |incident| incident.alert_resolved_ms.is_some()).await?;
        let restarts_last_hour = self
            .inner
            .ledger
            .with_all(|all| {
                all.filter(|incident| incident.server == walk.server)
                    .map(|incident| restarts_since(incident, now_ms - BUDGET_WINDOW_MS))
                    .sum()
            })
            .await;
        Ok(Request {
            effect: unit.effect,
            effect_reason: &unit.reason,
            approve: match fence.attributes.approve {
                runbook::Approve::Always => Approve::Always,
                runbook::Approve::Policy => Approve::Policy,
            },
            kill: self.inner.world.kill(),
            trouble: if resolved { Trouble::Resolved } else { Trouble::Stands },
            restarts_last_hour,
        })
    }

    async fn skip(
        &self,
        walk: &Walk<'_>,
        ready: &Ready<'_>,
        reason: String,
    ) -> Result<UnitEnding, EngineError> {
        let (unit, statement) = (ready.named.clone(), ready.unit.source.clone());
        self.record(walk.id, Record::UnitSkipped { unit, statement, reason: reason.clone() }).await?;
        Ok(UnitEnding::Skipped(reason))
    }

    /// The folder of an attempt.
    pub(super) fn folder(&self, walk: &Walk<'_>, unit: &UnitRef, attempt: u32) -> PathBuf {
        let name = format!("{}-{}-{attempt}", unit.run, unit.unit);
        self.inner.settings.runs.join(walk.id.as_str()).join(name)
    }

    /// Intent, run, outcome.
    async fn perform(&self, walk: &Walk<'_>, ready: &Ready<'_>, attempt: u32) -> Result<Ended, EngineError> {
        let folder = self.folder(walk, &ready.named, attempt);
        let key = format!("{}/{}/{}/{attempt}", walk.id, ready.named.run, ready.named.unit);
        let intent = self.shell_intent(walk, ready, &folder, &key, attempt);
        let record = Record::Intent {
            unit: ready.named.clone(),
            attempt,
            statement: ready.unit.source.clone(),
            effect: policy::name(ready.unit.effect).to_owned(),
            key,
            folder: folder.to_string_lossy().into_owned(),
            values: ready.values.clone(),
        };
        self.record(walk.id, record).await?;
        if let Err(error) = private_folder(folder.parent()) {
            let reason = format!("no folder for it: {error}");
            return self.note_end(walk, &ready.named, attempt, UnitEnd::NotStarted { reason }).await;
        }
        match self.inner.world.run(&folder, &intent).await {
            Ok(runner::Recovery::Finished(outcome)) => {
                self.note_outcome(walk, &ready.named, ready.unit, attempt, &folder, &outcome).await
            }
            Ok(runner::Recovery::NeverStarted) => {
                let reason = "its runner did not start".to_owned();
                self.note_end(walk, &ready.named, attempt, UnitEnd::NotStarted { reason }).await
            }
            Ok(runner::Recovery::Running(_) | runner::Recovery::Interrupted) => {
                self.note_end(walk, &ready.named, attempt, UnitEnd::Interrupted {}).await
            }
            Err(error) => {
                let reason = crate::error_chain(&error);
                self.note_end(walk, &ready.named, attempt, UnitEnd::NotStarted { reason }).await
            }
        }
    }
}

/// Makes the folder of an incident, which holds what units print: for the owner's eyes only.
fn private_folder(path: Option<&std::path::Path>) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    path.map_or(Ok(()), |path| std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path))
}

fn restarts_since(incident: &Incident, since_ms: i64) -> u32 {
    let restarts = incident
        .timeline
        .iter()
        .filter(|(at_ms, record)| *at_ms >= since_ms && matches!(record, Record::Restarted { .. }));
    u32::try_from(restarts.count()).unwrap_or(u32::MAX)
}

/// What an outcome means for the fence: the meaning in the record is empty where all is well.
fn ending(ended: &Ended) -> UnitEnding {
    match &ended.end {
        UnitEnd::Exited { code: 0 } | UnitEnd::DoneByEvidence { .. } => UnitEnding::Fine,
        UnitEnd::Exited { code } if ended.meaning.is_empty() => {
            UnitEnding::Unexpected(format!("exited with code {code}"))
        }
        UnitEnd::Exited { .. } => UnitEnding::Fine,
        UnitEnd::Signaled { signal } => UnitEnding::Unexpected(format!("ended by signal {signal}")),
        UnitEnd::TimedOut {} => UnitEnding::Unexpected("ran out of time".to_owned()),
        UnitEnd::NotStarted { reason } => UnitEnding::Unexpected(format!("not started: {reason}")),
        UnitEnd::Interrupted {} => {
            UnitEnding::Unexpected("Paramedic died while it ran, and what it did is not known".to_owned())
        }
    }
}
