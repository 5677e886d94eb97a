//! Owns what comes in: alerts that fire or are over, ends of processes, restarts, people who begin by hand.

use std::collections::BTreeSet;

use super::{Engine, EngineError};
use crate::fold::Incident;
use crate::id::IncidentId;
use crate::record::{Alarm, Record, RunbookPin, Source};
use crate::shelf::Book;
use crate::triage::{Firing, Triage};
use crate::world::World;

/// An alert with the server it is about.
#[derive(Debug, Clone)]
pub struct Fired {
    /// The server; empty where the alert names none.
    pub server: String,
    /// The alert's name.
    pub alert: String,
    /// What was seen.
    pub alarm: Alarm,
}

impl<W: World> Engine<W> {
    /// Takes in an alert that fires: opens an incident, or adds to an open one. `None` where no procedure
    /// answers the alert.
    ///
    /// # Errors
    /// Where the journal refuses.
    pub async fn fire(&self, fired: &Fired) -> Result<Option<IncidentId>, EngineError> {
        let Some((book, procedure)) = self.inner.shelf.for_alert(&fired.alert) else {
            tracing::warn!(
                alert = fired.alert,
                server = fired.server,
                "an alert fires that no runbook answers"
            );
            return Ok(None);
        };
        let (book, procedure) = (book.clone(), procedure.id.clone());
        self.admit(&fired.server, &book, &procedure, fired.alarm.clone()).await.map(Some)
    }

    /// Adds the end of a process to the open incidents of its server.
    ///
    /// # Errors
    /// Where the journal refuses.
    pub async fn exited(&self, server: &str, alarm: &Alarm) -> Result<(), EngineError> {
        let again: Vec<IncidentId> = self
            .inner
            .ledger
            .with_all(|all| {
                all.filter(|incident| incident.server == server && incident.state.is_open())
                    .filter(|incident| {
                        let firing = Firing { server, procedure: &incident.procedure, alarm };
                        matches!(Triage::of(&firing, [*incident]), Triage::Again(_))
                    })
                    .map(|incident| incident.id.clone())
                    .collect()
            })
            .await;
        for id in again {
            self.record(&id, Record::SeenAgain { alarm: alarm.clone() }).await?;
            self.walk(&id);
        }
        Ok(())
    }

    /// Opens an incident for a person who follows a procedure by hand.
    ///
    /// # Errors
    /// Where the journal refuses.
    pub async fn open_by_hand(
        &self,
        server: &str,
        book: &Book,
        procedure: &str,
        by: &str,
    ) -> Result<IncidentId, EngineError> {
        let alarm = Alarm {
            source: Source::Person,
            summary: format!("{by} follows the runbook by hand"),
            alert: None,
            exit: None,
        };
        self.open(server, book, procedure, alarm).await
    }

    /// Opens an incident because a person says so; the machine carries it out. Where one is open for the same server
    /// and procedure, it is that one. `procedure` is an id, a title or an alert.
    ///
    /// # Errors
    /// Where no procedure is meant, or the journal refuses.
    pub async fn open_for(
        &self,
        server: &str,
        procedure: &str,
        by: &str,
        reason: &str,
    ) -> Result<IncidentId, EngineError> {
        let meant = self.inner.shelf.procedures().find(|(_, one)| {
            one.id == procedure
                || one.title == procedure
                || one.alert.as_ref().is_some_and(|alert| alert.name == procedure)
        });
        let Some((book, found)) = meant else {
            let known: Vec<_> = self.inner.shelf.procedures().map(|(_, one)| one.id.as_str()).collect();
            return Err(EngineError::NoProcedure { name: procedure.to_owned(), known: known.join(", ") });
        };
        let (book, id) = (book.clone(), found.id.clone());
        let summary = format!("{by} opened it: {reason}");
        let alarm = Alarm { source: Source::Operator, summary, alert: None, exit: None };
        self.admit(server, &book, &id, alarm).await
    }

    /// Writes down that a person stopped a server: what waits for a yes about it is void. A stop that a unit of an
    /// incident ordered, by its key, is its own.
    ///
    /// # Errors
    /// Where the journal refuses.
    pub async fn note_stop(&self, server: &str, by: &str, key: &str) -> Result<(), EngineError> {
        let about = |incident: &&Incident| {
            incident.server == server && incident.state.is_open() && !key.starts_with(incident.id.as_str())
        };
        let open: Vec<IncidentId> = self
            .inner
            .ledger
            .with_all(|all| all.filter(about).map(|incident| incident.id.clone()).collect())
            .await;
        for id in open {
            self.record(&id, Record::Stopped { server: server.to_owned(), by: by.to_owned() }).await?;
        }
        Ok(())
    }

