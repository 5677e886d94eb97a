//! Owns the engine: opens incidents, keeps one walker per open incident, and takes people's words.

mod ask;
mod changes;
mod conclude;
mod counts;
mod edited;
mod fence;
mod hearing;
mod intake;
mod jobs;
mod lead;
mod merge;
mod notices;
mod output;
mod people;
mod permit;
mod reading;
mod ready;
mod recover;
mod relapse;
mod reopen;
mod report;
mod suppress;
mod timers;
mod undo;
mod unit;
mod views;
mod walk;
mod watch;
mod withheld;

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::error_chain::error_chain;
use crate::fold::Incident;
use crate::id::IncidentId;
use crate::inhibition;
use crate::ledger::Ledger;
use crate::record::{Record, Source};
use crate::recovery::Goal;
use crate::shelf::Shelf;
use crate::state::Refusal;
use crate::store::Store;
use crate::turns::Turns;
use crate::world::World;
use journal::Blobs;
use metrics::InhibitRule;
use timers::Plans;

pub use intake::Fired;
pub use suppress::Suppressed;
pub use undo::Undone;

/// How many records of different incidents are written at the same time where one cause has many: they share a sync.
const AT_ONCE: usize = 64;

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
    /// How long what a statement leaves in the background (`&`) runs on, at most.
    pub background_max: Duration,
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
    /// Held from a decision by the policy to the intent: two changes at the same moment would both fit a budget for one.
    turn: tokio::sync::Mutex<()>,
    /// Held from a look to the record that follows from it, by what both are about: two alerts of one place must not open
    /// two incidents.
    turns: Turns,
    /// Which alerts say nothing new beside others, by the runbooks at hand.
    inhibitions: Vec<InhibitRule>,
    /// The incidents that have a walker.
    walking: Mutex<HashSet<IncidentId>>,
    /// The background jobs that somebody looks after, by their folders.
    minded: Mutex<HashSet<String>>,
    /// What the procedures of open incidents say of calling people.
    plans: Plans,
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
    #[error(
        "the question at {unit} is not the one that was read: {changed}; `paramedic incident show {incident}` shows it"
    )]
    AskedAnew { incident: IncidentId, unit: String, changed: String },
    #[error("the values of {0} are missing; give them with -p NAME=VALUE")]
    Missing(String),
    #[error("`{0}` belongs to the shell; it is no parameter")]
    Reserved(String),
    #[error("the server is not well: {0}; close the incident with a reason if it is over all the same")]
    NotWell(String),
    #[error("no procedure is called `{name}`; there are: {known}")]
    NoProcedure { name: String, known: String },
    #[error("the question does not ask for a value of `{0}`; what is known stands as it is shown")]
    Unasked(String),
    #[error("the question has expired; it is asked anew")]
    Expired,
    #[error("the runbook of incident `{0}` cannot be read back from the blob store")]
    Runbook(IncidentId),
    #[error("the blob store refused")]
    Blob(#[from] journal::BlobError),
    #[error("the report `{}` cannot be written", path.display())]
    Report { path: PathBuf, source: std::io::Error },
    #[error(
        "the procedure has no documentation duty {duty}; there are {duties}, and `paramedic incident report --check` lists them"
    )]
    NoDuty { duty: u32, duties: usize },
    #[error("what became of a unit is not known yet")]
    Runner(#[from] runner::Error),
    #[error("`{what}` cannot be taken back: {reason}")]
    CannotUndo { what: String, reason: String },
    #[error("`{what}` may not be taken back: {reason}")]
    UndoForbidden { what: String, reason: String },
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
        journal: impl Store,
        blobs: Blobs,
        shelf: Shelf,
        settings: Settings,
    ) -> Result<Self, EngineError> {
        let ledger = Ledger::open(journal).await?;
        let inhibitions = inhibition::rules(&shelf);
        let (turn, turns) = (tokio::sync::Mutex::default(), Turns::default());
        let (walking, minded, plans) = (Mutex::default(), Mutex::default(), Plans::default());
        let inner =
            Inner { world, ledger, blobs, shelf, settings, turn, turns, inhibitions, walking, minded, plans };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Goes on with every incident of the machine that is open or has no report yet. Those that a person follows
    /// by hand are theirs.
    pub async fn resume(&self) {
        let unfinished: Vec<_> = self
            .inner
            .ledger
            .with_all(|all| {
                all.filter(|incident| goes_on(incident)).map(|incident| incident.id.clone()).collect()
            })
            .await;
        for id in unfinished {
            self.walk(&id);
        }
        self.resume_undos().await;
    }

    /// The world that the engine was given.
    pub fn world(&self) -> &Arc<W> {
        &self.inner.world
    }

    /// The runbooks at hand.
    pub fn shelf(&self) -> &Shelf {
        &self.inner.shelf
    }

    async fn record(&self, id: &IncidentId, record: Record) -> Result<(), EngineError> {
        self.inner.ledger.write(id, self.inner.world.now_ms(), record).await
    }

    /// The same, where it may be that nothing is left to write down: somebody was quicker, or the incident ended just now.
    async fn record_if_due(&self, id: &IncidentId, at_ms: i64, record: Record) -> Result<(), EngineError> {
        match self.inner.ledger.write(id, at_ms, record).await {
            Err(EngineError::Refused(refusal)) => {
                tracing::debug!(incident = %id, %refusal, "nothing is left to write down");
                Ok(())
            }
            other => other,
        }
    }

    /// Makes sure that an incident has a walker, where it is the machine's to carry out.
    async fn walk_on(&self, id: &IncidentId) -> Result<(), EngineError> {
        if self.inner.ledger.with(id, goes_on).await? {
            self.walk(id);
        }
        Ok(())
    }

    /// Makes sure that an incident has a walker.
    fn walk(&self, id: &IncidentId) {
        if !self.begin_walk(id) {
            return;
        }
        let (engine, id) = (self.clone(), id.clone());
        tokio::spawn(async move {
            loop {
                while let Err(error) = engine.respond(&id).await {
                    tracing::error!(incident = %id, error = %error_chain(&error), "cannot go on with the incident; looking again in {} s", RETRY_AFTER.as_secs());
                    engine.inner.world.pause(RETRY_AFTER).await;
                }
                engine.inner.walking.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
                // It may have been opened again while its walker was about to leave.
                let goes_on = engine.inner.ledger.with(&id, goes_on).await.unwrap_or(false);
                if !goes_on || !engine.begin_walk(&id) {
                    return;
                }
            }
        });
    }

    /// Whether there was no walker; now there is one.
    fn begin_walk(&self, id: &IncidentId) -> bool {
        self.inner.walking.lock().unwrap_or_else(PoisonError::into_inner).insert(id.clone())
    }
}

/// Whether the machine has something left to do; what a person follows by hand is theirs.
fn goes_on(incident: &Incident) -> bool {
    incident.alarm.source != Source::Person && (incident.state.is_open() || !incident.is_reported())
}
