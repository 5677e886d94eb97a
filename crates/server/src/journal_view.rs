//! Owns what is shown of the journal: its entries from the newest on, and whether its chain is whole.

use incident::EngineError;
use journal::{Entry, Verification, Wanted};
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

use crate::flow::Flow;

/// Entries that are shown at once, at most, and one that says whether there are more.
pub(crate) const ENTRIES_MAX: u32 = 1_001;

/// The whole chain is read for this: one at a time.
static CHECKS: Semaphore = Semaphore::const_new(1);

/// Which entries are wanted: those that are all of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Filter {
    /// Of this incident.
    pub(crate) incident: Option<String>,
    /// Of incidents about this server.
    pub(crate) server: Option<String>,
    /// Of this kind.
    pub(crate) kind: Option<String>,
}

/// The entries that are wanted before a place, or from the newest on; `limit` of them at most.
///
/// # Errors
/// Where the journal cannot be read.
pub(crate) async fn newest(
    flow: &Flow,
    filter: &Filter,
    before: Option<i64>,
    limit: u32,
) -> Result<Vec<Entry>, EngineError> {
    let mut incidents = filter.incident.clone().map(|id| vec![id]);
    if let Some(server) = &filter.server {
        let is_about =
            |one: &incident::Incident| one.server == *server || one.members().any(|name| name == server);
        let ids = flow.engine.look(|all| {
            all.filter(|one| is_about(one)).map(|one| one.id.as_str().to_owned()).collect::<Vec<_>>()
        });
        let mut ids = ids.await?;
        ids.retain(|id| filter.incident.as_ref().is_none_or(|wanted| wanted == id));
        incidents = Some(ids);
    }
    let wanted = Wanted { before, incidents, kind: filter.kind.clone() };
    Ok(flow.journal.newest(&wanted, limit.min(ENTRIES_MAX)).await?)
}

/// Checks the whole chain, after whoever wants the same.
///
/// # Errors
/// Where the journal cannot be read.
pub(crate) async fn verification(flow: &Flow) -> Result<Verification, EngineError> {
    // It is never closed.
    let _turn = CHECKS.acquire().await.ok();
    Ok(flow.journal.verify().await?)
}
