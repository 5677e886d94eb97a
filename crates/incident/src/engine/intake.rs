//! Owns what comes in: alerts that fire or are over, ends of processes, restarts, people who begin by hand.

use std::collections::BTreeSet;

use futures_util::future::try_join_all;

use super::{AT_ONCE, Engine, EngineError};
use crate::fold::{Incident, Tracked};
use crate::id::IncidentId;
use crate::record::{Alarm, Record, RunbookPin, Source};
use crate::shelf::Book;
use crate::triage::{Firing, Triage};
use crate::turns::Key;
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

/// What a new incident has to do with others.
#[derive(Default)]
struct Kin {
    dependency: Option<String>,
    earlier: Option<String>,
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
            .with_server(server, |open| {
                open.filter(|one| one.alarm.source != Source::Person && !one.knows(alarm))
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
        self.open(server, book, procedure, alarm, Kin::default()).await
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
        let about = |incident: &&Incident| !key.starts_with(incident.id.as_str());
        let open: Vec<IncidentId> = self
            .inner
            .ledger
            .with_server(server, |open| open.filter(about).map(|incident| incident.id.clone()).collect())
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
        let world = &self.inner.world;
        let dependency = alarm.dependency().and_then(|name| world.dependency(server, name));
        let firing = Firing { server, procedure, dependency: dependency.as_deref(), alarm: &alarm };
        let (place, fingerprint) = (firing.place(), alarm.alert.as_ref().map(|alert| &*alert.fingerprint));
        // From here to the record: two alerts of the same moment would both find nothing.
        let _turn = self.inner.turns.take(&[Key::of(&place), Key::of(&fingerprint)]).await;
        let (limits, now_ms) = (world.flapping(), world.now_ms());
        let decide = |meant: &mut dyn Iterator<Item = &Incident>| Triage::of(&firing, meant, &limits, now_ms);
        match self.inner.ledger.with_meant(&place, fingerprint, decide).await {
            Triage::Open { earlier } => {
                let kin = Kin { dependency, earlier: earlier.map(|id| id.to_string()) };
                self.open(server, book, procedure, alarm, kin).await
            }
            Triage::Known(id) => Ok(id),
            Triage::Again(id) => {
                self.record(&id, Record::SeenAgain { alarm }).await?;
                self.walk(&id);
                Ok(id)
            }
            Triage::Join(id) => {
                let reason = format!("it needs {} too", dependency.unwrap_or_default());
                self.record(&id, Record::Joined { server: server.to_owned(), alarm, reason }).await?;
                Ok(id)
            }
            Triage::Reopen(id) => {
                self.reopen(&id, alarm, &limits).await?;
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
        kin: Kin,
    ) -> Result<IncidentId, EngineError> {
        let found = book.procedure(procedure);
        let response_time = found.and_then(|found| found.alert.as_ref()?.response_time);
        let opened = Record::Opened {
            server: server.to_owned(),
            procedure: procedure.to_owned(),
            title: found.map_or_else(|| procedure.to_owned(), |found| found.title.clone()),
            alarm,
            runbook: RunbookPin { name: book.runbook.name.clone(), sha256: book.runbook.sha256.clone() },
            response_time_ms: response_time.map(|time| time.as_millis() as u64),
            dependency: kin.dependency,
            earlier: kin.earlier,
        };
        // The copy comes first, so that no incident is ever bound to a runbook that nobody has.
        let kept = self.inner.blobs.put(&book.bytes);
        kept.inspect_err(|error| self.inner.ledger.note_refusal(self.inner.world.now_ms(), error))?;
        let id = self.inner.ledger.new_id(self.inner.world.now_ms(), self.inner.world.random()).await;
        if let Err(error) = self.record(&id, opened).await {
            // A disk that failed in the very end may have it all the same: then it is carried out.
            self.inner.ledger.with(&id, |_| ()).await.map_err(|_| error)?;
        }
        self.walk(&id);
        Ok(id)
    }

    /// Takes in which alerts stand (pending or firing), by fingerprint: for open incidents whose alerts do
    /// not, it is over. Alerts of servers that are not `known` are left alone.
    ///
    /// # Errors
    /// Where the journal refuses.
    pub async fn alerts_standing(
        &self,
        standing: &BTreeSet<String>,
        known: impl Fn(&str) -> bool,
    ) -> Result<(), EngineError> {
        let ended = |incident: &Incident| -> Vec<Record> {
            let firing = || incident.alerts.iter().filter(|(_, alert)| !alert.is_over);
            let over = || firing().filter(|(name, alert)| !standing.contains(*name) && known(&alert.server));
            if incident.is_alert_over() || (over().next().is_none() && firing().next().is_some()) {
                return Vec::new();
            }
            if over().count() == firing().count() {
                return vec![Record::AlertResolved {}];
            }
            let end = |(fingerprint, alert): (&String, &Tracked)| Record::AlertOver {
                server: alert.server.clone(),
                alert: alert.name.clone(),
                fingerprint: fingerprint.clone(),
            };
            over().map(end).collect()
        };
        let over: Vec<(IncidentId, Vec<Record>)> = self
            .inner
            .ledger
            .with_open(|open| open.map(|incident| (incident.id.clone(), ended(incident))).collect())
            .await;
        for together in over.chunks(AT_ONCE) {
            let writes: Vec<_> = together.iter().map(|(id, records)| self.record_all(id, records)).collect();
            try_join_all(writes).await?;
        }
        Ok(())
    }

    async fn record_all(&self, id: &IncidentId, records: &[Record]) -> Result<(), EngineError> {
        for record in records {
            self.record(id, record.clone()).await?;
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
            .with_server(server, |open| {
                let open = open.max_by_key(|incident| incident.opened_ms);
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
