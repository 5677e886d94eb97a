//! Owns the handlers of the journal: its entries, and the check of its chain.

use axum::Json;
use axum::extract::{Query, State};
use axum::http::StatusCode;

use super::handlers::Shared;
use super::listing::{Listed, after, limit};
use super::problem::Failure;
use super::wire::{JournalEntry, JournalQuestion, JournalVerification};
use crate::journal_view::{self, Filter};

/// Entries, the newest first.
pub(super) async fn list(
    State(flow): Shared,
    Query(question): Query<JournalQuestion>,
) -> Result<Listed<JournalEntry>, Failure> {
    let strange = || Failure::new(StatusCode::BAD_REQUEST, "this is no `cursor` of an answer of this list");
    let before = after(&question)?.map(|key| key.parse().map_err(|_| strange())).transpose()?;
    let limit = limit(&question)?;
    let JournalQuestion { incident, server, kind, .. } = question.clone();
    let filter = Filter { incident, server, kind };
    // One more says whether there are others.
    let more = u32::try_from(limit + 1).unwrap_or(u32::MAX);
    let entries = journal_view::newest(&flow, &filter, before, more).await?;
    let entries = entries.into_iter().map(|entry| (entry.seq.to_string(), JournalEntry::from(entry)));
    Ok(Listed::first(question, limit, entries.collect()))
}

/// Checks the whole chain.
pub(super) async fn verification(State(flow): Shared) -> Result<Json<JournalVerification>, Failure> {
    Ok(Json(journal_view::verification(&flow).await?.into()))
}
