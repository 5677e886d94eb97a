//! Owns reading the journal backwards, from its newest entry, for whoever wants the last of some.

use crate::store::{ENTRIES_MAX, Stored};
use crate::{Entry, Error, Journal};

/// Which entries are wanted: those that are all of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Before this place; without it from the newest on.
    pub before: Option<i64>,
    /// Of these incidents.
    pub incidents: Option<Vec<String>>,
    /// Of this kind.
    pub kind: Option<String>,
}

// === impl Journal ===

impl Journal {
    /// Returns the entries that are wanted, the newest first, at most `limit` and never more than 10,000.
    ///
    /// # Errors
    ///
    /// The journal cannot be read, or one of the entries was tampered with.
    pub async fn newest(&self, wanted: &Wanted, limit: u32) -> Result<Vec<Entry>, Error> {
        let incidents =
            wanted.incidents.as_ref().map(|ids| serde_json::Value::from(ids.as_slice()).to_string());
        let rows: Vec<Stored> = sqlx::query_as(
            "SELECT * FROM entry
             WHERE seq < ?1 AND (?2 IS NULL OR incident IN (SELECT value FROM json_each(?2))) AND (?3 IS NULL OR kind = ?3)
             ORDER BY seq DESC LIMIT ?4",
        )
        .bind(wanted.before.unwrap_or(i64::MAX))
        .bind(incidents)
        .bind(wanted.kind.as_deref())
        .bind(limit.min(ENTRIES_MAX))
        .fetch_all(&self.readers)
        .await
        .map_err(|source| self.unread(source))?;
        rows.into_iter().map(|row| self.entry(row)).collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::Draft;

    #[tokio::test]
    async fn the_last_of_some_come_first() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::open(folder.path().join("journal.db"), "host").await.unwrap();
        for (number, (incident, kind)) in
            [(Some("a"), "opened"), (None, "restarted"), (Some("b"), "opened"), (Some("a"), "closed")]
                .into_iter()
                .enumerate()
        {
            let (incident, kind) = (incident.map(str::to_owned), kind.to_owned());
            let draft = Draft { at_ms: 0, incident, kind, version: 1, body: json!({ "number": number }) };
            journal.append(draft).await.unwrap();
        }
        let check = async |before: Option<i64>,
                           incidents: Option<&[&str]>,
                           kind: Option<&str>,
                           limit,
                           expect: &[i64]| {
            let incidents = incidents.map(|ids| ids.iter().map(|&id| id.to_owned()).collect());
            let wanted = Wanted { before, incidents, kind: kind.map(str::to_owned) };
            let found = journal.newest(&wanted, limit).await.unwrap();
            assert_eq!(found.iter().map(|entry| entry.seq).collect::<Vec<_>>(), expect, "{wanted:?}");
        };
        check(None, None, None, 10, &[4, 3, 2, 1]).await;
        check(None, None, None, 2, &[4, 3]).await;
        check(Some(3), None, None, 10, &[2, 1]).await;
        check(None, Some(&["a"]), None, 10, &[4, 1]).await;
        check(None, Some(&["a", "b"]), Some("opened"), 10, &[3, 1]).await;
        check(None, Some(&[]), None, 10, &[]).await;
        check(None, None, Some("restarted"), 10, &[2]).await;
        check(Some(1), None, None, 10, &[]).await;
    }
}
