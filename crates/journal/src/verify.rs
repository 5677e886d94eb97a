//! Owns the check of the whole chain: the first entry that is missing, changed or out of place.

use std::fmt::{self, Display, Formatter};

use serde::Serialize;

use crate::store::Stored;
use crate::{Digest, Error, Journal};

/// Entries read at once: a bound on memory of 100 times the longest body.
const CHUNK: u32 = 100;

/// What the check of a journal found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Verification {
    /// How many entries are whole and in their place, counted from the first.
    pub entries: u64,
    /// The first one that is not.
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
    /// It is missing, or has a place that no entry has.
    SequenceGap,
}

// === impl Journal ===

impl Journal {
    /// Checks every entry and stops at the first broken one. Entries appended meanwhile are checked too.
    ///
    /// # Errors
    ///
    /// The journal cannot be read.
    pub async fn verify(&self) -> Result<Verification, Error> {
        let mut entries = 0;
        let mut newest = (0, Digest::ZERO);
        let mut after = i64::MIN;
        loop {
            let chunk = self.stored_after(after, CHUNK).await?;
            let Some(last) = chunk.last() else {
                return Ok(Verification { entries, broken: None });
            };
            after = last.seq;
            for row in &chunk {
                match follow(newest, row) {
                    Ok(digest) => newest = (row.seq, digest),
                    Err(broken) => return Ok(Verification { entries, broken: Some(broken) }),
                }
                entries += 1;
            }
        }
    }
}

// === impl Broken ===

impl Display for Broken {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.reason {
            Reason::DigestMismatch => write!(f, "entry {} was changed: its digest does not match", self.seq),
            Reason::ChainGap => write!(f, "entry {} does not follow the one before it", self.seq),
            Reason::SequenceGap => write!(f, "entry {} is missing or out of place", self.seq),
        }
    }
}

/// Returns the digest of `row`, if it is whole and follows the entry before, given by place and digest.
fn follow((seq, digest): (i64, Digest), row: &Stored) -> Result<Digest, Broken> {
    let expected = seq + 1;
    if row.seq != expected {
        // A place below the expected one can only be below 1.
        return Err(Broken { seq: expected.min(row.seq), reason: Reason::SequenceGap });
    }
    let computed = row.computed_digest();
    if row.digest != computed.as_bytes() {
        return Err(Broken { seq: row.seq, reason: Reason::DigestMismatch });
    }
    if row.previous != digest.as_bytes() {
        return Err(Broken { seq: row.seq, reason: Reason::ChainGap });
    }
    Ok(computed)
}
