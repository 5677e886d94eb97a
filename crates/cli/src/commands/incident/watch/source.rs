//! Owns where a watcher gets its news: from `serve` while it answers, and from the journal while it does not.

use std::path::PathBuf;
use std::time::Duration;

use incident::{Engine, IncidentId, Shelf};
use server::api::wire::{Detail, Happened, Summary};
use server::client::{Client, ClientError};

use super::super::desk::failure;
use crate::context;
use crate::fail::Failure;
use crate::hand::{self, HandWorld};

/// How long `serve` may take over an answer: it keeps a watcher waiting for 20 seconds where there is no news.
const ANSWER_MAX: Duration = Duration::from_secs(40);

/// The time between two looks into the journal, and between two looks for an incident.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);

/// Where the news come from.
pub(super) struct Source {
    client: Client,
    config: Option<PathBuf>,
    journal: Option<Box<Engine<HandWorld>>>,
    /// Whether `serve` answered the last time; told of when it changes.
    answers: bool,
}

// === impl Source ===

impl Source {
    pub(super) fn new(config: Option<PathBuf>) -> Result<Self, Failure> {
        let client = context::client(config.clone())?;
        Ok(Self { client, config, journal: None, answers: true })
    }

    /// The incident that a person means.
    pub(super) async fn find(&mut self, typed: &str) -> Result<IncidentId, Failure> {
        match self.client.incident(typed).await {
            Ok(detail) => Ok(detail.id),
            Err(error) => self.fall_back(error).await?.find(typed).await.map_err(failure),
        }
    }

    /// The newest incident that is open; where none is, the next one that is opened.
    pub(super) async fn newest_or_next(&mut self) -> Result<IncidentId, Failure> {
        let mut told = false;
        loop {
            let newest = self.open().await?.into_iter().max_by_key(|one| one.opened_ms);
            if let Some(newest) = newest {
                return Ok(newest.id);
            }
            if !std::mem::replace(&mut told, true) {
                anstream::eprintln!("paramedic: no incident is open; waiting for the next one");
            }
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
    }

    async fn open(&mut self) -> Result<Vec<Summary>, Failure> {
        let mut incidents: Vec<Summary> = match self.client.list("/api/v1/incidents", usize::MAX).await {
            Ok(incidents) => self.is_there(incidents),
            Err(error) => {
                let incidents = self.fall_back(error).await?.incidents().await.map_err(failure)?;
                incidents.iter().map(Summary::from).collect()
            }
        };
        incidents.retain(|incident| incident.state.is_open());
        Ok(incidents)
    }

    /// What has happened after the first `known` records; after a while without news, nothing.
    pub(super) async fn news(&mut self, id: &IncidentId, known: usize) -> Result<Vec<Happened>, Failure> {
        let path = format!("/api/v1/incidents/{id}/watch?after={known}");
        match self.client.get_within::<Detail>(&path, ANSWER_MAX).await {
            Ok(detail) => Ok(self.is_there(detail.timeline)),
            Err(error) => {
                let incident = self.fall_back(error).await?.incident(id).await.map_err(failure)?;
                let news: Vec<Happened> = Detail::from(incident).timeline.into_iter().skip(known).collect();
                if news.is_empty() {
                    tokio::time::sleep(LOOK_INTERVAL).await;
                }
                Ok(news)
            }
        }
    }

    /// `serve` answers.
    fn is_there<T>(&mut self, answer: T) -> T {
        if !std::mem::replace(&mut self.answers, true) {
            anstream::eprintln!("paramedic: `serve` answers again");
        }
        answer
    }

    /// The journal, where `serve` does not answer; a refusal stands.
    async fn fall_back(&mut self, error: ClientError) -> Result<&Engine<HandWorld>, Failure> {
        if !matches!(error, ClientError::NotReachable { .. } | ClientError::Answer(_)) {
            return Err(error.into());
        }
        let (config, path) = context::load_or_default(self.config.clone())?;
        if !config.data_dir.join("journal.db").is_file() {
            return Err(error.into());
        }
        if std::mem::replace(&mut self.answers, false) {
            let folder = config.data_dir.display();
            anstream::eprintln!("paramedic: no `serve` answers; watching the journal in {folder}");
        }
        let engine = match self.journal.take() {
            Some(engine) => engine,
            None => Box::new(hand::open(config, path, Default::default(), Shelf::default()).await?),
        };
        Ok(&**self.journal.insert(engine))
    }
}
