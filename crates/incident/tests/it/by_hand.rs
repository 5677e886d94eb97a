//! Tests a person who follows the runbook by hand: asked before every change, closed at the end, and nobody else's business.

use expect_test::expect;
use incident::{Incident, Mode, State};

use crate::stage::{Stage, check_story, fired};
use crate::world::START_MS;

const RESTART: &str = r#"paramedic server restart "$SERVER_NAME""#;

fn stage() -> Stage {
    let stage = Stage::new(
        r#"
1. **Look**

   ```bash
   echo looked
   ```

2. **Restart**

   ```bash
   paramedic server restart "$SERVER_NAME"
   ```
"#,
    );
    let mut state = stage.world.state();
    state.policy.mode = Mode::Suggest;
    state.policy.runs_max = 1;
    drop(state);
    stage.by_hand()
}

#[tokio::test]
async fn it_ends_with_the_procedure_and_has_a_report() {
    let stage = stage();
    let life = stage.open().await;
    let id = life.engine.open_by_hand("time", &stage.book, "server-down", "ada").await.unwrap();
    life.yes(&id, "2.1").await;
    let incident = life.until(&id, Incident::is_reported).await;
    check_story(
        &incident,
        expect![[r#"
        opened: time, server-down, ada follows the runbook by hand
        captured: host snapshot
        run 1
        step 1 Look
           1.1 intent 1 (observe): echo looked
           1.1 outcome 1: code 0
        step 1 succeeded: 1 of 1 run
        step 2 Restart
           2.1 asks (disrupt): the mode is `suggest`, and its effect is disrupt (`paramedic server restart` stops the server and starts it again)
           2.1 approved by ada
           2.1 intent 1 (disrupt): paramedic server restart "$SERVER_NAME"
           2.1 outcome 1: code 0
        step 2 succeeded: 1 of 1 run
        closed by the procedure: the procedure was followed to its end
        reported
    "#]],
    );
    assert_eq!(incident.state, State::Closed);
    assert_eq!(life.world.executed(RESTART), 1);
    assert!(stage.report(&id).unwrap().contains("ada follows the runbook by hand"));
    life.check_invariants().await;
}

#[tokio::test]
async fn a_no_ends_it_as_well() {
    let stage = stage();
    let life = stage.open().await;
    let id = life.engine.open_by_hand("time", &stage.book, "server-down", "ada").await.unwrap();
    life.no(&id, "2.1").await;
    let incident = life.until(&id, Incident::is_reported).await;
    check_story(
        &incident,
        expect![[r#"
        opened: time, server-down, ada follows the runbook by hand
        captured: host snapshot
        run 1
        step 1 Look
           1.1 intent 1 (observe): echo looked
           1.1 outcome 1: code 0
        step 1 succeeded: 1 of 1 run
        step 2 Restart
           2.1 asks (disrupt): the mode is `suggest`, and its effect is disrupt (`paramedic server restart` stops the server and starts it again)
           2.1 rejected by ada: not now
        step 2 failed: 2.1: not now
        closed by the procedure: stopped: 2.1: not now
        reported
    "#]],
    );
    assert_eq!((incident.state, life.world.executed(RESTART)), (State::Closed, 0));
}

/// A person follows the runbook while `serve` runs on the same journal: each walks its own incident.
#[tokio::test]
async fn the_machine_does_not_walk_a_persons_incident() {
    let stage = stage();
    let hand = stage.open().await;
    let theirs = hand.engine.open_by_hand("time", &stage.book, "server-down", "ada").await.unwrap();
    hand.asked(&theirs).await;

    let machine = stage.open().await;
    machine.engine.resume().await;
    machine.engine.exited("time", &crate::stage::alarm("time", START_MS)).await.unwrap();
    let ours = machine.engine.fire(&fired("time", START_MS)).await.unwrap().unwrap();
    assert_ne!(ours, theirs);
    machine.asked(&ours).await;

    hand.yes(&theirs, "2.1").await;
    let incident = hand.until(&theirs, Incident::is_reported).await;
    assert!(incident.timeline.iter().all(|(_, record)| record.kind() != "seen_again"));
    assert_eq!(machine.world.executed("echo looked"), 2);
    assert_eq!(machine.world.executed(RESTART), 1);
}
