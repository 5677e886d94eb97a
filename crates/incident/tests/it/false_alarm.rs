//! Tests a disk that fails in the very end of a write: the entry is there, and counts as failed.

use std::sync::Arc;
use std::sync::Mutex;

use incident::{Answered, Incident, Store};
use journal::{Draft, Entry, Journal};

use crate::stage::{Stage, fired};
use crate::world::START_MS;

/// A journal that says once of an entry of this kind that it failed, and has written it.
struct Doubtful {
    journal: Journal,
    kind: Arc<Mutex<&'static str>>,
}

impl Store for Doubtful {
    fn append(&self, draft: Draft) -> Answered<'_, Entry> {
        Box::pin(async move {
            let kind = draft.kind.clone();
            let entry = self.journal.append(draft).await?;
            let mut doubted = self.kind.lock().unwrap();
            if *doubted == kind {
                *doubted = "";
                return Err(journal::Error::Busy { path: "journal.db".into() });
            }
            Ok(entry)
        })
    }

    fn entries_after(&self, seq: i64, limit: u32) -> Answered<'_, Vec<Entry>> {
        Box::pin(self.journal.entries_after(seq, limit))
    }
}

#[tokio::test]
async fn an_incident_whose_opening_counts_as_failed_is_carried_out_all_the_same() {
    let stage = Stage::new("1. **Look**\n\n   ```bash\n   echo looked\n   ```\n");
    stage.world.state().problem = None;
    let kind = Arc::new(Mutex::new("opened"));
    let journal = Journal::open(stage.database(), "host-a").await.unwrap();
    let life = stage.open_over(journal, |journal| Doubtful { journal, kind: Arc::clone(&kind) }).await;
    let alert = fired("time", START_MS);
    let opened = life.engine.fire(&alert).await.unwrap();
    // The alert still fires.
    let id = life.engine.fire(&alert).await.unwrap().unwrap();
    assert_eq!((opened, *kind.lock().unwrap()), (Some(id.clone()), ""));
    assert_eq!(life.engine.incidents().await.unwrap().len(), 1);
    life.alert_over().await;
    life.until(&id, Incident::is_reported).await;
}
