//! Owns what comes back: an incident is opened again, and one that flaps is told of, and forgiven when it is quiet.

use super::{Engine, EngineError};
use crate::flapping::Flapping;
use crate::fold::Incident;
use crate::id::IncidentId;
use crate::record::{Alarm, Record};
use crate::report::duration;
use crate::world::World;

impl<W: World> Engine<W> {
    /// Opens an incident again that was resolved shortly before.
    pub(super) async fn reopen(
        &self,
        id: &IncidentId,
        alarm: Alarm,
        limits: &Flapping,
    ) -> Result<(), EngineError> {
        self.forgive(id, limits).await?;
        let now_ms = self.inner.world.now_ms();
        let (mut reopened_ms, marked) = self
            .inner
            .ledger
            .with(id, |incident| (incident.reopened_ms.clone(), incident.flapping.is_some()))
            .await?;
        reopened_ms.push(now_ms);
        let too_often = limits.too_often(&reopened_ms, now_ms).filter(|_| !marked);
        let flapping = too_often.map(|times| {
            let period = duration(u64::try_from(limits.period.as_millis()).unwrap_or(u64::MAX));
            format!(
                "it is flapping: it came back {times} times within {period}, and nothing that was done lasted"
            )
        });
        let written = self.record(id, Record::Reopened { alarm, flapping }).await;
        // A disk that failed in the very end may have it all the same: then it is carried out.
        self.walk_on(id).await?;
        written
    }

    /// Ends the marks of open incidents that have been quiet for long enough.
    pub(super) async fn forgive_quiet(&self) -> Result<(), EngineError> {
        let limits = self.inner.world.flapping();
        let flapping = |one: &&Incident| one.flapping.is_some();
        let flapping: Vec<IncidentId> = self
            .inner
            .ledger
            .with_open(|open| open.filter(flapping).map(|one| one.id.clone()).collect())
            .await;
        for id in flapping {
            self.forgive(&id, &limits).await?;
        }
        Ok(())
    }

    async fn forgive(&self, id: &IncidentId, limits: &Flapping) -> Result<(), EngineError> {
        let now_ms = self.inner.world.now_ms();
        let is_quiet = |incident: &Incident| {
            let last_ms = incident.timeline.iter().rev().find_map(|(at_ms, record)| {
                matches!(record, Record::Reopened { .. } | Record::SeenAgain { .. }).then_some(*at_ms)
            });
            incident.flapping.is_some() && last_ms.is_some_and(|last_ms| limits.is_quiet(last_ms, now_ms))
        };
        if !self.inner.ledger.with(id, is_quiet).await? {
            return Ok(());
        }
        let quiet = duration(u64::try_from(limits.quiet.as_millis()).unwrap_or(u64::MAX));
        self.record(id, Record::FlappingEnded { reason: format!("it has not come back for {quiet}") }).await
    }

    /// Says once each time that a person is needed.
    pub(super) async fn tell_of_flapping(&self, incident: &Incident) -> Result<(), EngineError> {
        let Some(reason) = &incident.flapping else { return Ok(()) };
        let is_told =
            |record: &Record| matches!(record, Record::PersonNeeded { reason: told } if told == reason);
        if incident.since_opened().any(is_told) {
            return Ok(());
        }
        self.record(&incident.id, Record::PersonNeeded { reason: reason.clone() }).await
    }
}
