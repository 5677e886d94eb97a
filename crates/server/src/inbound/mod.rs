//! Owns alerts that other systems tell of: who may, what their messages say, what is written down, and what of it opens
//! incidents beside the alerts of our own rules.

mod alertmanager;
mod door;
mod standing;
mod webhook;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use incident::{EngineError, Heard, HeardState, Verdict, error_chain};
use tokio::sync::Notify;

use crate::alertmanager::AlertmanagerError;
use crate::clock;
use crate::config::Config;
use crate::flow::Flow;
use crate::secrets::Secrets;
pub(crate) use alertmanager::{Payload, of_api};
use door::Door;
pub(crate) use door::{Refused, bearer};
pub(crate) use standing::{Told, told, unanswered};
pub(crate) use webhook::read as read_webhook;

/// The most labels of one alert, and the most texts for people.
const LABELS_MAX: usize = 64;

/// The longest name of a label, in bytes.
const NAME_BYTES_MAX: usize = 256;

/// The longest value of a label, in bytes: it tells alerts apart, so none is cut.
const VALUE_BYTES_MAX: usize = 2_048;

/// What is kept of a text for people, in bytes.
const TEXT_BYTES_MAX: usize = 2_048;

/// Who tells, where it is an Alertmanager.
const ALERTMANAGER: &str = "alertmanager";

/// How many alerts of one message are asked after.
const DOUBTFUL_MAX: usize = 20;

/// The most alerts of one message.
const ALERTS_MAX: usize = 10_000;

/// How often it is looked at most and at least for alerts that nobody tells of any more.
const STALE_LOOK: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(60));

/// What this `serve` knows of other systems that tell of alerts.
pub(crate) struct Inbound {
    door: Door,
    counts: Mutex<BTreeMap<(&'static str, &'static str), u64>>,
    /// When each alert that stands was told of last, in this life of `serve`.
    last: Mutex<HashMap<String, i64>>,
    started_ms: i64,
    /// Rung when there is news, so that nobody waits for the next evaluation.
    news: Notify,
}

/// What a message says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Message {
    /// Its alerts, as far as they are understood.
    pub(crate) alerts: Vec<Heard>,
    /// Why the others are not.
    pub(crate) refused: Vec<String>,
}

/// A message that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct NotMessage(pub(crate) String);

/// Why a message could not be taken in whole.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TakeError {
    /// The journal refuses.
    #[error("it could not be written down")]
    Journal(#[from] EngineError),
    /// What was left out is not known.
    #[error("what the message left out could not be asked for")]
    LeftOut(#[from] AlertmanagerError),
}

/// What became of a message.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Taken {
    pub(crate) news: usize,
    pub(crate) known: usize,
    pub(crate) old: usize,
    pub(crate) refused: usize,
    /// So many stand that these found no room.
    pub(crate) full: usize,
    /// Those that fire and began before the end that was heard last: late or replayed, or back with their old start.
    doubtful: Vec<Heard>,
}

// === impl Inbound ===

impl Inbound {
    pub(crate) fn new(config: &Config, secrets: Secrets) -> Self {
        Self {
            door: Door::new(&config.inbound, secrets),
            counts: Mutex::default(),
            last: Mutex::default(),
            started_ms: clock::now_ms(),
            news: Notify::new(),
        }
    }

    /// Who may come in.
    pub(crate) fn door(&self) -> &Door {
        &self.door
    }

    /// Waits until there is news.
    pub(crate) async fn news(&self) {
        self.news.notified().await;
    }

