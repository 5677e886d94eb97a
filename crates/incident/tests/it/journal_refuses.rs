//! Tests a journal that takes no entries, as on a full disk: nothing is changed, the engine tries on, and says so.

use expect_test::expect;
use incident::EngineError;

use crate::said::said;
use crate::stage::{Stage, check_story, fired};
use crate::world::{RETRY_AFTER, Reply, START_MS};

const RESTART: &str = r#"paramedic server restart "$SERVER_NAME""#;

fn stage() -> Stage {
    let stage =
        Stage::new("1. **Restart**\n\n   ```bash\n   paramedic server restart \"$SERVER_NAME\"\n   ```\n");
    stage.world.reply(RESTART, Reply::exit(0).restarting());
    stage
}

#[tokio::test]
async fn without_an_intent_nothing_is_changed_and_the_engine_tries_on() {
    let stage = stage();
    let life = stage.open().await;
    stage.refuse("NEW.kind = 'intent'").await;

    let id = life.fire().await;
    for times in 1..=3 {
        life.world.stuck(times).await;
        assert_eq!(life.world.state().runs.len(), 0);
        life.world.advance(RETRY_AFTER);
    }
    let text = said();
    assert!(text.contains("cannot go on with the incident; looking again in 5 s"), "{text}");
    assert!(text.contains("the journal refused") && text.contains("the disk is full"), "{text}");

    life.world.stuck(4).await;
    stage.take_again().await;
    life.world.advance(RETRY_AFTER);
    check_story(
        &life.resolved(&id).await,
        expect![[r#"
        opened: time, server-down, time was killed by SIGKILL
        captured: host snapshot
        run 1
        step 1 Restart
           1.1 intent 1 (disrupt): paramedic server restart "$SERVER_NAME"
           1.1 outcome 1: code 0
        step 1 succeeded: 1 of 1 run
        verified: 3 probes, 200 ms
        mitigated
        alert resolved
        resolved
        reported
    "#]],
    );
    assert_eq!(life.world.executed(RESTART), 1);
    life.check_invariants().await;
}

/// The change is made and its outcome cannot be written: it is found out later, not done again.
#[tokio::test]
async fn without_an_outcome_nothing_is_changed_twice() {
    let stage = stage();
    let life = stage.open().await;
    stage.refuse("NEW.kind = 'outcome'").await;
    let id = life.fire().await;
    for times in 1..=2 {
        life.world.stuck(times).await;
        life.world.advance(RETRY_AFTER);
    }
    life.world.stuck(3).await;
    stage.take_again().await;
    life.world.advance(RETRY_AFTER);
    life.resolved(&id).await;
    assert_eq!(life.world.executed(RESTART), 1);
    life.check_invariants().await;
}

#[tokio::test]
async fn what_cannot_be_written_is_not_admitted() {
    let stage = stage();
    let life = stage.open().await;
    stage.refuse("true").await;
    let refused = life.engine.fire(&fired("time", START_MS)).await;
    assert!(matches!(refused, Err(EngineError::Journal(_))), "{refused:?}");
    assert!(life.engine.incidents().await.unwrap().is_empty());

    stage.take_again().await;
    let id = life.fire().await;
    life.resolved(&id).await;
}
