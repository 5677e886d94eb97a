//! Owns what happens by the mere passing of time: deadlines and criteria that hold, each written down once.
//!
//! Nothing here remembers when it was asked last. Whatever is overdue by the journal fires, in the order in which it
//! was due, however long nobody asked and however the clock went meanwhile.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use super::{Engine, EngineError};
use crate::escalation::{Escalating, Fleet, Plan, Step, step};
use crate::fold::Incident;
use crate::id::IncidentId;
use crate::record::{Record, RunbookPin};
use crate::world::World;

/// How many procedures are kept at hand.
const PLANS_MAX: usize = 64;

/// How often it is looked whether more is due after what has fired: levels times loops are far below it.
const PASSES_MAX: u32 = 256;

/// What procedures say of calling people, by the hash of the runbook and the procedure: all of it can be read again.
#[derive(Default)]
pub(super) struct Plans {
    known: Mutex<BTreeMap<(String, String), Arc<Plan>>>,
}

/// The plans of the incidents that something may be due in.
pub(super) type PlanOf = BTreeMap<IncidentId, Arc<Plan>>;

impl<W: World> Engine<W> {
    /// Lets everything fire that is due at `now_ms`, once and in order; returns when to look again, unless something
    /// is written before that ([`Engine::changes`]).
    ///
    /// # Errors
    /// Where the journal refuses. What has not fired is due still.
    pub async fn tick(&self, now_ms: i64) -> Result<Option<i64>, EngineError> {
        self.inner.ledger.catch_up().await?;
        let policy = self.inner.world.escalating();
        for _ in 0..PASSES_MAX {
            let plans = self.plans(|incident| incident.state.is_open()).await?;
            let (fire, next_ms) = self.inner.ledger.with_all(|all| due(all, &plans, &policy, now_ms)).await;
            if fire.is_empty() {
                return Ok(next_ms);
            }
            for (id, record) in fire {
                self.fire_record(&id, now_ms, record).await?;
            }
        }
        Ok(Some(now_ms))
    }

    /// Tells of every record that is written here.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.inner.ledger.changes()
    }

    /// Tells the log of what fires, and writes it down.
    async fn fire_record(&self, id: &IncidentId, now_ms: i64, record: Record) -> Result<(), EngineError> {
        if let Record::DeadlinePassed { reason, to, .. } | Record::CriterionMet { reason, to, .. } = &record {
            tracing::warn!(incident = %id, to = to.join(", "), "{reason}");
        }
        self.record_if_due(id, now_ms, record).await
    }

    /// What the procedures of some incidents say.
    pub(super) async fn plans(&self, of: impl Fn(&Incident) -> bool) -> Result<PlanOf, EngineError> {
        let pinned: Vec<(IncidentId, RunbookPin, String)> = self
            .inner
            .ledger
            .with_all(|all| {
                let some = all.filter(|incident| of(incident));
                some.map(|one| (one.id.clone(), one.runbook.clone(), one.procedure.clone())).collect()
            })
            .await;
        Ok(pinned.into_iter().map(|(id, pin, procedure)| (id, self.plan(&pin, &procedure))).collect())
    }

    fn plan(&self, pin: &RunbookPin, procedure: &str) -> Arc<Plan> {
        let key = (pin.sha256.clone(), procedure.to_owned());
        let mut known = self.inner.plans.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(plan) = known.get(&key) {
            return Arc::clone(plan);
        }
        if known.len() >= PLANS_MAX {
            known.clear();
        }
        let book = self.book(pin);
        if book.is_none() {
            tracing::warn!(
                runbook = pin.name,
                "the runbook of an incident cannot be read back: its criteria and phases are not watched"
            );
        }
        let plan = Arc::new(book.map(|book| Plan::of(&book, procedure)).unwrap_or_default());
        known.insert(key, Arc::clone(&plan));
        plan
    }
}

/// What fires now in all incidents, the longest overdue first, and when to look again where nothing does.
fn due(
    all: &mut dyn Iterator<Item = &Incident>,
    plans: &PlanOf,
    policy: &Escalating,
    now_ms: i64,
) -> (Vec<(IncidentId, Record)>, Option<i64>) {
    let all: Vec<&Incident> = all.collect();
    let mut fleet = Fleet::default();
    all.iter().for_each(|incident| fleet.add(incident));
    if plans.values().any(|plan| plan.asks_for_restarts()) {
        all.iter().for_each(|incident| fleet.add_restarts(incident));
    }
    let (mut fire, mut next_ms) = (Vec::new(), None);
    for (incident, plan) in all.iter().filter_map(|incident| Some((incident, plans.get(&incident.id)?))) {
        let Step { fire: record, next_ms: later_ms } = step(incident, plan, policy, &fleet, now_ms);
        if let Some(Record::CriterionMet { criterion, .. }) = &record {
            fleet.tell(incident, criterion);
        }
        fire.extend(record.map(|record| (incident.id.clone(), record)));
        next_ms = [next_ms, later_ms].into_iter().flatten().min();
    }
    let due_ms = |record: &Record| match record {
        Record::DeadlinePassed { due_ms, .. } => *due_ms,
        _ => now_ms,
    };
    fire.sort_by_key(|(_, record)| due_ms(record));
    (fire, next_ms)
}
