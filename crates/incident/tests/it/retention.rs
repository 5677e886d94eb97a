//! Tests keeping within a budget: what is over goes, oldest first; what is open, too young or waited for stays.

use incident::{IncidentId, Kept, Word};
use journal::Retention;

use crate::stage::{Life, Stage, fired};
use crate::world::START_MS;

const STEPS: &str = "1. **Look**\n\n   ```bash\n   echo looked\n   ```\n";

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// An incident of a server that comes to its end.
async fn over(stage: &Stage, life: &Life, server: &str) -> IncidentId {
    stage.world.state().problem = None;
    let id = life.engine.fire(&fired(server, START_MS)).await.unwrap().unwrap();
    life.resolved(&id).await;
    id
}

/// Later than everything, the files on the disk included.
const LATER_MS: i64 = START_MS + 36_500 * DAY_MS;

#[tokio::test]
async fn what_is_over_goes_and_the_rest_stays() {
    let stage = Stage::new(STEPS);
    let life = stage.open().await;
    let first = over(&stage, &life, "a").await;
    let second = over(&stage, &life, "b").await;
    let word = Word::FollowUp { text: "write it up".to_owned() };
    life.engine.say(&second, "ada", word).await.unwrap();
    stage.world.state().problem = Some("connection refused".to_owned());
    let third = life.engine.fire(&fired("c", START_MS)).await.unwrap().unwrap();
    life.until(&third, |incident| incident.run == 1).await;

    let dir = stage.data_dir(&life);
    let retention = Retention { bytes_max: 0, keep_ms: DAY_MS };
    let young = Kept::look(&dir, retention, START_MS).await.unwrap();
    assert_eq!(young.plan.incidents, Vec::<String>::new(), "too young");
    let roomy = Kept::look(&dir, Retention { bytes_max: u64::MAX, ..retention }, LATER_MS).await.unwrap();
    assert_eq!(roomy.plan.incidents, Vec::<String>::new(), "there is room");
    let kept = Kept::look(&dir, Retention { keep_ms: 0, ..retention }, LATER_MS).await.unwrap();
    assert_eq!(kept.plan.incidents, [first.to_string()], "the second is waited for, the third is open");
    let freed = kept.carry_out(&dir, LATER_MS).await.unwrap().unwrap();
    assert!(freed.entries > 0 && freed.bytes > 0, "{freed:?}");

    assert!(stage.report(&first).is_none() && stage.report(&second).is_some());
    life.check_invariants().await;
    let next = stage.open().await;
    assert!(next.engine.incident(&first).await.is_err());
    assert!(next.engine.incident(&third).await.unwrap().state.is_open());
    let runbook = next.engine.incident(&third).await.unwrap().runbook.sha256;
    assert!(dir.blobs.read(runbook.parse().unwrap(), 1 << 20).is_ok(), "what is named stays");
}
