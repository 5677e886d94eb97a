//! Owns keeping the data directory within its budget: which incidents are over, what they hold on to, and giving up the oldest.

use std::collections::BTreeSet;

use journal::{Case, DataDir, Digest, Entry, Freed, Plan, Retention};
use serde_json::Value;

use crate::engine::EngineError;
use crate::fold::Incident;
use crate::id::IncidentId;
use crate::record::Record;

/// What there is, and what would be given up.
#[derive(Debug)]
pub struct Kept {
    /// What goes.
    pub plan: Plan,
    /// What everything may take, in bytes.
    pub bytes_max: u64,
}

// === impl Kept ===

impl Kept {
    /// Looks what there is, and decides what goes. Only where it is over its budget are the incidents read.
    ///
    /// # Errors
    /// Where the journal cannot be read, or a folder cannot be looked through.
    pub async fn look(dir: &DataDir, retention: Retention, now_ms: i64) -> Result<Self, EngineError> {
        let stock = dir.measure().await?;
        let mut cases = Vec::new();
        if stock.bytes() > retention.bytes_max {
            for name in stock.incidents.keys() {
                cases.push(case(name, &dir.journal.of_incident(name).await?));
            }
        }
        Ok(Self { plan: stock.plan(&cases, retention, now_ms), bytes_max: retention.bytes_max })
    }

    /// Gives up what the plan says; `None` where nothing has to go.
    ///
    /// # Errors
    /// As [`DataDir::carry_out`] has them.
    pub async fn carry_out(&self, dir: &DataDir, now_ms: i64) -> Result<Option<Freed>, EngineError> {
        if self.plan.incidents.is_empty() && self.plan.blobs.is_empty() {
            return Ok(None);
        }
        Ok(Some(dir.carry_out(&self.plan, now_ms).await?))
    }
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
