//! Owns people's words: notice taken, a yes, a no.

use std::collections::BTreeMap;

use probe::CheckType;

use super::reading::check_read;
use super::{Engine, EngineError};
use crate::fold::Asked;
use crate::id::IncidentId;
use crate::record::{ApprovalEnd, Record, UnitRef};
use crate::state::State;
use crate::word::Word;
use crate::world::World;

impl<W: World> Engine<W> {
    /// Somebody takes notice.
    ///
    /// # Errors
    /// Where there is no such incident, or it is over.
    pub async fn acknowledge(&self, id: &IncidentId, by: &str) -> Result<(), EngineError> {
        self.say(id, by, Word::Acknowledge).await
    }

    /// A person says something about an incident.
    ///
    /// # Errors
    /// Where there is no such incident, or it does not fit how the incident stands.
    pub async fn say(&self, id: &IncidentId, by: &str, word: Word) -> Result<(), EngineError> {
        self.check_duty(id, &word).await?;
        let record = self.inner.ledger.with(id, |incident| word.record(by, incident)).await??;
        self.record(id, record).await?;
        // Nobody else may look after those of an incident that a person follows by hand.
        self.mind_jobs(id).await?;
        // Handed back, it may have no walker any more.
        self.walk_on(id).await
    }

    /// A person says that the trouble is over. Their word is checked: the incident is mitigated if the server is
    /// ready, and resolved as soon as its alert is.
    ///
    /// # Errors
    /// Where there is no such incident, it is over, or the server is not ready.
    pub async fn resolve(&self, id: &IncidentId, by: &str) -> Result<(), EngineError> {
        let (server, state) =
            self.inner.ledger.with(id, |incident| (incident.server.clone(), incident.state)).await?;
        let incarnation = self.inner.world.incarnation(&server);
        if let Some(problem) = self.inner.world.check(&server, CheckType::Readiness).await {
            return Err(EngineError::NotWell(problem));
        }
        self.record(id, Record::Noted { by: by.to_owned(), text: "it is over".to_owned() }).await?;
        if matches!(state, State::Triggered | State::Acknowledged) {
            self.record(id, Record::Verified { probes: 1, period_ms: 0, incarnation }).await?;
            self.record(id, Record::Mitigated {}).await?;
        }
        self.walk_on(id).await
    }

    /// A person says yes to the open question at `unit`, supplying `values` that were missing. `read` is the question that
    /// they have read: the beginning of its binding, eight digits at least.
    ///
    /// # Errors
    /// Where nothing is asked there, another question stands there by now, the question has expired, or the values are not those that it asks for.
    pub async fn approve(
        &self,
        id: &IncidentId,
        unit: &str,
        by: &str,
        read: &str,
        values: BTreeMap<String, String>,
    ) -> Result<(), EngineError> {
        if let Some(name) = values.keys().find(|name| runbook::is_reserved_variable(name)) {
            return Err(EngineError::Reserved(name.clone()));
        }
        let (unit, Asked { binding, missing, expires_ms, .. }) = self.question(id, unit, Some(read)).await?;
        let lacks = |name: &&String| values.get(*name).is_none_or(String::is_empty);
        let lacking: Vec<&str> = missing.iter().filter(lacks).map(String::as_str).collect();
        if !lacking.is_empty() {
            return Err(EngineError::Missing(lacking.join(", ")));
        }
        // A yes to what is shown, with another value than is shown, would be a yes to something else.
        if let Some(name) = values.keys().find(|name| !missing.contains(name)) {
            return Err(EngineError::Unasked(name.clone()));
        }
        if self.inner.world.now_ms() >= expires_ms {
            return Err(EngineError::Expired);
        }
        self.record(id, Record::Approved { unit, by: by.to_owned(), binding, values }).await
    }

    /// A person says no to the open question at `unit`.
    ///
    /// # Errors
    /// Where nothing is asked there.
    pub async fn reject(
        &self,
        id: &IncidentId,
        unit: &str,
        by: &str,
        reason: &str,
    ) -> Result<(), EngineError> {
        self.say_no(id, unit, by, None, reason).await
    }

    /// A person says no to the question at `unit` that they have `read`, as [`Engine::approve`] takes it.
    ///
    /// # Errors
    /// Where nothing is asked there, or another question stands there by now.
    pub async fn reject_read(
        &self,
        id: &IncidentId,
        unit: &str,
        by: &str,
        read: &str,
        reason: &str,
    ) -> Result<(), EngineError> {
        self.say_no(id, unit, by, Some(read), reason).await
    }

    async fn say_no(
        &self,
        id: &IncidentId,
        unit: &str,
        by: &str,
        read: Option<&str>,
        reason: &str,
    ) -> Result<(), EngineError> {
        let (unit, _) = self.question(id, unit, read).await?;
        let (end, by, reason) = (ApprovalEnd::Rejected, Some(by.to_owned()), reason.to_owned());
        self.record(id, Record::ApprovalEnded { unit, end, by, reason }).await
    }

    /// The open question at a unit; `read` is the one that it has to be.
    async fn question(
        &self,
        id: &IncidentId,
        unit: &str,
        read: Option<&str>,
    ) -> Result<(UnitRef, Asked), EngineError> {
        self.inner
            .ledger
            .with(id, |incident| {
                let open: Vec<_> = incident.open_questions().collect();
                match open.iter().find(|(asked, ..)| asked.unit == unit) {
                    Some((unit, _, asked)) => {
                        read.map_or(Ok(()), |read| check_read(incident, unit, asked, read))?;
                        Ok(((*unit).clone(), (*asked).clone()))
                    }
                    None => {
                        let names: Vec<_> = open.iter().map(|(asked, ..)| asked.unit.as_str()).collect();
                        let waiting = match names.as_slice() {
                            [] => "; nothing waits there at all".to_owned(),
                            names => format!("; what waits: {}", names.join(", ")),
                        };
                        Err(EngineError::NothingAsked {
                            incident: id.clone(),
                            unit: unit.to_owned(),
                            waiting,
                        })
                    }
                }
            })
            .await?
    }
}
