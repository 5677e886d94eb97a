//! Tests the whole walk: a process ends, the runbook is followed, the server is back, the report is written.

use expect_test::expect;
use incident::State;

use crate::stage::{Stage, check_story};
use crate::world::Reply;

const STEPS: &str = r#"
1. **Look**

   ```bash
   paramedic check "$SERVER_NAME" --type liveness
   echo "$SERVER_NAME is down"
   ```

2. **Restart**

   ```bash {verify="ready"}
   paramedic server restart "$SERVER_NAME"
   ```

3. **Look again**

   ```bash
   paramedic check "$SERVER_NAME" --type readiness
   ```
"#;

#[tokio::test]
async fn from_the_exit_to_the_report() {
    let stage = Stage::new(STEPS);
    let world = &stage.world;
    world.reply(r#"paramedic check "$SERVER_NAME" --type liveness"#, Reply::exit(1));
    world.reply(r#"echo "$SERVER_NAME is down""#, Reply::exit(0).printing("time is down\n"));
    world.reply(r#"paramedic server restart "$SERVER_NAME""#, Reply::exit(0).restarting());
    let life = stage.open().await;

    let id = life.fire().await;
    let incident = life.resolved(&id).await;

    check_story(
        &incident,
        expect![[r#"
            opened: time, server-down, time was killed by SIGKILL
            captured: host snapshot
            run 1
            step 1 Look
               1.1 intent 1 (observe): paramedic check "$SERVER_NAME" --type liveness
               1.1 outcome 1: code 1 (not healthy)
               1.2 intent 1 (observe): echo "$SERVER_NAME is down"
               1.2 outcome 1: code 0, printed "time is down\n"
            step 1 succeeded: 2 of 2 run
            step 2 Restart
               2.1 intent 1 (disrupt): paramedic server restart "$SERVER_NAME"
               2.1 outcome 1: code 0
               2.1 verified: ready
            step 2 succeeded: 1 of 1 run
            step 3 Look again
               3.1 intent 1 (observe): paramedic check "$SERVER_NAME" --type readiness
               3.1 outcome 1: code 0
            step 3 succeeded: 1 of 1 run
            verified: 3 probes, 200 ms
            mitigated
            alert resolved
            resolved
            reported
        "#]],
    );
    assert_eq!(incident.state, State::Resolved);
    assert_eq!(world.state().runs.len(), 4);
    life.check_invariants().await;

    let report = stage.report(&id).unwrap();
    for line in [
        "Recovery was verified: 3 good answers in a row over 200 ms, by one process.",
        "### 2. Restart: succeeded, 0 ms",
        "time is down",
    ] {
        assert!(report.contains(line), "{line} is not in {report}");
    }
}

#[tokio::test]
async fn the_feed_tells_what_the_journal_says() {
    let stage = Stage::new(STEPS);
    stage.world.state().problem = None;
    let life = stage.open().await;
    let mut feed = life.engine.feed();

    let id = life.fire().await;
    let incident = life.resolved(&id).await;

    for (at_ms, record) in &incident.timeline {
        let told = feed.try_recv().unwrap();
        assert_eq!((&told.incident, told.at_ms, &told.record), (&id, *at_ms, record));
    }
    assert!(feed.try_recv().is_err());
    let kinds: Vec<_> = incident.timeline.iter().map(|(_, record)| record.kind().to_owned()).collect();
    let entries = life.journal.of_incident(id.as_str()).await.unwrap();
    assert_eq!(entries.into_iter().map(|entry| entry.kind).collect::<Vec<_>>(), kinds);
}

#[tokio::test]
async fn what_a_person_types_finds_the_incident() {
    let stage = Stage::new(STEPS);
    let life = stage.open().await;
    let id = life.fire().await;
    assert_eq!(life.engine.find(id.as_str()).await.unwrap(), id);
    assert_eq!(life.engine.find("7f3a").await.unwrap(), id);
    assert!(life.engine.find("0000").await.is_err());
    life.engine.acknowledge(&id, "ada").await.unwrap();
    assert_eq!(life.incident(&id).await.acknowledged.unwrap().1, "ada");
}
