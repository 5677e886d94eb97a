//! Owns a supervised watch: a fence whose statements only look, carried out again and again in place of a sleep loop.
//!
//! Its beginning is journaled, from which its deadline follows, whoever is killed meanwhile; then only what is another
//! than in the round before, up to a bound; then its end. The rounds themselves are not: an hour of looks would fill
//! the journal with one answer. Each statement has two folders: the last round, and the one that is going on.

mod round;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use diagnosis::Finding;
use runbook::{Condition, Effect, Fence, Watch};

use super::fence::FenceEnd;
use super::lead::stands_back;
use super::permit::Permit;
use super::ready::{Ready, STATE_FILE};
use super::unit::UnitEnding;
use super::walk::Walk;
use super::{Engine, EngineError};
use crate::fold::Incident;
use crate::record::{Record, UnitEnd, UnitRef, WatchEnd};
use crate::report::duration;
use crate::world::World;

/// The shortest time between two rounds, whatever the author wants: each costs a shell for each statement.
const EVERY_MIN: Duration = Duration::from_millis(100);

/// A watch that is going on: what was seen last, and where the next round begins.
struct Going<'a> {
    watch: &'a Watch,
    first: UnitRef,
    ready: Vec<Ready<'a>>,
    /// The state of the shell from before the watch.
    before: Option<PathBuf>,
    /// Where the newest state is that the watch itself has left, if it has left one.
    state: Option<PathBuf>,
    round: u32,
    changes: usize,
    /// How each statement ended last.
    seen: BTreeMap<String, (UnitEnd, String)>,
    /// What was found last, journaled or not.
    found: BTreeMap<(String, String), Finding>,
    /// The outcomes of the last round.
    outcomes: BTreeMap<String, (UnitEnd, Option<runner::Outcome>)>,
}

impl<W: World> Engine<W> {
    pub(super) async fn watch(
        &self,
        walk: &Walk<'_>,
        step: &runbook::Step,
        fence: &Fence,
        watch: &Watch,
        doubt: Option<&str>,
    ) -> Result<FenceEnd, EngineError> {
        let first = UnitRef { run: walk.run, unit: fence.units[0].id.clone() };
        let known = self.inner.ledger.with(walk.id, |incident| {
            incident.unit(&first).and_then(|view| view.watch.as_ref()?.ended.clone())
        });
        if let Some((end, reason)) = known.await? {
            return Ok(fence_end(end, reason));
        }
        let mut ready = Vec::with_capacity(fence.units.len());
        for unit in &fence.units {
            let named = UnitRef { run: walk.run, unit: unit.id.clone() };
            match self.make_ready(walk, fence, unit, named).await? {
                Ok(one) => ready.push(one),
                Err(reason) => return Ok(FenceEnd::Finding(format!("{}: {reason}", unit.id))),
            }
        }
        let environment = self.inner.world.environment();
        let more = ready.iter().find_map(|one| match one.unit.effect {
            Effect::Observe => Some((one, one.untrusted(walk.procedure, &environment)?)),
            effect => Some((one, format!("its effect is {effect}: {}", one.unit.reason))),
        });
        if let Some((one, why)) = more {
            let (id, first) = (&one.unit.id, &fence.units[0].id);
            let reason =
                format!("a watch only looks, and {id} may do more ({why}): do it by hand, then say so");
            return self.by_person(walk, first, &fence.source, &reason).await;
        }
        let before = ready[0].state_before.clone();
        // What an earlier life of the engine has left of this watch, if anything, is gone on from.
        let last = &ready[ready.len() - 1].named;
        let state = Some(self.folder(walk, last, 1).join(STATE_FILE));
        let mut going = Going {
            watch,
            first,
            ready,
            before,
            state,
            round: 0,
            changes: 0,
            seen: BTreeMap::new(),
            found: BTreeMap::new(),
            outcomes: BTreeMap::new(),
        };
        if let Some(refused) = self.begin_watch(walk, step, &mut going, doubt).await? {
            return Ok(refused);
        }
        let (end, reason) = self.look_until(walk, &mut going).await?;
        self.end_watch(walk, &going, end, reason).await
    }

