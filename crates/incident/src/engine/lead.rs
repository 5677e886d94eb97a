//! Owns standing back: while a person leads, nothing is begun that changes anything, and after an abort nothing at all.

use runbook::{Effect, Unit};

use super::walk::Walk;
use super::{Engine, EngineError};
use crate::control::Control;
use crate::fold::Incident;
use crate::record::UnitRef;
use crate::world::World;

impl<W: World> Engine<W> {
    /// Waits until a unit may be begun by the machine; returns why it never may. What has ended already is only told
    /// again, and what has begun is found out about, whoever leads.
    pub(super) async fn lead(&self, walk: &Walk<'_>, unit: &Unit) -> Result<Option<String>, EngineError> {
        let named = UnitRef { run: walk.run, unit: unit.id.clone() };
        let is_told = |incident: &Incident| {
            incident.unit(&named).is_some_and(|view| view.intent.is_some() || view.skipped.is_some())
        };
        if self.inner.ledger.with(walk.id, is_told).await? {
            return Ok(None);
        }
        self.lead_for(walk, unit.effect == Effect::Observe).await
    }

    /// The same for something that only looks, or that changes something.
    pub(super) async fn lead_for(&self, walk: &Walk<'_>, looks: bool) -> Result<Option<String>, EngineError> {
        let waits =
            |incident: &Incident| incident.control == Control::Held && !looks && incident.state.is_open();
        self.wait_until(walk.id, |incident| !waits(incident)).await?;
        self.inner.ledger.with(walk.id, stands_back).await
    }
}

/// Why the machine does nothing more in an incident.
pub(super) fn stands_back(incident: &Incident) -> Option<String> {
    let by = || incident.taken.as_ref().map_or("a person", |(by, _)| by.as_str());
    let why = || incident.taken.as_ref().map_or("", |(_, reason)| reason.as_str());
    match incident.control {
        Control::Aborted => Some(format!("{} ended the machine's part: {}", by(), why())),
        _ if !incident.state.is_open() => Some(format!("the incident is {}", incident.state)),
        Control::Machine | Control::Held => None,
    }
}
