//! Owns keeping the data directory within its budget: which incidents are over, what they hold on to, and giving up the oldest;
//! and before them what other systems told long ago of alerts that are over.

use std::collections::{BTreeMap, BTreeSet};

use journal::{Case, DataDir, Digest, Entry, Freed, Journal, Plan, Retention};
use serde_json::Value;

use crate::engine::EngineError;
use crate::fold::Incident;
use crate::id::IncidentId;
use crate::inbound::Forgetting;
use crate::ledger::{HEARD, loose_draft};
use crate::record::Record;

/// How many records are read at once.
const READ_BATCH: u32 = 1_000;

/// What there is, and what would be given up.
#[derive(Debug)]
pub struct Kept {
    /// What goes.
    pub plan: Plan,
    /// What everything may take, in bytes.
    pub bytes_max: u64,
    /// Before it records on alerts are old, in milliseconds since the Unix epoch.
    before_ms: i64,
}

// === impl Kept ===

impl Kept {
    /// Looks what there is, and decides what goes. Only where it is over its budget are the incidents read.
    ///
    /// # Errors
    /// Where the journal cannot be read, or a folder cannot be looked through.
    pub async fn look(dir: &DataDir, retention: Retention, now_ms: i64) -> Result<Self, EngineError> {
        let mut stock = dir.measure().await?;
        let before_ms = now_ms.saturating_sub(retention.keep_ms);
        let mut cases = Vec::new();
        if stock.bytes() > retention.bytes_max {
            stock.loose = forgettable(&dir.journal, before_ms).await?;
            for name in stock.incidents.keys() {
                cases.push(case(name, &dir.journal.of_incident(name).await?));
            }
        }
        let plan = stock.plan(&cases, retention, now_ms);
        Ok(Self { plan, bytes_max: retention.bytes_max, before_ms })
    }

    /// Gives up what the plan says; `None` where nothing has to go.
    ///
    /// # Errors
    /// As [`DataDir::carry_out`] has them.
    pub async fn carry_out(&self, dir: &DataDir, now_ms: i64) -> Result<Option<Freed>, EngineError> {
        let plan = &self.plan;
        if plan.incidents.is_empty() && plan.blobs.is_empty() && plan.loose.is_empty() {
            return Ok(None);
        }
        if !plan.loose.is_empty() {
            // First what stands for them: between the two nothing is taken for news that is none.
            let record = Record::AlertsForgotten { before_ms: self.before_ms };
            dir.journal.append(loose_draft(now_ms, &record)?).await?;
        }
        Ok(Some(dir.carry_out(plan, now_ms).await?))
    }
}

/// The records on alerts of other systems that nobody needs any more, with their bytes; those that say what was forgotten
/// before are among them.
async fn forgettable(journal: &Journal, before_ms: i64) -> Result<BTreeMap<i64, u64>, EngineError> {
    let (mut forgetting, mut bytes, mut earlier) = (Forgetting::default(), BTreeMap::new(), BTreeSet::new());
    let mut seq = 0;
    loop {
        let entries = journal.loose_after(&HEARD, seq, READ_BATCH).await?;
        let Some(last) = entries.last() else { break };
        seq = last.seq;
        for entry in &entries {
            bytes.insert(entry.seq, entry.stored_bytes());
            match serde_json::from_value(entry.body.clone()) {
                Ok(Record::AlertsHeard { alerts, .. }) => forgetting.take(entry.seq, entry.at_ms, &alerts),
                Ok(Record::AlertsForgotten { .. }) => drop(earlier.insert(entry.seq)),
                // Of a later version, which knows what to do with it.
                _ => {}
            }
        }
    }
    let mut gone = forgetting.forgettable(before_ms);
    if !gone.is_empty() {
        gone.extend(earlier);
    }
    bytes.retain(|seq, _| gone.contains(seq));
    Ok(bytes)
}

/// What is known of an incident by its entries. One that cannot be read is kept as if it were open.
fn case(name: &str, entries: &[Entry]) -> Case {
    let blobs: BTreeSet<Digest> = entries.iter().flat_map(|entry| digests(&entry.body)).collect();
    let records: Vec<(i64, Record)> = entries
        .iter()
        .filter_map(|entry| Some((entry.at_ms, serde_json::from_value(entry.body.clone()).ok()?)))
        .collect();
    let is_whole = records.len() == entries.len();
    let id = IncidentId::from_text(name);
    let folded = Incident::fold(&id, records.iter().map(|(at_ms, record)| (*at_ms, record)));
    let over = folded.filter(|incident| is_whole && is_over(incident));
    let closed_ms = over.and_then(|incident| incident.timeline.last().map(|(at_ms, _)| *at_ms));
    Case { incident: name.to_owned(), closed_ms, blobs: blobs.into_iter().collect() }
}

/// Whether nobody has anything left to do: ended, reported, nothing runs in the background, and no follow-up waits.
fn is_over(incident: &Incident) -> bool {
    let waits = incident.follow_ups.iter().any(|follow_up| follow_up.done.is_none());
    !incident.state.is_open() && incident.is_reported() && incident.open_jobs().next().is_none() && !waits
}

/// The blobs that an entry names, in whichever of its fields.
fn digests(body: &Value) -> Vec<Digest> {
    match body {
        Value::Object(fields) => fields
            .iter()
            .flat_map(|(name, value)| match value {
                Value::String(text) if name == "sha256" => text.parse().into_iter().collect(),
                value => digests(value),
            })
            .collect(),
        Value::Array(list) => list.iter().flat_map(digests).collect(),
        _ => Vec::new(),
    }
}
