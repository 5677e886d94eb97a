//! Owns one fence: its condition, its units in order, and what its author wants verified at its end.

use std::time::Duration;

use probe::CheckType;
use runbook::{Condition, Effect, Fence, Unit};
use serde_json::json;

use super::ask::Answer;
use super::unit::UnitEnding;
use super::walk::Walk;
use super::{Engine, EngineError};
use crate::fold::Incident;
use crate::record::{Record, UnitRef};
use crate::world::World;

/// The time between two looks at a condition that shall come true.
const VERIFY_INTERVAL: Duration = Duration::from_millis(100);

/// How a fence, or a manual task, ended.
pub(super) enum FenceEnd {
    /// It ran; the note is for the report.
    Ran(String),
    /// Nothing in it was run.
    Skipped(String),
    /// Something unexpected in a fence that only looks.
    Finding(String),
    /// Something unexpected in a fence that changes: the procedure stops.
    Stopped(String),
    /// A person said no, or has to find out what a unit did.
    Rejected(String),
}

impl<W: World> Engine<W> {
    /// A step without an executable statement: a person does it and says so.
    pub(super) async fn manual(
        &self,
        walk: &Walk<'_>,
        step: &runbook::Step,
    ) -> Result<FenceEnd, EngineError> {
        self.by_person(walk, &step.number.to_string(), &step.title, "a task for a person").await
    }

    pub(super) async fn by_person(
        &self,
        walk: &Walk<'_>,
        name: &str,
        what: &str,
        reason: &str,
    ) -> Result<FenceEnd, EngineError> {
        let unit = UnitRef { run: walk.run, unit: name.to_owned() };
        Ok(match self.ask_manual(walk, &unit, what, reason).await? {
            Answer::Yes { by, .. } => FenceEnd::Ran(format!("done by {by}")),
            Answer::Over(reason) => FenceEnd::Skipped(reason),
            Answer::No(reason) => FenceEnd::Rejected(reason),
        })
    }

    pub(super) async fn fence(
        &self,
        walk: &Walk<'_>,
        step: &runbook::Step,
        fence: &Fence,
    ) -> Result<FenceEnd, EngineError> {
        if fence.units.is_empty() {
            return Ok(FenceEnd::Skipped("there is nothing to run in it".to_owned()));
        }
        if fence.attributes.on.is_some() {
            let reason = "`on` is not carried out by this version: do it by hand, then say so";
            return self.by_person(walk, &fence.units[0].id, &fence.source, reason).await;
        }
        let doubt = match self.condition(walk, fence).await? {
            When::Holds => None,
            When::DoesNot(reason) if self.is_begun(walk, fence).await? => Some(format!("{reason} any more")),
            When::DoesNot(reason) => {
                self.skip_rest(walk, &fence.units, &reason).await?;
                return Ok(FenceEnd::Skipped(reason));
            }
            When::Unclear(reason) => Some(reason),
        };
        let phases = &walk.procedure.phases;
        let phase = phases.iter().find(|phase| phase.steps.iter().any(|one| one.number == step.number));
        if let Some(watch) = fence.watch(phase.and_then(|phase| phase.window)) {
            return self.watch(walk, step, fence, &watch, doubt.as_deref()).await;
        }
        let mut ran = 0;
        let mut skipped = None;
        for (idx, unit) in fence.units.iter().enumerate() {
            if let Some(reason) = self.lead(walk, unit).await? {
                return Ok(FenceEnd::Rejected(reason));
            }
            match self.unit(walk, step, fence, unit, doubt.as_deref()).await? {
                UnitEnding::Fine => ran += 1,
                UnitEnding::Skipped(reason) => skipped = Some(reason),
                UnitEnding::Rejected(reason) => return Ok(FenceEnd::Rejected(reason)),
                UnitEnding::Unexpected(reason) => {
                    let rest = format!("the unit before it ended unexpectedly: {reason}");
                    self.skip_rest(walk, &fence.units[idx + 1..], &rest).await?;
                    let reason = format!("{}: {reason}", unit.id);
                    return Ok(if changes(fence) {
                        FenceEnd::Stopped(reason)
                    } else {
                        FenceEnd::Finding(reason)
                    });
                }
            }
            if is_last_change(fence, idx)
                && skipped.is_none()
                && let Some(problem) = self.verified(walk, fence, unit).await?
            {
                return Ok(FenceEnd::Stopped(format!("{}: {problem}", unit.id)));
            }
        }
        Ok(match (ran, skipped) {
            (0, Some(reason)) => FenceEnd::Skipped(reason),
            (ran, _) => FenceEnd::Ran(format!("{ran} of {} run", fence.units.len())),
        })
    }

    async fn condition(&self, walk: &Walk<'_>, fence: &Fence) -> Result<When, EngineError> {
        let Some(when) = &fence.attributes.when else { return Ok(When::Holds) };
        let context = self.context(walk).await?;
        Ok(match Condition::parse(when).and_then(|condition| condition.eval(&context)) {
            Ok(true) => When::Holds,
            Ok(false) => When::DoesNot(format!("its condition `{when}` does not hold")),
            Err(error) => When::Unclear(format!("its condition `{when}` cannot be decided: {error}")),
        })
    }

