//! Owns what the journal says of the entries that were removed from it, so that the chain can still be checked.
//!
//! # The statement, format 1, frozen
//!
//! An entry of the kind `journal_pruned` and version 1, without an incident, has the body
//! `{"gaps":[{"after":4,"digest":"…","next":9}]}`: between entry 4, whose digest is given, and entry 9, entries
//! were removed. `after` 0 with a digest of zeros stands for the beginning. The statements of the newest
//! removal name every gap that there is; those of earlier ones are removed with it.
//!
//! # Why this is sound
//!
//! Within a run of entries without a gap, each holds the digest of the one before, so the last one stands for
//! all of them. Behind the last gap stand its statements and the newest entry. The newest entry therefore
//! stands for the statements, they for the digest of the last entry before each gap, and that one for its own
//! run. Whoever changes anything that is left changes the digest of the newest entry. Removing entries and
//! stating it is the one thing that anybody can do who can write to the journal; [`crate::Verification`] says
//! how many are gone.
//!
//! # Why not otherwise
//!
//! - Removing only from the front, up to the first entry that must stay, needs one statement with one place.
//!   One incident that nobody closes would then keep every later one for ever, and the budget with it.
//! - Emptying the bodies and keeping the rows leaves entries whose digest nobody can check, and rows that stay
//!   for ever.
//!
//! Entries without an incident are kept unless whoever wrote them says that they no longer matter.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use sqlx::SqliteConnection;

use crate::{Digest, code};

/// The kind of a statement: no caller may append it.
pub(crate) const KIND: &str = "journal_pruned";

/// The version of the form above.
pub(crate) const VERSION: u32 = 1;

/// The most gaps in one entry: about 120 bytes each, far below the longest body.
pub(crate) const GAPS_MAX: usize = 1000;

/// A place where entries were removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Gap {
    /// The last entry before it.
    pub(crate) after: i64,
    /// That entry's digest.
    pub(crate) digest: Digest,
    /// The first entry behind it.
    pub(crate) next: i64,
}

/// The body of a statement.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Statement {
    pub(crate) gaps: Vec<Gap>,
}

/// Returns every gap that the journal states. What no statement can be read from states nothing.
pub(crate) async fn stated(connection: &mut SqliteConnection) -> Result<BTreeSet<Gap>, sqlx::Error> {
    let select = sqlx::query_scalar(
        "SELECT body FROM entry WHERE kind = 'journal_pruned' AND incident IS NULL AND version = 1",
    );
    let bodies: Vec<Vec<u8>> = match select.fetch_all(connection).await {
        Err(error) if code::is_damage(&error) => Vec::new(),
        bodies => bodies?,
    };
    let statements = bodies.iter().filter_map(|body| serde_json::from_slice::<Statement>(body).ok());
    Ok(statements.flat_map(|statement| statement.gaps).collect())
}
