//! Tests unexpected ends: a finding where a step only looks, the end of the run where it changes, and a person after the last run.

use std::path::Path;
use std::time::Duration;

use expect_test::expect;
use incident::Incident;
use runner::End;

use crate::stage::{Stage, check_story};
use crate::world::Reply;

const STEPS: &str = r#"
1. **Look**

   ```bash
   cat /proc/loadavg
   echo looked
   ```

2. **Clear**

   ```bash
   paramedic server clear-cache "$SERVER_NAME"
   paramedic server restart "$SERVER_NAME"
   ```

3. **Look again**

   ```bash
   echo "looked again"
   ```
"#;

const LOAD: &str = "cat /proc/loadavg";
const CLEAR: &str = r#"paramedic server clear-cache "$SERVER_NAME""#;
const RESTART: &str = r#"paramedic server restart "$SERVER_NAME""#;

#[tokio::test]
async fn where_a_step_only_looks_it_is_a_finding_and_the_walk_goes_on() {
    let stage = Stage::new(STEPS);
    stage.world.state().problem = None;
    stage.world.reply(LOAD, Reply::exit(2));
    let life = stage.open().await;
    let id = life.fire().await;
    check_story(
        &life.resolved(&id).await,
        expect![[r#"
        opened: time, server-down, time was killed by SIGKILL
        captured: host snapshot
        run 1
        step 1 Look
           1.1 intent 1 (observe): cat /proc/loadavg
           1.1 outcome 1: code 2
           1.2 skipped: the unit before it ended unexpectedly: exited with code 2
        step 1 failed: 1.1: exited with code 2
        step 2 Clear
           2.1 intent 1 (change): paramedic server clear-cache "$SERVER_NAME"
           2.1 outcome 1: code 0
           2.2 intent 1 (disrupt): paramedic server restart "$SERVER_NAME"
           2.2 outcome 1: code 0
        step 2 succeeded: 2 of 2 run
        step 3 Look again
           3.1 intent 1 (observe): echo "looked again"
           3.1 outcome 1: code 0
        step 3 succeeded: 1 of 1 run
        verified: 3 probes, 200 ms
        mitigated
        alert resolved
        resolved
        reported
    "#]],
    );
}

#[tokio::test]
async fn where_a_step_changes_it_ends_the_run_and_after_the_last_a_person_is_asked() {
    let stage = Stage::new(STEPS);
    stage.world.reply(CLEAR, Reply::exit(1));
    stage.world.reply(CLEAR, Reply::of(End::Signaled(9)));
    let life = stage.open().await;
    let id = life.fire().await;
    check_story(
        &life.person_needed(&id).await,
        expect![[r#"
        opened: time, server-down, time was killed by SIGKILL
        captured: host snapshot
        run 1
        step 1 Look
           1.1 intent 1 (observe): cat /proc/loadavg
           1.1 outcome 1: code 0
           1.2 intent 1 (observe): echo looked
           1.2 outcome 1: code 0
        step 1 succeeded: 2 of 2 run
        step 2 Clear
           2.1 intent 1 (change): paramedic server clear-cache "$SERVER_NAME"
           2.1 outcome 1: code 1
           2.2 skipped: the unit before it ended unexpectedly: exited with code 1
        step 2 failed: 2.1: exited with code 1
        not verified: 2.1: exited with code 1
        run 2
        step 1 Look
           1.1 intent 1 (observe): cat /proc/loadavg
           1.1 outcome 1: code 0
           1.2 intent 1 (observe): echo looked
           1.2 outcome 1: code 0
        step 1 succeeded: 2 of 2 run
        step 2 Clear
           2.1 intent 1 (change): paramedic server clear-cache "$SERVER_NAME"
           2.1 outcome 1: signal 9
           2.2 skipped: the unit before it ended unexpectedly: ended by signal 9
        step 2 failed: 2.1: ended by signal 9
        not verified: 2.1: ended by signal 9
        person needed: 2 run(s) of the procedure did not help for good: 2.1: ended by signal 9
    "#]],
    );
    assert_eq!((life.world.executed(CLEAR), life.world.executed(RESTART)), (2, 0));
    life.check_invariants().await;
}

#[tokio::test]
async fn the_second_run_may_help() {
    let stage = Stage::new(STEPS);
    stage.world.reply(CLEAR, Reply::of(End::TimedOut));
    stage.world.reply(RESTART, Reply::exit(0).restarting());
    let life = stage.open().await;
    let id = life.fire().await;
    let incident = life.resolved(&id).await;
    assert_eq!(incident.run, 2);
    assert_eq!((life.world.executed(CLEAR), life.world.executed(RESTART)), (2, 1));
}

#[tokio::test]
async fn a_server_that_does_not_come_back_is_for_a_person() {
    let stage = Stage::new(STEPS);
    let life = stage.open().await;
    let id = life.fire().await;
    let incident = life.person_needed(&id).await;
    assert_eq!(
        incident.person_needed.as_deref(),
        Some(
            "2 run(s) of the procedure did not help for good: no 3 good answers in a row within 1 s: connection refused"
        )
    );
    assert_eq!(life.world.executed(RESTART), 2);
}

/// The alert is over and the server does not answer: it is looked at on and on, and written down once.
#[tokio::test]
async fn a_server_that_does_not_answer_after_its_alert_is_looked_at_until_it_does() {
    let stage = Stage::new(STEPS);
    stage.world.state().policy.runs_max = 1;
    let life = stage.open().await;
    let id = life.fire().await;
    life.person_needed(&id).await;
    life.alert_over().await;
    life.world.passed(Duration::from_secs(60)).await;
    let records = life.incident(&id).await.timeline.len();
    life.world.passed(Duration::from_secs(60)).await;
    assert_eq!(life.incident(&id).await.timeline.len(), records);

    life.world.state().problem = None;
    life.until(&id, Incident::is_reported).await;
}

#[tokio::test]
async fn each_unit_goes_on_from_the_shell_state_of_the_one_before() {
    let stage = Stage::new(STEPS);
    stage.world.state().problem = None;
    let life = stage.open().await;
    let id = life.fire().await;
    let incident = life.resolved(&id).await;
    let folders = incident.units.values().map(|view| view.intent.as_ref().unwrap().folder.clone());
    let folders: Vec<String> = folders.collect();
    let runs = life.world.state().runs.clone();
    assert_eq!(runs[0].state_before, None);
    for (run, before) in runs[1..].iter().zip(&folders) {
        assert_eq!(run.state_before.as_deref(), Some(Path::new(before).join("state").as_path()));
    }
}

/// A statement that sets a variable and is cut short leaves no state, and nothing goes on from an older one.
#[tokio::test]
async fn nothing_goes_on_from_a_stale_state() {
    let stage = Stage::new(
        r#"
1. **Choose**

   ```bash
   shard=seven
   ```

2. **Look**

   ```bash
   echo "$shard"
   ```

3. **Clear**

   ```bash
   paramedic server clear-cache "$shard"
   ```
"#,
    );
    stage.world.state().policy.runs_max = 1;
    stage.world.reply("shard=seven", Reply::of(End::TimedOut));
    let life = stage.open().await;
    let id = life.fire().await;
    check_story(
        &life.person_needed(&id).await,
        expect![[r#"
        opened: time, server-down, time was killed by SIGKILL
        captured: host snapshot
        run 1
        step 1 Choose
           1.1 intent 1 (observe): shard=seven
           1.1 outcome 1: timed out
        step 1 failed: 1.1: ran out of time
        step 2 Look
        step 2 failed: 2.1: unit 1.1 left no shell state, and nothing goes on from a stale one
        step 3 Clear
        step 3 failed: 3.1: unit 1.1 left no shell state, and nothing goes on from a stale one
        not verified: 3.1: unit 1.1 left no shell state, and nothing goes on from a stale one
        person needed: 1 run(s) of the procedure did not help for good: 3.1: unit 1.1 left no shell state, and nothing goes on from a stale one
    "#]],
    );
    assert_eq!(life.world.state().runs.len(), 1);
}

/// A step that looks and changes: a finding in the one does not end the other, nor the walk.
#[tokio::test]
async fn a_finding_beside_a_change_ends_nothing() {
    let stage = Stage::new(
        r#"
1. **Look and clear**

   ```bash
   cat /proc/loadavg
   ```

   ```bash
   paramedic server clear-cache "$SERVER_NAME"
   ```

2. **Restart**

   ```bash
   paramedic server restart "$SERVER_NAME"
   ```
"#,
    );
    stage.world.state().problem = None;
    stage.world.reply(LOAD, Reply::exit(2));
    let life = stage.open().await;
    let id = life.fire().await;
    check_story(
        &life.resolved(&id).await,
        expect![[r#"
        opened: time, server-down, time was killed by SIGKILL
        captured: host snapshot
        run 1
        step 1 Look and clear
           1.1 intent 1 (observe): cat /proc/loadavg
           1.1 outcome 1: code 2
           1.2 intent 1 (change): paramedic server clear-cache "$SERVER_NAME"
           1.2 outcome 1: code 0
        step 1 failed: 1.1: exited with code 2
        step 2 Restart
           2.1 intent 1 (disrupt): paramedic server restart "$SERVER_NAME"
           2.1 outcome 1: code 0
        step 2 succeeded: 1 of 1 run
        verified: 3 probes, 200 ms
        mitigated
        alert resolved
        resolved
        reported
    "#]],
    );
}
