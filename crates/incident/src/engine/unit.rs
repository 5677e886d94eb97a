//! Owns one unit: replayed, recovered, refused, asked about or run, with its intent before and its outcome after.

use std::collections::BTreeMap;
use std::path::PathBuf;

use runbook::{Effect, Fence, Unit};

use super::ask::{Answer, Question};
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

/// A unit with what it needs to be run.
pub(super) struct Ready<'a> {
    pub(super) named: UnitRef,
    pub(super) unit: &'a Unit,
    pub(super) fence: &'a Fence,
    /// All parameters.
    pub(super) parameters: BTreeMap<String, String>,
    /// Those that it reads.
    pub(super) values: BTreeMap<String, String>,
    pub(super) missing: Vec<String>,
    pub(super) state_before: Option<PathBuf>,
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
        let tries = if fence.last_mutating() == Some(unit) { 1 + fence.attributes.retry.unwrap_or(0) } else { 1 };
        if matches!(ending, UnitEnding::Unexpected(_)) && intent.attempt < tries {
            return Ok(Standing::Attempt(intent.attempt + 1));
        }
        Ok(Standing::Over(ending))
    }

    /// Gathers what a unit needs; the error is a reason why it cannot be run at all.
    async fn make_ready<'a>(
        &self,
        walk: &Walk<'_>,
        fence: &'a Fence,
        unit: &'a Unit,
        named: UnitRef,
    ) -> Result<Result<Ready<'a>, String>, EngineError> {
        let configured = self.inner.world.parameters(&walk.server);
        let declared: Vec<String> =
            walk.procedure.parameters().into_iter().map(|parameter| parameter.name).collect();
        let (parameters, before) = self
            .inner
            .ledger
            .with(walk.id, |incident| {
                (parameters(incident, configured, &declared), state_before(walk, incident, &named))
            })
            .await?;
        let state_before = match before {
            Before::Fresh => None,
            Before::Carried(path) => Some(path),
            Before::Lost(unit) => {
                return Ok(Err(format!("unit {unit} left no shell state, and nothing goes on from a stale one")));
            }
        };
        let missing = declared
            .iter()
            .filter(|name| unit.reads.contains(*name))
            .filter(|name| parameters.get(*name).is_none_or(String::is_empty))
            .cloned()
            .collect();
        let values = parameters
            .iter()
            .filter(|(name, _)| unit.reads.contains(*name))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        Ok(Ok(Ready { named, unit, fence, parameters, values, missing, state_before }))
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
            state: ready.state_before.as_deref().and_then(|path| file_digest(path)),
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
        let resolved = self
            .inner
            .ledger
            .with(walk.id, |incident| incident.alert_resolved_ms.is_some())
            .await?;
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
                let reason = super::chain(&error);
                self.note_end(walk, &ready.named, attempt, UnitEnd::NotStarted { reason }).await
            }
        }
    }

    fn shell_intent(
        &self,
        walk: &Walk<'_>,
        ready: &Ready<'_>,
        folder: &std::path::Path,
        key: &str,
        attempt: u32,
    ) -> runner::Intent {
        let mut environment = self.inner.world.environment();
        environment.extend(ready.parameters.clone());
        environment.insert("PARAMEDIC_INCIDENT".to_owned(), walk.id.to_string());
        environment.insert("PARAMEDIC_STEP".to_owned(), ready.named.unit.clone());
        environment.insert("PARAMEDIC_KEY".to_owned(), key.to_owned());
        runner::Intent {
            key: key.to_owned(),
            attempt,
            statement: ready.unit.source.clone(),
            shell: match ready.fence.language {
                runbook::Language::Sh => runner::Shell::Sh,
                _ => runner::Shell::Bash,
            },
            environment,
            directory: PathBuf::from("/"),
            timeout_ms: self.timeout(ready.fence).as_millis() as u64,
            output_bytes_max: self.inner.settings.output_bytes_max,
            state_before: ready.state_before.clone(),
            state_after: folder.join(STATE_FILE),
        }
    }
}

/// Makes the folder of an incident, which holds what units print: for the owner's eyes only.
fn private_folder(path: Option<&std::path::Path>) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    path.map_or(Ok(()), |path| std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path))
}

/// The shell state that a unit leaves in its folder.
const STATE_FILE: &str = "state";

enum Before {
    Fresh,
    Carried(PathBuf),
    Lost(String),
}

/// The state from which a unit starts: that of the unit before it in the same run.
///
/// A unit that only looks and sets nothing leaves the state as it found it, even where it was cut short.
fn state_before(walk: &Walk<'_>, incident: &Incident, unit: &UnitRef) -> Before {
    let order: Vec<&Unit> = walk
        .procedure
        .phases
        .iter()
        .flat_map(|phase| &phase.steps)
        .flat_map(|step| &step.fences)
        .flat_map(|fence| &fence.units)
        .collect();
    let position = order.iter().position(|one| one.id == unit.unit).unwrap_or(0);
    for one in order[..position].iter().rev() {
        let named = UnitRef { run: walk.run, unit: one.id.clone() };
        let Some(view) = incident.unit(&named) else { continue };
        let (Some(intent), Some(_)) = (&view.intent, &view.outcome) else { continue };
        let state = PathBuf::from(&intent.folder).join(STATE_FILE);
        if state.exists() {
            return Before::Carried(state);
        }
        if one.effect != Effect::Observe || !one.sets.is_empty() {
            return Before::Lost(one.id.clone());
        }
    }
    Before::Fresh
}

/// What the shell gets: the server's parameters, the alert's labels under the names that the procedure asks
/// for, and what people have supplied.
fn parameters(
    incident: &Incident,
    mut known: BTreeMap<String, String>,
    declared: &[String],
) -> BTreeMap<String, String> {
    known.insert("INCIDENT_ID".to_owned(), incident.id.to_string());
    if let Some(alert) = &incident.alarm.alert {
        for (label, value) in &alert.labels {
            let name = label.to_uppercase();
            let short = name.strip_suffix("_NAME").unwrap_or(&name).to_owned();
            for name in [name.clone(), short] {
                if declared.contains(&name) {
                    known.entry(name).or_insert_with(|| value.clone());
                }
            }
        }
    }
    for view in incident.units.values() {
        if let Some(approved) = &view.approved {
            known.extend(approved.values.clone());
        }
    }
    known
}

fn restarts_since(incident: &Incident, since_ms: i64) -> u32 {
    let restarts = incident
        .timeline
        .iter()
        .filter(|(at_ms, record)| *at_ms >= since_ms && matches!(record, Record::Restarted { .. }));
    u32::try_from(restarts.count()).unwrap_or(u32::MAX)
}

fn file_digest(path: &std::path::Path) -> Option<String> {
    use sha2::{Digest as _, Sha256};
    Some(crate::approval::hex(&Sha256::digest(std::fs::read(path).ok()?)))
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
