//! Tests units of which nobody knows what they did: a person is asked whether to run them once more, and a yes is for that run only.

use expect_test::expect;
use incident::Mode;

use crate::interrupted::{CLEAR, RESTART, die, stage};
use crate::stage::{Stage, check_story};
use crate::world::{Cut, Reply};

#[test]
fn what_nobody_knows_is_asked_and_a_no_is_the_end() {
    for attributes in ["verify=ready", "id=restart"] {
        let stage = stage(attributes, Reply::exit(0).cut(Cut::Midway));
        let id = die(&stage);
        stage.live(async |life| {
            life.engine.resume().await;
            assert_eq!(
                life.asked(&id).await.reason,
                "Paramedic died while it ran, and what it did is not known: may it be run once more?"
            );
            life.no(&id, "1.1").await;
            let incident = life.person_needed(&id).await;
            assert_eq!(incident.run, 1, "a second run would do what a person has refused");
            if attributes == "id=restart" {
                check_story(&incident, expect![[r#"
                    opened: time, server-down, time was killed by SIGKILL
                    captured: host snapshot
                    run 1
                    step 1 Restart
                       1.1 intent 1 (disrupt): paramedic server restart "$SERVER_NAME"
                       1.1 asks (disrupt): Paramedic died while it ran, and what it did is not known: may it be run once more?
                       1.1 rejected by ada: not now
                       1.1 outcome 1: interrupted
                    step 1 failed: 1.1: Paramedic died while it ran, and what it did is not known
                    person needed: 1.1: Paramedic died while it ran, and what it did is not known
                "#]]);
            }
            life.check_invariants().await;
        });
        assert_eq!((stage.world.executed(RESTART), stage.world.executed(CLEAR)), (1, 0));
    }
}

#[test]
fn what_nobody_knows_is_asked_and_a_yes_does_it_once_more() {
    for mode in [Mode::Auto, Mode::Suggest] {
        let stage = stage("verify=ready", Reply::exit(0).cut(Cut::Midway));
        let id = die(&stage);
        stage.world.state().policy.mode = mode;
        stage.live(async |life| {
            life.engine.resume().await;
            life.yes(&id, "1.1").await;
            if mode == Mode::Suggest {
                life.until(&id, |incident| incident.units.len() == 2).await;
                life.yes(&id, "2.1").await;
            }
            let incident = life.resolved(&id).await;
            let asked = incident.timeline.iter().filter(|(_, record)| record.kind() == "approval_asked");
            assert_eq!(asked.count(), if mode == Mode::Auto { 1 } else { 2 }, "one word for one run");
        });
        assert_eq!(stage.world.executed(RESTART), 2);
    }
}

/// The yes to the first run is no yes to a second one.
#[test]
fn an_approval_is_used_up_by_the_run_that_was_cut_off() {
    // It reads no value and no state, so that the two questions differ in nothing else.
    let stage = Stage::new("1. **Restart**\n\n   ```bash\n   paramedic server restart time\n   ```\n");
    let restart = "paramedic server restart time";
    stage.world.state().policy.mode = Mode::Suggest;
    stage.world.reply(restart, Reply::exit(0).cut(Cut::Midway));
    let id = stage.live(async |life| {
        let id = life.fire().await;
        life.yes(&id, "1.1").await;
        life.world.stuck(1).await;
        id
    });
    stage.live(async |life| {
        life.engine.resume().await;
        let question = life.asked(&id).await;
        assert!(question.reason.contains("once more"), "{question:?}");
        assert_eq!(life.world.executed(restart), 1);
        life.no(&id, "1.1").await;
        check_story(&life.person_needed(&id).await, expect![[r#"
            opened: time, server-down, time was killed by SIGKILL
            captured: host snapshot
            run 1
            step 1 Restart
               1.1 asks (disrupt): the mode is `suggest`, and its effect is disrupt (`paramedic server restart` stops the server and starts it again)
               1.1 approved by ada
               1.1 intent 1 (disrupt): paramedic server restart time
               1.1 void: what the approval was about has changed meanwhile
               1.1 asks (disrupt): Paramedic died while it ran, and what it did is not known: may it be run once more?
               1.1 rejected by ada: not now
               1.1 outcome 1: interrupted
            step 1 failed: 1.1: Paramedic died while it ran, and what it did is not known
            person needed: 1.1: Paramedic died while it ran, and what it did is not known
        "#]]);
    });
    assert_eq!(stage.world.executed(restart), 1);
}

/// The yes to the second run came, and that run never began: what the first one did is as little known as before.
#[test]
fn what_never_began_once_more_is_asked_about_again() {
    for mode in [Mode::Auto, Mode::Suggest] {
        let stage = stage("id=restart", Reply::exit(0).cut(Cut::Midway));
        stage.world.state().policy.mode = mode;
        stage.world.state().replies.clear();
        stage.world.reply(RESTART, Reply::exit(0).cut(Cut::Midway));
        stage.world.reply(RESTART, Reply::exit(0).cut(Cut::BeforeStart));
        let id = stage.live(async |life| {
            let id = life.fire().await;
            if mode == Mode::Suggest {
                life.yes(&id, "1.1").await;
            }
            life.world.stuck(1).await;
            id
        });
        stage.world.forget_stuck();
        stage.live(async |life| {
            life.engine.resume().await;
            life.yes(&id, "1.1").await;
            life.world.stuck(1).await;
        });
        stage.live(async |life| {
            life.engine.resume().await;
            let question = life.asked(&id).await;
            assert!(question.reason.contains("once more"), "{mode:?}: {question:?}");
            life.no(&id, "1.1").await;
            life.person_needed(&id).await;
        });
        assert_eq!(stage.world.executed(RESTART), 1, "{mode:?}");
    }
}

/// The runner is killed and the engine lives: that is no other case.
#[tokio::test]
async fn a_runner_that_is_killed_leaves_the_same_doubt() {
    let stage = stage("id=restart", Reply::exit(0).cut(Cut::RunnerOnly));
    let life = stage.open().await;
    let id = life.fire().await;
    life.no(&id, "1.1").await;
    check_story(
        &life.person_needed(&id).await,
        expect![[r#"
        opened: time, server-down, time was killed by SIGKILL
        captured: host snapshot
        run 1
        step 1 Restart
           1.1 intent 1 (disrupt): paramedic server restart "$SERVER_NAME"
           1.1 asks (disrupt): Paramedic died while it ran, and what it did is not known: may it be run once more?
           1.1 rejected by ada: not now
           1.1 outcome 1: interrupted
        step 1 failed: 1.1: Paramedic died while it ran, and what it did is not known
        person needed: 1.1: Paramedic died while it ran, and what it did is not known
    "#]],
    );
    assert_eq!((life.world.executed(RESTART), life.world.executed(CLEAR)), (1, 0));

    let stage = self::stage("verify=ready", Reply::exit(0).restarting().cut(Cut::RunnerOnly));
    let life = stage.open().await;
    let id = life.fire().await;
    life.resolved(&id).await;
    assert_eq!((life.world.executed(RESTART), life.world.executed(CLEAR)), (1, 1));
}

#[tokio::test]
async fn what_kills_its_runner_each_time_is_asked_about_in_the_end() {
    let stage = stage("idempotent=true", Reply::exit(0).cut(Cut::RunnerOnly));
    stage.world.state().replies.clear();
    for _ in 0..9 {
        stage.world.reply(RESTART, Reply::exit(0).cut(Cut::RunnerOnly));
    }
    let life = stage.open().await;
    let id = life.fire().await;
    life.no(&id, "1.1").await;
    life.person_needed(&id).await;
    assert_eq!(life.world.executed(RESTART), 3);
}

/// The yes is given, and the engine dies again before it has begun.
#[test]
fn a_yes_to_once_more_outlives_the_engine() {
    let stage = stage("id=restart", Reply::exit(0).cut(Cut::Midway));
    stage.world.state().policy.mode = Mode::Suggest;
    let id = stage.live(async |life| {
        let id = life.fire().await;
        life.yes(&id, "1.1").await;
        life.world.stuck(1).await;
        id
    });
    stage.world.forget_stuck();
    stage.live(async |life| {
        life.engine.resume().await;
        stage.refuse("NEW.kind = 'intent'").await;
        life.yes(&id, "1.1").await;
        life.world.stuck(1).await;
    });
    assert_eq!(stage.world.executed(RESTART), 1);
    stage.live(async |life| {
        stage.take_again().await;
        life.engine.resume().await;
        // Nobody is asked about it again: the next question is about the next unit.
        life.yes(&id, "2.1").await;
        life.resolved(&id).await;
        life.check_invariants().await;
    });
    assert_eq!(stage.world.executed(RESTART), 2);
}

/// What was given with the first yes was given for the first run.
#[test]
fn a_value_is_asked_for_again() {
    let stage =
        Stage::new("1. **Clear**\n\n   ```bash\n   paramedic server clear-cache \"$SHARD\"\n   ```\n");
    stage.world.state().problem = None;
    stage.world.reply(r#"paramedic server clear-cache "$SHARD""#, Reply::exit(0).cut(Cut::Midway));
    let id = stage.live(async |life| {
        let id = life.fire().await;
        life.supply(&id, "1.1", &[("SHARD", "seven")]).await.unwrap();
        life.world.stuck(1).await;
        id
    });
    stage.live(async |life| {
        life.engine.resume().await;
        life.until(&id, |incident| incident.open_questions().next().is_some()).await;
        assert_eq!(life.asked(&id).await.missing, ["SHARD"]);
        life.supply(&id, "1.1", &[("SHARD", "eight")]).await.unwrap();
        life.resolved(&id).await;
        assert_eq!(life.world.state().runs[1].environment["SHARD"], "eight");
        life.check_invariants().await;
    });
}
