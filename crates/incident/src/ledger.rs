//! Owns the incidents in memory: the journal's fold, kept up with every entry, whoever wrote it.

mod index;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, PoisonError};

use journal::{Draft, Entry, Removed};
use tokio::sync::futures::OwnedNotified;
use tokio::sync::{Mutex, Notify, broadcast, watch};

use crate::engine::EngineError;
use crate::error_chain::error_chain;
use crate::fold::{Incident, Place};
use crate::id::IncidentId;
use crate::inbound::Inbound;
use crate::record::{Record, VERSION};
use crate::store::Store;
use crate::turns::{Key, Turns};
use index::Index;

/// How many incidents are held in memory: the oldest that are over are dropped first, and stay in the journal.
const INCIDENTS_MAX: usize = 10_000;

/// How many entries are read from the journal at once.
const READ_BATCH: u32 = 1_000;

/// The kinds of the records on what other systems tell.
pub(crate) const HEARD: [&str; 2] = ["alerts_heard", "alerts_forgotten"];

/// How many records a slow listener may lag behind before it loses some (it is told how many).
const FEED_CAPACITY: usize = 4_096;

/// A record as it was written, for whoever watches.
#[derive(Debug, Clone)]
pub struct Happening {
    /// The incident.
    pub incident: IncidentId,
    /// When, in milliseconds since the Unix epoch.
    pub at_ms: i64,
    /// What.
    pub record: Record,
}

/// The incidents, and the only way to write of them.
pub(crate) struct Ledger {
    journal: Box<dyn Store>,
    folded: Mutex<Folded>,
    /// Held from the check of a record to its place in the fold, by incident: records of several are written together.
    turns: Turns,
    /// Rung at each change of an incident, as long as somebody waits for one: in a storm thousands do.
    bells: std::sync::Mutex<HashMap<IncidentId, Arc<Notify>>>,
    changed: watch::Sender<u64>,
    feed: broadcast::Sender<Happening>,
    /// When the journal last took nothing, and why. Whoever wanted to write tries again before long.
    refused: std::sync::Mutex<Option<(i64, String)>>,
}

#[derive(Default)]
struct Folded {
    last_seq: i64,
    /// Names that were given out, of incidents that are not written down yet.
    promised: BTreeSet<IncidentId>,
    incidents: BTreeMap<IncidentId, Incident>,
    index: Index,
    /// What other systems tell of alerts.
    inbound: Inbound,
}

// === impl Ledger ===

impl Ledger {
    /// Reads the journal.
    pub(crate) async fn open(journal: impl Store) -> Result<Self, EngineError> {
        let ledger = Self {
            journal: Box::new(journal),
            folded: Mutex::default(),
            turns: Turns::default(),
            bells: std::sync::Mutex::default(),
            changed: watch::Sender::new(0),
            feed: broadcast::Sender::new(FEED_CAPACITY),
            refused: std::sync::Mutex::default(),
        };
        ledger.catch_up().await?;
        Ok(ledger)
    }

    /// Takes in what other processes have written meanwhile.
    pub(crate) async fn catch_up(&self) -> Result<(), EngineError> {
        self.catch_up_locked(&mut *self.folded.lock().await).await
    }

    async fn catch_up_locked(&self, folded: &mut Folded) -> Result<(), EngineError> {
        loop {
            let entries = self.journal.entries_after(folded.last_seq, READ_BATCH).await?;
            let read = entries.len() as u64;
            for entry in &entries {
                folded.take(entry);
                if let Some(incident) = &entry.incident {
                    self.ring(&IncidentId::from_text(incident));
                }
            }
            if read < u64::from(READ_BATCH) {
                return Ok(());
            }
        }
    }

