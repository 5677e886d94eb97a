//! Owns taking entries out of the journal, those of incidents and others, in a way that the chain can still be checked.
//!
//! `pruned.rs` says what is left in their place, and why that is sound. Statement and removal are one
//! transaction. The file shrinks with the next checkpoint; one that was created before schema 2 does not, and new
//! entries take the room.

use sqlx::SqliteConnection;

use crate::append::{self, insert};
use crate::pruned::{GAPS_MAX, Gap, KIND, Statement, VERSION};
use crate::schema::{ALLOW_DELETE, FORBID_DELETE};
use crate::store::head;
use crate::{Digest, Draft, Error, Journal, Plan, canonical};

/// Incidents removed in one transaction: others wait for it, and at most 5 seconds.
const INCIDENTS_MAX: usize = 100;

/// The same for entries without an incident.
const LOOSE_MAX: usize = 10_000;

/// Gaps of the journal once the entries of the incidents `?1` (a JSON array), the entries `?3` without an incident and
/// all statements are gone and there is an entry `?2` behind all others. What stays is said in the same words in
/// `DELETE`; neither asks an index, which might be damaged where the table is not.
const GAPS: &str = "
WITH kept (seq) AS (
    SELECT seq FROM entry WHERE CASE WHEN incident IS NULL THEN kind <> 'journal_pruned'
                                          AND seq NOT IN (SELECT value FROM json_each(?3))
                                     ELSE incident NOT IN (SELECT value FROM json_each(?1)) END
    UNION ALL SELECT ?2
), pair AS (SELECT lag(seq, 1, 0) OVER (ORDER BY seq) AS after, seq AS next FROM kept)
SELECT after, (SELECT digest FROM entry WHERE seq = after), next FROM pair WHERE next > after + 1";

/// Removes what `GAPS` did not count, before entry `?2`.
const DELETE: &str = "
DELETE FROM entry WHERE seq < ?2
AND NOT CASE WHEN incident IS NULL THEN kind <> 'journal_pruned'
                  AND seq NOT IN (SELECT value FROM json_each(?3))
             ELSE incident NOT IN (SELECT value FROM json_each(?1)) END";

/// What is removed together, as JSON arrays.
#[derive(Debug, Clone)]
struct Going {
    incidents: String,
    loose: String,
}

// === impl Going ===

impl Going {
    fn new(incidents: &[String], loose: &[i64]) -> Self {
        let array = |value: serde_json::Value| value.to_string();
        Self { incidents: array(incidents.into()), loose: array(loose.into()) }
    }

    /// What a plan says, in parts that do not keep others waiting for long.
    fn parts(plan: &Plan) -> impl Iterator<Item = Self> {
        let loose = plan.loose.chunks(LOOSE_MAX).map(|loose| Self::new(&[], loose));
        loose.chain(plan.incidents.chunks(INCIDENTS_MAX).map(|incidents| Self::new(incidents, &[])))
    }
}

// === impl Journal ===

impl Journal {
    /// Says whether what `plan` says may be removed now, before anything else of its incidents is.
    ///
    /// # Errors
    ///
    /// The chain is broken: a gap that nobody has stated must not be stated by the way. Or an incident has an
    /// entry after the newest that the plan knows.
    pub(crate) async fn check_prunable(&self, plan: &Plan) -> Result<(), Error> {
        let mut connection = self.readers.acquire().await.map_err(|source| self.unread(source))?;
        let all = Going::new(&plan.incidents, &plan.loose);
        if self.entries_of(&mut connection, &all, plan.newest).await? == 0 {
            return Ok(());
        }
        drop(connection);
        match self.verify().await?.broken {
            Some(broken) => Err(Error::Broken { path: self.path.to_path_buf(), broken }),
            None => Ok(()),
        }
    }

    /// Removes the entries that `plan` says, unless an incident of it has an entry after the newest that it knows;
    /// `check_prunable` has said yes before. Returns how many.
    ///
    /// # Errors
    ///
    /// An incident has got an entry, the disk is full, or the journal is held by another process. Up to 100
    /// incidents are removed together or not at all.
    pub(crate) async fn prune(&self, plan: &Plan, now_ms: i64) -> Result<u64, Error> {
        let (mut removed, newest) = (0, plan.newest);
        for going in Going::parts(plan) {
            let journal = self.clone();
            // A task of its own: whoever gives up waiting must not leave a transaction open.
            let done = tokio::spawn(async move { journal.prune_some(&going, newest, now_ms).await }).await;
            removed += done.map_err(|_| Error::append(&self.path, sqlx::Error::WorkerCrashed))??;
        }
        Ok(removed)
    }

    async fn prune_some(&self, going: &Going, newest: i64, now_ms: i64) -> Result<u64, Error> {
        let failed = |source| Error::append(&self.path, source);
        let mut connection = self.writer.acquire().await.map_err(failed)?;
        append::begin(&mut connection).await.map_err(failed)?;
        let removed = self.prune_within(&mut connection, going, newest, now_ms).await;
        append::end(&mut connection, removed, failed).await
    }

    async fn prune_within(
        &self,
        connection: &mut SqliteConnection,
        going: &Going,
        newest: i64,
        now_ms: i64,
    ) -> Result<u64, Error> {
        let failed = |source| Error::append(&self.path, source);
        let entries = self.entries_of(connection, going, newest).await?;
        if entries == 0 {
            return Ok(0);
        }
        let first = self.state_gaps(connection, going, now_ms).await?;
        sqlx::query(ALLOW_DELETE).execute(&mut *connection).await.map_err(failed)?;
        let delete = sqlx::query(DELETE).bind(&going.incidents).bind(first).bind(&going.loose);
        delete.execute(&mut *connection).await.map_err(failed)?;
        sqlx::query(FORBID_DELETE).execute(&mut *connection).await.map_err(failed)?;
        sqlx::query("PRAGMA incremental_vacuum").execute(connection).await.map_err(failed)?;
        Ok(entries)
    }

