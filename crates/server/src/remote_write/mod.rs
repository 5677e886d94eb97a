//! Owns sending our samples to another engine: remote write in version 1, protobuf packed with Snappy.
//!
//! The store is the queue: what was sent is a moment, and what comes after it is there still. So an endpoint that is away
//! costs no memory, and what it missed is sent when it is back, up to `behind_max`.
//!
//! Source: <https://prometheus.io/docs/specs/prw/remote_write_spec/>.

mod message;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use incident::error_chain;
use metrics::{Piece, Stretch};
use reqwest::Method;
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};

use crate::clock;
use crate::config;
use crate::flow::Flow;
use crate::remote::{AskError, Asker, Question};
use crate::secrets::Secrets;
use crate::trouble::Trouble;

/// A sample may be taken in so much later than its time: a page is dated when it was asked for.
const SETTLED_MS: i64 = 1_000;

/// The longest stretch that is sent at once: whoever was away gets it in parts, and each counts when it is there.
const STRETCH_MS: i64 = 60_000;

/// How long is waited after a failure, doubled with each.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));

/// The longest answer that is read: a yes is empty.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// Our samples on their way to another engine.
pub(crate) struct RemoteWrite {
    config: config::RemoteWrite,
    asker: Asker,
    secrets: Secrets,
    /// Up to when everything was sent, or given up.
    sent_until_ms: AtomicI64,
    sent: AtomicU64,
    dropped: AtomicU64,
    trouble: Trouble,
}

// === impl RemoteWrite ===

impl RemoteWrite {
    pub(crate) fn new(config: &config::RemoteWrite, secrets: Secrets) -> Self {
        Self {
            config: config.clone(),
            asker: Asker::default(),
            secrets,
            sent_until_ms: AtomicI64::new(clock::now_ms()),
            sent: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            trouble: Trouble::default(),
        }
    }

    /// How many samples were sent, and how many were given up.
    pub(crate) fn counts(&self) -> [(&'static str, u64); 2] {
        [("sent", self.sent.load(Ordering::Relaxed)), ("dropped", self.dropped.load(Ordering::Relaxed))]
    }

    /// How far behind it is, in milliseconds.
    pub(crate) fn behind_ms(&self) -> i64 {
        clock::now_ms().saturating_sub(self.sent_until_ms.load(Ordering::Relaxed)).max(0)
    }

    /// Why nothing can be sent at this time, where that is so.
    pub(crate) fn problem(&self) -> Option<String> {
        self.trouble
            .reason()
            .map(|reason| format!("samples can not be sent to {}: {reason}", self.config.url))
    }

    /// Sends until the task is dropped.
    pub(crate) async fn keep_sending(flow: Arc<Flow>) {
        let Some(write) = &flow.remote_write else { return };
        let interval = write.config.interval.get();
        let mut wait = interval;
        let mut failures = 0;
        loop {
            tokio::time::sleep(wait).await;
            wait = match write.send_on(&flow).await {
                Ok(is_behind) => {
                    failures = 0;
                    write.note(None);
                    if is_behind { Duration::ZERO } else { interval }
                }
                Err(error) => {
                    failures += 1;
                    write.note(Some(&error_chain(&error)));
                    write.give_up_old(&flow);
                    let (least, most) = BACKOFF;
                    let backoff = least.saturating_mul(1 << (failures - 1).min(10)).min(most);
                    error.after().unwrap_or(backoff)
                }
            };
        }
    }

    /// Sends the next stretch; says whether more is waiting.
    async fn send_on(&self, flow: &Flow) -> Result<bool, AskError> {
        let settled_ms = clock::now_ms() - SETTLED_MS;
        let from_ms = self.sent_until_ms.load(Ordering::Relaxed);
        let to_ms = settled_ms.min(from_ms.saturating_add(STRETCH_MS));
        if to_ms <= from_ms {
            return Ok(false);
        }
        let mut begin = Some(Piece::default());
        while let Some(place) = begin {
            let (found, next) = flow.watch.store().piece(place, (from_ms, to_ms), self.config.samples_max);
            begin = next;
            if !found.is_empty() {
                self.send(&found).await?;
            }
        }
        self.sent_until_ms.store(to_ms, Ordering::Relaxed);
        Ok(to_ms < settled_ms)
    }

    /// Sends one request. What will never be taken is given up, and counted.
    async fn send(&self, found: &[Stretch]) -> Result<(), AskError> {
        let count = found.iter().map(|one| one.samples.len() as u64).sum::<u64>();
        let header = |name: HeaderName, value| (name, HeaderValue::from_static(value));
        let headers = HeaderMap::from_iter([
            header(CONTENT_TYPE, "application/x-protobuf"),
            header(CONTENT_ENCODING, "snappy"),
            header(HeaderName::from_static("x-prometheus-remote-write-version"), "0.1.0"),
        ]);
        let question = Question {
            method: Method::POST,
            headers,
            body: Some(message::packed(found, &self.config.labels)),
            ..Question::get("", &[], ANSWER_BYTES_MAX)
        };
        match self.asker.ask(&self.config.remote(), &self.secrets, question).await {
            Ok(_) => drop(self.sent.fetch_add(count, Ordering::Relaxed)),
            Err(error) if error.may_pass() => return Err(error),
            Err(error) => {
                tracing::warn!(url = self.config.url, samples = count, error = %error_chain(&error), "samples are not taken, and given up");
                self.dropped.fetch_add(count, Ordering::Relaxed);
            }
        }
        Ok(())
    }

    /// Leaves out what is older than it may be.
    fn give_up_old(&self, flow: &Flow) {
        let oldest_ms = clock::now_ms() - self.config.behind_max.ms();
        let from_ms = self.sent_until_ms.load(Ordering::Relaxed);
        if from_ms >= oldest_ms {
            return;
        }
        let (mut begin, mut count) = (Some(Piece::default()), 0_u64);
        while let Some(place) = begin {
            let (found, next) = flow.watch.store().piece(place, (from_ms, oldest_ms), usize::MAX);
            count += found.iter().map(|one| one.samples.len() as u64).sum::<u64>();
            begin = next;
        }
        self.dropped.fetch_add(count, Ordering::Relaxed);
        self.sent_until_ms.store(oldest_ms, Ordering::Relaxed);
    }

    /// Says once for each reason that nothing can be sent, and once that it can again.
    fn note(&self, problem: Option<&str>) {
        if !self.trouble.is_news(problem) {
            return;
        }
        match problem {
            Some(reason) => {
                tracing::warn!(url = self.config.url, reason, "samples can not be sent; they wait")
            }
            None => tracing::info!(url = self.config.url, "samples are sent again"),
        }
    }
}

/// Labels of all series, where they have none of that name.
type More = BTreeMap<String, String>;
