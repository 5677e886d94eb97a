//! Owns sending spans on to another receiver: OTLP over HTTP, in protobuf.
//!
//! Spans wait in a queue with a bound; of what finds no room the oldest is given up. A message that may be taken later
//! (no answer, 408, 429, 5xx) is sent again, so often and no more; what is refused otherwise is given up at once. All of
//! that is counted.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use incident::error_chain;
use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use traces::{Span, rejected, to_protobuf};

use crate::config;
use crate::remote::{AskError, Asker, Question};
use crate::secrets::Secrets;
use crate::trouble::Trouble;

/// Spans of one message: what the SDKs of OpenTelemetry send.
const MESSAGE_SPANS: usize = 512;

/// How often a message is sent at most.
const TRIES_MAX: u32 = 8;

/// How long is waited after a failure, doubled with each.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));

/// The longest answer that is read.
const ANSWER_BYTES_MAX: usize = 64 << 10;

/// Spans on their way to another receiver.
pub(super) struct Export {
    config: config::TraceExport,
    asker: Asker,
    secrets: Secrets,
    waiting: Mutex<VecDeque<Arc<Span>>>,
    sent: AtomicU64,
    dropped: AtomicU64,
    trouble: Trouble,
}

// === impl Export ===

impl Export {
    pub(super) fn new(config: &config::TraceExport, secrets: Secrets) -> Self {
        Self {
            config: config.clone(),
            asker: Asker::default(),
            secrets,
            waiting: Mutex::default(),
            sent: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            trouble: Trouble::default(),
        }
    }

    /// Has spans wait to be sent.
    pub(super) fn take(&self, spans: &[Arc<Span>]) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.extend(spans.iter().cloned());
        let too_many = waiting.len().saturating_sub(self.config.queue_max);
        waiting.drain(..too_many);
        self.dropped.fetch_add(too_many as u64, Ordering::Relaxed);
    }

    /// How many spans were sent, and how many were given up.
    pub(super) fn counts(&self) -> [(&'static str, u64); 2] {
        [("sent", self.sent.load(Ordering::Relaxed)), ("dropped", self.dropped.load(Ordering::Relaxed))]
    }

    /// Why nothing can be sent at this time, where that is so.
    pub(super) fn problem(&self) -> Option<String> {
        self.trouble.reason().map(|reason| format!("spans can not be sent to {}: {reason}", self.config.url))
    }

    /// Sends until the task is dropped.
    pub(super) async fn keep_sending(&self) {
        loop {
            let spans = self.next();
            if spans.is_empty() {
                tokio::time::sleep(self.config.interval.get()).await;
            } else {
                self.send(&spans).await;
            }
        }
    }

    fn next(&self) -> Vec<Arc<Span>> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let count = waiting.len().min(MESSAGE_SPANS);
        waiting.drain(..count).collect()
    }

    /// Sends one message, again where that may help.
    async fn send(&self, spans: &[Arc<Span>]) {
        let message = to_protobuf(spans.iter().map(|span| &**span));
        let count = spans.len() as u64;
        for attempt in 1..=TRIES_MAX {
            match self.send_once(message.clone()).await {
                Ok(rejected) => {
                    let rejected = rejected.min(count);
                    self.sent.fetch_add(count - rejected, Ordering::Relaxed);
                    self.dropped.fetch_add(rejected, Ordering::Relaxed);
                    return self.note(None);
                }
                Err(error) => {
                    self.note(Some(&error_chain(&error)));
                    if !error.may_pass() || attempt == TRIES_MAX {
                        break;
                    }
                    let (least, most) = BACKOFF;
                    let backoff = least.saturating_mul(1 << (attempt - 1)).min(most);
                    tokio::time::sleep(error.after().unwrap_or(backoff)).await;
                }
            }
        }
        tracing::warn!(url = self.config.url, spans = count, "spans are not taken, and given up");
        self.dropped.fetch_add(count, Ordering::Relaxed);
    }

    /// Returns how many spans the receiver did not take.
    async fn send_once(&self, message: Vec<u8>) -> Result<u64, AskError> {
        let kind = HeaderValue::from_static("application/x-protobuf");
        let question = Question {
            method: Method::POST,
            headers: HeaderMap::from_iter([(CONTENT_TYPE, kind)]),
            body: Some(message),
            ..Question::get("", &[], ANSWER_BYTES_MAX)
        };
        let answer = self.asker.ask(&self.config.remote(), &self.secrets, question).await?;
        Ok(rejected(&answer))
    }

    /// Says once for each reason that nothing can be sent, and once that it can again.
    fn note(&self, problem: Option<&str>) {
        if !self.trouble.is_news(problem) {
            return;
        }
        match problem {
            Some(reason) => {
                tracing::warn!(url = self.config.url, reason, "spans can not be sent on; they wait")
            }
            None => tracing::info!(url = self.config.url, "spans are sent on again"),
        }
    }
}