    /// Writes one record of an incident, durably, if the incident allows it now.
    pub(crate) async fn write(&self, id: &IncidentId, at_ms: i64, record: Record) -> Result<(), EngineError> {
        let draft = draft(Some(id), at_ms, &record)?;
        let _turn = self.turns.take(&[Key::of(id)]).await;
        if let Some(incident) = self.folded.lock().await.incidents.get(id) {
            incident.check(&record)?;
            incident.check_change(&record)?;
        }
        let appended = self.append(draft).await;
        let mut folded = self.folded.lock().await;
        folded.promised.remove(id);
        match appended {
            Ok(entry) => self.take_in(&mut folded, &entry).await?,
            Err(error) => {
                // A disk that failed in the very end may have it all the same: what is there is known here as well.
                // Where that cannot be read, the next write says so.
                let _ = self.catch_up_locked(&mut folded).await;
                return Err(error);
            }
        }
        drop(folded);
        self.ring(id);
        self.changed.send_modify(|count| *count += 1);
        // Nobody listening is fine.
        let _ = self.feed.send(Happening { incident: id.clone(), at_ms, record });
        Ok(())
    }

    /// Takes in an entry that was written here, after those that others have written before it.
    async fn take_in(&self, folded: &mut Folded, entry: &Entry) -> Result<(), EngineError> {
        if entry.seq == folded.last_seq + 1 {
            folded.take(entry);
        } else if entry.seq > folded.last_seq {
            self.catch_up_locked(folded).await?;
        }
        Ok(())
    }

    /// Writes a record that belongs to no incident.
    pub(crate) async fn write_loose(&self, at_ms: i64, record: &Record) -> Result<(), EngineError> {
        let entry = self.append(loose_draft(at_ms, record)?).await?;
        self.take_in(&mut *self.folded.lock().await, &entry).await
    }

    async fn append(&self, draft: Draft) -> Result<Entry, EngineError> {
        let at_ms = draft.at_ms;
        match self.journal.append(draft).await {
            Ok(entry) => {
                *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = None;
                Ok(entry)
            }
            Err(error) => {
                self.note_refusal(at_ms, &error);
                Err(error.into())
            }
        }
    }

    /// Keeps in mind that nothing could be written.
    pub(crate) fn note_refusal(&self, at_ms: i64, error: &dyn std::error::Error) {
        let refusal = (at_ms, error_chain(error));
        *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = Some(refusal);
    }

    /// Why nothing could be written the last time, and when that was; `None` where it could.
    pub(crate) fn refused(&self) -> Option<(i64, String)> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What the journal says of itself that it has lost since the first entry of an incident, for people.
    pub(crate) async fn lost(&self, id: &IncidentId) -> Result<Vec<String>, EngineError> {
        let removed = self.journal.removed_within(id.as_str()).await?;
        let line = |one: &Removed| {
            format!(
                "Entries {} to {} of the journal, of other incidents at that time, were removed to save room.",
                one.first, one.last
            )
        };
        Ok(removed.iter().map(line).collect())
    }

    /// Looks at one incident.
    pub(crate) async fn with<T>(
        &self,
        id: &IncidentId,
        look: impl FnOnce(&Incident) -> T,
    ) -> Result<T, EngineError> {
        let folded = self.folded.lock().await;
        folded.incidents.get(id).map(look).ok_or_else(|| EngineError::NoIncident(id.to_string()))
    }

    /// Looks at the incidents that may be meant by an alert of this place and fingerprint: open ones, and the last that
    /// ended.
    pub(crate) async fn with_meant<T>(
        &self,
        place: &Place,
        fingerprint: Option<&str>,
        look: impl FnOnce(&mut dyn Iterator<Item = &Incident>) -> T,
    ) -> T {
        let folded = self.folded.lock().await;
        look(&mut folded.index.meant(place, fingerprint).filter_map(|id| folded.incidents.get(id)))
    }

    /// Looks at the open incidents of one server, oldest first.
    pub(crate) async fn with_server<T>(
        &self,
        server: &str,
        look: impl FnOnce(&mut dyn Iterator<Item = &Incident>) -> T,
    ) -> T {
        let folded = self.folded.lock().await;
        look(&mut folded.index.of_server(server).filter_map(|id| folded.incidents.get(id)))
    }

    /// Looks at what other systems tell of alerts.
    pub(crate) async fn inbound<T>(&self, look: impl FnOnce(&Inbound) -> T) -> T {
        look(&self.folded.lock().await.inbound)
    }

    /// Looks at all open incidents, oldest first.
    pub(crate) async fn with_open<T>(
        &self,
        look: impl FnOnce(&mut dyn Iterator<Item = &Incident>) -> T,
    ) -> T {
        let folded = self.folded.lock().await;
        look(&mut folded.index.open().filter_map(|id| folded.incidents.get(id)))
    }

