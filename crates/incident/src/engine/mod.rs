//! Owns the engine: opens incidents, keeps one walker per open incident, and takes people's words.

mod walk;
mod fence;
mod unit;
mod ask;
mod output;
mod recover;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use journal::{Blobs, Journal};
use tokio::sync::broadcast;

use crate::fold::Incident;
use crate::id::IncidentId;
use crate::ledger::{Happening, Ledger};
use crate::record::{Alarm, ApprovalEnd, Record, RunbookPin, Source, UnitRef};
use crate::recovery::Goal;
use crate::shelf::{Book, Shelf};
use crate::state::Refusal;
use crate::triage::{Firing, Triage};
use crate::world::World;

/// How long a walker waits after a failure of the journal before it looks again: looking goes on, changing stops.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// What the engine is told at its start.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where the folders of units are made.
    pub runs: PathBuf,
    /// Where reports are written.
    pub reports: PathBuf,
    /// What counts as recovered, and whether it is looked at.
    pub verification: Verification,
    /// How long a unit may run where its author says nothing.
    pub unit_timeout: Duration,
    /// How much output of a unit is kept, in bytes.
    pub output_bytes_max: u64,
}

/// How the end of an incident is established.
#[derive(Debug, Clone, Copy)]
pub enum Verification {
    /// By probes of the server.
    Probes {
        /// What counts as recovered.
        goal: Goal,
        /// The time between two probes.
        interval: Duration,
    },
    /// By the person who follows the runbook.
    Person,
}

/// The engine. A clone is another handle on the same one.
pub struct Engine<W> {
    inner: Arc<Inner<W>>,
}

struct Inner<W> {
    world: Arc<W>,
    ledger: Ledger,
    blobs: Blobs,
    shelf: Shelf,
    settings: Settings,
    /// The incidents that have a walker.
    walking: Mutex<HashSet<IncidentId>>,
}

/// What the engine could not do.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum EngineError {
    #[error("the journal refused")]
    Journal(#[from] journal::Error),
    #[error("a record has no JSON form")]
    Form(#[from] serde_json::Error),
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error("there is no incident `{0}`; `paramedic incident list` shows them")]
    NoIncident(String),
    #[error("`{typed}` can mean {count} incidents; type more of its name")]
    Ambiguous { typed: String, count: usize },
    #[error("nothing waits for a word at `{unit}` of incident `{incident}`{waiting}")]
    NothingAsked { incident: IncidentId, unit: String, waiting: String },
    #[error("the values of {0} are missing; give them with -p NAME=VALUE")]
    Missing(String),
    #[error("the question has expired; it is asked anew")]
    Expired,
    #[error("the runbook of incident `{0}` cannot be read back from the blob store")]
    Runbook(IncidentId),
    #[error("the blob store refused")]
    Blob(#[from] journal::BlobError),
    #[error("the report `{}` cannot be written", path.display())]
    Report { path: PathBuf, source: std::io::Error },
    #[error("the unit could not be run")]
    Runner(#[from] runner::Error),
}

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

// === impl Engine ===

impl<W> Clone for Engine<W> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner) }
    }
}

impl<W: World> Engine<W> {
    /// Starts the engine: folds the journal. Open incidents go on with [`Engine::resume`].
    ///
    /// # Errors
    /// Where the journal cannot be read.
    pub async fn start(
        world: Arc<W>,
        journal: Journal,
        blobs: Blobs,
        shelf: Shelf,
        settings: Settings,
    ) -> Result<Self, EngineError> {
        let ledger = Ledger::open(journal).await?;
        let walking = Mutex::default();
        Ok(Self { inner: Arc::new(Inner { world, ledger, blobs, shelf, settings, walking }) })
    }

    /// Goes on with every open incident of the machine. Those that a person follows by hand are theirs.
    pub async fn resume(&self) {
        let open: Vec<_> = self
            .inner
            .ledger
            .with_all(|all| {
                all.filter(|incident| incident.state.is_open() && incident.alarm.source != Source::Person)
                    .map(|incident| incident.id.clone())
                    .collect()
            })
            .await;
        for id in open {
            self.walk(&id);
        }
    }

    /// The world that the engine was given.
    pub fn world(&self) -> &Arc<W> {
        &self.inner.world
    }

    /// The runbooks at hand.
    pub fn shelf(&self) -> &Shelf {
        &self.inner.shelf
    }

