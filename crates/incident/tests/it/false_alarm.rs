//! Tests a disk that fails in the very end of a write: the entry is there, and counts as failed.

use std::sync::Arc;
use std::sync::Mutex;

use incident::{Answered, Incident, Record, State, Store};
use journal::{Draft, Entry, Journal};

use crate::stage::{Stage, fired};
use crate::world::{RETRY_AFTER, START_MS};

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

/// A yes whose attempt never began is still only a yes to how things stood then.
#[tokio::test]
async fn a_restart_by_hand_voids_a_yes_whose_intent_counted_as_failed() {
    let stage = Stage::new(
        "1. **Restart**\n\n   ```bash {approve=always}\n   paramedic server restart \"$SERVER_NAME\"\n   ```\n",
    );
    let kind = Arc::new(Mutex::new("intent"));
    let journal = Journal::open(stage.database(), "host-a").await.unwrap();
    let life = stage.open_over(journal, |journal| Doubtful { journal, kind: Arc::clone(&kind) }).await;
    let id = life.fire().await;
    life.yes(&id, "1.1").await;
    life.world.stuck(1).await;
    let (server, by, key) = ("time".to_owned(), "ada".to_owned(), "by hand".to_owned());
    let restarted = Record::Restarted { server, by, key, pid: Some(7), start_ms: None, problem: None };
    life.engine.note_restart(restarted).await.unwrap();
    life.world.advance(RETRY_AFTER);

    let asked_again = |one: &Incident| one.open_questions().next().is_some();
    let incident = life.until(&id, asked_again).await;
    let intents = incident.timeline.iter().filter(|(_, one)| matches!(one, Record::Intent { .. })).count();
    assert_eq!((intents, life.world.state().runs.len()), (1, 0));
    life.world.state().problem = None;
    life.yes(&id, "1.1").await;
    life.until(&id, |one| one.state == State::Mitigated).await;
    assert_eq!(life.world.state().runs.len(), 1);
    life.check_invariants().await;
}