    /// A name that no incident has or gets: many servers may be down in the same second.
    pub(crate) async fn new_id(&self, now_ms: i64, random: u16) -> IncidentId {
        let mut folded = self.folded.lock().await;
        let mut names = (0..=u16::MAX).map(|step| IncidentId::new(now_ms, random.wrapping_add(step)));
        let free = names.find(|id| !folded.incidents.contains_key(id) && !folded.promised.contains(id));
        let id = free.unwrap_or_else(|| IncidentId::new(now_ms, random));
        folded.promised.insert(id.clone());
        id
    }

    /// Looks at all incidents, oldest first.
    pub(crate) async fn with_all<T>(&self, look: impl FnOnce(&mut dyn Iterator<Item = &Incident>) -> T) -> T {
        look(&mut self.folded.lock().await.incidents.values())
    }

    /// Waits for a change of an incident: for any from this call on, not from the first poll.
    pub(crate) fn change(&self, id: &IncidentId) -> OwnedNotified {
        let mut bells = self.bells.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(bells.entry(id.clone()).or_default()).notified_owned()
    }

    fn ring(&self, id: &IncidentId) {
        let mut bells = self.bells.lock().unwrap_or_else(PoisonError::into_inner);
        // Each one who waits has a part in it.
        if bells.get(id).is_some_and(|bell| Arc::strong_count(bell) == 1) {
            bells.remove(id);
        } else if let Some(bell) = bells.get(id) {
            bell.notify_waiters();
        }
    }

    /// Tells that something was written, whichever incident it is about.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Tells of every record that this process writes.
    pub(crate) fn feed(&self) -> broadcast::Receiver<Happening> {
        self.feed.subscribe()
    }
}

// === impl Folded ===

impl Folded {
    /// Takes in one entry. What an entry of a later version says cannot be understood here, and is passed over.
    fn take(&mut self, entry: &Entry) {
        self.last_seq = self.last_seq.max(entry.seq);
        let Some(id) = entry.incident.as_deref().map(IncidentId::from_text) else {
            return self.take_loose(entry);
        };
        let Ok(record) = serde_json::from_value::<Record>(entry.body.clone()) else {
            tracing::warn!(
                seq = entry.seq,
                kind = entry.kind,
                version = entry.version,
                "an entry of the journal is not understood and passed over"
            );
            return;
        };
        if let Some(incident) = self.incidents.get_mut(&id) {
            incident.apply(entry.at_ms, &record);
            self.index.note(incident, &record);
        } else if let Some(incident) = Incident::fold(&id, [(entry.at_ms, &record)]) {
            self.make_room();
            self.index.note(&incident, &record);
            self.incidents.insert(id, incident);
        }
    }

    /// Takes in an entry that belongs to no incident.
    fn take_loose(&mut self, entry: &Entry) {
        if !HEARD.contains(&&*entry.kind) {
            return;
        }
        match serde_json::from_value(entry.body.clone()) {
            Ok(Record::AlertsHeard { from, alerts }) => {
                alerts.iter().for_each(|heard| self.inbound.take(entry.at_ms, &from, heard));
            }
            Ok(Record::AlertsForgotten { before_ms }) => self.inbound.forget(before_ms),
            _ => {}
        }
    }

    fn make_room(&mut self) {
        if self.incidents.len() >= INCIDENTS_MAX
            && let Some(oldest) = self.index.oldest_over().cloned()
            && let Some(incident) = self.incidents.remove(&oldest)
        {
            self.index.forget(&incident);
        }
    }
}

/// A record that belongs to no incident, to be written where no engine runs.
///
/// # Errors
/// Where it cannot be written as JSON.
pub fn loose_draft(at_ms: i64, record: &Record) -> Result<Draft, EngineError> {
    draft(None, at_ms, record)
}

fn draft(incident: Option<&IncidentId>, at_ms: i64, record: &Record) -> Result<Draft, EngineError> {
    Ok(Draft {
        at_ms,
        incident: incident.map(ToString::to_string),
        kind: record.kind().to_owned(),
        version: VERSION,
        body: serde_json::to_value(record)?,
    })
}