    /// Takes in an alert that fires: opens an incident, or adds to an open one. `None` where no procedure
    /// answers the alert.
    ///
    /// # Errors
    /// Where the journal refuses.
    pub async fn fire(&self, fired: &Fired) -> Result<Option<IncidentId>, EngineError> {
        let Some((book, procedure)) = self.inner.shelf.for_alert(&fired.alert) else {
            tracing::warn!(alert = fired.alert, server = fired.server, "an alert fires that no runbook answers");
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

    async fn admit(
        &self,
        server: &str,
        book: &Book,
        procedure: &str,
        alarm: Alarm,
    ) -> Result<IncidentId, EngineError> {
        let firing = Firing { server, procedure, alarm: &alarm };
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
        let id = IncidentId::new(self.inner.world.now_ms(), self.inner.world.random());
        let opened = Record::Opened {
            server: server.to_owned(),
            procedure: procedure.to_owned(),
            title: found.map_or_else(|| procedure.to_owned(), |found| found.title.clone()),
            alarm,
            runbook: RunbookPin { name: book.runbook.name.clone(), sha256: book.runbook.sha256.clone() },
            response_time_ms: response_time.map(|time| time.as_millis() as u64),
        };
        // The copy comes first, so that no incident is ever bound to a runbook that nobody has.
        self.inner.blobs.put(&book.bytes)?;
        self.record(&id, opened).await?;
        self.walk(&id);
        Ok(id)
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

    /// Somebody takes notice.
    ///
    /// # Errors
    /// Where there is no such incident, or it is over.
    pub async fn acknowledge(&self, id: &IncidentId, by: &str) -> Result<(), EngineError> {
        self.record(id, Record::Acknowledged { by: by.to_owned() }).await
    }

    /// A person says yes to the open question at `unit`, supplying `values` that were missing.
    ///
    /// # Errors
    /// Where nothing is asked there, the question has expired, or a value is still missing.
    pub async fn approve(
        &self,
        id: &IncidentId,
        unit: &str,
        by: &str,
        values: BTreeMap<String, String>,
    ) -> Result<(), EngineError> {
        let (unit, binding, missing, expires_ms) = self.question(id, unit).await?;
        let missing: Vec<_> = missing.into_iter().filter(|name| !values.contains_key(name)).collect();
        if !missing.is_empty() {
            return Err(EngineError::Missing(missing.join(", ")));
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
        let (unit, ..) = self.question(id, unit).await?;
        let (end, by, reason) = (ApprovalEnd::Rejected, Some(by.to_owned()), reason.to_owned());
        self.record(id, Record::ApprovalEnded { unit, end, by, reason }).await
    }

    async fn question(
        &self,
        id: &IncidentId,
        unit: &str,
    ) -> Result<(UnitRef, String, Vec<String>, i64), EngineError> {
        self.inner
            .ledger
            .with(id, |incident| {
                let open: Vec<_> = incident.open_questions().collect();
                match open.iter().find(|(asked, ..)| asked.unit == unit) {
                    Some((asked, _, question)) => Ok((
                        (*asked).clone(),
                        question.binding.clone(),
                        question.missing.clone(),
                        question.expires_ms,
                    )),
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

    /// Writes down a restart that the owner of a server has carried out, or failed to.
    ///
    /// # Errors
    /// Where the journal refuses.
    pub async fn note_restart(&self, restarted: Record) -> Result<(), EngineError> {
        let Record::Restarted { server, .. } = &restarted else { return Ok(()) };
        let open = self
            .inner
            .ledger
            .with_all(|all| {
                all.filter(|incident| incident.server == *server && incident.state.is_open())
                    .map(|incident| incident.id.clone())
                    .last()
            })
            .await;
        match open {
            Some(id) => self.record(&id, restarted).await,
            None => self.inner.ledger.write_loose(self.inner.world.now_ms(), &restarted).await,
        }
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

    /// All incidents, oldest first.
    ///
    /// # Errors
    /// Where the journal cannot be read.
    pub async fn incidents(&self) -> Result<Vec<Incident>, EngineError> {
        self.inner.ledger.catch_up().await?;
        Ok(self.inner.ledger.with_all(|all| all.cloned().collect()).await)
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
        let mut changes = self.inner.ledger.changes();
        loop {
            changes.borrow_and_update();
            if self.inner.ledger.with(id, &done).await? {
                return Ok(());
            }
            if changes.changed().await.is_err() {
                return Ok(());
            }
        }
    }

    async fn record(&self, id: &IncidentId, record: Record) -> Result<(), EngineError> {
        self.inner.ledger.write(id, self.inner.world.now_ms(), record).await
    }

    /// Makes sure that an incident has a walker.
    fn walk(&self, id: &IncidentId) {
        let mut walking = self.inner.walking.lock().unwrap_or_else(PoisonError::into_inner);
        if !walking.insert(id.clone()) {
            return;
        }
        let (engine, id) = (self.clone(), id.clone());
        tokio::spawn(async move {
            while let Err(error) = engine.respond(&id).await {
                tracing::error!(incident = %id, error = %chain(&error), "cannot go on with the incident; looking again in {} s", RETRY_AFTER.as_secs());
                engine.inner.world.pause(RETRY_AFTER).await;
            }
            engine.inner.walking.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
        });
    }
}

/// An error with its sources, on one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
