//! Owns the question which entries were removed in between those of an incident, as the journal itself states.

use serde::Serialize;

use crate::{Error, Journal, pruned};

/// Entries that were removed, from the first to the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Removed {
    /// The first one's place.
    pub first: i64,
    /// The last one's place.
    pub last: i64,
}

// === impl Journal ===

impl Journal {
    /// Returns what was removed between the first and the newest entry of an incident, oldest first.
    ///
    /// # Errors
    ///
    /// The journal cannot be read.
    pub async fn removed_within(&self, incident: &str) -> Result<Vec<Removed>, Error> {
        let mut connection = self.readers.acquire().await.map_err(|source| self.unread(source))?;
        let ends: (Option<i64>, Option<i64>) =
            sqlx::query_as("SELECT min(seq), max(seq) FROM entry WHERE incident = ?")
                .bind(incident)
                .fetch_one(&mut *connection)
                .await
                .map_err(|source| self.unread(source))?;
        let (Some(first), Some(last)) = ends else { return Ok(Vec::new()) };
        let stated = pruned::stated(&mut connection).await.map_err(|source| self.unread(source))?;
        let within = stated.into_iter().filter(|gap| gap.after >= first && gap.next <= last);
        Ok(within.map(|gap| Removed { first: gap.after + 1, last: gap.next - 1 }).collect())
    }
}
