//! Owns a mitigated incident: it is resolved when its alert is, and watched until then, for the trouble may come back.

use std::time::Duration;

use probe::CheckType;

use super::{Engine, EngineError, Verification};
use crate::fold::Incident;
use crate::id::IncidentId;
use crate::record::{Alarm, Record, Source};
use crate::state::State;
use crate::world::World;

/// The time between two looks at a server that was well when it was looked at last.
const LOOK_INTERVAL: Duration = Duration::from_secs(15);

impl<W: World> Engine<W> {
    /// Waits until the alert is over (then the incident is resolved) or the trouble is back. An alert that never ended
    /// cannot fire anew, so the server itself is asked.
    pub(super) async fn await_resolution(&self, id: &IncidentId) -> Result<(), EngineError> {
        let over = Incident::is_alert_over;
        let mut failures = 0;
        loop {
            tokio::select! {
                biased;
                ended = self.wait_until(id, |one| over(one) || one.state != State::Mitigated) => break ended?,
                () = self.inner.world.pause(LOOK_INTERVAL) => {}
            }
            failures = self.look_for_relapse(id, failures).await?;
        }
        let resolve = self
            .inner
            .ledger
            .with(id, |incident| over(incident) && incident.state == State::Mitigated)
            .await?;
        if resolve { self.record(id, Record::Resolved {}).await } else { Ok(()) }
    }

    /// Looks once; returns how often in a row the server did not answer. As many as good answers count as recovered are
    /// written down as trouble that is back.
    async fn look_for_relapse(&self, id: &IncidentId, failures: u32) -> Result<u32, EngineError> {
        let Verification::Probes { goal, .. } = self.inner.settings.verification else { return Ok(0) };
        let (server, stopped) =
            self.inner.ledger.with(id, |incident| (incident.server.clone(), is_stopped(incident))).await?;
        if stopped {
            return Ok(0);
        }
        let Some(problem) = self.inner.world.check(&server, CheckType::Liveness).await else { return Ok(0) };
        if failures + 1 < goal.probes {
            return Ok(failures + 1);
        }
        let summary = format!("{server} was well and is not any more: {problem}");
        let alarm = Alarm { source: Source::Probe, summary, alert: None, exit: None };
        self.record_if_due(id, self.inner.world.now_ms(), Record::SeenAgain { alarm }).await?;
        Ok(0)
    }
}

/// Whether a person stopped the server and nobody has started it since: that it does not answer is no news.
fn is_stopped(incident: &Incident) -> bool {
    let last = incident.timeline.iter().rev().find_map(|(_, record)| match record {
        Record::Stopped { .. } => Some(true),
        Record::Restarted { problem: None, .. } => Some(false),
        _ => None,
    });
    last.unwrap_or(false)
}
