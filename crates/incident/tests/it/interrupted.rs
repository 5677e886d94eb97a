//! Tests units that were cut off while they ran: what became of them is found out, and never by doing it again.

use expect_test::{Expect, expect};
use incident::{Incident, IncidentId, Kill};

use crate::stage::{Stage, check_story};
use crate::world::{Cut, RETRY_AFTER, Reply};

pub(crate) const RESTART: &str = r#"paramedic server restart "$SERVER_NAME""#;
pub(crate) const CLEAR: &str = r#"paramedic server clear-cache "$SERVER_NAME""#;

/// A restart under these attributes, with a change behind it, that is cut off the first time.
pub(crate) fn stage(attributes: &str, first: Reply) -> Stage {
    let stage = Stage::new(&format!(
        "1. **Restart**\n\n   ```bash {{{attributes}}}\n   {RESTART}\n   ```\n\n\
         2. **Clear**\n\n   ```bash\n   {CLEAR}\n   ```\n"
    ));
    stage.world.reply(RESTART, first);
    stage.world.reply(RESTART, Reply::exit(0).restarting());
    stage
}

/// The first life, which ends in the middle of the restart.
pub(crate) fn die(stage: &Stage) -> IncidentId {
    let id = stage.live(async |life| {
        let id = life.fire().await;
        life.world.stuck(1).await;
        id
    });
    stage.world.forget_stuck();
    id
}

/// The second life, in which the incident is resolved without anybody's word.
fn check_resolves(stage: &Stage, executed: usize, expect: Expect) {
    let id = die(stage);
    stage.live(async |life| {
        life.engine.resume().await;
        check_story(&life.resolved(&id).await, expect);
        life.check_invariants().await;
    });
    assert_eq!(stage.world.executed(RESTART), executed);
}