    /// Returns how many entries there are to be removed, if none of them came after `newest`.
    async fn entries_of(
        &self,
        connection: &mut SqliteConnection,
        going: &Going,
        newest: i64,
    ) -> Result<u64, Error> {
        let select = sqlx::query_as(
            "SELECT count(*), coalesce(sum(seq > ?), 0) FROM entry
             WHERE CASE WHEN incident IS NULL
                   THEN kind <> 'journal_pruned' AND seq IN (SELECT value FROM json_each(?))
                   ELSE incident IN (SELECT value FROM json_each(?)) END",
        );
        let counts =
            select.bind(newest).bind(&going.loose).bind(&going.incidents).fetch_one(connection).await;
        match counts.map_err(|source| self.unread(source))? {
            (entries, 0) => Ok(i64::unsigned_abs(entries)),
            (_, _) => Err(Error::Outdated { path: self.path.to_path_buf() }),
        }
    }

    /// Appends the statements; returns the place of the first.
    async fn state_gaps(
        &self,
        connection: &mut SqliteConnection,
        going: &Going,
        now_ms: i64,
    ) -> Result<i64, Error> {
        let failed = |source| Error::append(&self.path, source);
        let newest = head(connection).await.map_err(failed)?;
        let (first, mut previous) = append::next(&self.path, newest.as_ref())?;
        let gaps = sqlx::query_as(GAPS).bind(&going.incidents).bind(first).bind(&going.loose);
        let rows: Vec<(i64, Option<Vec<u8>>, i64)> =
            gaps.fetch_all(&mut *connection).await.map_err(failed)?;
        let gaps = rows.into_iter().map(|(after, digest, next)| {
            let digest = digest.map_or(Ok(Digest::ZERO), |bytes| Digest::try_from(&*bytes));
            let damaged = |_| Error::Damaged { path: self.path.to_path_buf(), seq: after };
            Ok(Gap { after, digest: digest.map_err(damaged)?, next })
        });
        let gaps = gaps.collect::<Result<Vec<_>, Error>>()?;
        for (seq, gaps) in (first..).zip(gaps.chunks(GAPS_MAX)) {
            let body = serde_json::json!(Statement { gaps: gaps.to_vec() });
            let text = canonical::text(&body).expect("a statement is three deep");
            let draft =
                Draft { at_ms: now_ms, incident: None, kind: KIND.to_owned(), version: VERSION, body };
            let entry = draft.into_entry(&text, &self.node, seq, previous);
            insert(connection, &entry, &text).await.map_err(failed)?;
            previous = entry.digest;
        }
        Ok(first)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::json;

    use crate::{Draft, Error, Journal, Plan};

    /// A plan by which the incident `gone` goes, with nothing newer than 200.
    fn gone() -> Plan {
        let (incidents, blobs, loose) = (vec!["gone".to_owned()], Vec::new(), Vec::new());
        Plan { incidents, blobs, loose, newest: 200, bytes_before: 0, bytes_after: 0 }
    }

    /// Returns a journal in which 100 entries of `gone` take turns with 100 of `open`, so many in a row.
    async fn turns(folder: &Path, in_a_row: usize) -> Journal {
        let journal = Journal::open(folder.join("journal.db"), "host-a").await.unwrap();
        for number in 0..200 {
            let incident = Some(["gone", "open"][number / in_a_row % 2].to_owned());
            let body = json!("x".repeat(500));
            let draft = Draft { at_ms: 0, incident, kind: "note".to_owned(), version: 1, body };
            journal.append(draft).await.unwrap();
        }
        journal
    }

    #[tokio::test]
    async fn the_room_goes_back_to_the_disk() {
        let folder = tempfile::tempdir().unwrap();
        let journal = turns(folder.path(), 50).await;
        let pages = async || -> (i64, i64) {
            let pages = "SELECT page_count, freelist_count FROM pragma_page_count, pragma_freelist_count";
            sqlx::query_as(pages).fetch_one(&journal.writer).await.unwrap()
        };
        let (before, _) = pages().await;
        assert_eq!(journal.prune(&gone(), 1).await.unwrap(), 100);
        let (after, free) = pages().await;
        assert!(after < before * 2 / 3 && free == 0, "{before} pages, then {after}, {free} of them free");
    }

    #[tokio::test]
    async fn a_removal_without_room_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let journal = turns(folder.path(), 1).await;
        let may_grow =
            async |pragma: &'static str| sqlx::query(pragma).execute(&journal.writer).await.unwrap();
        let before = journal.verify().await.unwrap();
        // As many as there are: the statement of 100 gaps has no room.
        may_grow("PRAGMA max_page_count = 1").await;
        let error = journal.prune(&gone(), 1).await.unwrap_err();
        assert!(matches!(error, Error::Full { .. }), "{error:?}");
        assert_eq!(journal.verify().await.unwrap(), before);
        let delete = sqlx::query("DELETE FROM entry").execute(&journal.writer).await.unwrap_err();
        assert!(delete.to_string().contains("append-only"), "{delete}");

        may_grow("PRAGMA max_page_count = 1000").await;
        assert_eq!(journal.prune(&gone(), 1).await.unwrap(), 100);
        let after = journal.verify().await.unwrap();
        assert_eq!((after.entries, after.pruned, after.broken), (101, 100, None));
    }
}
