//! Owns the way from a unit that is to be run to the permission for it: policy, and people where policy says so.

use std::collections::BTreeMap;

use runbook::lint::Objection;
use runbook::{Effect, Severity};
use tokio::sync::MutexGuard;

use super::ask::{ASKED_MAX, Answer};
use super::counts::{self, Place};
use super::ready::Ready;
use super::unit::UnitEnding;
use super::walk::Walk;
use super::{Engine, EngineError};
use crate::escalation::BRAKE;
use crate::fold::Incident;
use crate::policy::{Approve, Decision, Request, Trouble, look_back};
use crate::record::{ApprovalEnd, Record};
use crate::world::World;

/// The time over which restarts and changes are counted against their budgets.
const BUDGET_WINDOW_MS: i64 = 60 * 60 * 1000;

/// Whether a unit may be run.
pub(super) enum Permit<'a> {
    /// It may. Until the turn is given back nobody else is permitted a change: what was counted holds until the intent
    /// is written.
    Yes(Option<Turn<'a>>),
    /// It may not.
    No(UnitEnding),
}

/// The turn to change something by itself.
pub(super) type Turn<'a> = MutexGuard<'a, ()>;

impl<W: World> Engine<W> {
    /// Asks policy, and people where policy says so. Where a question comes to nothing the policy is asked again:
    /// what spoke against it may have passed.
    pub(super) async fn permitted(
        &self,
        walk: &Walk<'_>,
        step: &runbook::Step,
        ready: &mut Ready<'_>,
        doubt: Option<&str>,
    ) -> Result<Permit<'_>, EngineError> {
        let objection = walk.book.objection(&walk.procedure.id, &ready.unit.id);
        if let Some(lethal) = objection.filter(|objection| objection.lethal) {
            // No mode and no yes would have it run: nothing is withheld.
            let reason = refusal(lethal);
            self.note_skip(walk, &ready.named, ready.unit, &reason, None).await?;
            return Ok(Permit::No(UnitEnding::Skipped(reason)));
        }
        let changes = ready.unit.effect != Effect::Observe;
        let doubt = doubt.or(objection.filter(|_| changes).map(|objection| objection.reason.as_str()));
        let mut asked = 0;
        while asked < ASKED_MAX {
            let turn = match ready.unit.effect {
                Effect::Observe => None,
                _ => Some(self.inner.turn.lock().await),
            };
            let (decision, until_ms) = self.decide(walk, ready).await?;
            let question = match (decision, doubt) {
                (Decision::Skip(reason), _) => {
                    drop(turn);
                    return self.skip(walk, ready, reason, doubt).await.map(Permit::No);
                }
                (_, _) if !ready.missing.is_empty() => Some(format!("it needs {}", ready.missing.join(", "))),
                (Decision::Ask(reason), _) => Some(reason),
                (Decision::Run, Some(doubt)) => Some(doubt.to_owned()),
                (Decision::Run, None) => self.standing_question(walk, ready).await?,
            };
            let Some(reason) = question else { return Ok(Permit::Yes(turn)) };
            drop(turn);
            tracing::info!(incident = %walk.id, step = step.number, unit = ready.unit.id, reason, "waiting for a person");
            match self.ask_once(walk, &ready.question(&reason, None), until_ms).await? {
                // What only has to be waited for is no question that nobody wants to answer.
                None => asked += usize::from(until_ms.is_none()),
                Some(Answer::No(reason)) => return Ok(Permit::No(rejected(ready, &reason))),
                Some(Answer::Over(reason)) => {
                    return self.skip(walk, ready, reason, doubt).await.map(Permit::No);
                }
                Some(Answer::Yes { values, .. }) => {
                    let refused = self.take_yes(walk, ready, values).await?;
                    return Ok(refused.map_or(Permit::Yes(None), Permit::No));
                }
            }
        }
        Ok(Permit::No(rejected(ready, &format!("nobody answered, {ASKED_MAX} times"))))
    }

    /// Takes in what came with a yes. The world may have changed while the person thought.
    pub(super) async fn take_yes(
        &self,
        walk: &Walk<'_>,
        ready: &mut Ready<'_>,
        values: BTreeMap<String, String>,
    ) -> Result<Option<UnitEnding>, EngineError> {
        ready.parameters.extend(values.clone());
        ready.values.extend(values);
        let request = self.request(walk, ready).await?;
        match self.inner.world.policy(&walk.server).refuse(&request) {
            Some(Decision::Skip(reason)) => self.skip(walk, ready, reason, None).await.map(Some),
            _ => Ok(None),
        }
    }

    /// What the policy says, and until when that can only be waited for.
    async fn decide(
        &self,
        walk: &Walk<'_>,
        ready: &Ready<'_>,
    ) -> Result<(Decision, Option<i64>), EngineError> {
        let untrusted = ready.untrusted(walk.procedure, &self.inner.world.environment());
        let request = self.request_trusting(walk, ready, untrusted.as_deref()).await?;
        let policy = self.inner.world.policy(&walk.server);
        if policy.storm.brakes(request.servers_in_trouble) {
            self.tell_of_storm(walk, request.servers_in_trouble).await?;
        }
        Ok((policy.decide(&request), policy.passes_ms(&request)))
    }

    /// The request about a unit; `untrusted` is why it may do more than its text says, where it may.
    pub(super) async fn request_trusting<'a>(
        &self,
        walk: &Walk<'a>,
        ready: &'a Ready<'a>,
        untrusted: Option<&'a str>,
    ) -> Result<Request<'a>, EngineError> {
        let mut request = self.request(walk, ready).await?;
        if let Some(reason) = untrusted {
            request.effect = Effect::Unknown;
            request.effect_reason = reason;
        }
        Ok(request)
    }

    /// Calls for more people, once in a storm: not again while the incident that did so is open.
    async fn tell_of_storm(&self, walk: &Walk<'_>, servers: u32) -> Result<(), EngineError> {
        let tells =
            |(_, record): &(i64, Record)| matches!(record, Record::Escalated { by, .. } if by == BRAKE);
        let told = |incident: &Incident| incident.state.is_open() && incident.timeline.iter().any(tells);
        let told = self.inner.ledger.with_all(|all| all.filter(|incident| told(incident)).count()).await;
        if told > 0 {
            return Ok(());
        }
        let reason = format!("{servers} servers are in trouble at once, and none is changed without a yes");
        tracing::error!(incident = %walk.id, servers, "storm: nothing is changed without a person's yes");
        let (by, to) = (BRAKE.to_owned(), "more people".to_owned());
        self.record(walk.id, Record::Escalated { by, to, reason }).await
    }

    /// A question that was asked in an earlier life of the engine stands, whatever the policy says by now.
    async fn standing_question(
        &self,
        walk: &Walk<'_>,
        ready: &Ready<'_>,
    ) -> Result<Option<String>, EngineError> {
        let stands = |incident: &Incident| {
            incident.unit(&ready.named).is_some_and(|view| {
                view.asked.is_some()
                    || view.approved.is_some()
                    || matches!(view.refused, Some((ApprovalEnd::Rejected, _)))
            })
        };
        let stands = self.inner.ledger.with(walk.id, stands).await?;
        Ok(stands.then(|| "it was asked about before".to_owned()))
    }

    pub(super) async fn request<'a>(
        &self,
        walk: &Walk<'a>,
        ready: &Ready<'a>,
    ) -> Result<Request<'a>, EngineError> {
        let now_ms = self.inner.world.now_ms();
        let since_ms = now_ms - BUDGET_WINDOW_MS;
        let spec = walk.procedure.alert.as_ref();
        let (trouble, severity, flapping) = self
            .inner
            .ledger
            .with(walk.id, |incident| {
                let trouble = if incident.is_trouble_over() { Trouble::Resolved } else { Trouble::Stands };
                let known = incident.alarm.alert.as_ref().and_then(|alert| severity(&alert.severity));
                (trouble, known.or(spec.map(|spec| spec.severity)), incident.flapping.clone())
            })
            .await?;
        let place =
            Place { incident: walk.id, run: walk.run, server: &walk.server, procedure: &walk.procedure.id };
        let mut request = Request {
            approve: match ready.fence.attributes.approve {
                runbook::Approve::Always => Approve::Always,
                runbook::Approve::Policy => Approve::Policy,
            },
            alert: spec.map_or("", |spec| spec.name.as_str()),
            severity,
            kill: self.inner.world.kill(),
            trouble,
            flapping,
            maintenance: self.inner.world.maintenance(&walk.server, walk.id),
            now_ms,
            look_back: look_back(spec.and_then(|spec| spec.query.as_deref()).unwrap_or_default()),
            ..Request::quiet(ready.unit.effect, &ready.unit.reason)
        };
        if ready.unit.effect == Effect::Observe {
            return Ok(request);
        }
        let storm = self.inner.world.policy(&walk.server).storm;
        self.inner
            .ledger
            .with_all(|all| {
                let all: Vec<&Incident> = all.collect();
                let each = || all.iter().copied();
                let restarts = |incident| counts::restarts_since(incident, &walk.server, since_ms);
                request.restarts_last_hour = each().map(restarts).sum();
                request.changes_last_hour =
                    each().map(|incident| counts::changes_since(incident, since_ms)).sum();
                request.last_change_ms = counts::last_change_ms(each(), &place);
                request.servers_in_trouble = storm.count(counts::troubles(each()));
            })
            .await;
        Ok(request)
    }
}

/// Why a statement is not run at all, and what would allow it.
fn refusal(objection: &Objection) -> String {
    let Objection { code, reason, .. } = objection;
    format!("{reason}; who means it writes `# lint: allow {code}` behind it, and is asked")
}

fn rejected(ready: &Ready<'_>, reason: &str) -> UnitEnding {
    UnitEnding::Rejected(format!("{}: {reason}", ready.unit.id))
}

/// The severity that a label names.
fn severity(label: &str) -> Option<Severity> {
    match label {
        "critical" => Some(Severity::Critical),
        "warning" => Some(Severity::Warning),
        "info" => Some(Severity::Info),
        _ => None,
    }
}