    /// Writes down that it begins and what is run in it, after asking whoever is to be asked. A watch that was begun
    /// in an earlier life of the engine is only taken up. Returns why it is not begun.
    async fn begin_watch(
        &self,
        walk: &Walk<'_>,
        step: &runbook::Step,
        going: &mut Going<'_>,
        doubt: Option<&str>,
    ) -> Result<Option<FenceEnd>, EngineError> {
        let begun = self.inner.ledger.with(walk.id, |incident| recall(incident, going)).await?;
        if let Some(reason) = self.lead_for(walk, true).await? {
            return Ok((!begun).then_some(FenceEnd::Rejected(reason)));
        }
        for idx in 0..going.ready.len() {
            let ready = &mut going.ready[idx];
            let view =
                self.inner.ledger.with(walk.id, |incident| incident.unit(&ready.named).cloned()).await?;
            if let Some(view) = view.filter(|view| view.intent.is_some()) {
                // What came with a yes is only in the yes.
                ready.parameters.extend(view.approved.map(|approved| approved.values).unwrap_or_default());
                continue;
            }
            match self.permitted(walk, step, ready, doubt).await? {
                Permit::Yes(turn) => drop(turn),
                Permit::No(UnitEnding::Skipped(reason)) => return Ok(Some(FenceEnd::Skipped(reason))),
                Permit::No(UnitEnding::Rejected(reason) | UnitEnding::Unexpected(reason)) => {
                    return Ok(Some(FenceEnd::Rejected(reason)));
                }
                Permit::No(UnitEnding::Fine) => {}
            }
        }
        if !begun {
            let record = Record::WatchStarted {
                unit: going.first.clone(),
                until: going.watch.until.clone(),
                every_ms: going.watch.every.as_millis() as u64,
                limit_ms: going.watch.limit.as_millis() as u64,
            };
            self.record(walk.id, record).await?;
        }
        for ready in &going.ready {
            let is_intended =
                |incident: &Incident| incident.unit(&ready.named).is_some_and(|view| view.intent.is_some());
            if self.inner.ledger.with(walk.id, is_intended).await? {
                continue;
            }
            let record = Record::Intent {
                unit: ready.named.clone(),
                attempt: 1,
                statement: ready.unit.source.clone(),
                effect: ready.unit.effect.name().to_owned(),
                key: key(walk, &ready.named),
                folder: self.folder(walk, &ready.named, 1).to_string_lossy().into_owned(),
                values: ready.values.clone(),
            };
            self.record(walk.id, record).await?;
        }
        Ok(None)
    }

    /// Round after round, until it holds, its time is over, or a person ends the machine's part.
    async fn look_until(
        &self,
        walk: &Walk<'_>,
        going: &mut Going<'_>,
    ) -> Result<(WatchEnd, String), EngineError> {
        let (started_ms, limit_ms) = self.times(walk, going).await?;
        let deadline_ms = started_ms.saturating_add(limit_ms);
        let limit = Duration::from_millis(limit_ms.unsigned_abs());
        // A clock that is set back gives a watch no more time than it would have had.
        let mut waited = Duration::ZERO;
        loop {
            if let Some(reason) = self.lead_for(walk, true).await? {
                return Ok((WatchEnd::CutShort, reason));
            }
            let unexpected = self.round(walk, going).await?;
            let now_ms = self.inner.world.now_ms();
            let took_ms = (now_ms - started_ms).max(waited.as_millis() as i64);
            let (took, rounds) = (duration(took_ms.unsigned_abs()), rounds(going.round));
            let problem = match &going.watch.until {
                Some(condition) => match self.answer(walk, condition, going).await? {
                    None => {
                        return Ok((WatchEnd::Held, format!("`{condition}` held after {took}, {rounds}")));
                    }
                    Some(problem) => Some((condition, problem)),
                },
                None => None,
            };
            if now_ms >= deadline_ms || waited >= limit {
                return Ok(match (problem, unexpected) {
                    (Some((condition, problem)), _) => {
                        let reason = format!("`{condition}` did not hold within {took}, {rounds}: {problem}");
                        (WatchEnd::NotWithin, reason)
                    }
                    (None, Some(reason)) => {
                        (WatchEnd::Unexpected, format!("{reason}, in the last look of {took}, {rounds}"))
                    }
                    (None, None) => (WatchEnd::Over, format!("watched for {took}, {rounds}")),
                });
            }
            let left = Duration::from_millis((deadline_ms - now_ms).unsigned_abs()).min(limit - waited);
            let pause = going.watch.every.max(EVERY_MIN).min(left);
            waited += pause;
            tokio::select! {
                () = self.inner.world.pause(pause) => {}
                waited = self.wait_until(walk.id, |incident| stands_back(incident).is_some()) => waited?,
            }
        }
    }

