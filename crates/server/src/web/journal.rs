//! Owns the page of the journal: which entries it shows, and the check of the chain, which runs beside it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::http::StatusCode;
use incident::{Record, describe, error_chain};
use serde::Deserialize;
use web::Place;
use web::journal::{Chain, JournalPage, JournalQuery, JournalRow, journal};

use super::Web;
use super::pages::{Eye, View};
use crate::api::Failure;
use crate::clock;
use crate::flow::Flow;
use crate::journal_view::{self, Filter};

/// How long the page may be shown without another look; an incident that changes is one.
const AGAIN: Duration = Duration::from_secs(10);

/// Entries of one page.
const ENTRIES: usize = 50;

/// How long a check of the chain is good for: it reads all of the journal.
const CHECKED_MS: i64 = 600_000;

/// The check of the chain, for all who look.
#[derive(Debug, Default)]
pub(super) struct Checks {
    last: Mutex<Option<(i64, Result<Chain, String>)>>,
    runs: AtomicBool,
}

/// The query of the page's address; what is not understood is the usual.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Asking {
    incident: String,
    server: String,
    kind: String,
    before: String,
}

// === impl Checks ===

impl Checks {
    /// What the last check found. Where that is too old, another one begins, and is not waited for.
    fn last(self: &Arc<Self>, flow: &Arc<Flow>, now_ms: i64) -> Result<Chain, String> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let is_old = last.as_ref().is_none_or(|(at_ms, _)| now_ms - at_ms >= CHECKED_MS);
        if is_old && !self.runs.swap(true, Ordering::AcqRel) {
            let (checks, flow) = (Arc::clone(self), Arc::clone(flow));
            tokio::spawn(async move {
                let found = verified(&flow).await;
                *checks.last.lock().unwrap_or_else(PoisonError::into_inner) = Some((clock::now_ms(), found));
                checks.runs.store(false, Ordering::Release);
            });
        }
        last.map_or_else(|| Err("that is done just now".to_owned()), |(_, found)| found)
    }
}

async fn verified(flow: &Flow) -> Result<Chain, String> {
    let found = journal_view::verification(flow).await.map_err(|error| error_chain(&error))?;
    let broken = found.broken.map(|broken| broken.to_string());
    if let Some(broken) = &broken {
        tracing::error!(broken, "the chain of the journal is broken");
    }
    Ok(Chain { at_ms: clock::now_ms(), entries: found.entries, pruned: found.pruned, broken })
}

/// The page.
pub(super) async fn page(web: &Web, query: &str, eye: &Eye) -> Result<View, Failure> {
    if !eye.servers.is_empty() {
        let words = "the journal is about all servers, and your token is for some".to_owned();
        return Err(Failure::new(StatusCode::FORBIDDEN, words));
    }
    let asking: Asking = serde_urlencoded::from_str(query).unwrap_or_default();
    let given = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
    let filter = Filter {
        incident: given(&asking.incident),
        server: given(&asking.server),
        kind: given(&asking.kind),
    };
    let before = asking.before.parse().ok();
    let wanted = u32::try_from(ENTRIES + 1).unwrap_or(u32::MAX);
    let entries = journal_view::newest(&web.flow, &filter, before, wanted).await?;
    let rows = entries.iter().take(ENTRIES).map(|entry| JournalRow {
        seq: entry.seq,
        at_ms: entry.at_ms,
        incident: entry.incident.clone(),
        kind: entry.kind.clone(),
        said: serde_json::from_value::<Record>(entry.body.clone())
            .ok()
            .and_then(|record| describe(&record))
            .unwrap_or_default(),
        body: serde_json::to_string_pretty(&entry.body).unwrap_or_default(),
        digest: entry.digest.to_string(),
    });
    let page = JournalPage {
        query: JournalQuery {
            incident: filter.incident.unwrap_or_default(),
            server: filter.server.unwrap_or_default(),
            kind: filter.kind.unwrap_or_default(),
            before,
        },
        rows: rows.collect(),
        more: entries.len() > ENTRIES,
        chain: web.checks.last(&web.flow, clock::now_ms()),
    };
    let parts = journal(&page);
    Ok(View {
        title: "Journal".to_owned(),
        place: Place::Journal,
        body: web::all(&parts),
        parts,
        again: AGAIN,
    })
}