#[test]
fn what_never_started_is_started() {
    check_resolves(
        &stage("verify=ready", Reply::exit(0).cut(Cut::BeforeStart)),
        1,
        expect![[r#"
        opened: time, server-down, time was killed by SIGKILL
        captured: host snapshot
        run 1
        step 1 Restart
           1.1 intent 1 (disrupt): paramedic server restart "$SERVER_NAME"
           1.1 intent 2 (disrupt): paramedic server restart "$SERVER_NAME"
           1.1 outcome 2: code 0
           1.1 verified: ready
        step 1 succeeded: 1 of 1 run
        step 2 Clear
           2.1 intent 1 (change): paramedic server clear-cache "$SERVER_NAME"
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

#[test]
fn what_its_runner_has_finished_is_finished() {
    check_resolves(
        &stage("verify=ready", Reply::exit(0).restarting().cut(Cut::EngineOnly)),
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
        step 2 Clear
           2.1 intent 1 (change): paramedic server clear-cache "$SERVER_NAME"
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

#[test]
fn what_was_to_be_brought_about_and_holds_is_done() {
    check_resolves(
        &stage("verify=ready", Reply::exit(0).restarting().cut(Cut::Midway)),
        1,
        expect![[r#"
        opened: time, server-down, time was killed by SIGKILL
        captured: host snapshot
        run 1
        step 1 Restart
           1.1 intent 1 (disrupt): paramedic server restart "$SERVER_NAME"
           1.1 outcome 1: done by evidence, ready
           1.1 verified: ready
        step 1 succeeded: 1 of 1 run
        step 2 Clear
           2.1 intent 1 (change): paramedic server clear-cache "$SERVER_NAME"
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

#[test]
fn what_is_idempotent_is_done_again() {
    check_resolves(
        &stage("verify=ready idempotent=true", Reply::exit(0).cut(Cut::Midway)),
        2,
        expect![[r#"
        opened: time, server-down, time was killed by SIGKILL
        captured: host snapshot
        run 1
        step 1 Restart
           1.1 intent 1 (disrupt): paramedic server restart "$SERVER_NAME"
           1.1 intent 2 (disrupt): paramedic server restart "$SERVER_NAME"
           1.1 outcome 2: code 0
           1.1 verified: ready
        step 1 succeeded: 1 of 1 run
        step 2 Clear
           2.1 intent 1 (change): paramedic server clear-cache "$SERVER_NAME"
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

#[test]
fn what_only_looks_is_looked_at_again() {
    let stage = Stage::new("1. **Look**\n\n   ```bash\n   echo looked\n   ```\n");
    stage.world.state().problem = None;
    stage.world.reply("echo looked", Reply::exit(0).cut(Cut::Midway));
    check_resolves(
        &stage,
        0,
        expect![[r#"
        opened: time, server-down, time was killed by SIGKILL
        captured: host snapshot
        run 1
        step 1 Look
           1.1 intent 1 (observe): echo looked
           1.1 intent 2 (observe): echo looked
           1.1 outcome 2: code 0
        step 1 succeeded: 1 of 1 run
        verified: 3 probes, 200 ms
        mitigated
        alert resolved
        resolved
        reported
    "#]],
    );
    assert_eq!(stage.world.executed("echo looked"), 2);
}

#[test]
fn what_the_world_has_overtaken_is_not_done_again() {
    for cut in [Cut::BeforeStart, Cut::Midway] {
        let stage = stage("id=restart", Reply::exit(0).cut(cut));
        let id = die(&stage);
        stage.world.state().problem = None;
        let executed = stage.world.executed(RESTART);
        stage.live(async |life| {
            life.alert_over().await;
            life.engine.resume().await;
            life.until(&id, Incident::is_reported).await;
        });
        assert_eq!((stage.world.executed(RESTART), stage.world.executed(CLEAR)), (executed, 0), "{cut:?}");
    }
}

#[test]
fn the_kill_switch_holds_for_what_was_begun_as_well() {
    for (attributes, cut) in [("id=restart", Cut::BeforeStart), ("idempotent=true", Cut::Midway)] {
        let stage = stage(attributes, Reply::exit(0).cut(cut));
        let id = die(&stage);
        stage.world.state().kill = Kill::On;
        let executed = stage.world.executed(RESTART);
        stage.live(async |life| {
            life.engine.resume().await;
            life.person_needed(&id).await;
        });
        assert_eq!(stage.world.executed(RESTART), executed, "{cut:?}");
    }
}

/// A runner that cannot be waited for has not "not started".
#[tokio::test]
async fn what_cannot_be_found_out_now_is_found_out_later() {
    let stage = stage("id=restart", Reply::exit(0).restarting().cut(Cut::Untold));
    let life = stage.open().await;
    let id = life.fire().await;
    life.world.stuck(1).await;
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
        step 2 Clear
           2.1 intent 1 (change): paramedic server clear-cache "$SERVER_NAME"
           2.1 outcome 1: code 0
        step 2 succeeded: 1 of 1 run
        verified: 3 probes, 200 ms
        mitigated
        alert resolved
        resolved
        reported
    "#]],
    );
    assert_eq!(life.world.executed(RESTART), 1);
}

#[tokio::test]
async fn what_the_runner_refuses_was_not_started() {
    let stage = stage("id=restart", Reply::exit(0).cut(Cut::Refused));
    stage.world.state().policy.runs_max = 1;
    let life = stage.open().await;
    let id = life.fire().await;
    check_story(
        &life.person_needed(&id).await,
        expect![[r#"
        opened: time, server-down, time was killed by SIGKILL
        captured: host snapshot
        run 1
        step 1 Restart
           1.1 intent 1 (disrupt): paramedic server restart "$SERVER_NAME"
           1.1 outcome 1: not started, the `statement` of the unit is too long
        step 1 failed: 1.1: not started: the `statement` of the unit is too long
        not verified: 1.1: not started: the `statement` of the unit is too long
        person needed: 1 run(s) of the procedure did not help for good: 1.1: not started: the `statement` of the unit is too long
    "#]],
    );
    assert_eq!(life.world.state().runs.len(), 0);
}

/// The engine died between the intent and the folder of its incident.
#[test]
fn what_has_no_folder_yet_is_started() {
    let stage = stage("id=restart", Reply::exit(0).cut(Cut::BeforeStart));
    let id = die(&stage);
    stage.forget_runs();
    stage.live(async |life| {
        life.engine.resume().await;
        life.resolved(&id).await;
    });
    assert_eq!(stage.world.executed(RESTART), 1);
}