    /// When it began, and how long it may last: both as the journal has them.
    async fn times(&self, walk: &Walk<'_>, going: &Going<'_>) -> Result<(i64, i64), EngineError> {
        let now_ms = self.inner.world.now_ms();
        let times = |incident: &Incident| {
            let watch = incident.unit(&going.first).and_then(|view| view.watch.as_ref());
            watch.map_or((now_ms, 0), |watch| {
                (watch.started_ms, i64::try_from(watch.limit_ms).unwrap_or(i64::MAX))
            })
        };
        self.inner.ledger.with(walk.id, times).await
    }

    /// Looks once whether what it waits for holds; returns what is wrong.
    async fn answer(
        &self,
        walk: &Walk<'_>,
        condition: &str,
        going: &Going<'_>,
    ) -> Result<Option<String>, EngineError> {
        if matches!(condition, "ready" | "live") {
            return self.holds(walk, condition).await;
        }
        let mut context = self.context(walk).await?;
        let mut findings = self.inner.ledger.with(walk.id, |incident| incident.findings.clone()).await?;
        findings.extend(going.found.clone());
        context["findings"] = findings.into_values().map(|one| serde_json::json!(one)).collect();
        Ok(match Condition::parse(condition).and_then(|parsed| parsed.eval(&context)) {
            Ok(true) => None,
            Ok(false) => Some("it is false".to_owned()),
            Err(error) => Some(error.to_string()),
        })
    }

    /// Writes down how its statements ended in the last round, and then how it ended itself.
    async fn end_watch(
        &self,
        walk: &Walk<'_>,
        going: &Going<'_>,
        end: WatchEnd,
        reason: String,
    ) -> Result<FenceEnd, EngineError> {
        for ready in &going.ready {
            let has_outcome =
                |incident: &Incident| incident.unit(&ready.named).is_some_and(|view| view.outcome.is_some());
            if self.inner.ledger.with(walk.id, has_outcome).await? {
                continue;
            }
            match going.outcomes.get(&ready.unit.id) {
                Some((_, Some(outcome))) => {
                    let folder = self.folder(walk, &ready.named, 1);
                    let ended = self.ended(ready.unit, &folder, outcome);
                    self.note(walk, &ready.named, 1, ended, None).await?;
                }
                Some((end, None)) => drop(self.note_end(walk, &ready.named, 1, end.clone()).await?),
                None => {
                    let end = UnitEnd::NotStarted { reason: "the watch ended before it".to_owned() };
                    self.note_end(walk, &ready.named, 1, end).await?;
                }
            }
        }
        let (started_ms, _) = self.times(walk, going).await?;
        let record = Record::WatchEnded {
            unit: going.first.clone(),
            end,
            rounds: going.round,
            took_ms: u64::try_from(self.inner.world.now_ms() - started_ms).unwrap_or(0),
            reason: reason.clone(),
        };
        self.record(walk.id, record).await?;
        Ok(fence_end(end, reason))
    }
}

/// Takes up what the journal knows of a watch: whether it is begun, its rounds, and what was seen last.
fn recall(incident: &Incident, going: &mut Going<'_>) -> bool {
    let is_mine = |unit: &UnitRef| going.ready.iter().any(|ready| ready.named == *unit);
    for (_, record) in &incident.timeline {
        if let Record::WatchChanged { unit, round, .. } = record
            && is_mine(unit)
        {
            going.round = going.round.max(*round);
            going.changes += 1;
        }
    }
    for ready in &going.ready {
        let looked = incident.unit(&ready.named).and_then(|view| view.looked.clone());
        going.seen.extend(looked.map(|looked| (ready.unit.id.clone(), looked)));
    }
    incident.unit(&going.first).is_some_and(|view| view.watch.is_some())
}

fn fence_end(end: WatchEnd, reason: String) -> FenceEnd {
    match end {
        WatchEnd::Held | WatchEnd::Over => FenceEnd::Ran(reason),
        WatchEnd::Unexpected | WatchEnd::NotWithin => FenceEnd::Finding(reason),
        WatchEnd::CutShort => FenceEnd::Rejected(reason),
    }
}

fn key(walk: &Walk<'_>, unit: &UnitRef) -> String {
    format!("{}/{}/{}/1", walk.id, unit.run, unit.unit)
}

fn rounds(count: u32) -> String {
    if count == 1 { "1 look".to_owned() } else { format!("{count} looks") }
}
