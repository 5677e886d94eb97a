//! Owns where incidents are asked about: `serve` while it runs, otherwise the journal itself.

use std::path::PathBuf;
use std::time::Duration;

use incident::{Engine, EngineError, Report, Shadow, Shelf, Word};
use serde::Serialize;
use server::api::wire::{By, Detail, Health, IncidentQuestion, Open, Say, Summary, Undo, Undone};
use server::client::{Client, ClientError};

use crate::context::{self, actor};
use crate::fail::{Code, Failure};
use crate::hand::{self, HandWorld};

/// How long a word to an incident may take.
const WORD_MAX: Duration = Duration::from_secs(10);

/// How long taking something back may take: a statement, and what is done before it.
const UNDO_MAX: Duration = Duration::from_secs(900);

/// Where incidents are asked about.
pub(super) enum Desk {
    /// `serve` answers.
    Serve(Client),
    /// Nobody does: the journal can still be read, and notice be taken.
    Journal(Box<Engine<HandWorld>>, String),
}

// === impl Desk ===

impl Desk {
    pub(super) async fn open(named: Option<PathBuf>) -> Result<Self, Failure> {
        let client = context::client(named.clone())?;
        let absent = match client.get::<Health>("/health").await {
            Err(error @ ClientError::NotReachable { .. }) => error,
            // An unhealthy `serve` says itself what it cannot do.
            _ => return Ok(Self::Serve(client)),
        };
        let reason = absent.to_string();
        let (config, path) = context::load_or_default(named)?;
        if !config.data_dir.join("journal.db").is_file() {
            return Err(absent.into());
        }
        anstream::eprintln!(
            "paramedic: no `serve` answers; this is the journal in {}",
            config.data_dir.display()
        );
        let engine = hand::open(config, path, std::collections::BTreeMap::new(), Shelf::default()).await?;
        Ok(Self::Journal(Box::new(engine), reason))
    }

    pub(super) async fn list(&self, wanted: &IncidentQuestion) -> Result<Vec<Summary>, Failure> {
        match self {
            Self::Serve(client) => Ok(client.find("/api/v1/incidents", wanted, usize::MAX).await?),
            Self::Journal(engine, _) => {
                let incidents = engine.incidents().await.map_err(failure)?;
                let all = incidents.iter().map(Summary::from);
                Ok(all.filter(|one| wanted.is_about(one)).collect())
            }
        }
    }

    pub(super) async fn detail(&self, typed: &str) -> Result<Detail, Failure> {
        match self {
            Self::Serve(client) => Ok(client.incident(typed).await?),
            Self::Journal(engine, _) => {
                let id = engine.find(typed).await.map_err(failure)?;
                Ok(Detail::from(engine.incident(&id).await.map_err(failure)?))
            }
        }
    }

    pub(super) async fn report(&self, typed: &str) -> Result<Report, Failure> {
        match self {
            Self::Serve(client) => {
                Ok(client.get(&format!("/api/v1/incidents/{typed}/report?format=json")).await?)
            }
            Self::Journal(engine, _) => {
                let id = engine.find(typed).await.map_err(failure)?;
                engine.report(&id).await.map_err(failure)
            }
        }
    }

    /// What would have been done in each incident.
    pub(super) async fn shadows(&self) -> Result<Vec<Shadow>, Failure> {
        match self {
            Self::Serve(client) => Ok(client.list("/api/v1/would", usize::MAX).await?),
            Self::Journal(engine, _) => engine.shadows().await.map_err(failure),
        }
    }

    pub(super) async fn say(&self, typed: &str, word: Word) -> Result<(), Failure> {
        match self {
            Self::Serve(_) => self.word(typed, "say", &Say { by: actor(), say: word }).await.map(drop),
            Self::Journal(engine, _) => {
                let id = engine.find(typed).await.map_err(failure)?;
                engine.say(&id, &actor(), word).await.map_err(failure)
            }
        }
    }

    /// A person's word that it is over, which is checked.
    pub(super) async fn resolve(&self, typed: &str) -> Result<(), Failure> {
        match self {
            Self::Serve(_) => self.word(typed, "resolve", &By { by: actor() }).await.map(drop),
            Self::Journal(engine, _) => {
                let id = engine.find(typed).await.map_err(failure)?;
                engine.resolve(&id, &actor()).await.map_err(failure)
            }
        }
    }

    /// Takes something back; without `serve` it is done from here.
    pub(super) async fn undo(&self, typed: &str, what: String) -> Result<Undone, Failure> {
        match self {
            Self::Serve(client) => {
                let path = format!("/api/v1/incidents/{typed}/undo");
                Ok(client.post(&path, &Undo { by: actor(), what }, UNDO_MAX).await?)
            }
            Self::Journal(engine, _) => {
                let id = engine.find(typed).await.map_err(failure)?;
                Ok(engine.undo(&id, &what, &actor()).await.map_err(failure)?.into())
            }
        }
    }

    /// Opens an incident; only `serve` can carry it out.
    pub(super) async fn begin(
        &self,
        server: String,
        procedure: String,
        reason: String,
    ) -> Result<Detail, Failure> {
        match self {
            Self::Serve(client) => {
                let open = Open { server, procedure, by: actor(), reason };
                Ok(client.post("/api/v1/incidents", &open, WORD_MAX).await?)
            }
            Self::Journal(_, reason) => Err(Failure::new(Code::Unreachable, anyhow::anyhow!("{reason}"))),
        }
    }

    /// A word that something waits for; where nobody runs, nothing waits. Returns the incident after it.
    pub(super) async fn word(
        &self,
        typed: &str,
        verb: &str,
        body: &impl Serialize,
    ) -> Result<Detail, Failure> {
        match self {
            Self::Serve(client) => {
                let path = format!("/api/v1/incidents/{typed}/{verb}");
                Ok(client.post(&path, body, WORD_MAX).await?)
            }
            Self::Journal(_, reason) => Err(Failure::new(Code::Unreachable, anyhow::anyhow!("{reason}"))),
        }
    }
}

pub(super) fn failure(error: EngineError) -> Failure {
    match error {
        EngineError::Ambiguous { .. } | EngineError::Missing(_) | EngineError::NoDuty { .. } => {
            Failure::usage(error)
        }
        EngineError::UndoForbidden { .. } => Failure::new(Code::Refused, error),
        other => Failure::no(other),
    }
}
