//! Owns one unit: replayed, recovered, refused, asked about or run, with its intent before and its outcome after.

use std::collections::BTreeMap;
use std::path::PathBuf;

use runbook::{Effect, Fence, Unit};

use super::ask::Answer;
use super::ready::Ready;
use super::recover::Recovered;
use super::walk::Walk;
use super::{Engine, EngineError};
use crate::fold::{Ended, Incident};
use crate::policy::{self, Approve, Decision, Policy, Request, Trouble};
use crate::record::{ApprovalEnd, Record, UnitEnd, UnitRef};
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
            let mut ready = match self.make_ready(walk, fence, unit, named.clone()).await? {
                Ok(ready) => ready,
                Err(reason) => return Ok(UnitEnding::Unexpected(reason)),
            };
            let refused = match given {
                Some(values) => self.take_yes(walk, &mut ready, values).await?,
                None => self.permitted(walk, step, &mut ready, doubt).await?,
            };
            if let Some(ending) = refused {
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
        let Some(view) = view else { return Ok(Standing::Attempt(1, None)) };
        if let Some(reason) = view.skipped {
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

    /// Asks policy, and people where policy says so. `None` is a yes.
    async fn permitted(
        &self,
        walk: &Walk<'_>,
        step: &runbook::Step,
        ready: &mut Ready<'_>,
        doubt: Option<&str>,
    ) -> Result<Option<UnitEnding>, EngineError> {
        let untrusted = ready.untrusted(walk.procedure, &self.inner.world.environment());
        let mut request = self.request(walk, ready.unit, ready.fence).await?;
        if let Some(reason) = &untrusted {
            request.effect = Effect::Unknown;
            request.effect_reason = reason;
        }
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
        match self.ask(walk, &ready.question(&reason, None)).await? {
            Answer::No(reason) => Ok(Some(UnitEnding::Rejected(format!("{}: {reason}", ready.unit.id)))),
            Answer::Over(reason) => self.skip(walk, ready, reason).await.map(Some),
            Answer::Yes { values, .. } => self.take_yes(walk, ready, values).await,
        }
    }

    /// Takes in what came with a yes. The world may have changed while the person thought.
    async fn take_yes(
        &self,
        walk: &Walk<'_>,
        ready: &mut Ready<'_>,
        values: BTreeMap<String, String>,
    ) -> Result<Option<UnitEnding>, EngineError> {
        ready.parameters.extend(values.clone());
        ready.values.extend(values);
        let request = self.request(walk, ready.unit, ready.fence).await?;
        match Policy::refuse(&request) {
            Some(Decision::Skip(reason)) => self.skip(walk, ready, reason).await.map(Some),
            _ => Ok(None),
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
        self.note_skip(walk, &ready.named, ready.unit, &reason).await?;
        Ok(UnitEnding::Skipped(reason))
    }

    /// Writes down that a unit is not run. Where a question about it is open, it is one no more.
    pub(super) async fn note_skip(
        &self,
        walk: &Walk<'_>,
        named: &UnitRef,
        unit: &Unit,
        reason: &str,
    ) -> Result<(), EngineError> {
        let (statement, reason) = (unit.source.clone(), reason.to_owned());
        let is_asked = |incident: &Incident| incident.unit(named).is_some_and(|view| view.asked.is_some());
        if self.inner.ledger.with(walk.id, is_asked).await? {
            let (end, reason) = (ApprovalEnd::Void, reason.clone());
            self.record(walk.id, Record::ApprovalEnded { unit: named.clone(), end, by: None, reason })
                .await?;
        }
        self.record(walk.id, Record::UnitSkipped { unit: named.clone(), statement, reason }).await
    }

    /// The folder of an attempt.
    pub(super) fn folder(&self, walk: &Walk<'_>, unit: &UnitRef, attempt: u32) -> PathBuf {
        let name = format!("{}-{}-{attempt}", unit.run, unit.unit);
        self.inner.settings.runs.join(walk.id.as_str()).join(name)
    }

    /// Intent, run, outcome. Where the outcome is not known, none is written: it is found out next.
    async fn perform(&self, walk: &Walk<'_>, ready: &Ready<'_>, attempt: u32) -> Result<(), EngineError> {
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
fn ending(unit: &Unit, ended: &Ended) -> UnitEnding {
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