    /// Whether something in the fence was begun, or a person has said no to it, in an earlier life of the engine.
    async fn is_begun(&self, walk: &Walk<'_>, fence: &Fence) -> Result<bool, EngineError> {
        let begun = |incident: &Incident, unit: &Unit| {
            let view = incident.unit(&UnitRef { run: walk.run, unit: unit.id.clone() });
            view.is_some_and(|view| view.intent.is_some() || view.refused.is_some())
        };
        self.inner.ledger.with(walk.id, |incident| fence.units.iter().any(|unit| begun(incident, unit))).await
    }

    /// What conditions are about.
    pub(super) async fn context(&self, walk: &Walk<'_>) -> Result<serde_json::Value, EngineError> {
        let parameters = self.inner.world.parameters(&walk.server);
        self.inner.ledger.with(walk.id, |incident| context(incident, &parameters)).await
    }

    async fn skip_rest(&self, walk: &Walk<'_>, units: &[Unit], reason: &str) -> Result<(), EngineError> {
        for unit in units {
            let named = UnitRef { run: walk.run, unit: unit.id.clone() };
            let known = self
                .inner
                .ledger
                .with(walk.id, |incident| incident.unit(&named).is_some_and(|view| view.skipped.is_some()))
                .await?;
            if !known {
                self.note_skip(walk, &named, unit, reason, None).await?;
            }
        }
        Ok(())
    }

    /// Looks, with a deadline, whether what the fence was to bring about holds. Returns what is wrong.
    async fn verified(
        &self,
        walk: &Walk<'_>,
        fence: &Fence,
        unit: &Unit,
    ) -> Result<Option<String>, EngineError> {
        let Some(condition) = fence.attributes.verify.clone() else { return Ok(None) };
        let named = UnitRef { run: walk.run, unit: unit.id.clone() };
        let known = self
            .inner
            .ledger
            .with(walk.id, |incident| incident.unit(&named).and_then(|view| view.verified.clone()))
            .await?;
        if let Some(problem) = known {
            return Ok(problem);
        }
        let mut last_ms = self.inner.world.now_ms();
        let mut left_ms = self.timeout(fence).as_millis() as i64;
        let problem = loop {
            let problem = self.holds(walk, &condition).await?;
            let now_ms = self.inner.world.now_ms();
            // A clock that is set back takes no time, and gives none.
            left_ms -= (now_ms - last_ms).max(0);
            last_ms = now_ms;
            if problem.is_none() || left_ms <= 0 {
                break problem;
            }
            self.inner.world.pause(VERIFY_INTERVAL).await;
        };
        let problem = problem.map(|problem| format!("`{condition}` does not hold afterwards: {problem}"));
        let record = Record::UnitVerified { unit: named, condition, problem: problem.clone() };
        self.record(walk.id, record).await?;
        Ok(problem)
    }

    /// Looks once whether a `verify` condition holds; returns what is wrong.
    pub(super) async fn holds(
        &self,
        walk: &Walk<'_>,
        condition: &str,
    ) -> Result<Option<String>, EngineError> {
        let check = match condition {
            "ready" => CheckType::Readiness,
            "live" => CheckType::Liveness,
            other => {
                let context = self.context(walk).await?;
                return Ok(match Condition::parse(other).and_then(|parsed| parsed.eval(&context)) {
                    Ok(true) => None,
                    Ok(false) => Some("it is false".to_owned()),
                    Err(error) => Some(error.to_string()),
                });
            }
        };
        Ok(self.inner.world.check(&walk.server, check).await)
    }

    pub(super) fn timeout(&self, fence: &Fence) -> Duration {
        fence.attributes.timeout.unwrap_or(self.inner.settings.unit_timeout)
    }
}

enum When {
    Holds,
    DoesNot(String),
    Unclear(String),
}

fn changes(fence: &Fence) -> bool {
    fence.units.iter().any(|unit| unit.effect != Effect::Observe)
}

fn is_last_change(fence: &Fence, idx: usize) -> bool {
    fence.units.iter().rposition(|unit| unit.effect != Effect::Observe) == Some(idx)
}

fn context(
    incident: &Incident,
    parameters: &std::collections::BTreeMap<String, String>,
) -> serde_json::Value {
    let alert = incident.alarm.alert.as_ref();
    let steps: serde_json::Map<_, _> = incident
        .steps
        .iter()
        .map(|view| (view.step.number.to_string(), json!({ "state": view.state, "reason": view.reason })))
        .collect();
    json!({
        "alert": {
            "name": alert.map_or("", |alert| alert.name.as_str()),
            "severity": alert.map_or("", |alert| alert.severity.as_str()),
            "labels": alert.map(|alert| alert.labels.clone()).unwrap_or_default(),
            "summary": incident.alarm.summary,
        },
        "server": { "name": incident.server, "parameters": parameters },
        "steps": steps,
        "cause": incident.cause.as_deref().unwrap_or(""),
        "findings": incident.findings.values().collect::<Vec<_>>(),
        "host": {},
    })
}