    /// How many alerts were told of since the start, by who told and what was made of it.
    pub(crate) fn counts(&self) -> BTreeMap<(&'static str, &'static str), u64> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn count(&self, from: &'static str, outcome: &'static str, times: usize) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.entry((from, outcome)).or_default() += times as u64;
    }

    fn last(&self) -> MutexGuard<'_, HashMap<String, i64>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in what a message says; it is on disk when this returns.
    ///
    /// # Errors
    /// Where the journal refuses.
    pub(crate) async fn take(
        &self,
        flow: &Flow,
        from: &'static str,
        message: Message,
    ) -> Result<Taken, EngineError> {
        let verdicts = flow.engine.hear(from, &message.alerts).await?;
        let now_ms = clock::now_ms();
        let mut taken = Taken { refused: message.refused.len(), ..Taken::default() };
        for reason in message.refused.iter().take(3) {
            tracing::warn!(from, reason, "an alert that was told of is not understood");
        }
        for (heard, verdict) in message.alerts.iter().zip(&verdicts) {
            match verdict {
                Verdict::News => taken.news += 1,
                Verdict::Known => taken.known += 1,
                Verdict::Old => {
                    taken.old += 1;
                    taken.doubtful.extend((heard.state == HeardState::Firing).then(|| heard.clone()));
                }
                Verdict::Collides => {
                    tracing::warn!(
                        from,
                        alert = heard.name,
                        server = heard.server,
                        fingerprint = heard.fingerprint,
                        "another alert has this fingerprint; this one is left out"
                    );
                    taken.refused += 1;
                }
                Verdict::Full => taken.full += 1,
            }
            if heard.state == HeardState::Firing && matches!(verdict, Verdict::News | Verdict::Known) {
                self.last().insert(heard.fingerprint.clone(), now_ms);
            }
        }
        for (outcome, times) in taken.outcomes() {
            self.count(from, outcome, times);
        }
        if taken.full > 0 {
            tracing::error!(from, left_out = taken.full, "so many alerts stand that no more are taken");
        }
        if taken.news > 0 {
            self.news.notify_one();
        }
        Ok(taken)
    }

    /// The same for what an Alertmanager sends, with what it has left out of its message or is not sure of.
    ///
    /// # Errors
    /// Where the journal refuses, or it can not be asked for what it left out: then it has to send it again.
    pub(crate) async fn take_payload(&self, flow: &Flow, payload: Payload) -> Result<Taken, TakeError> {
        let (left_out, receiver, group) =
            (payload.left_out, payload.receiver.clone(), payload.group_labels.clone());
        let mut taken = self.take(flow, ALERTMANAGER, payload.message(clock::now_ms())).await?;
        let Some(alertmanager) = &flow.alertmanager else {
            if left_out > 0 {
                tracing::error!(
                    left_out,
                    "an Alertmanager left alerts out of its message: set its `max_alerts` to 0, or name it in [alertmanager]"
                );
                self.count(ALERTMANAGER, "left_out", usize::try_from(left_out).unwrap_or(usize::MAX));
            }
            return Ok(taken);
        };
        if left_out > 0 {
            let rest = alertmanager.group(&receiver, &group).await?;
            taken.add(self.take(flow, ALERTMANAGER, rest).await?);
        }
        // An Alertmanager that lost sight of an alert for a while tells of it again with the start that it had.
        let (now_ms, mut back) = (clock::now_ms(), Message::default());
        for heard in taken.doubtful.drain(..).take(DOUBTFUL_MAX) {
            match alertmanager.fires(&heard).await {
                Ok(true) => back.alerts.push(Heard { started_ms: now_ms, ..heard }),
                Ok(false) => {}
                Err(error) => {
                    tracing::warn!(error = %error_chain(&error), alert = heard.name, server = heard.server, "whether an alert is back is not known; it counts as replayed")
                }
            }
        }
        if !back.alerts.is_empty() {
            taken.add(self.take(flow, ALERTMANAGER, back).await?);
        }
        Ok(taken)
    }

    /// Ends alerts that nobody tells of any more, until the task is dropped.
    pub(crate) async fn end_stale(flow: Arc<Flow>) {
        let stale_after = flow.world.config.inbound.stale_after;
        let (least, most) = STALE_LOOK;
        let mut ticks = tokio::time::interval((stale_after.get() / 4).clamp(least, most));
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let before_ms = clock::now_ms() - stale_after.ms();
            let over = flow.inbound.stale(&flow, before_ms).await;
            if over.is_empty() {
                continue;
            }
            for heard in &over {
                tracing::warn!(
                    alert = heard.name,
                    server = heard.server,
                    "nobody has told of an alert for {stale_after}; it counts as over"
                );
            }
            flow.inbound.end(&flow, over).await;
        }
    }

    async fn stale(&self, flow: &Flow, before_ms: i64) -> Vec<Heard> {
        let standing = flow.engine.heard().await;
        let mut last = self.last();
        last.retain(|name, _| standing.iter().any(|one| one.heard.fingerprint == *name));
        let is_stale = |one: &&incident::Standing| {
            let told_ms = last.get(&one.heard.fingerprint).copied().unwrap_or(self.started_ms);
            told_ms.max(one.since_ms) < before_ms
        };
        standing.iter().filter(is_stale).map(|one| one.heard.clone()).collect()
    }

    /// Writes down that alerts are over though nobody said so.
    pub(crate) async fn end(&self, flow: &Flow, over: Vec<Heard>) {
        let now_ms = clock::now_ms();
        let alerts = over
            .into_iter()
            .map(|heard| Heard { state: HeardState::Resolved, ended_ms: Some(now_ms), ..heard })
            .collect();
        let message = Message { alerts, refused: Vec::new() };
        if let Err(error) = self.take(flow, "serve", message).await {
            tracing::error!(error = %error_chain(&error), "the end of an alert could not be written down");
        }
    }
}

