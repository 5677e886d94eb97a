//! Owns the check of the whole chain: the first entry that is missing, changed or out of place.

use std::collections::BTreeSet;
use std::fmt::{self, Display, Formatter};

use serde::Serialize;
use sqlx::{Connection, SqliteConnection};

use crate::pruned::{self, Gap};
use crate::store::{Stored, rows_from};
use crate::{Digest, Error, Journal, code};

/// Entries read at once: a bound on memory of 100 times the longest body.
const CHUNK: u32 = 100;

/// What the check of a journal found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Verification {
    /// How many entries are there, whole and in their place, before the first that is not.
    pub entries: u64,
    /// How many entries were removed between those, as the journal itself states.
    pub pruned: u64,
    /// The first one that is not whole and in its place.
    pub broken: Option<Broken>,
}

/// The place where a chain breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Broken {
    /// The entry: the missing one for a gap in the sequence.
    pub seq: i64,
    /// What is wrong with it.
    pub reason: Reason,
}

/// What is wrong with an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Its digest is not the one of its fields: a field or the digest was changed.
    DigestMismatch,
    /// It does not name the digest of the entry before: one of the two was replaced as a whole.
    ChainGap,
    /// It is missing and nothing states that it was removed, or it has a place that no entry has.
    SequenceGap,
    /// It cannot be read: a part of the file is damaged. Perhaps it is not the entry itself.
    Unreadable,
}

/// The way along the chain: the newest entry so far, by place and digest, and what was found.
struct Walk {
    stated: BTreeSet<Gap>,
    newest: (i64, Digest),
    found: Verification,
}

// === impl Journal ===

impl Journal {
    /// Checks every entry of this moment, oldest first, and stops at the first broken one.
    ///
    /// # Errors
    ///
    /// The journal cannot be read, for another reason than that it is damaged.
    pub async fn verify(&self) -> Result<Verification, Error> {
        let mut connection = self.readers.acquire().await.map_err(|source| self.unread(source))?;
        // One moment: entries that are removed meanwhile would look like missing ones.
        let mut moment = connection.begin().await.map_err(|source| self.unread(source))?;
        verify(&mut moment).await.map_err(|source| self.unread(source))
    }
}

// === impl Walk ===

impl Walk {
    /// Takes in the next row, if it is whole and in its place.
    fn follow(&mut self, row: &Stored) -> Result<(), Broken> {
        let (seq, digest) = self.newest;
        let is_next = row.seq.checked_sub(1) == Some(seq);
        let is_stated = || self.stated.contains(&Gap { after: seq, digest, next: row.seq });
        // Rows of a damaged page may come in any order.
        if row.seq <= seq || !(is_next || is_stated()) {
            // The place that is missing; or, at the beginning, one that no entry has.
            let seq = if seq == 0 { row.seq.min(1) } else { seq.saturating_add(1) };
            return Err(Broken { seq, reason: Reason::SequenceGap });
        }
        let computed = row.computed_digest();
        if row.digest != computed.as_bytes() {
            return Err(Broken { seq: row.seq, reason: Reason::DigestMismatch });
        }
        if is_next && row.previous != digest.as_bytes() {
            return Err(Broken { seq: row.seq, reason: Reason::ChainGap });
        }
        self.newest = (row.seq, computed);
        self.found.entries += 1;
        self.found.pruned += (row.seq - seq - 1).unsigned_abs();
        Ok(())
    }

    fn broken(self, broken: Broken) -> Verification {
        Verification { broken: Some(broken), ..self.found }
    }
}

// === impl Broken ===

impl Display for Broken {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.reason {
            Reason::DigestMismatch => write!(f, "entry {} was changed: its digest does not match", self.seq),
            Reason::ChainGap => write!(f, "entry {} does not follow the one before it", self.seq),
            Reason::SequenceGap => write!(f, "entry {} is missing or out of place", self.seq),
            Reason::Unreadable => write!(f, "entry {} cannot be read: the file is damaged", self.seq),
        }
    }
}

/// Checks a whole chain. The connection stays in one moment for as long, or nobody else writes.
pub(crate) async fn verify(connection: &mut SqliteConnection) -> Result<Verification, sqlx::Error> {
    let stated = pruned::stated(connection).await?;
    let mut walk = Walk { stated, newest: (0, Digest::ZERO), found: Verification::default() };
    let (mut from, mut limit) = (i64::MIN, CHUNK);
    loop {
        let rows = match rows_from(connection, from, limit).await {
            // From here one by one, to get as far as one can.
            Err(error) if code::is_damage(&error) && limit > 1 => {
                limit = 1;
                continue;
            }
            Err(error) if code::is_damage(&error) => {
                let seq = walk.newest.0.saturating_add(1);
                return Ok(walk.broken(Broken { seq, reason: Reason::Unreadable }));
            }
            rows => rows?,
        };
        for row in &rows {
            if let Err(broken) = walk.follow(row) {
                return Ok(walk.broken(broken));
            }
        }
        match rows.last().and_then(|last| last.seq.checked_add(1)) {
            Some(next) => from = next,
            None => return Ok(walk.found),
        }
    }
}
