//! Owns looking at incidents: one, all, as they happen, or until something holds.

use tokio::sync::broadcast;

use super::{Engine, EngineError};
use crate::fold::Incident;
use crate::id::IncidentId;
use crate::ledger::Happening;
use crate::world::World;

/// How long a journal that took nothing counts as refusing: whoever wants to write tries again within seconds.
const REFUSING_MS: i64 = 60_000;

impl<W: World> Engine<W> {
    /// Why nothing can be written at this time. While that is so nothing is changed.
    pub fn refusing(&self) -> Option<String> {
        let since_ms = self.inner.world.now_ms() - REFUSING_MS;
        self.inner.ledger.refused().filter(|(at_ms, _)| *at_ms >= since_ms).map(|(_, reason)| reason)
    }

    /// One incident.
    ///
    /// # Errors
    /// Where there is none.
    pub async fn incident(&self, id: &IncidentId) -> Result<Incident, EngineError> {
        self.inner.ledger.catch_up().await?;
        self.inner.ledger.with(id, Incident::clone).await
    }

    /// The incident that a person means by what they typed.
    ///
    /// # Errors
    /// Where it means none, or several.
    pub async fn find(&self, typed: &str) -> Result<IncidentId, EngineError> {
        self.inner.ledger.catch_up().await?;
        let found: Vec<IncidentId> = self
            .inner
            .ledger
            .with_all(|all| all.filter(|one| one.id.matches(typed)).map(|one| one.id.clone()).collect())
            .await;
        match found.as_slice() {
            [] => Err(EngineError::NoIncident(typed.to_owned())),
            [one] => Ok(one.clone()),
            many => Err(EngineError::Ambiguous { typed: typed.to_owned(), count: many.len() }),
        }
    }

    /// Looks at all incidents, in no order, without copying them.
    ///
    /// # Errors
    /// Where the journal cannot be read.
    pub async fn look<T>(
        &self,
        look: impl FnOnce(&mut dyn Iterator<Item = &Incident>) -> T,
    ) -> Result<T, EngineError> {
        self.inner.ledger.catch_up().await?;
        Ok(self.inner.ledger.with_all(look).await)
    }

    /// All incidents, oldest first.
    ///
    /// # Errors
    /// Where the journal cannot be read.
    pub async fn incidents(&self) -> Result<Vec<Incident>, EngineError> {
        let mut incidents: Vec<Incident> = self.look(|all| all.cloned().collect()).await?;
        // Names made in the same second are in no order.
        incidents.sort_by_key(|incident| incident.opened_ms);
        Ok(incidents)
    }

    /// Every record that this engine writes from now on.
    pub fn feed(&self) -> broadcast::Receiver<Happening> {
        self.inner.ledger.feed()
    }

    /// Waits until `done` holds of an incident.
    ///
    /// # Errors
    /// Where there is no such incident.
    pub async fn wait_until(
        &self,
        id: &IncidentId,
        done: impl Fn(&Incident) -> bool,
    ) -> Result<(), EngineError> {
        loop {
            let change = self.inner.ledger.change(id);
            if self.inner.ledger.with(id, &done).await? {
                return Ok(());
            }
            change.await;
        }
    }
}
