//! Owns telling people: what the journal says is to be told is told, by whatever reaches each contact, until it is.
//!
//! The journal is the queue: it says who is to be told before anybody is, and what became of it. Here is only what is
//! on its way at this moment, so that a `serve` that is killed tells the rest in its next life, with the same keys.

mod attempt;
mod command;
mod webhook;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use incident::{Engine, Notice, error_chain};
use tokio::task::JoinSet;

use crate::clock;
use crate::config::{Config, Contact, ContactKind};
use crate::secrets::Secrets;
use crate::world::ServeWorld;
use attempt::{Attempt, Backoff, Failed};

/// How many notices are on their way to one contact at once: a contact that hangs holds nobody else up.
const AT_ONCE_PER_CONTACT: usize = 4;

/// How many are on their way in all.
const AT_ONCE: usize = 64;

/// How long is waited at most before it is looked whether something is due: the clock of the machine may be set.
const LOOK_MAX: Duration = Duration::from_secs(15);

/// The least time between two looks: in a storm of records one look serves many.
const LOOK_MIN: Duration = Duration::from_millis(100);

/// How long is waited after the journal refused.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// How often something was told, or could not be, by the contact and the news, in this life of `serve`.
#[derive(Debug, Default)]
pub(crate) struct Told {
    counts: Mutex<BTreeMap<(String, &'static str, &'static str), u64>>,
}

/// What reaches contacts.
pub(crate) struct Notifier {
    contacts: BTreeMap<String, Contact>,
    webhook: webhook::Sender,
    secrets: Secrets,
    world: Arc<ServeWorld>,
    told: Arc<Told>,
    /// The keys of what is on its way, each with its contact.
    on_the_way: Mutex<BTreeMap<String, String>>,
}

// === impl Told ===

impl Told {
    fn count(&self, notice: &Notice, outcome: &'static str) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.entry((notice.contact.clone(), notice.news.name(), outcome)).or_default() += 1;
    }

    /// All counts, by contact, news and outcome.
    pub(crate) fn counts(&self) -> BTreeMap<(String, &'static str, &'static str), u64> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

// === impl Notifier ===

impl Notifier {
    pub(crate) fn new(world: &Arc<ServeWorld>, told: &Arc<Told>) -> Self {
        Self {
            contacts: contacts(&world.config),
            webhook: webhook::Sender::default(),
            secrets: Secrets::of_process(&world.exe),
            world: Arc::clone(world),
            told: Arc::clone(told),
            on_the_way: Mutex::default(),
        }
    }

    /// Lets fire what is due, and tells what is to be told, until the task is dropped.
    pub(crate) async fn run(self: Arc<Self>, engine: Engine<ServeWorld>) {
        let mut changes = engine.changes();
        let mut sending = JoinSet::new();
        loop {
            changes.borrow_and_update();
            let wait = match self.look(&engine, &mut sending).await {
                Ok(next_ms) => wait_until(next_ms),
                Err(error) => {
                    tracing::error!(error = %error_chain(&error), "what is due cannot be written down; looking again in {} s", RETRY_AFTER.as_secs());
                    RETRY_AFTER
                }
            };
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                changed = changes.changed() => if changed.is_err() { return },
                Some(_) = sending.join_next() => {}
            }
            tokio::time::sleep(LOOK_MIN).await;
            while sending.try_join_next().is_some() {}
        }
    }

    async fn look(
        self: &Arc<Self>,
        engine: &Engine<ServeWorld>,
        sending: &mut JoinSet<()>,
    ) -> Result<Option<i64>, incident::EngineError> {
        let next_ms = engine.tick(clock::now_ms()).await?;
        let on_the_way = self.on_the_way().clone();
        // What there is no room for now stays in the journal, and must not stand before what there is room for.
        let waits =
            |notice: &Notice| on_the_way.contains_key(&notice.key) || is_full(&on_the_way, &notice.contact);
        for notice in engine.notices(clock::now_ms(), waits).await? {
            if self.sets_out(&notice) {
                let (notifier, engine) = (Arc::clone(self), engine.clone());
                sending.spawn(async move { notifier.tell(&engine, notice).await });
            }
        }
        Ok(next_ms)
    }

    /// Whether there is room for a notice on the way now.
    fn sets_out(&self, notice: &Notice) -> bool {
        let mut on_the_way = self.on_the_way();
        if is_full(&on_the_way, &notice.contact) {
            return false;
        }
        on_the_way.insert(notice.key.clone(), notice.contact.clone()).is_none()
    }

    /// Tells one contact, as often as is sensible, and writes down what became of it.
    async fn tell(&self, engine: &Engine<ServeWorld>, notice: Notice) {
        let (attempts, problem) = self.attempts(&notice).await;
        self.told.count(&notice, if problem.is_none() { "delivered" } else { "failed" });
        if let Some(problem) = &problem {
            tracing::error!(
                contact = notice.contact,
                key = notice.key,
                problem,
                "somebody could not be told"
            );
        }
        while let Err(error) = engine.note_told(&notice, attempts, problem.clone()).await {
            // Told anew it would be told twice: the outcome is kept until the journal takes it.
            tracing::error!(key = notice.key, error = %error_chain(&error), "what became of a notice cannot be written down");
            tokio::time::sleep(RETRY_AFTER).await;
        }
        self.on_the_way().remove(&notice.key);
    }

    async fn attempts(&self, notice: &Notice) -> (u32, Option<String>) {
        let Some(contact) = self.contacts.get(&notice.contact) else {
            return (0, Some(format!("the configuration has no contact `{}` any more", notice.contact)));
        };
        let mut backoff = Backoff::default();
        loop {
            let attempt = self.attempt(contact, notice).await;
            match attempt {
                Ok(()) => return (backoff.attempts(), None),
                Err(Failed { problem, again }) => match backoff.next(again) {
                    Some(wait) => {
                        tracing::warn!(contact = contact.name, key = notice.key, problem, "not told yet");
                        tokio::time::sleep(wait).await;
                    }
                    None => return (backoff.attempts(), Some(problem)),
                },
            }
        }
    }

    async fn attempt(&self, contact: &Contact, notice: &Notice) -> Attempt {
        match contact.kind {
            ContactKind::Log => {
                log(notice);
                Ok(())
            }
            ContactKind::Command => command::run(contact, notice, &self.world).await,
            ContactKind::Webhook => self.webhook.post(contact, notice, &self.secrets).await,
        }
    }

    fn on_the_way(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        self.on_the_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether no more can be on the way to a contact, given what is (keys with their contacts).
fn is_full(on_the_way: &BTreeMap<String, String>, contact: &str) -> bool {
    let same = on_the_way.values().filter(|other| *other == contact).count();
    on_the_way.len() >= AT_ONCE || same >= AT_ONCE_PER_CONTACT
}

fn log(notice: &Notice) {
    let note = notice.note.as_deref().unwrap_or_default();
    tracing::warn!(
        incident = %notice.incident,
        server = notice.server,
        news = notice.news.name(),
        note,
        "notice: {}",
        notice.text
    );
}

/// The contacts by their names; the log is always one.
fn contacts(config: &Config) -> BTreeMap<String, Contact> {
    let log = Contact::log();
    let all = config.contact.iter().cloned();
    std::iter::once(log).chain(all).map(|contact| (contact.name.clone(), contact)).collect()
}

fn wait_until(next_ms: Option<i64>) -> Duration {
    let left_ms = next_ms.map_or(i64::MAX, |next_ms| next_ms.saturating_sub(clock::now_ms()));
    Duration::from_millis(u64::try_from(left_ms).unwrap_or(0)).min(LOOK_MAX)
}
