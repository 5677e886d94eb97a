//! Tests keeping within a budget: what is over goes, oldest first; what is open, too young or waited for stays.

use std::collections::BTreeMap;

use incident::{Heard, HeardState, IncidentId, Kept, Verdict, Word};
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

fn heard(name: &str, state: HeardState, at_ms: i64) -> Heard {
    Heard {
        name: name.to_owned(),
        server: "a".to_owned(),
        fingerprint: name.to_owned(),
        state,
        started_ms: at_ms,
        start_guessed: false,
        ended_ms: (state == HeardState::Resolved).then_some(at_ms),
        labels: BTreeMap::new(),
        annotations: BTreeMap::new(),
    }
}

#[tokio::test]
async fn alerts_of_other_systems_that_are_over_go_and_replays_of_them_do_nothing() {
    use HeardState::{Firing, Resolved};
    let stage = Stage::new(STEPS);
    let life = stage.open().await;
    let hear = async |life: &Life, all: &[Heard]| life.engine.hear("alertmanager", all).await.unwrap();
    let (stands, over) = (heard("Stands", Firing, START_MS), heard("Over", Firing, START_MS));
    for all in [vec![stands.clone()], vec![over.clone()], vec![heard("Over", Resolved, START_MS)]] {
        assert_eq!(hear(&life, &all).await, [Verdict::News]);
    }
    let dir = stage.data_dir(&life);
    let give_up = async |keep_ms, now_ms| {
        let kept = Kept::look(&dir, Retention { bytes_max: 0, keep_ms }, now_ms).await.unwrap();
        kept.carry_out(&dir, now_ms).await.unwrap().map_or(0, |freed| freed.entries)
    };
    assert_eq!(give_up(DAY_MS, START_MS).await, 0, "too young");
    assert_eq!(give_up(DAY_MS, START_MS + 2 * DAY_MS).await, 2);
    assert_eq!(give_up(DAY_MS, START_MS + 3 * DAY_MS).await, 0, "what stands is needed");
    // In this life and in the next, one stands, the other is over, and nothing of it is written once more.
    for life in [&life, &stage.open().await] {
        let standing: Vec<String> = life.engine.heard().await.into_iter().map(|one| one.heard.name).collect();
        assert_eq!(standing, ["Stands"]);
        let replayed = [stands.clone(), over.clone(), heard("Over", Resolved, START_MS)];
        assert_eq!(hear(life, &replayed).await, [Verdict::Known, Verdict::Old, Verdict::Known]);
    }
    assert_eq!(dir.journal.verify().await.unwrap().broken, None);
    // It is back: that is news, and its end is another record that goes one day.
    let later_ms = START_MS + 4 * DAY_MS;
    let life = stage.open().await;
    assert_eq!(
        hear(&life, &[heard("Over", Firing, later_ms), heard("Stands", Resolved, later_ms)]).await,
        [Verdict::News; 2]
    );
    assert_eq!(hear(&life, &[heard("Over", Resolved, later_ms)]).await, [Verdict::News]);
    assert_eq!(give_up(DAY_MS, later_ms + 36_000 * DAY_MS).await, 4, "and what was said of earlier ones");
    assert!(stage.open().await.engine.heard().await.is_empty());
}