// === impl Taken ===

impl Taken {
    fn add(&mut self, other: Self) {
        self.news += other.news;
        self.known += other.known;
        self.old += other.old;
        self.refused += other.refused;
        self.full += other.full;
        self.doubtful.extend(other.doubtful);
    }

    fn outcomes(&self) -> [(&'static str, usize); 5] {
        [
            ("news", self.news),
            ("known", self.known),
            ("old", self.old),
            ("refused", self.refused),
            ("full", self.full),
        ]
    }
}

/// Checks labels from outside: they tell alerts apart, so they are taken as they are or not at all.
fn check_labels(labels: &BTreeMap<String, String>) -> Result<(), String> {
    if labels.len() > LABELS_MAX {
        return Err(format!("it has {} labels, and {LABELS_MAX} are the most", labels.len()));
    }
    for (name, value) in labels {
        if name.is_empty() || name.len() > NAME_BYTES_MAX || name.contains(char::is_control) {
            return Err(format!("`{}` is no name of a label", clipped(name, 40)));
        }
        if value.len() > VALUE_BYTES_MAX {
            return Err(format!(
                "the label `{name}` has {} bytes, and {VALUE_BYTES_MAX} are the most",
                value.len()
            ));
        }
        if value.contains('\0') {
            return Err(format!("the label `{name}` holds a NUL"));
        }
    }
    Ok(())
}

/// Cuts texts for people where they are too many or too long.
fn cut_texts(texts: BTreeMap<String, String>) -> BTreeMap<String, String> {
    let fits = |(name, _): &(String, String)| !name.is_empty() && name.len() <= NAME_BYTES_MAX;
    let cut = |(name, text): (String, String)| (name, clipped(&text, TEXT_BYTES_MAX));
    texts.into_iter().filter(fits).take(LABELS_MAX).map(cut).collect()
}

/// The beginning of a text, on one line, without what plays tricks with a terminal.
fn clipped(text: &str, bytes_max: usize) -> String {
    let mut end = text.len().min(bytes_max);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}

/// A moment as RFC 3339 has it; none where it is the zero that Go writes.
fn moment(text: &str) -> Result<Option<i64>, String> {
    let read = chrono::DateTime::parse_from_rfc3339(text);
    let at_ms = read.map_err(|_| format!("`{}` is no time", clipped(text, 40)))?.timestamp_millis();
    Ok(Some(at_ms).filter(|at_ms| *at_ms > 0))
}
