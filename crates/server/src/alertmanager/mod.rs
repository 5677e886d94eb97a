//! Owns what is asked of an Alertmanager: which alerts fire there, and silences. Its API in version 2, at the address of the
//! configuration, whatever a message says of others.

mod api;
mod comparing;
mod silencing;

use std::collections::BTreeMap;

use incident::Heard;
use metrics::{Comparison, Matcher};
use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};

use crate::clock;
use crate::config;
use crate::inbound::{Message, NotMessage, of_api};
use crate::remote::{AskError, Asker, Question};
use crate::secrets::Secrets;
use api::{NewSilence, Silence};
pub(crate) use comparing::compare;
pub(crate) use silencing::keep_silences;

/// The longest answer that is read, in bytes.
const ANSWER_BYTES_MAX: usize = 32 * 1024 * 1024;

/// The Alertmanager of the configuration.
pub(crate) struct Alertmanager {
    config: config::Alertmanager,
    asker: Asker,
    secrets: Secrets,
}

/// Why nothing is known of it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AlertmanagerError {
    /// It gives no answer.
    #[error("the Alertmanager at `{url}` can not be asked")]
    Ask { url: String, source: AskError },
    /// The answer is none.
    #[error("the Alertmanager at `{url}` answers what is not understood: {reason}")]
    Answer { url: String, reason: String },
}

// === impl Alertmanager ===

impl Alertmanager {
    pub(crate) fn new(config: &config::Alertmanager, secrets: Secrets) -> Self {
        Self { config: config.clone(), asker: Asker::default(), secrets }
    }

    /// The alerts that fire there and that it tells this receiver of, of the group with these labels.
    ///
    /// # Errors
    /// Where it gives no answer, or none that is understood.
    pub(crate) async fn group(
        &self,
        receiver: &str,
        labels: &BTreeMap<String, String>,
    ) -> Result<Message, AlertmanagerError> {
        let receiver = literal(receiver);
        self.alerts(&[("silenced", "false"), ("inhibited", "false"), ("receiver", &receiver)], labels).await
    }

    /// All alerts that fire there, silenced or not.
    async fn all(&self) -> Result<Message, AlertmanagerError> {
        self.alerts(&[], &BTreeMap::new()).await
    }

    /// Whether this very alert fires there now.
    ///
    /// # Errors
    /// As [`Alertmanager::group`].
    pub(crate) async fn fires(&self, heard: &Heard) -> Result<bool, AlertmanagerError> {
        let found = self.alerts(&[], &heard.labels).await?;
        Ok(found.alerts.iter().any(|one| one.labels == heard.labels))
    }

    async fn alerts(
        &self,
        which: &[(&str, &str)],
        labels: &BTreeMap<String, String>,
    ) -> Result<Message, AlertmanagerError> {
        let matchers: Vec<String> = labels
            .iter()
            .filter_map(|(name, value)| Some(Matcher::new(name, Comparison::Equal, value).ok()?.to_string()))
            .collect();
        let mut query = which.to_vec();
        query.extend(matchers.iter().map(|matcher| ("filter", matcher.as_str())));
        let body = self.ask(Question::get("/api/v2/alerts", &query, ANSWER_BYTES_MAX)).await?;
        of_api(&body, clock::now_ms()).map_err(|NotMessage(reason)| self.answer(reason))
    }

    /// Asks how it is, and nothing else.
    ///
    /// # Errors
    /// As [`Alertmanager::group`].
    pub(crate) async fn look(&self) -> Result<(), AlertmanagerError> {
        self.ask(Question::get("/api/v2/status", &[], ANSWER_BYTES_MAX)).await.map(drop)
    }

    async fn silences(&self) -> Result<Vec<Silence>, AlertmanagerError> {
        let body = self.ask(Question::get("/api/v2/silences", &[], ANSWER_BYTES_MAX)).await?;
        serde_json::from_slice(&body).map_err(|error| self.answer(error.to_string()))
    }

    /// Makes a silence, or lets the one with this id last longer; returns its id.
    async fn silence(&self, new: &NewSilence<'_>) -> Result<String, AlertmanagerError> {
        let body = serde_json::to_vec(new).map_err(|error| self.answer(error.to_string()))?;
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
        let (method, path) = (Method::POST, "/api/v2/silences");
        let question =
            Question { method, headers, body: Some(body), ..Question::get(path, &[], ANSWER_BYTES_MAX) };
        let answer = self.ask(question).await?;
        let made: api::Made =
            serde_json::from_slice(&answer).map_err(|error| self.answer(error.to_string()))?;
        Ok(made.id)
    }

    async fn expire(&self, id: &str) -> Result<(), AlertmanagerError> {
        // It is a name that it made itself, and goes into a path.
        if !id.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '-') {
            return Err(self.answer(format!("`{id}` is no id of a silence")));
        }
        let path = format!("/api/v2/silence/{id}");
        let method = Method::DELETE;
        let question = Question { method, ..Question::get(&path, &[], ANSWER_BYTES_MAX) };
        self.ask(question).await.map(drop)
    }

    async fn ask(&self, question: Question<'_>) -> Result<Vec<u8>, AlertmanagerError> {
        let asked = self.asker.ask(&self.config.remote(), &self.secrets, question).await;
        asked.map_err(|source| AlertmanagerError::Ask { url: self.config.url.clone(), source })
    }

    fn answer(&self, reason: String) -> AlertmanagerError {
        AlertmanagerError::Answer { url: self.config.url.clone(), reason }
    }
}

/// A regular expression that matches this text and nothing else.
fn literal(text: &str) -> String {
    let escaped = |letter: char| {
        let is_plain = letter.is_alphanumeric() || letter == '_' || !letter.is_ascii();
        [(!is_plain).then_some('\\'), Some(letter)].into_iter().flatten()
    };
    text.chars().flat_map(escaped).collect()
}
