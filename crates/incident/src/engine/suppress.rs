//! Owns the alerts of one evaluation together: which of them are silenced, which say nothing new, and what the rest opens.

use futures_util::future::join_all;
use metrics::Labels;
use serde::{Deserialize, Serialize};

use super::{AT_ONCE, Engine, EngineError, Fired};
use crate::error_chain::error_chain;
use crate::fold::Incident;
use crate::id::IncidentId;
use crate::record::{AlertFacts, Record};
use crate::world::World;

/// How many inhibited alerts stand in the timeline of one incident: more are not read.
const INHIBITED_MAX: usize = 50;

/// What keeps an alert from opening an incident.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suppressed {
    /// The numbers of the silences.
    pub silenced_by: Vec<u32>,
    /// The alert beside which it says nothing new, by its position among those that fire.
    pub inhibited_by: Option<usize>,
}

// === impl Suppressed ===

impl Suppressed {
    fn is_free(&self) -> bool {
        self.silenced_by.is_empty() && self.inhibited_by.is_none()
    }
}

impl<W: World> Engine<W> {
    /// Says what keeps each of the alerts that fire from opening an incident.
    pub fn suppressed(&self, firing: &[Labels]) -> Vec<Suppressed> {
        let (silences, now_ms) = (self.inner.world.silences(), self.inner.world.now_ms());
        let inhibitors = metrics::inhibitors(&self.inner.inhibitions, firing);
        let of = |(labels, inhibited_by)| Suppressed {
            silenced_by: silences.silencing(labels, now_ms),
            inhibited_by,
        };
        firing.iter().zip(inhibitors).map(of).collect()
    }

    /// Takes in all alerts that fire at one moment: as [`Engine::fire`], less those that are silenced, and those that
    /// say nothing new beside another one, which stand in its incident. Each is tried, whatever becomes of the others.
    ///
    /// # Errors
    /// The first one, where the journal refuses.
    pub async fn fire_all(&self, firing: &[Fired]) -> Result<(), EngineError> {
        let labels: Vec<Labels> = firing.iter().map(labels).collect();
        let suppressed = self.suppressed(&labels);
        let mut incidents: Vec<Option<IncidentId>> = vec![None; firing.len()];
        let mut result = Ok(());
        let free: Vec<usize> = (0..firing.len()).filter(|idx| suppressed[*idx].is_free()).collect();
        for together in free.chunks(AT_ONCE) {
            let fires: Vec<_> = together.iter().map(|idx| self.fire(&firing[*idx])).collect();
            for (idx, taken) in together.iter().zip(join_all(fires).await) {
                match taken {
                    Ok(id) => incidents[*idx] = id,
                    Err(error) => {
                        let fired = &firing[*idx];
                        tracing::error!(error = %error_chain(&error), alert = fired.alert, server = fired.server, "an alert could not be taken in");
                        result = result.and(Err(error));
                    }
                }
            }
        }
        for (fired, suppressed) in firing.iter().zip(&suppressed) {
            let (Some(by), true) = (suppressed.inhibited_by, suppressed.silenced_by.is_empty()) else {
                continue;
            };
            if let (Some(id), Some(alert)) = (&incidents[by], &fired.alarm.alert) {
                self.note_inhibited(id, alert, &firing[by].alert).await?;
            }
        }
        self.forgive_quiet().await?;
        result
    }

    async fn note_inhibited(&self, id: &IncidentId, alert: &AlertFacts, by: &str) -> Result<(), EngineError> {
        let is_noted = |incident: &Incident| {
            !incident.state.is_open()
                || incident.inhibited.get(&alert.fingerprint) == Some(&alert.started_ms)
                || incident.inhibited.len() >= INHIBITED_MAX
        };
        if self.inner.ledger.with(id, is_noted).await? {
            return Ok(());
        }
        let (alert, by) = (alert.clone(), by.to_owned());
        self.record_if_due(id, self.inner.world.now_ms(), Record::Inhibited { alert, by }).await
    }

    /// Writes down something that belongs to no incident: a silence, or its end.
    ///
    /// # Errors
    /// Where the journal refuses.
    pub async fn note_silence(&self, record: &Record) -> Result<(), EngineError> {
        self.inner.ledger.write_loose(self.inner.world.now_ms(), record).await
    }
}

/// The labels of an alert with its name; those that a rule gave have the name already.
fn labels(fired: &Fired) -> Labels {
    let of_alert = fired.alarm.alert.iter().flat_map(|alert| &alert.labels);
    let labels: Labels = of_alert.map(|(name, value)| (name.as_str(), value.as_str())).collect();
    labels.with(metrics::ALERT_NAME, &fired.alert)
}
