//! Tests what stands in braces behind a fence, and tasks for a person: `when`, `retry`, `verify`, `until`, `every`, `on`.

use expect_test::{Expect, expect};
use incident::{Incident, State};

use crate::stage::{Life, Stage, check_story};
use crate::world::Reply;

const RESTART: &str = r#"paramedic server restart "$SERVER_NAME""#;

/// One step with one fence that restarts, under these attributes.
fn stage(attributes: &str) -> Stage {
    let stage = Stage::new(&format!("1. **Restart**\n\n   ```bash {{{attributes}}}\n   {RESTART}\n   ```\n"));
    stage.world.state().problem = None;
    stage.world.state().policy.runs_max = 1;
    stage
}

async fn ended(life: &Life) -> Incident {
    let id = life.fire().await;
    let done = |incident: &Incident| incident.person_needed.is_some() || incident.state == State::Mitigated;
    life.until(&id, done).await
}

async fn check(stage: &Stage, executed: usize, expect: Expect) {
    let life = stage.open().await;
    let incident = ended(&life).await;
    check_story(&incident, expect);
    assert_eq!(life.world.executed(RESTART), executed);
    life.check_invariants().await;
}

#[tokio::test]
async fn a_condition_that_does_not_hold_skips_the_fence() {
    check(
        &stage("when=\"alert.name == 'Other'\""),
        0,
        expect![[r#"
        opened: time, server-down, time was killed by SIGKILL
        captured: host snapshot
        run 1
        step 1 Restart
           1.1 skipped: its condition `alert.name == 'Other'` does not hold
        step 1 skipped: its condition `alert.name == 'Other'` does not hold
        verified: 3 probes, 200 ms
        mitigated
    "#]],
    )
    .await;
}

#[tokio::test]
async fn a_condition_that_holds_runs_it() {
    check(
        &stage("when=\"alert.name == 'Down' && server.name == 'time'\""),
        1,
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
    "#]],
    )
    .await;
}

#[tokio::test]
async fn a_condition_that_is_nonsense_or_has_no_answer_asks() {
    for (attributes, expect) in [
        (
            "when=\"weather == 'fine'\"",
            expect![
                "its effect is unknown (condition names `weather`, which is none of alert, server, steps, cause, findings, host, parameters)"
            ],
        ),
        (
            "when=\"alert.labels.nothing == 'x'\"",
            expect![
                "its condition `alert.labels.nothing == 'x'` cannot be decided: condition `alert.labels.nothing == 'x'` has no value: No such key: nothing"
            ],
        ),
        (
            "when=\"alert.name\"",
            expect![
                "its condition `alert.name` cannot be decided: condition `alert.name` is not a yes or no, but string"
            ],
        ),
    ] {
        let stage = stage(attributes);
        let life = stage.open().await;
        let id = life.fire().await;
        expect.assert_eq(&life.asked(&id).await.reason);
        assert_eq!(life.world.executed(RESTART), 0);
        life.yes(&id, "1.1").await;
        life.resolved(&id).await;
        assert_eq!(life.world.executed(RESTART), 1);
    }
}

#[tokio::test]
async fn retry_tries_again_and_ends() {
    let once = stage("retry=2");
    once.world.reply(RESTART, Reply::exit(1));
    check(
        &once,
        2,
        expect![[r#"
        opened: time, server-down, time was killed by SIGKILL
        captured: host snapshot
        run 1
        step 1 Restart
           1.1 intent 1 (disrupt): paramedic server restart "$SERVER_NAME"
           1.1 outcome 1: code 1
           1.1 intent 2 (disrupt): paramedic server restart "$SERVER_NAME"
           1.1 outcome 2: code 0
        step 1 succeeded: 1 of 1 run
        verified: 3 probes, 200 ms
        mitigated
    "#]],
    )
    .await;

    let always = stage("retry=2");
    for _ in 0..9 {
        always.world.reply(RESTART, Reply::exit(1));
    }
    check(
        &always,
        3,
        expect![[r#"
        opened: time, server-down, time was killed by SIGKILL
        captured: host snapshot
        run 1
        step 1 Restart
           1.1 intent 1 (disrupt): paramedic server restart "$SERVER_NAME"
           1.1 outcome 1: code 1
           1.1 intent 2 (disrupt): paramedic server restart "$SERVER_NAME"
           1.1 outcome 2: code 1
           1.1 intent 3 (disrupt): paramedic server restart "$SERVER_NAME"
           1.1 outcome 3: code 1
        step 1 failed: 1.1: exited with code 1
        not verified: 1.1: exited with code 1
        person needed: 1 run(s) of the procedure did not help for good: 1.1: exited with code 1
    "#]],
    )
    .await;
}

#[tokio::test]
async fn verify_that_holds_goes_on_and_one_that_does_not_stops() {
    let good = stage("verify=ready");
    check(
        &good,
        1,
        expect![[r#"
        opened: time, server-down, time was killed by SIGKILL
        captured: host snapshot
        run 1
        step 1 Restart
           1.1 intent 1 (disrupt): paramedic server restart "$SERVER_NAME"
           1.1 outcome 1: code 0
           1.1 verified: ready
        step 1 succeeded: 1 of 1 run
        verified: 3 probes, 200 ms
        mitigated
    "#]],
    )
    .await;

    let bad = stage("verify=ready timeout=1s");
    bad.world.state().problem = Some("connection refused".to_owned());
    check(&bad, 1, expect![[r#"
        opened: time, server-down, time was killed by SIGKILL
        captured: host snapshot
        run 1
        step 1 Restart
           1.1 intent 1 (disrupt): paramedic server restart "$SERVER_NAME"
           1.1 outcome 1: code 0
           1.1 not verified: `ready` does not hold afterwards: connection refused
        step 1 failed: 1.1: `ready` does not hold afterwards: connection refused
        not verified: 1.1: `ready` does not hold afterwards: connection refused
        person needed: 1 run(s) of the procedure did not help for good: 1.1: `ready` does not hold afterwards: connection refused
    "#]]).await;

    let false_ = stage("verify=\"server.name == 'other'\" timeout=1s");
    check(&false_, 1, expect![[r#"
        opened: time, server-down, time was killed by SIGKILL
        captured: host snapshot
        run 1
        step 1 Restart
           1.1 intent 1 (disrupt): paramedic server restart "$SERVER_NAME"
           1.1 outcome 1: code 0
           1.1 not verified: `server.name == 'other'` does not hold afterwards: it is false
        step 1 failed: 1.1: `server.name == 'other'` does not hold afterwards: it is false
        not verified: 1.1: `server.name == 'other'` does not hold afterwards: it is false
        person needed: 1 run(s) of the procedure did not help for good: 1.1: `server.name == 'other'` does not hold afterwards: it is false
    "#]]).await;
}

#[tokio::test]
async fn what_this_version_does_not_carry_out_is_a_task_for_a_person() {
    for (attributes, expect) in [
        (
            "until=\"server.name == 'time'\"",
            expect![
                "a watch only looks, and 1.1 may do more (its effect is disrupt: `paramedic server restart` stops the server and starts it again): do it by hand, then say so"
            ],
        ),
        (
            "every=10s",
            expect![
                "a watch only looks, and 1.1 may do more (its effect is disrupt: `paramedic server restart` stops the server and starts it again): do it by hand, then say so"
            ],
        ),
        ("on=db1", expect!["`on` is not carried out by this version: do it by hand, then say so"]),
    ] {
        let stage = stage(attributes);
        let life = stage.open().await;
        let id = life.fire().await;
        expect.assert_eq(&life.asked(&id).await.reason);
        life.yes(&id, "1.1").await;
        let incident = life.resolved(&id).await;
        assert_eq!(incident.steps[0].reason, "done by ada");
        assert_eq!(life.world.state().runs.len(), 0);
    }
}

const BY_HAND: &str = "
1. **Call the owner**

   Ask them what they changed.

2. **Look**

   ```bash
   echo looked
   ```
";

#[tokio::test]
async fn a_step_without_a_statement_waits_for_a_persons_word() {
    let stage = Stage::new(BY_HAND);
    stage.world.state().problem = None;
    let life = stage.open().await;
    let id = life.fire().await;
    let question = life.asked(&id).await;
    assert_eq!((question.unit.as_str(), question.reason.as_str()), ("1", "a task for a person"));
    assert_eq!(life.world.state().runs.len(), 0);
    life.yes(&id, "1").await;
    check_story(
        &life.resolved(&id).await,
        expect![[r#"
        opened: time, server-down, time was killed by SIGKILL
        captured: host snapshot
        run 1
        step 1 Call the owner
           1 asks (manual): a task for a person
           1 approved by ada
        step 1 succeeded: done by ada
        step 2 Look
           2.1 intent 1 (observe): echo looked
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

#[tokio::test]
async fn a_person_who_does_not_do_it_ends_the_walk() {
    let stage = Stage::new(BY_HAND);
    let life = stage.open().await;
    let id = life.fire().await;
    life.no(&id, "1").await;
    check_story(
        &life.person_needed(&id).await,
        expect![[r#"
        opened: time, server-down, time was killed by SIGKILL
        captured: host snapshot
        run 1
        step 1 Call the owner
           1 asks (manual): a task for a person
           1 rejected by ada: not now
        step 1 failed: not now
        person needed: not now
    "#]],
    );
}

/// A fence that was begun is not taken for one that was skipped: what it did is found out, the rest is asked about.
#[test]
fn a_condition_that_turns_in_the_middle_of_its_fence_asks() {
    let stage = Stage::new(
        r#"
1. **Restart**

   ```bash {when="server.parameters.GO == 'yes'"}
   paramedic server clear-cache "$SERVER_NAME"
   paramedic server restart "$SERVER_NAME"
   ```
"#,
    );
    stage.world.state().problem = None;
    stage.world.state().parameters.insert("GO".to_owned(), "yes".to_owned());
    let id = stage.live(async |life| {
        stage.refuse("NEW.kind = 'outcome'").await;
        let id = life.fire().await;
        life.world.stuck(1).await;
        id
    });
    stage.world.state().parameters.insert("GO".to_owned(), "no".to_owned());
    stage.live(async |life| {
        stage.take_again().await;
        life.engine.resume().await;
        life.yes(&id, "1.2").await;
        check_story(
            &life.resolved(&id).await,
            expect![[r#"
            opened: time, server-down, time was killed by SIGKILL
            captured: host snapshot
            run 1
            step 1 Restart
               1.1 intent 1 (change): paramedic server clear-cache "$SERVER_NAME"
               1.1 outcome 1: code 0
               1.2 asks (disrupt): its condition `server.parameters.GO == 'yes'` does not hold any more
               1.2 approved by ada
               1.2 intent 1 (disrupt): paramedic server restart "$SERVER_NAME"
               1.2 outcome 1: code 0
            step 1 succeeded: 2 of 2 run
            verified: 3 probes, 200 ms
            mitigated
            alert resolved
            resolved
            reported
        "#]],
        );
    });
}
