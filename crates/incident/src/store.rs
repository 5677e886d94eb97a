//! Owns what the engine needs of a journal: to append durably, and to read on. Tests bring one that fails when they like.

use std::pin::Pin;

use journal::{Draft, Entry, Journal, Removed};

/// What a journal answers some time.
pub type Answered<'a, T> = Pin<Box<dyn Future<Output = Result<T, journal::Error>> + Send + 'a>>;

/// A journal as the engine sees it; what is asked of it is what [`Journal`] promises.
pub trait Store: Send + Sync + 'static {
    /// Appends one entry. It is on disk, and part of the chain, when this returns.
    fn append(&self, draft: Draft) -> Answered<'_, Entry>;

    /// The entries with a greater `seq`, oldest first, at most `limit`.
    fn entries_after(&self, seq: i64, limit: u32) -> Answered<'_, Vec<Entry>>;

    /// What was removed behind the first entry of an incident, to save room.
    fn removed_within<'a>(&'a self, _incident: &'a str) -> Answered<'a, Vec<Removed>> {
        Box::pin(async { Ok(Vec::new()) })
    }
}

impl Store for Journal {
    fn append(&self, draft: Draft) -> Answered<'_, Entry> {
        Box::pin(self.append(draft))
    }

    fn entries_after(&self, seq: i64, limit: u32) -> Answered<'_, Vec<Entry>> {
        Box::pin(self.entries_after(seq, limit))
    }

    fn removed_within<'a>(&'a self, incident: &'a str) -> Answered<'a, Vec<Removed>> {
        Box::pin(self.removed_within(incident))
    }
}