    async fn admit(
        &self,
        server: &str,
        book: &Book,
        procedure: &str,
        alarm: Alarm,
    ) -> Result<IncidentId, EngineError> {
        let firing = Firing { server, procedure, alarm: &alarm };
        let _turn = self.inner.intake.lock().await;
        match self.inner.ledger.with_all(|all| Triage::of(&firing, all)).await {
            Triage::Open => self.open(server, book, procedure, alarm).await,
            Triage::Known(id) => Ok(id),
            Triage::Again(id) => {
                self.record(&id, Record::SeenAgain { alarm }).await?;
                self.walk(&id);
                Ok(id)
            }
        }
    }

    async fn open(
        &self,
        server: &str,
        book: &Book,
        procedure: &str,
        alarm: Alarm,
    ) -> Result<IncidentId, EngineError> {
        let found = book.procedure(procedure);
        let response_time = found.and_then(|found| found.alert.as_ref()?.response_time);
        let id = self.new_id().await;
        let opened = Record::Opened {
            server: server.to_owned(),
            procedure: procedure.to_owned(),
            title: found.map_or_else(|| procedure.to_owned(), |found| found.title.clone()),
            alarm,
            runbook: RunbookPin { name: book.runbook.name.clone(), sha256: book.runbook.sha256.clone() },
            response_time_ms: response_time.map(|time| time.as_millis() as u64),
        };
        // The copy comes first, so that no incident is ever bound to a runbook that nobody has.
        let kept = self.inner.blobs.put(&book.bytes);
        kept.inspect_err(|error| self.inner.ledger.note_refusal(self.inner.world.now_ms(), error))?;
        if let Err(error) = self.record(&id, opened).await {
            // A disk that failed in the very end may have it all the same: then it is carried out.
            self.inner.ledger.with(&id, |_| ()).await.map_err(|_| error)?;
        }
        self.walk(&id);
        Ok(id)
    }

    /// A name that no incident has: many servers may be down in the same second.
    async fn new_id(&self) -> IncidentId {
        let (now_ms, random) = (self.inner.world.now_ms(), self.inner.world.random());
        let taken: BTreeSet<IncidentId> =
            self.inner.ledger.with_all(|all| all.map(|incident| incident.id.clone()).collect()).await;
        let mut names = (0..=u16::MAX).map(|step| IncidentId::new(now_ms, random.wrapping_add(step)));
        names.find(|id| !taken.contains(id)).unwrap_or_else(|| IncidentId::new(now_ms, random))
    }

    /// Takes in which alerts stand (pending or firing), by fingerprint: for open incidents whose alert does
    /// not, it is over. Incidents of servers that are not `known` are left alone.
    ///
    /// # Errors
    /// Where the journal refuses.
    pub async fn alerts_standing(
        &self,
        standing: &BTreeSet<String>,
        known: impl Fn(&str) -> bool,
    ) -> Result<(), EngineError> {
        let is_over = |incident: &Incident| {
            incident.state.is_open()
                && incident.alert_resolved_ms.is_none()
                && incident.alarm.alert.as_ref().is_some_and(|alert| !standing.contains(&alert.fingerprint))
                && known(&incident.server)
        };
        let over: Vec<IncidentId> = self
            .inner
            .ledger
            .with_all(|all| {
                all.filter(|incident| is_over(incident)).map(|incident| incident.id.clone()).collect()
            })
            .await;
        for id in over {
            self.record(&id, Record::AlertResolved {}).await?;
        }
        Ok(())
    }

    /// Writes down a restart that the owner of a server has carried out, or failed to. One that was written
    /// down already, by its key, is not written again: whoever ordered it may have had to ask twice.
    ///
    /// # Errors
    /// Where the journal refuses.
    pub async fn note_restart(&self, restarted: Record) -> Result<(), EngineError> {
        let Record::Restarted { server, key, problem: outcome, .. } = &restarted else { return Ok(()) };
        let is_same = |record: &Record| matches!(record, Record::Restarted { key: known, problem, .. } if known == key && problem == outcome);
        let (open, known) = self
            .inner
            .ledger
            .with_all(|all| {
                let open = all
                    .filter(|incident| incident.server == *server && incident.state.is_open())
                    .max_by_key(|incident| incident.opened_ms);
                let known =
                    open.is_some_and(|incident| incident.timeline.iter().any(|(_, record)| is_same(record)));
                (open.map(|incident| incident.id.clone()), known)
            })
            .await;
        if known {
            return Ok(());
        }
        match open {
            Some(id) => self.record(&id, restarted).await,
            None => self.inner.ledger.write_loose(self.inner.world.now_ms(), &restarted).await,
        }
    }
}
