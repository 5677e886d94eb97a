//! Owns the simulated journal: a chain of entries that survive a crash once they were acknowledged, and faults as planned.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use incident::{Answered, Record, Store};
use journal::{Digest, Draft, Entry};

use super::dice::Dice;
use super::plan::{Loss, Moment, What};
use super::scene::Sim;

/// What survives, and what is on its way.
#[derive(Default)]
pub(crate) struct Disk {
    pub(crate) entries: Vec<Entry>,
    /// How many writes there were, over all lives.
    pub(crate) writes: u32,
    pub(crate) full_until_ms: i64,
    pub(crate) slow_until_ms: i64,
    /// What is written and not yet synced, by the number of the write: those of several incidents at a time.
    in_flight: BTreeMap<u32, Draft>,
    /// For how long something was on its way, altogether, before the last time that nothing was.
    busy_ms: i64,
    /// Since when something is.
    busy_since_ms: i64,
}

/// The journal as the engine sees it.
pub(crate) struct SimJournal(pub(crate) Arc<Sim>);

impl Store for SimJournal {
    fn append(&self, draft: Draft) -> Answered<'_, Entry> {
        Box::pin(self.0.append(draft))
    }

    fn entries_after(&self, seq: i64, limit: u32) -> Answered<'_, Vec<Entry>> {
        Box::pin(async move {
            let state = self.0.state();
            let after = state.disk.entries.iter().skip(usize::try_from(seq).unwrap_or(0));
            Ok(after.take(limit as usize).cloned().collect())
        })
    }
}

// === impl Sim ===

impl Sim {
    async fn append(&self, draft: Draft) -> Result<Entry, journal::Error> {
        self.only_alive().await;
        let now_ms = self.clock.now_ms();
        let (write, takes_ms, fate) = {
            let mut state = self.state();
            if now_ms < state.disk.full_until_ms {
                return Err(refused());
            }
            state.disk.writes += 1;
            let write = state.disk.writes;
            let mut dice = self.dice(&format!("write {write}"));
            let slowest_ms = if now_ms < state.disk.slow_until_ms { 800 } else { 6 };
            let fate = if state.is_quiet { Fate::Fine } else { self.fate(write) };
            (write, dice.within(0, slowest_ms), fate)
        };
        self.judge_append(&draft);
        if matches!(fate, Fate::Dies(Moment::Before)) {
            self.die_writing(write, &draft).await;
        }
        self.state().disk.set_out(write, &draft, now_ms);
        self.clock.sleep(takes_ms).await;
        self.only_alive().await;
        self.state().disk.land(write, self.clock.now_ms());
        if matches!(fate, Fate::Dies(Moment::Torn)) {
            self.die_writing(write, &draft).await;
        }
        let entry = self.keep(&draft);
        match fate {
            Fate::Dies(Moment::After) => {
                self.log(format_args!("dies after write {write}"));
                self.die();
                Ok(entry)
            }
            Fate::Dies(_) => self.die_writing(write, &draft).await,
            Fate::FalseAlarm => {
                self.log(format_args!("write {write} ({}) counts as failed", draft.kind));
                Err(refused())
            }
            Fate::Fine => Ok(entry),
        }
    }

    fn fate(&self, write: u32) -> Fate {
        self.planned(|what| match what {
            What::CrashAtWrite { write: planned, moment, .. } if planned == write => Some(Fate::Dies(moment)),
            What::FalseAlarm { write: planned } if planned == write => Some(Fate::FalseAlarm),
            _ => None,
        })
        .unwrap_or(Fate::Fine)
    }

    async fn die_writing(&self, write: u32, draft: &Draft) -> ! {
        self.log(format_args!("dies in write {write} ({})", draft.kind));
        self.die();
        std::future::pending().await
    }

    /// The entry is part of the chain now, and no crash takes it away.
    pub(crate) fn keep(&self, draft: &Draft) -> Entry {
        let entry = self.state().disk.chain(draft);
        if let Some(incident) = &entry.incident {
            let record: Record = serde_json::from_value(entry.body.clone()).unwrap();
            self.judge_record(incident, entry.at_ms, &record);
        }
        entry
    }

    /// What the crash leaves of the journal.
    pub(crate) fn crash(&self, loss: Loss, dice: &mut Dice) {
        let in_flight = {
            let mut state = self.state();
            let in_flight = std::mem::take(&mut state.disk.in_flight);
            if loss != Loss::Process {
                state.lose_power(dice);
            }
            in_flight
        };
        // Writes that were on their way are there as a whole, or not at all, and none without those before it.
        for draft in in_flight.values() {
            if !dice.chance(50) {
                break;
            }
            self.log(format_args!("what was on its way is there ({})", draft.kind));
            self.keep(draft);
        }
        if let Loss::LyingDisk { entries } = loss {
            let left = {
                let mut state = self.state();
                let left = state.disk.entries.len().saturating_sub(entries);
                state.disk.entries.truncate(left);
                left
            };
            self.log(format_args!("of the journal {left} entries are left"));
            self.judge_loss();
        }
        self.moved.notify_waiters();
    }
}

enum Fate {
    Fine,
    Dies(Moment),
    FalseAlarm,
}

// === impl Disk ===

impl Disk {
    /// For how long until now something was on its way.
    pub(crate) fn busy_ms(&self, now_ms: i64) -> i64 {
        self.busy_ms + if self.in_flight.is_empty() { 0 } else { now_ms - self.busy_since_ms }
    }

    fn set_out(&mut self, write: u32, draft: &Draft, now_ms: i64) {
        if self.in_flight.is_empty() {
            self.busy_since_ms = now_ms;
        }
        self.in_flight.insert(write, draft.clone());
    }

    fn land(&mut self, write: u32, now_ms: i64) {
        let busy_ms = self.busy_ms(now_ms);
        self.in_flight.remove(&write);
        if self.in_flight.is_empty() {
            self.busy_ms = busy_ms;
        }
    }

    fn chain(&mut self, draft: &Draft) -> Entry {
        let previous = self.entries.last().map_or(Digest::ZERO, |last| last.digest);
        let Draft { at_ms, incident, kind, version, body } = draft.clone();
        let (seq, node, digest) = (self.entries.len() as i64 + 1, "sim".to_owned(), Digest::ZERO);
        let mut entry = Entry { seq, node, at_ms, incident, kind, version, body, previous, digest };
        entry.digest = entry.computed_digest().unwrap();
        self.entries.push(entry.clone());
        entry
    }
}

fn refused() -> journal::Error {
    journal::Error::Full { path: PathBuf::from("journal.db"), source: sqlx::Error::WorkerCrashed }
}
